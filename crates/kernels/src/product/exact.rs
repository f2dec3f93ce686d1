//! Exact sums of integers, of sixteen blocks at a time, and how they become f32: rounded once.
//!
//! ```text
//! one      a sum below 2^31                                as the instruction that converts integers rounds it
//! two      high * 2^14 + low, which fit 2^31 each          f64(high) * 2^14 + f64(low) is exact; that to f32
//! ```

use super::lanes::SumLanes;
use crate::lanes::LANES;

/// Bits of the low part of [`Two`].
pub(super) const LOW: u32 = 14;

/// Sixteen sums, or sums of parts of sixteen blocks.
pub(super) trait Exact<L: SumLanes>: Copy {
    fn zero(l: L) -> Self;
    fn plus(self, other: Self) -> Self;
    /// The sums of each `N` neighbours, of all vectors one after the other: `N` is 2, 4, 8 or 16.
    fn of_neighbours<const N: usize>(l: L, some: [Self; N]) -> Self;
    /// The same for a number of vectors that is not known when this is compiled.
    fn of_few(l: L, some: &[Self]) -> Self;
    /// With something added, as f32.
    fn rounded(self, l: L, add: L::I) -> L::F;
}

/// Sums of products of bytes: the integers of a level themselves, which need no copy to become an array of them.
macro_rules! one {
    ([$($token:tt)*] $lanes:ty, $ints:ty) => {
        impl$($token)* $crate::product::exact::Exact<$lanes> for $ints {
            #[inline(always)]
            fn zero(l: $lanes) -> Self {
                l.ints(&[0; LANES])
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn of_neighbours<const N: usize>(l: $lanes, some: [Self; N]) -> Self {
                l.sum_neighbours(some)
            }
            #[inline(always)]
            fn of_few(l: $lanes, some: &[Self]) -> Self {
                l.sum_few(some)
            }
            #[inline(always)]
            fn rounded(self, l: $lanes, add: Self) -> <$lanes as $crate::lanes::Lanes>::F {
                l.to_f32(self + add)
            }
        }
    };
}

pub(super) use one;

/// Sums of products of bytes and numbers of 28 bits. What is added counts as the high part does.
#[derive(Clone, Copy)]
pub(super) struct Two<I> {
    pub(super) high: I,
    pub(super) low: I,
}

impl<L: SumLanes> Exact<L> for Two<L::I> {
    #[inline(always)]
    fn zero(l: L) -> Self {
        let zero = l.ints(&[0; LANES]);
        Self { high: zero, low: zero }
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self { high: self.high + other.high, low: self.low + other.low }
    }
    #[inline(always)]
    fn of_neighbours<const N: usize>(l: L, some: [Self; N]) -> Self {
        let (mut high, mut low) = ([l.ints(&[0; LANES]); N], [l.ints(&[0; LANES]); N]);
        for i in 0..N {
            (high[i], low[i]) = (some[i].high, some[i].low);
        }
        Self { high: l.sum_neighbours(high), low: l.sum_neighbours(low) }
    }
    #[inline(always)]
    fn of_few(l: L, some: &[Self]) -> Self {
        let (mut high, mut low) = ([l.ints(&[0; LANES]); LANES], [l.ints(&[0; LANES]); LANES]);
        for (i, two) in some.iter().enumerate() {
            (high[i], low[i]) = (two.high, two.low);
        }
        Self { high: l.sum_few(&high[..some.len()]), low: l.sum_few(&low[..some.len()]) }
    }
    #[inline(always)]
    fn rounded(self, l: L, add: L::I) -> L::F {
        l.parts_to_f32(self.high + add, self.low)
    }
}
