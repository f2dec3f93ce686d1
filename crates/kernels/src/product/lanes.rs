//! The operations of [`Lanes`] that products add: sums of products of bytes, and sums of neighbours.
//!
//! Weights are unsigned bytes, a value less the least one or so, since that is what instruction sets multiply with signed
//! ones; what the offset adds is taken away from the sums.

#[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
mod bytes;
#[cfg(all(
    feature = "std",
    any(
        target_arch = "x86",
        target_arch = "x86_64",
        target_arch = "aarch64",
        all(target_arch = "wasm32", target_feature = "simd128")
    )
))]
mod simd;
mod wide;
#[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
mod x86;

use super::digits::DIGITS;
use super::exact::{Exact, LOW};
use super::fine::Tables;
use crate::Element;
use crate::codecs::Decoder;
use crate::codecs::table::NibbleDecoder;
use crate::lanes::{CHUNK, LANES, Lanes};
use core::ops::Add;
use lowbit_scalar::Specials;

/// What is done with a decoder of chunks of `BYTES` bytes, whichever it is.
pub(crate) trait WithDecoder<L: Lanes> {
    /// Whether it is done with elements whose NaN is a negative zero, too, which can take code of their own.
    #[allow(dead_code, reason = "only AVX-512 has code of their own")]
    const FNUZ: bool;

    fn with<const BYTES: usize>(self, l: L, decoder: impl Decoder<L>);
}

/// Whether the only NaN of an element is its negative zero.
pub(super) fn is_fnuz(e: Element) -> bool {
    e.float_format().is_some_and(|format| matches!(format.specials, Specials::NanNegativeZero))
}

/// Whether [`SumLanes::with_decoder`] has a decoder for an element.
#[inline(always)]
pub(super) fn takes_element<L: SumLanes>(_: L, e: Element) -> bool {
    match e.bits() {
        4 => true,
        8 => L::UNROLLED && e != Element::MxInt8,
        _ => false,
    }
}

/// Sums of sixteen blocks at a time.
pub(crate) trait SumLanes: Lanes {
    /// Whether short blocks and several columns at once are worth loops of their own.
    const UNROLLED: bool;
    /// Sixteen i32, which wrap.
    type I: Copy + Add<Output = Self::I> + Exact<Self>;
    /// Sixteen bytes to look up by nibble.
    type Bytes: Copy;

    fn ints(self, x: &[i32; LANES]) -> Self::I;
    fn store_ints(self, x: Self::I, out: &mut [i32; LANES]);
    /// To nearest even.
    fn to_f32(self, x: Self::I) -> Self::F;

    fn byte_table(self, values: &[u8; 16]) -> Self::Bytes;
    /// The bytes of the low nibbles of 64 bytes, and of the high ones.
    fn halves(self, table: Self::Bytes, codes: &[u8; CHUNK]) -> [Self::B; 2];
    /// Sixteen sums of 8 products: of 4 neighbours of one half and 4 of the other, no weight above 24.
    fn dot_halves(self, weights: [Self::B; 2], x: &[i8; 2 * CHUNK]) -> Self::I;
    /// What 64 codes of [`digits`](super::digits) are.
    type DigitWeights: Copy;
    fn digits(self, tables: [Self::Bytes; DIGITS], codes: &[u8; CHUNK]) -> Self::DigitWeights;
    /// `high` and `low` of sixteen sums of 8 products, of 4 neighbours of the low nibbles of bytes and 4 of the high ones.
    fn dot_digits(self, weights: Self::DigitWeights, x: &[i8; 2 * CHUNK]) -> [Self::I; 2];
    /// `high * 2^14 + low`, rounded once.
    #[inline(always)]
    fn parts_to_f32(self, high: Self::I, low: Self::I) -> Self::F {
        parts_to_f32(self, high, low)
    }
    /// The f32 at each index below 8.
    #[inline(always)]
    fn pick(self, from: &[f32; LANES / 2], index: Self::U) -> Self::F {
        let (mut indices, mut picked) = ([0.0; LANES], [0.0; LANES]);
        self.store(self.float(index), &mut indices);
        for (picked, index) in picked.iter_mut().zip(indices) {
            *picked = from[index.to_bits() as usize % from.len()];
        }
        self.load(&picked)
    }
    /// Whether E4M3 is summed by lookups.
    const FINE: bool;
    /// What is looked up.
    type Fine: Copy;
    /// What 64 codes are.
    type FineWeights: Copy;
    fn fine_tables(self, tables: &Tables) -> Self::Fine;
    fn fine_weights(self, tables: Self::Fine, codes: &[u8; CHUNK]) -> Self::FineWeights;
    /// A byte above 0x7e for each OCP code that is NaN, none for others.
    fn fine_nan(self, weights: Self::FineWeights) -> Self::B;
    /// Sixteen sums of 4 neighbouring products with activations above -128.
    fn fine_dot(self, weights: Self::FineWeights, x: &[i8; CHUNK]) -> Self::I;
    /// The larger bytes, unsigned.
    fn max_bytes(self, a: Self::B, b: Self::B) -> Self::B;
    fn any_byte_above(self, x: Self::B, limit: u8) -> bool;
    /// Sixteen sums of 4 neighbouring products.
    fn dot(self, weights: Self::B, x: &[i8; CHUNK]) -> Self::I;

