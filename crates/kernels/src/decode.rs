//! `value = (value(code) - zero) * scale` over whole chunks: unpack, hand the codes to the element's decoder, scale.

use crate::Element;
use crate::codes::unpack;
use crate::int::IntDecoder;
use crate::lanes::{CHUNK, Lanes};
use crate::minifloat::{Layout, MinifloatDecoder};
use crate::scales::{Scales, TILE};
use crate::table::TableDecoder;

/// What a family of elements adds: sixty-four codes, one a byte, to four vectors of values.
pub(crate) trait Decoder<L: Lanes>: Copy {
    fn decode(self, l: L, codes: L::B) -> [L::F; 4];
}

/// Decodes chunks with consecutive scales; `codes` is `8 * e.bits()` bytes per chunk.
#[inline(always)]
pub(crate) fn decode<L: Lanes>(
    l: L,
    e: Element,
    codes: &[u8],
    scales: &mut Scales<'_>,
    out: &mut [[f32; CHUNK]],
) {
    let bits = e.bits();
    match e.float_format() {
        _ if bits <= 4 => chunks(l, TableDecoder::new(l, e), bits, codes, scales, out),
        Some(format) => chunks(l, MinifloatDecoder::new(l, Layout::of(format)), bits, codes, scales, out),
        None => chunks(l, IntDecoder::new(l, e), bits, codes, scales, out),
    }
}

#[inline(always)]
fn chunks<L: Lanes>(
    l: L,
    decoder: impl Decoder<L>,
    bits: u32,
    codes: &[u8],
    scales: &mut Scales<'_>,
    out: &mut [[f32; CHUNK]],
) {
    let has_zeros = scales.has_zeros();
    let bytes = CHUNK / 8 * bits as usize;
    for (codes, out) in codes.chunks(TILE * bytes).zip(out.chunks_mut(TILE)) {
        scales.next_tile(out.len());
        for (chunk, (codes, out)) in codes.chunks_exact(bytes).zip(out).enumerate() {
            let values = decoder.decode(l, unpack(l, bits, codes));
            for (i, (value, out)) in values.into_iter().zip(out.as_chunks_mut().0).enumerate() {
                let vector = 4 * chunk + i;
                let value = if has_zeros { value - scales.zero(l, vector) } else { value };
                l.store(value * scales.scale(l, vector), out);
            }
        }
    }
}
