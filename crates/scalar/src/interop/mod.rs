//! Traits of other crates, one file per crate, each behind the feature of that crate's name.
//!
//! `bytemuck` and `zerocopy` have no file: their traits are derived where the types are declared, so that no `unsafe` is written here.

/// Calls a stamping macro for every type: `floats` for [`FloatFormat`](crate::FloatFormat) types, `others` for the others.
macro_rules! for_every_type {
    ($floats:ident, $rest:ident) => {
        $floats!(E2M1, E3M2, E2M3, E4M3, E5M2, E8M0, E4M3FNUZ, E5M2FNUZ, E4M3B11FNUZ, E4M3Ieee, E3M4, E3M0, UE5M3);
        $rest!([] MxInt8);
        $rest!([] Nf4);
        $rest!([] Fp4);
        $rest!([const B: u32] Int<B>);
        $rest!([const B: u32] Uint<B>);
    };
}

#[cfg(feature = "half")]
mod half;
#[cfg(feature = "num-traits")]
mod num_traits;
#[cfg(feature = "rand")]
mod rand;
#[cfg(feature = "serde")]
mod serde;
