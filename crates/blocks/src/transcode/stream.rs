//! Codes of some rows, one a byte, from and to the dense stream.

use alloc::vec::Vec;
use core::ops::Range;

use super::codes::Table;
use lowbit_scalar::pack;
use lowbit_scalar::pack::NibbleOrder::LowFirst;

use crate::format::{Block, Format};

/// How codes of a format lie in a tile of rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    bits: u32,
    cols: usize,
    /// Rows end on bytes or run into each other: their codes are one stream.
    dense: bool,
    flat: bool,
}

impl Stream {
    pub(super) fn new(format: &Format, cols: usize) -> Self {
        let bits = format.element.bits();
        let flat = matches!(format.block, Block::Flat(_));
        let stream = Self { bits, cols, dense: flat, flat };
        Self { dense: flat || stream.whole_rows(), ..stream }
    }

    /// Whether the same codes are the same bytes.
    pub(super) fn same_bytes(&self, other: &Self) -> bool {
        self.bits == other.bits && (self.flat == other.flat || self.whole_rows())
    }

    fn whole_rows(&self) -> bool {
        (self.cols % 8 * self.bits as usize).is_multiple_of(8)
    }

    /// Writes the codes of `rows`, which start on a byte, to `out`, one a byte.
    pub(super) fn read(&self, codes: &[u8], rows: Range<usize>, out: &mut Vec<u8>) {
        out.resize(rows.len() * self.cols, 0);
        if self.dense {
            let bytes = self.byte(rows.start)..self.byte(rows.end);
            return unpack(self.bits, &codes[bytes], out);
        }
        for (row, out) in rows.zip(out.chunks_mut(self.cols)) {
            unpack(self.bits, &codes[self.byte(row)..self.byte(row + 1)], out);
        }
    }

    /// Appends codes of whole rows, one a byte, to the packed ones.
    pub(super) fn write(&self, codes: &[u8], out: &mut Vec<u8>) {
        let run = if self.dense { codes.len() } else { self.cols };
        for codes in codes.chunks(run.max(1)) {
            let start = out.len();
            out.resize(start + pack::packed_len(self.bits, codes.len()), 0);
            pack_codes(self.bits, codes, &mut out[start..]);
        }
    }

    /// One code.
    pub(super) fn code(&self, codes: &[u8], row: usize, col: usize) -> u8 {
        if self.flat {
            pack::get(self.bits, codes, row * self.cols + col)
        } else {
            pack::get(self.bits, &codes[self.byte(row)..], col)
        }
    }

    /// Where a row starts.
    fn byte(&self, row: usize) -> usize {
        if self.flat {
            pack::packed_len(self.bits, row * self.cols)
        } else {
            row * pack::packed_len(self.bits, self.cols)
        }
    }
}

/// All codes of a tile by one table, where bytes hold whole codes on both sides: one look-up for each byte of the source.
pub(super) fn mapped_bytes(from: &Stream, to: &Stream, codes: &[u8], table: &Table) -> Option<Vec<u8>> {
    if !from.whole_rows() || !to.whole_rows() {
        return None;
    }
    let pair = |byte: u8| [table[usize::from(byte & 0xf)], table[usize::from(byte >> 4)]];
    Some(match (from.bits, to.bits) {
        (8, 8) => codes.iter().map(|&code| table[usize::from(code)]).collect(),
        (4, 4) => {
            let bytes: Table = core::array::from_fn(|byte| {
                let [low, high] = pair(byte as u8);
                low | high << 4
            });
            codes.iter().map(|&code| bytes[usize::from(code)]).collect()
        }
        (4, 8) => {
            let pairs: [[u8; 2]; 256] = core::array::from_fn(|byte| pair(byte as u8));
            codes.iter().map(|&code| pairs[usize::from(code)]).collect::<Vec<_>>().into_flattened()
        }
        _ => return None,
    })
}

fn unpack(bits: u32, bytes: &[u8], out: &mut [u8]) {
    match bits {
        8 => out.copy_from_slice(bytes),
        4 => pack::unpack_nibbles(bytes, out, LowFirst),
        _ => pack::unpack_bits(bits, bytes, out),
    }
}

fn pack_codes(bits: u32, codes: &[u8], out: &mut [u8]) {
    match bits {
        8 => out.copy_from_slice(codes),
        4 => pack::pack_nibbles(codes, out, LowFirst),
        _ => pack::pack_bits(bits, codes, out),
    }
}
