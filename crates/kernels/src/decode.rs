//! `value = (value(code) - zero) * scale`: which decoder an element has.

use crate::Element;
use crate::chunks::Chunks;
use crate::int::IntDecoder;
use crate::lanes::Lanes;
use crate::minifloat::{Layout, MinifloatDecoder};
use crate::output::Output;
use crate::table::NibbleDecoder;

/// What a family of elements adds: the packed codes of a chunk to four vectors of values.
pub(crate) trait Decoder<L: Lanes>: Copy {
    /// Bytes that a chunk's codes take.
    fn bytes(self) -> usize;
    /// The values of a chunk, whose codes `codes` begins with; what follows may be read, too.
    fn decode(self, l: L, codes: &[u8]) -> [L::F; 4];
    /// The values of a chunk in a block of many chunks.
    #[inline(always)]
    fn in_block(self, l: L, block: Affine<L>) -> impl Fn(&[u8]) -> [L::F; 4] {
        #[inline(always)]
        move |codes| {
            let [a, b, c, d] = self.decode(l, codes);
            [block.apply(a), block.apply(b), block.apply(c), block.apply(d)]
        }
    }
}

/// What becomes of a code's value.
#[derive(Clone, Copy)]
pub(crate) struct Affine<L: Lanes> {
    pub(crate) zero: Option<L::F>,
    pub(crate) scale: L::F,
}

impl<L: Lanes> Affine<L> {
    #[inline(always)]
    pub(crate) fn apply(self, value: L::F) -> L::F {
        let value = match self.zero {
            Some(zero) => value - zero,
            None => value,
        };
        value * self.scale
    }
}

/// Decodes chunks by the family of the element.
#[inline(always)]
pub(crate) fn decode<L: Lanes, T, O: Output<L, T>>(l: L, e: Element, chunks: Chunks<'_, T, O>) {
    let (bits, format) = (e.bits(), e.float_format());
    if bits == 4 {
        return chunks.decode(l, NibbleDecoder::new(l, e));
    }
    let is_byte = bits == 8 && format.is_none();
    let chunks = if is_byte { Some(chunks) } else { l.decode_natively(e, chunks) };
    let Some(chunks) = chunks else { return };
    match format {
        Some(format) => chunks.decode(l, MinifloatDecoder::new(l, Layout::of(format))),
        None => chunks.decode(l, IntDecoder::new(l, e)),
    }
}
