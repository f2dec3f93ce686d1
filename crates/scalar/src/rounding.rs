//! What to do with a number between two codes ([`Rounding`]) and beyond the last one ([`Overflow`]).
//!
//! A number that falls between the codes `c` and `c + 1` is `c + fraction` code steps with `0 <= fraction < 1`; every
//! rule below is a decision on that fraction alone, held as an integer of 64 bits:
//!
//! ```text
//! fraction = 0 . ffff ffff … ffff ffff      bit 63 is one half; bit 0 is sticky: "something below is not zero"
//! ```
//!
//! Sources: IEEE 754-2019 section 4.3 (directions) and 7.4 (overflow by direction); OCP MX 1.0 section 6.3.

/// Which of the two neighbouring codes stands for a number between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Rounding {
    /// To the nearer code; a number halfway goes to the even code (IEEE 754 roundTiesToEven, "RNE").
    #[default]
    NearestEven,
    /// To the code of smaller magnitude (truncation). A finite number never overflows: it stops at the largest finite value.
    TowardZero,
    /// Away from zero with probability equal to the fraction, decided by 32 random bits that the caller draws uniformly
    /// and afresh for every number: `fraction + bits / 2^32 >= 1` rounds away.
    ///
    /// Unbiased: a number `c + k / 2^32` rounds up for exactly `k` of the `2^32` possible bits. Finer parts of the
    /// fraction are cut off first, a bias of less than `2^-32` of a step; no f32 in the normal range of a format has any.
    Stochastic(u32),
}

/// What stands for a number whose magnitude, after rounding, is beyond the largest finite value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Overflow {
    /// The nearest finite value, also for an infinite input ("satfinite").
    #[default]
    Saturate,
    /// Infinity where the format has one, else NaN. A format with neither (E2M1, E3M0, E3M2, E2M3) saturates all the same.
    NonFinite,
}

impl Rounding {
    /// Whether a number `fraction` (in units of `2^-64` steps) beyond a code, odd or even, moves on to the next code.
    pub(crate) const fn moves_on(self, is_odd: bool, fraction: u64) -> bool {
        const HALF: u64 = 1 << 63;
        match self {
            Rounding::NearestEven => fraction > HALF || (fraction == HALF && is_odd),
            Rounding::TowardZero => false,
            Rounding::Stochastic(bits) => ((fraction >> 32) as u32).checked_add(bits).is_none(),
        }
    }
}
