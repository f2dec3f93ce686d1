//! `code = RNE(x / scale + zero)` over whole chunks: divide, hand the quotients to the element's encoder, pack.

use crate::Element;
use crate::codes::pack;
use crate::int::IntEncoder;
use crate::lanes::{CHUNK, Lanes};
use crate::minifloat::{Layout, MinifloatEncoder};
use crate::scales::Scales;
use crate::table::TableEncoder;

/// What a family of elements adds: one vector of quotients to one vector of codes.
pub(crate) trait Encoder<L: Lanes>: Copy {
    fn encode(self, l: L, x: L::F) -> L::U;
}

/// Encodes chunks with consecutive scales; `codes` is `8 * e.bits()` bytes per chunk.
#[inline(always)]
pub(crate) fn encode<L: Lanes>(
    l: L,
    e: Element,
    x: &[[f32; CHUNK]],
    scales: &mut Scales<'_>,
    codes: &mut [u8],
) {
    let bits = e.bits();
    match e.float_format() {
        Some(format) => chunks(l, MinifloatEncoder::new(l, Layout::of(format)), bits, x, scales, codes),
        None if matches!(e, Element::Nf4 | Element::Fp4) => {
            chunks(l, TableEncoder::new(l, e), bits, x, scales, codes);
        }
        None => chunks(l, IntEncoder::new(l, e), bits, x, scales, codes),
    }
}

#[inline(always)]
fn chunks<L: Lanes>(
    l: L,
    encoder: impl Encoder<L>,
    bits: u32,
    x: &[[f32; CHUNK]],
    scales: &mut Scales<'_>,
    codes: &mut [u8],
) {
    for (x, codes) in x.iter().zip(codes.chunks_exact_mut(CHUNK / 8 * bits as usize)) {
        let mut vectors = [l.splat_bits(0); 4];
        for (x, codes) in x.as_chunks().0.iter().zip(&mut vectors) {
            let (scale, zero) = scales.next(l);
            *codes = encoder.encode(l, l.load(x) / scale + zero);
        }
        pack(l, bits, l.narrow(vectors), codes);
    }
}
