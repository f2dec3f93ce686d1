//! The traits that every type of this crate has, both kinds of order, and the constructors that integers share: declarations, no
//! arithmetic.

/// `number_traits!([const B: u32] Int<B>, name, from_text)`: generic parameters in brackets, the type, its name for
/// `Debug`, and the function of f64 that `FromStr` applies to [`decimal::parse`](crate::decimal::parse).
macro_rules! number_traits {
    ([$($generic:tt)*] $type:ty, $name:expr, $from_text:expr) => {
        impl<$($generic)*> PartialEq for $type {
            /// Equality of values, as IEEE 754 has it: `-0 == +0`, `NaN != NaN`.
            fn eq(&self, other: &Self) -> bool {
                self.to_f32() == other.to_f32()
            }
        }

        impl<$($generic)*> core::fmt::Display for $type {
            /// The value, with the formatter's width and precision.
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                core::fmt::Display::fmt(&self.to_f32(), f)
            }
        }

        impl<$($generic)*> core::fmt::Debug for $type {
            /// The value and the code, as in `E2M1(1.5, 0b0011)`.
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let width = Self::BITS as usize + "0b".len();
                write!(f, "{}({}, {:#0width$b})", $name, self.to_f32(), self.to_bits())
            }
        }

        impl<$($generic)*> core::str::FromStr for $type {
            type Err = core::num::ParseFloatError;

            /// A decimal number in the syntax of [`f64`], rounded to nearest even once, however many digits it has; it
            /// saturates. `inf` and `NaN` are themselves where the type has them.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::decimal::parse(text).map($from_text)
            }
        }

        impl<$($generic)*> From<$type> for f32 {
            /// Exact.
            fn from(x: $type) -> f32 {
                x.to_f32()
            }
        }

        impl<$($generic)*> From<$type> for f64 {
            /// Exact.
            fn from(x: $type) -> f64 {
                x.to_f64()
            }
        }
    };
}

/// `partial_order!([] E4M3)`: the order of a type with NaN or two zeros.
macro_rules! partial_order {
    ([$($generic:tt)*] $type:ty) => {
        impl<$($generic)*> PartialOrd for $type {
            /// Order of values, as IEEE 754 has it: NaN is not ordered.
            fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
                self.to_f32().partial_cmp(&other.to_f32())
            }
        }
    };
}

/// `total_order!([const B: u32] Int<B>)`: the order of a type whose codes stand for different numbers, none of them NaN; so its
/// values can be sorted, and be keys.
macro_rules! total_order {
    ([$($generic:tt)*] $type:ty) => {
        impl<$($generic)*> Eq for $type {}

        impl<$($generic)*> Ord for $type {
            /// Order of values.
            fn cmp(&self, other: &Self) -> core::cmp::Ordering {
                self.to_f32().total_cmp(&other.to_f32())
            }
        }

        impl<$($generic)*> PartialOrd for $type {
            /// Order of values.
            fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl<$($generic)*> core::hash::Hash for $type {
            fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
                self.to_bits().hash(state);
            }
        }
    };
}

/// `rounds!([const B: u32] Int<B>)`: the constructors of an integer type, given `const fn round(Unpacked, Rounding) -> Self`.
macro_rules! rounds {
    ([$($generic:tt)*] $type:ty) => {
        impl<$($generic)*> $type {
            /// Rounds to nearest even and saturates.
            pub const fn from_f32(x: f32) -> Self {
                Self::from_f32_with(x, $crate::Rounding::NearestEven)
            }

            /// Rounds as asked and saturates.
            pub const fn from_f32_with(x: f32, rounding: $crate::Rounding) -> Self {
                Self::round($crate::unpacked::Unpacked::from_f32(x), rounding)
            }

            /// Rounds to nearest even and saturates.
            pub const fn from_f64(x: f64) -> Self {
                Self::from_f64_with(x, $crate::Rounding::NearestEven)
            }

            /// Rounds as asked, directly from f64, and saturates.
            pub const fn from_f64_with(x: f64, rounding: $crate::Rounding) -> Self {
                Self::round($crate::unpacked::Unpacked::from_f64(x), rounding)
            }
        }
    };
}
pub(crate) use {number_traits, partial_order, rounds, total_order};
