//! Properties that hold for any input, each a function of bytes that panics where it does not.
//!
//! `fuzz/run` hands them to libFuzzer. `tests/corpus.rs` runs them over the committed inputs, with no fuzzer and no instrumentation.

pub mod imatrix;
pub mod kernels_agree;
pub mod layouts;
pub mod products;
pub mod safetensors_reader;
pub mod scalar_round_trip;

/// What a property says of its input to a fuzzer: whether to keep it.
pub trait Kept {
    /// False for inputs that are of no use as a seed.
    fn kept(self) -> bool;
}

impl Kept for () {
    fn kept(self) -> bool {
        true
    }
}

impl Kept for bool {
    fn kept(self) -> bool {
        self
    }
}

/// The entry of one fuzzer. Compiled without `--cfg fuzzing` it is a program that says how to build it.
#[macro_export]
macro_rules! target {
    ($property:ident) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| -> libfuzzer_sys::Corpus {
            match $crate::Kept::kept($crate::$property::check(data)) {
                true => libfuzzer_sys::Corpus::Keep,
                false => libfuzzer_sys::Corpus::Reject,
            }
        });

        #[cfg(not(fuzzing))]
        fn main() -> std::process::ExitCode {
            std::io::Write::write_all(&mut std::io::stderr(), b"built without libFuzzer: use fuzz/run\n")
                .ok();
            std::process::ExitCode::FAILURE
        }
    };
}
