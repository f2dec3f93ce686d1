//! ggml beside ours in the same turns, where its library is at hand.

use lowbit_benches::Case;

#[cfg(feature = "ggml")]
pub(crate) use loaded::Peer;
#[cfg(not(feature = "ggml"))]
pub(crate) use missing::Peer;

/// Our name of a format, ggml's name of the type that stores the same (but for scales of another type), and how many times as fast
/// its encoding and decoding should be.
pub(crate) const TWINS: [(&str, &str, [f64; 2]); 4] = [
    ("nvfp4", "nvfp4", [20.0, 8.0]),
    ("mxfp4", "mxfp4", [1.0, 1.0]),
    ("int4-g32", "q4_0", [1.0, 1.0]),
    ("int8-g32", "q8_0", [1.0, 1.0]),
];

/// One way to do an operation.
pub(crate) type Run = Box<dyn FnMut(&mut Case)>;

#[cfg(feature = "ggml")]
mod loaded {
    use lowbit_benches::{Aligned, COLUMNS, Case, Ggml, Type};

    use super::{Run, TWINS};

    /// The library and what it has.
    pub(crate) struct Peer {
        types: Vec<(&'static str, Type)>,
    }

    impl Peer {
        /// What `LOWBIT_GGML` names, or a note why there is no peer.
        pub(crate) fn find() -> Self {
            let types = match std::env::var_os("LOWBIT_GGML") {
                None => Err("LOWBIT_GGML does not name a library".to_owned()),
                Some(path) => Ggml::load(&path).and_then(|ggml| {
                    TWINS.iter().map(|&(ours, theirs, _)| Ok((ours, ggml.kind(theirs)?))).collect()
                }),
            };
            Self {
                types: types.unwrap_or_else(|reason| {
                    println!("Without ggml: {reason}.\n");
                    Vec::new()
                }),
            }
        }

        /// The type that stores what this format does.
        pub(crate) fn twin(&self, format: &str) -> Option<Type> {
            self.types.iter().find(|(ours, _)| *ours == format).map(|(_, theirs)| *theirs)
        }

        /// What ggml does where we do `operation`, if it does: each way that it has.
        pub(crate) fn runs(&self, format: &str, operation: &str, case: &Case) -> Vec<Run> {
            let Some(kind) = self.twin(format) else { return Vec::new() };
            let mut blocks = Aligned::new(kind.packed_len(case.len()));
            match operation {
                "quantize" => {
                    let mut others = Aligned::new(blocks.len());
                    vec![
                        Box::new(move |case| kind.quantize_chunk(case.x(), COLUMNS, &mut blocks)),
                        Box::new(move |case| kind.from_float(case.x(), &mut others)),
                    ]
                }
                "dequantize" => {
                    kind.from_float(case.x(), &mut blocks);
                    vec![Box::new(move |case| kind.to_float(&blocks, case.out()))]
                }
                _ => Vec::new(),
            }
        }
    }
}

#[cfg(not(feature = "ggml"))]
mod missing {
    use lowbit_benches::Case;

    use super::Run;

    /// Nobody.
    pub(crate) struct Peer;

    impl Peer {
        /// Nobody.
        pub(crate) fn find() -> Self {
            Self
        }

        /// Nothing.
        pub(crate) fn runs(&self, _: &str, _: &str, _: &Case) -> Vec<Run> {
            Vec::new()
        }
    }
}
