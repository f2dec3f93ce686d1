//! The SIMD levels of this build, and the one place where a kernel is compiled for each of them.

#[cfg(feature = "std")]
use crate::levels::simd::Simd;
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

/// From a row per level that is found at run time, the slowest first: the type [`Level`], what it knows of each, and [`on!`].
macro_rules! levels {
    ($d:tt $(#[$cfg:meta] $level:ident($token:ty) $name:literal $detect:expr;)*) => {
        /// A level other than the reference. The tokens are proof that the machine has it.
        ///
        /// There is no SSE2 level: `wide` is that on x86-64, where every CPU has it.
        #[derive(Clone, Copy)]
        pub(crate) enum Level {
            Wide,
            $(#[$cfg] $level(Simd<$token>),)*
        }

        impl Level {
            /// The levels of this machine, the slowest first.
            pub(crate) fn available() -> impl Iterator<Item = Self> {
                #[cfg(feature = "std")]
                let detected = Detected::new();
                [Some(Level::Wide), $(#[$cfg] $detect(detected).map(|token| Level::$level(Simd(token))),)*]
                    .into_iter()
                    .flatten()
            }

            pub(crate) fn name(self) -> &'static str {
                match self {
                    Level::Wide => "wide",
                    $(#[$cfg] Level::$level(_) => $name,)*
                }
            }
        }

        /// `$call` with `$l` standing for the level's lanes, compiled for its instructions.
        macro_rules! on {
            ($d level:expr, $d l:ident => $d call:expr) => {
                match $d level {
                    Level::Wide => on!(@ $crate::levels::wide::Wide, $d l => $d call),
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
    };
}

levels! { $
    #[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
    Sse4_2(Sse4_2) "sse4.2" Detected::as_sse4_2;
    #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
    Avx2(Avx2) "avx2" Detected::as_avx2;
    #[cfg(all(feature = "avx", any(target_arch = "x86", target_arch = "x86_64")))]
    Avx512(Avx512) "avx512" Detected::as_avx512;
    #[cfg(all(feature = "std", target_arch = "aarch64"))]
    Neon(Neon) "neon" Detected::as_neon;
    #[cfg(all(feature = "std", target_arch = "wasm32", target_feature = "simd128"))]
    Wasm(WasmSimd128) "wasm" Detected::as_wasm_simd128;
}

pub(crate) use on;
