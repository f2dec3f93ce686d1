//! GPTQ with extensions: codes are chosen for the least error of the output, not each for itself.
//!
//! ```text
//! D = W - Q,  loss = tr(D H D^T) / tokens = the mean squared error of an output vector
//!
//! scales from the weights (recipe, weighted by H) ──► feedback, column by column
//!   ──► per row, the better of feedback and rounding
//!   ──► descent: passes over all columns until nothing changes
//!   ──► scale and codes of each block together, and descent again
//! ```
//!
//! ```text
//! file               contents
//! options.rs         options and results
//! factor.rs          the triangular factor of H
//! order.rs           the order of columns
//! scale_columns.rs   scales of blocks of columns, and rounding under them
//! rows.rs            state of the rows that are being solved
//! lazy_updates.rs    blocks of columns, and the products between them
//! feedback.rs        the column loop
//! group_scales.rs    scales of a group chosen when its first column is visited
//! descent.rs         coordinate descent
//! rescale.rs         scale and codes of a block together
//! loss.rs            the error of an output, and its gradient
//! solver.rs          the whole method
//! ```
//!
//! Rows are solved 128 at a time, each time on one thread, so results depend neither on the number
//! of threads nor on features. They may differ between machines, as the order of faer's sums
//! depends on the machine.
//!
//! Sources: Frantar et al. 2022, "GPTQ", arXiv 2210.17323; GPTQModel for defaults and orders.

mod descent;
mod factor;
mod feedback;
mod group_scales;
mod lazy_updates;
mod loss;
mod options;
mod order;
mod rescale;
mod rows;
mod scale_columns;
mod solver;

pub use options::{Damping, Gptq, Groups, Loss, Solved, Weighing};
pub use order::Order;
