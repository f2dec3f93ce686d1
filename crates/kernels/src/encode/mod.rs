//! `code = RNE(x / scale + zero)`: which encoder an element has.

mod chunks;

pub(crate) use chunks::Chunks;

use crate::Element;
use crate::codecs::int::IntEncoder;
use crate::codecs::minifloat::{Layout, MinifloatEncoder};
use crate::codecs::table::TableEncoder;
use crate::lanes::Lanes;

/// Encoding at a level: by the family of the element, or by what the level does in fewer instructions.
pub(crate) trait Encode: Lanes {
    #[inline(always)]
    fn encode(self, e: Element, chunks: Chunks<'_>) {
        by_family(self, e, chunks);
    }
}

/// Encodes chunks by the family of the element.
#[inline(always)]
pub(crate) fn by_family<L: Lanes>(l: L, e: Element, chunks: Chunks<'_>) {
    match e.float_format() {
        Some(format) => chunks.encode(l, e, MinifloatEncoder::new(l, Layout::of(format))),
        None if matches!(e, Element::Nf4 | Element::Fp4) => chunks.encode(l, e, TableEncoder::new(e)),
        None => chunks.encode(l, e, IntEncoder::new(l, e)),
    }
}
