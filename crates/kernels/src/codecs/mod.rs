//! Codecs of elements in the operations of [`Lanes`]: one encoder and one decoder for each family of elements.
//!
//! ```text
//! minifloat    exponent and mantissa, of any widths       rounded by the adder, decoded by shifts
//! int          integers and MXINT8                        rounded by the adder, decoded by the low bits of 2^23
//! table        up to 16 values: NF4, FP4, any 4 bits      encoded by comparing with cuts, decoded by lookup
//! ```

pub(crate) mod int;
pub(crate) mod minifloat;
pub(crate) mod table;

use crate::codes::pack;
use crate::lanes::{CHUNK, Lanes};

/// What a family of elements adds: the quotients of a chunk to its codes, one a byte, in the level's own order of bytes.
pub(crate) trait Encoder<L: Lanes>: Copy {
    /// What becomes of a NaN does not matter.
    fn encode(self, l: L, x: [L::F; 4]) -> L::B;
    /// Writes codes of `bits` bits as [`pack`] does.
    #[inline(always)]
    fn write(self, l: L, bits: u32, codes: L::B, out: &mut [u8]) {
        pack(l, bits, l.in_order(codes), out);
    }
}

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
    /// Whether all values have at most eight significant bits, none of them below 2^-20.
    #[inline(always)]
    fn is_short(self) -> bool {
        true
    }
    /// Decodes a block of many chunks to 16 bits by a table of them, where that takes less than narrowing each value, or says that
    /// it does not. `narrow` leaves them in the upper half of each lane; a NaN can become anything.
    #[inline(always)]
    fn block_by_halves(
        self,
        _: L,
        _: Affine<L>,
        _narrow: impl Fn(L::F) -> L::F,
        _codes: &[u8],
        _out: &mut [[u16; CHUNK]],
    ) -> bool {
        false
    }
    /// The same for chunks of `N` blocks, two or four, by a table of all values of a chunk; how many it has done, up to one that has a NaN.
    #[inline(always)]
    fn blocks_by_halves<const N: usize>(
        self,
        _: L,
        _scales: &[[f32; N]],
        _zeros: Option<&[[f32; N]]>,
        _narrow: impl Fn(L::F) -> L::F,
        _codes: &[u8],
        _out: &mut [[u16; CHUNK]],
    ) -> usize {
        0
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

    /// Whether it makes every value NaN.
    #[inline(always)]
    pub(crate) fn has_nan(self, l: L) -> bool {
        let zero = self.zero.unwrap_or(self.scale);
        l.any_nan([self.scale, zero, self.scale, zero])
    }
}
