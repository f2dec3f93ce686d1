//! Conversion of packed codes of some rows from and to one code per byte.

use alloc::vec::Vec;
use core::ops::Range;

use lowbit_scalar::pack;
use lowbit_scalar::pack::NibbleOrder::LowFirst;

use super::codes::Table;
use crate::grid::Grid;

/// The packed codes of a tensor of one matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    grid: Grid,
    bits: u32,
}

impl Packed {
    pub(super) fn new(grid: Grid) -> Self {
        Self { grid, bits: grid.format().element.bits() }
    }

    /// True if both sides pack the same codes to the same bytes.
    pub(super) fn same_bytes(&self, other: &Self) -> bool {
        self.bits == other.bits && (self.grid.is_flat() == other.grid.is_flat() || self.grid.rows_on_bytes())
    }

    /// Unpacks the codes of `rows`, which start on a byte, to `out`, one per byte.
    pub(super) fn read(&self, codes: &[u8], rows: Range<usize>, out: &mut Vec<u8>) {
        let cols = self.grid.shape().cols;
        out.resize(rows.len() * cols, 0);
        if self.grid.is_dense() {
            return unpack(self.bits, &codes[self.grid.bytes(0, rows)], out);
        }
        for (row, out) in rows.zip(out.chunks_mut(cols)) {
            unpack(self.bits, &codes[self.grid.bytes(0, row..row + 1)], out);
        }
    }

    /// Packs codes of whole rows, one per byte, and appends them to `out`.
    pub(super) fn write(&self, codes: &[u8], out: &mut Vec<u8>) {
        let run = if self.grid.is_dense() { codes.len() } else { self.grid.shape().cols };
        for codes in codes.chunks(run.max(1)) {
            let start = out.len();
            out.resize(start + pack::packed_len(self.bits, codes.len()), 0);
            pack_codes(self.bits, codes, &mut out[start..]);
        }
    }

    /// The code of a row and column.
    pub(super) fn code(&self, codes: &[u8], row: usize, col: usize) -> u8 {
        if self.grid.is_flat() {
            pack::get(self.bits, codes, row * self.grid.shape().cols + col)
        } else {
            pack::get(self.bits, &codes[self.grid.bytes(0, row..row).start..], col)
        }
    }

    /// Maps all of `codes` by one table with one look-up per byte of the source; `None` unless
    /// bytes hold whole codes on both sides.
    pub(super) fn mapped_bytes(&self, to: &Self, codes: &[u8], table: &Table) -> Option<Vec<u8>> {
        if !self.grid.rows_on_bytes() || !to.grid.rows_on_bytes() {
            return None;
        }
        let pair = |byte: u8| [table[usize::from(byte & 0xf)], table[usize::from(byte >> 4)]];
        Some(match (self.bits, to.bits) {
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
