//! The operations that products add to [`Lanes`]: sums of products of bytes, sums of neighbours, stored scales.
//!
//! Weights are unsigned bytes, a value plus an offset, because that is what instruction sets multiply with signed bytes. What
//! the offset adds is subtracted from the sums.

use super::tables::E4m3Tables;
use crate::Element;
use crate::codecs::Decoder;
use crate::codecs::table::NibbleDecoder;
use crate::lanes::{CHUNK, LANES, Lanes};
use core::ops::Add;

/// Bits of the low part of [`SumLanes::parts_to_f32`].
pub(crate) const LOW_BITS: u32 = 14;

/// The work that [`SumLanes::with_decoder`] does with the decoder it chose, whose chunks have `BYTES` bytes.
pub(crate) trait WithDecoder<L: Lanes> {
    /// Whether elements whose NaN is a negative zero are among the work, which may need a decoder of their own.
    const FNUZ: bool;

    fn with<const BYTES: usize>(self, l: L, decoder: impl Decoder<L>);
}

/// Sums of sixteen blocks at a time.
pub(crate) trait SumLanes: Lanes {
    /// Whether short blocks and several columns at once have loops of their own.
    const UNROLLED: bool;
    /// Whether the scales of sixteen blocks, as stored, become f32 in a few operations, and E4M3 is summed by lookups.
    const NATIVE: bool;
    /// Sixteen i32, which wrap.
    type I: Copy + Add<Output = Self::I>;
    /// Sixteen bytes to look up by nibble.
    type Bytes: Copy;

    fn ints(self, x: &[i32; LANES]) -> Self::I;
    fn store_ints(self, x: Self::I, out: &mut [i32; LANES]);
    /// To nearest even.
    fn to_f32(self, x: Self::I) -> Self::F;

    fn byte_table(self, values: &[u8; 16]) -> Self::Bytes;
    /// The bytes of the low nibbles of 64 bytes, and of the high ones.
    fn halves(self, table: Self::Bytes, codes: &[u8; CHUNK]) -> [Self::B; 2];
    /// Sixteen sums of 4 neighbouring products.
    fn dot(self, weights: Self::B, x: &[i8; CHUNK]) -> Self::I;
    /// Sixteen sums of 8 products: of 4 neighbours of one half and 4 of the other, no weight above 24.
    fn dot_halves(self, weights: [Self::B; 2], x: &[i8; 2 * CHUNK]) -> Self::I;
    /// The same of weights of two digits below 2^7 each (or 2^7 in the last value of a table): `2^7 * above + below`.
    fn dot_digits(self, above: [Self::B; 2], below: [Self::B; 2], x: &[i8; 2 * CHUNK]) -> Self::I;
    /// `high * 2^14 + low`, rounded once.
    #[inline(always)]
    fn parts_to_f32(self, high: Self::I, low: Self::I) -> Self::F {
        parts_to_f32(self, high, low)
    }
    /// The f32 at each index below 8.
    #[inline(always)]
    fn pick(self, from: &[f32; LANES / 2], index: Self::U) -> Self::F {
        pick(self, from, index)
    }

    /// Tables of E4M3 in registers.
    type E4m3Tables: Copy;
    /// 64 codes of E4M3, looked up.
    type E4m3Weights: Copy;
    fn e4m3_tables(self, tables: &E4m3Tables) -> Self::E4m3Tables;
    fn e4m3_weights(self, tables: Self::E4m3Tables, codes: &[u8; CHUNK]) -> Self::E4m3Weights;
    /// A byte above 0x7e for each OCP code that is NaN, none for others.
    fn e4m3_nan(self, weights: Self::E4m3Weights) -> Self::B;
    /// Sixteen sums of 4 neighbouring products with activations above -128.
    fn e4m3_dot(self, weights: Self::E4m3Weights, x: &[i8; CHUNK]) -> Self::I;

    /// The larger bytes, unsigned.
    fn max_bytes(self, a: Self::B, b: Self::B) -> Self::B;
    fn any_byte_above(self, x: Self::B, limit: u8) -> bool;

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

    /// Does the work with the fastest decoder of an element that [`decodes_in_registers`] names.
    #[inline(always)]
    fn with_decoder<T: WithDecoder<Self>>(self, e: Element, work: T) {
        work.with::<{ CHUNK / 2 }>(self, NibbleDecoder::new(self, e));
    }
}

/// Whether [`SumLanes::with_decoder`] has a decoder for an element.
#[inline(always)]
pub(super) fn decodes_in_registers<L: SumLanes>(_: L, e: Element) -> bool {
    match e.bits() {
        4 => true,
        8 if !L::UNROLLED => false,
        8 => e.int_bits().is_some() || e.float_format().is_some_and(|format| format.signed),
        _ => false,
    }
}

/// The first `count` lanes, and zeros after them.
#[inline(always)]
pub(super) fn first_lanes<L: Lanes>(l: L, lanes: L::F, count: usize) -> L::F {
    const INDEX: [f32; LANES] =
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0];
    let inside = l.gt_f32(l.splat(count as f32), l.load(&INDEX));
    l.float(l.select(inside, l.bits(lanes), l.splat_bits(0)))
}

/// Sixteen numbers as lanes of 32 bits.
#[inline(always)]
pub(crate) fn words<L: Lanes, T: Copy + Into<u32>>(l: L, numbers: &[T; LANES]) -> L::U {
    let mut words = [0.0; LANES];
    for (word, &number) in words.iter_mut().zip(numbers) {
        *word = f32::from_bits(number.into());
    }
    l.bits(l.load(&words))
}

/// Bytes as numbers of 16 bits.
#[inline(always)]
pub(crate) fn pairs(bytes: &[u8; 2 * LANES]) -> [u16; LANES] {
    let mut pairs = [0; LANES];
    for (pair, bytes) in pairs.iter_mut().zip(bytes.as_chunks().0) {
        *pair = u16::from_le_bytes(*bytes);
    }
    pairs
}

/// [`SumLanes::pick`] in portable operations.
#[inline(always)]
pub(crate) fn pick<L: Lanes>(l: L, from: &[f32; LANES / 2], index: L::U) -> L::F {
    let (mut indices, mut picked) = ([0.0; LANES], [0.0; LANES]);
    l.store(l.float(index), &mut indices);
    for (picked, index) in picked.iter_mut().zip(indices) {
        *picked = from[index.to_bits() as usize % from.len()];
    }
    l.load(&picked)
}

/// [`SumLanes::parts_to_f32`] in operations that the compiler vectorises for the level. No sum is rounded but at the end.
#[inline(always)]
pub(crate) fn parts_to_f32<L: SumLanes>(l: L, high: L::I, low: L::I) -> L::F {
    let (mut highs, mut lows, mut sums) = ([0; LANES], [0; LANES], [0.0; LANES]);
    l.store_ints(high, &mut highs);
    l.store_ints(low, &mut lows);
    for (sum, (high, low)) in sums.iter_mut().zip(highs.into_iter().zip(lows)) {
        *sum = (f64::from(high) * f64::from(1 << LOW_BITS) + f64::from(low)) as f32;
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
