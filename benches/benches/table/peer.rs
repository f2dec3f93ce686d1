//! ggml beside ours in the same turns, where its library is at hand.

use lowbit_benches::{Case, ProductCase};

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

/// One way to multiply.
pub(crate) type ProductRun = Box<dyn FnMut(&mut ProductCase)>;

#[cfg(feature = "ggml")]
mod loaded {
    use lowbit_benches::{Aligned, COLUMNS, Case, Ggml, ProductCase, Type, values};

    use super::{ProductRun, Run, TWINS};

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

        /// ggml's `vec_dot` for every row of a weight like this one, and every column.
        pub(crate) fn product(&self, format: &str, case: &ProductCase, columns: usize) -> Option<ProductRun> {
            let (kind, activations) = (self.twin(format)?, self.twin("int8-g32")?);
            let cols = case.cols();
            let (row_bytes, x_bytes) = (kind.packed_len(cols), activations.packed_len(cols));
            let rows = case.len() / cols;
            let mut weight = Aligned::new(rows * row_bytes);
            let row: Vec<f32> = values(cols).collect();
            kind.from_float(&row, &mut weight[..row_bytes]);
            let (first, others) = weight.split_at_mut(row_bytes);
            others.chunks_exact_mut(row_bytes).for_each(|row| row.copy_from_slice(first));
            let mut x = Aligned::new(columns * x_bytes);
            x.chunks_exact_mut(x_bytes).for_each(|x| activations.from_float(&row, x));
            let mut y = vec![0.0; rows * columns];
            Some(Box::new(move |_| {
                let weight = std::hint::black_box(&weight);
                for (row, y) in weight.chunks_exact(row_bytes).zip(y.chunks_exact_mut(columns)) {
                    for (x, y) in x.chunks_exact(x_bytes).zip(y) {
                        *y = kind.vec_dot(cols, row, x);
                    }
                }
            }))
        }
    }
}

#[cfg(not(feature = "ggml"))]
mod missing {
    use lowbit_benches::{Case, ProductCase};

    use super::{ProductRun, Run};

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

        /// Nothing.
        pub(crate) fn product(&self, _: &str, _: &ProductCase, _: usize) -> Option<ProductRun> {
            None
        }
    }
}
