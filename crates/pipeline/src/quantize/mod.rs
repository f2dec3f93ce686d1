//! Quantizing a model by the inputs of its layers: the forward pass, the solver and the output directory, layer by layer.
//!
//! ```text
//! job ──► choices: which linears, which recipe, who shares a scale
//! text ──► hidden states ─┬─► layer 0: inputs of q, k, v ──► codes ──► inputs of o ──► codes … ──► sheet 0 ─┐
//!                         └─► layer 1: reads outputs of the quantized layer 0 ───────────────────► sheet 1 ─┼─► convert: the output directory
//!                             …                                                                            ─┘
//! ```
//!
//! `job.rs`      all of it together
//! `layer.rs`    one layer while it runs: inputs collected projection by projection, linears quantized
//! `solver.rs`   linears that read the same input, quantized together
//! `prescale.rs` smoothing scales moved from inputs into weights first: AWQ, SmoothQuant
//! `original.rs` inputs of the original model's layer, next to the quantized one's
//! `sheets.rs`   the finished layers on the disk, and the job that they belong to
//!
//! Sheets are [`lowbit_checkpoint::overlay`]s: each is complete on the disk before the next layer begins, so an interruption costs one layer.

mod job;
mod layer;
mod original;
mod prescale;
mod sheets;
mod solver;

pub use job::CalibratedJob;
