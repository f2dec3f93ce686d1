//! `value = (value(code) - zero) * scale`: which decoder an element has.

mod chunks;
mod output;
mod stream;

pub(crate) use chunks::Chunks;
pub(crate) use output::{AsBf16, AsF16, AsF32, Output, Streamed};
pub(crate) use stream::{STREAMS, scope};

use crate::Element;
use crate::codecs::Decoder;
use crate::codecs::int::IntDecoder;
use crate::codecs::minifloat::{Layout, MinifloatDecoder};
use crate::codecs::table::NibbleDecoder;
use crate::lanes::{CHUNK, Lanes};

/// Decoding at a level: by the family of the element, or by what the level does in fewer instructions.
pub(crate) trait Decode: Lanes {
    #[inline(always)]
    fn decode<T, O: Output<Self, T>>(self, e: Element, chunks: Chunks<'_, T, O>) {
        by_family(self, e, chunks);
    }
    /// Decodes to 16 bits in registers where that pays, or gives the work back.
    #[inline(always)]
    fn decode_narrowed<O: Output<Self, u16>>(
        self,
        _: Element,
        chunks: Chunks<'_, u16, O>,
    ) -> Result<(), Chunks<'_, u16, O>> {
        Err(chunks)
    }
    /// The values of 64 codes of E4M3.
    #[inline(always)]
    fn decode_e4m3(self, codes: &[u8; CHUNK]) -> [Self::F; 4] {
        MinifloatDecoder::new(self, Layout::E4M3).decode(self, codes)
    }
}

/// Decodes chunks by the family of the element.
#[inline(always)]
pub(crate) fn by_family<L: Lanes, T, O: Output<L, T>>(l: L, e: Element, chunks: Chunks<'_, T, O>) {
    match e.float_format() {
        _ if e.bits() == 4 => chunks.decode(l, NibbleDecoder::new(l, e)),
        Some(format) => chunks.decode(l, MinifloatDecoder::new(l, Layout::of(format))),
        None => chunks.decode(l, IntDecoder::new(l, e)),
    }
}
