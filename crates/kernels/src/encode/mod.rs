//! `code = RNE(x / scale + zero)`: which encoder an element has.

mod chunks;

pub(crate) use chunks::Chunks;

use crate::Element;
use crate::codecs::int::IntEncoder;
use crate::codecs::minifloat::{Layout, MinifloatEncoder};
use crate::codecs::table::{Sixteen, TableEncoder};
use crate::element::Codec;
use crate::lanes::Lanes;
use lowbit_scalar::FloatFormat;

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
    match Family::of(e) {
        Family::Float(format) => chunks.encode(l, e, MinifloatEncoder::new(l, Layout::of(format))),
        Family::Sixteen(which) => chunks.encode(l, e, TableEncoder(which)),
        Family::Int => chunks.encode(l, e, IntEncoder::new(l, e)),
    }
}

/// How an element is encoded.
pub(crate) enum Family {
    /// By an addition that rounds to the format.
    Float(FloatFormat),
    /// By where a number lies between sixteen values.
    Sixteen(Sixteen),
    /// By an addition that rounds to whole steps.
    Int,
}

impl Family {
    #[inline(always)]
    pub(crate) fn of(e: Element) -> Self {
        match e.codec() {
            // An addition takes ties to the even mantissa, of which a format without mantissa has none.
            Codec::Float(FloatFormat { mantissa_bits: 0, .. }) => Family::Sixteen(Sixteen::E3m0),
            Codec::Float(format) => Family::Float(format),
            Codec::Int(_) | Codec::Uint(_) | Codec::MxInt8 => Family::Int,
            Codec::Nf4 => Family::Sixteen(Sixteen::Nf4),
            Codec::Fp4 => Family::Sixteen(Sixteen::Fp4),
        }
    }
}