    /// The sums of each `N` neighbours, of all vectors one after the other: `N` is 2, 4, 8 or 16.
    fn sum_neighbours<const N: usize>(self, x: [Self::I; N]) -> Self::I;
    /// The same for a number of vectors that is not known when this is compiled.
    #[inline(always)]
    fn sum_few(self, x: &[Self::I]) -> Self::I {
        let mut numbers = [[0; LANES]; LANES];
        for (out, x) in numbers.iter_mut().zip(x) {
            self.store_ints(*x, out);
        }
        self.ints(&sum_each(&numbers, x.len()))
    }
    /// Whether stored scales of sixteen blocks become f32 in a few operations.
    const WIDENS: bool;
    /// 2^-8 of sixteen values of E4M3 that are neither negative nor NaN.
    #[inline(always)]
    fn scales_e4m3(self, codes: &[u8; LANES]) -> Self::F {
        self.widen_f16(words(self, codes) << 7)
    }
    /// Sixteen values of E8M0 that are neither 2^-127 nor NaN.
    #[inline(always)]
    fn scales_e8m0(self, codes: &[u8; LANES]) -> Self::F {
        self.float(words(self, codes) << (f32::MANTISSA_DIGITS - 1))
    }
    /// Sixteen values of BF16.
    #[inline(always)]
    fn scales_bf16(self, bytes: &[u8; 2 * LANES]) -> Self::F {
        self.float(words(self, &pairs(bytes)) << u16::BITS)
    }
    /// Sixteen values of F16.
    #[inline(always)]
    fn scales_f16(self, bytes: &[u8; 2 * LANES]) -> Self::F {
        self.widen_f16(words(self, &pairs(bytes)))
    }
    /// The sums of sixteen neighbours each, of f32 of sixteen vectors: neighbours are added, then neighbours of the sums, and so on.
    #[inline(always)]
    fn add_neighbours(self, x: [Self::F; LANES]) -> Self::F {
        let mut quarters = [self.splat(0.0); 4];
        for i in 0..4 {
            quarters[i] = self.add_four([x[4 * i], x[4 * i + 1], x[4 * i + 2], x[4 * i + 3]]);
        }
        self.add_quarters(quarters)
    }
    /// The first two of the four rounds of [`add_neighbours`](Self::add_neighbours), of four vectors, in an order of the level's own.
    fn add_four(self, x: [Self::F; 4]) -> Self::F;
    /// The last two rounds.
    fn add_quarters(self, x: [Self::F; 4]) -> Self::F;

    /// Hands over the fastest decoder of an element that [`takes_element`] names.
    #[inline(always)]
    fn with_decoder<T: WithDecoder<Self>>(self, e: Element, then: T) {
        then.with::<{ CHUNK / 2 }>(self, NibbleDecoder::new(self, e));
    }
}

#[inline(always)]
fn words<L: Lanes, T: Copy + Into<u32>>(l: L, numbers: &[T; LANES]) -> L::U {
    let mut words = [0.0; LANES];
    for (word, &number) in words.iter_mut().zip(numbers) {
        *word = f32::from_bits(number.into());
    }
    l.bits(l.load(&words))
}

#[inline(always)]
fn pairs(bytes: &[u8; 2 * LANES]) -> [u16; LANES] {
    let mut pairs = [0; LANES];
    for (pair, bytes) in pairs.iter_mut().zip(bytes.as_chunks().0) {
        *pair = u16::from_le_bytes(*bytes);
    }
    pairs
}

/// One after the other, or as the compiler vectorises it for the level. No sum is rounded but at the end.
#[inline(always)]
fn parts_to_f32<L: SumLanes>(l: L, high: L::I, low: L::I) -> L::F {
    let (mut highs, mut lows, mut sums) = ([0; LANES], [0; LANES], [0.0; LANES]);
    l.store_ints(high, &mut highs);
    l.store_ints(low, &mut lows);
    for (sum, (high, low)) in sums.iter_mut().zip(highs.into_iter().zip(lows)) {
        *sum = (f64::from(high) * f64::from(1 << LOW) + f64::from(low)) as f32;
    }
    l.load(&sums)
}

/// Sums of each `n` neighbours, compiled once and not once per level.
#[inline(never)]
fn sum_each(numbers: &[[i32; LANES]; LANES], n: usize) -> [i32; LANES] {
    let mut sums = [0_i32; LANES];
    for (sum, numbers) in sums.iter_mut().zip(numbers.as_flattened().chunks(n)) {
        *sum = numbers.iter().fold(0, |sum, x| sum.wrapping_add(*x));
    }
    sums
}
