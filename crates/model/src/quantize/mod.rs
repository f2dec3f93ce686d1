//! Quantizing a model by what its layers see: the forward pass, the solver and the output directory, layer by layer.
//!
//! ```text
//! job ──► choices: which linears, which recipe, who shares a scale
//! text ──► hidden states ─┬─► layer 0: inputs of q, k, v ──► codes ──► inputs of o ──► codes … ──► sheet 0 ─┐
//!                         └─► layer 1: sees what the quantized layer 0 gives ────────────────────► sheet 1 ─┼─► convert: the output directory
//!                             …                                                                            ─┘
//! ```
//!
//! `method.rs`  what is done, as data
//! `group.rs`   linears that read the same input, quantized together
//! `prescale.rs` factors moved from inputs into weights first: AWQ, SmoothQuant
//! `statistics.rs` what is known of inputs from an earlier run
//! `settle.rs`  one stage of a layer that runs: its inputs seen, its linears quantized
//! `original.rs` what the original model's layer reads, next to the quantized one's
//! `desk.rs`    the sheets on the disk: what is done already, and for which job
//! `job.rs`     all of it together
//! `report.rs`  what became of each linear
//!
//! Sheets are [`lowbit_checkpoint::overlay`]s: each is complete on the disk before the next layer begins, so an interruption costs one layer.

mod desk;
mod group;
mod job;
mod method;
mod original;
mod prescale;
mod report;
mod settle;
mod statistics;

pub use job::CalibratedJob;
pub use method::{ColumnOrder, Method, Methods, Prescale, ScaleWeighing};
pub use report::{LinearReport, ModelReport};
pub use statistics::Statistics;
