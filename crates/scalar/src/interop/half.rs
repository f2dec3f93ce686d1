//! `f16` and `bf16` of the `half` crate: rounding from them, and conversions to them where every value fits exactly.
//!
//! ```text
//!           significant bits   exponents of the leading bit
//! f16       11                 -24 .. 15      holds every type but E8M0, UE5M3, Nf4, Fp4
//! bf16      8                  -133 .. 127    holds every type but Nf4, Fp4
//! ```

use ::half::{bf16, f16};

use crate::*;

/// Rounding from both; both widen to f32 exactly, so this rounds once.
macro_rules! from_halves {
    ([$($generic:tt)*] $type:ty) => {
        impl<$($generic)*> $type {
            /// As [`from_f32`](Self::from_f32), which every f16 fits exactly.
            pub const fn from_f16(x: f16) -> Self {
                Self::from_f32(x.to_f32_const())
            }

            /// As [`from_f32`](Self::from_f32), which every bf16 fits exactly.
            pub const fn from_bf16(x: bf16) -> Self {
                Self::from_f32(x.to_f32_const())
            }
        }
    };
}

macro_rules! to_f16 {
    ([$($generic:tt)*] $type:ty) => {
        impl<$($generic)*> $type {
            /// The value, exactly.
            pub const fn to_f16(self) -> f16 {
                f16::from_f32_const(self.to_f32())
            }
        }

        impl<$($generic)*> From<$type> for f16 {
            /// Exact.
            fn from(x: $type) -> f16 {
                x.to_f16()
            }
        }
    };
}

macro_rules! to_bf16 {
    ([$($generic:tt)*] $type:ty) => {
        impl<$($generic)*> $type {
            /// The value, exactly.
            pub const fn to_bf16(self) -> bf16 {
                bf16::from_f32_const(self.to_f32())
            }
        }

        impl<$($generic)*> From<$type> for bf16 {
            /// Exact.
            fn from(x: $type) -> bf16 {
                x.to_bf16()
            }
        }
    };
}

macro_rules! floats {
    ($($type:ident),*) => {
        $(from_halves!([] $type); to_bf16!([] $type);)*
    };
}

for_every_type!(floats, from_halves);

macro_rules! exact_in_f16 {
    ($($type:ident),*) => {
        $(to_f16!([] $type);)*
    };
}
exact_in_f16!(E2M1, E3M2, E2M3, E4M3, E5M2, E4M3FNUZ, E5M2FNUZ, E4M3B11FNUZ, E4M3Ieee, E3M4, E3M0, MxInt8);
to_f16!([const B: u32] Int<B>);
to_f16!([const B: u32] Uint<B>);
to_bf16!([] MxInt8);
to_bf16!([const B: u32] Int<B>);
to_bf16!([const B: u32] Uint<B>);
