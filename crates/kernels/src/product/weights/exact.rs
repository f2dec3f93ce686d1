//! Exact sums of integers, of sixteen blocks at a time, and how they become f32: rounded once.
//!
//! ```text
//! one      a sum below 2^31                                as the instruction that converts integers rounds it
//! two      high * 2^14 + low, which fit 2^31 each          f64(high) * 2^14 + f64(low) is exact; that to f32
//! ```

use crate::lanes::LANES;
use crate::product::lanes::SumLanes;

/// How exact sums are held.
pub(crate) trait Exact<L: SumLanes> {
    /// Sixteen sums, or sums of parts of sixteen blocks.
    type Sums: Copy;

    fn zero(l: L) -> Self::Sums;
    fn add(a: Self::Sums, b: Self::Sums) -> Self::Sums;
    /// The sums of each `N` neighbours, of all vectors one after the other: `N` is 2, 4, 8 or 16.
    fn of_neighbours<const N: usize>(l: L, some: [Self::Sums; N]) -> Self::Sums;
    /// The same for a number of vectors that is not known when this is compiled.
    fn of_few(l: L, some: &[Self::Sums]) -> Self::Sums;
    /// With something added, as f32.
    fn rounded(l: L, sums: Self::Sums, add: L::I) -> L::F;
}

/// Sums of products of bytes: one integer of 32 bits.
pub(crate) struct One;

impl<L: SumLanes> Exact<L> for One {
    type Sums = L::I;

    #[inline(always)]
    fn zero(l: L) -> L::I {
        l.ints(&[0; LANES])
    }
    #[inline(always)]
    fn add(a: L::I, b: L::I) -> L::I {
        a + b
    }
    #[inline(always)]
    fn of_neighbours<const N: usize>(l: L, some: [L::I; N]) -> L::I {
        l.sum_neighbours(some)
    }
    #[inline(always)]
    fn of_few(l: L, some: &[L::I]) -> L::I {
        l.sum_few(some)
    }
    #[inline(always)]
    fn rounded(l: L, sums: L::I, add: L::I) -> L::F {
        l.to_f32(sums + add)
    }
}

/// Sums of products of bytes and numbers of 28 bits: a high and a low integer. What is added counts as the high part does.
pub(crate) struct Two;

impl<L: SumLanes> Exact<L> for Two {
    /// High and low.
    type Sums = [L::I; 2];

    #[inline(always)]
    fn zero(l: L) -> Self::Sums {
        [l.ints(&[0; LANES]); 2]
    }
    #[inline(always)]
    fn add(a: Self::Sums, b: Self::Sums) -> Self::Sums {
        [a[0] + b[0], a[1] + b[1]]
    }
    #[inline(always)]
    fn of_neighbours<const N: usize>(l: L, some: [Self::Sums; N]) -> Self::Sums {
        let (mut high, mut low) = ([l.ints(&[0; LANES]); N], [l.ints(&[0; LANES]); N]);
        for i in 0..N {
            [high[i], low[i]] = some[i];
        }
        [l.sum_neighbours(high), l.sum_neighbours(low)]
    }
    #[inline(always)]
    fn of_few(l: L, some: &[Self::Sums]) -> Self::Sums {
        let (mut high, mut low) = ([l.ints(&[0; LANES]); LANES], [l.ints(&[0; LANES]); LANES]);
        for (i, two) in some.iter().enumerate() {
            [high[i], low[i]] = *two;
        }
        [l.sum_few(&high[..some.len()]), l.sum_few(&low[..some.len()])]
    }
    #[inline(always)]
    fn rounded(l: L, [high, low]: Self::Sums, add: L::I) -> L::F {
        l.parts_to_f32(high + add, low)
    }
}
