//! The SIMD levels of this build, and the one place where a kernel is compiled for each of them.

#[cfg(feature = "std")]
use crate::levels::simd::Simd;
#[cfg(feature = "wide")]
use crate::levels::wide::Wide;
#[cfg(feature = "std")]
use fearless_simd::Level as Detected;
#[cfg(all(feature = "std", target_arch = "aarch64"))]
use fearless_simd::aarch64::Neon;
#[cfg(all(feature = "std", target_arch = "wasm32", target_feature = "simd128"))]
use fearless_simd::wasm32::WasmSimd128;
#[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
use fearless_simd::x86::Sse4_2;
#[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
use fearless_simd::x86::{Avx2, Avx512};

/// From a row per level, the slowest first: the type [`Level`], what it knows of each, and [`on!`]. A row says which builds have the level, the
/// type of its lanes, its name, and the lanes if the machine has them, of what was detected.
macro_rules! levels {
    ($d:tt |$detected:ident| $(#[$cfg:meta] $level:ident($lanes:ty) $name:literal $found:expr;)*) => {
        /// A level other than the reference. The tokens are proof that the machine has it.
        #[derive(Clone, Copy)]
        pub(crate) enum Level {
            $(#[$cfg] $level($lanes),)*
        }

        impl Level {
            /// The levels of this machine, the slowest first.
            pub(crate) fn available() -> impl Iterator<Item = Self> {
                #[cfg(feature = "std")]
                let $detected = Detected::new();
                core::iter::empty::<Option<Self>>()
                    .chain([$(#[$cfg] $found.map(Level::$level),)*])
                    .flatten()
            }

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(#[$cfg] Level::$level(_) => $name,)*
                }
            }
        }

        /// `$call` with `$l` standing for the level's lanes, compiled for its instructions.
        macro_rules! on {
            ($d level:expr, $d l:ident => $d call:expr) => {
                match $d level {
                    $(#[$cfg] Level::$level(lanes) => on!(@ lanes, $d l => $d call),)*
                }
            };
            (@ $d lanes:expr, $d l:ident => $d call:expr) => {{
                let $d l = $d lanes;
                $crate::lanes::Lanes::vectorize(
                    $d l,
                    #[inline(always)]
                    || $d call,
                )
            }};
        }

        pub(crate) use on;
    };
}

levels! { $ |detected|
    #[cfg(feature = "wide")]
    Wide(Wide) "wide" Some(Wide);
    #[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
    Sse4_2(Simd<Sse4_2>) "sse4.2" detected.as_sse4_2().map(Simd);
    #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
    Avx2(Simd<Avx2>) "avx2" detected.as_avx2().map(Simd);
    #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
    Avx512(Simd<Avx512>) "avx512" detected.as_avx512().map(Simd);
    #[cfg(all(feature = "std", target_arch = "aarch64"))]
    Neon(Simd<Neon>) "neon" detected.as_neon().map(Simd);
    #[cfg(all(feature = "std", target_arch = "wasm32", target_feature = "simd128"))]
    Wasm(Simd<WasmSimd128>) "wasm" detected.as_wasm_simd128().map(Simd);
}
