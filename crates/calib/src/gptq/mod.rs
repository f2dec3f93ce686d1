//! GPTQ and what makes it better: codes chosen for what they do to the output, not each for itself.
//!
//! ```text
//! D = W - Q,  loss = tr(D H D^T) / tokens = the mean squared error of an output vector
//!
//! scales from the weights (recipe, weighed by H) ──► feedback, column by column ──► per row, the better of it and of rounding
//!                                                ──► descent: passes over all columns until nothing changes
//!                                                ──► scale and codes of each block together, and descent again
//! ```
//!
//! ```text
//! file           what
//! factor.rs      the triangular factor of H
//! order.rs       the order of columns
//! grid.rs        numbers that codes decode to
//! rows.rs        some rows being solved
//! walk.rs        blocks of columns, and the products between them
//! feedback.rs    the column loop
//! live.rs        scales chosen on the way
//! descent.rs     coordinate descent
//! rescale.rs     scale and codes of a block together
//! solver.rs      all of it, in order
//! ```
//!
//! Rows are solved 128 at a time, each band on one thread: bits depend neither on threads nor on features. They may differ between
//! machines, as faer's products sum in the order that suits the machine.
//!
//! Sources: Frantar et al. 2022, "GPTQ", arXiv 2210.17323; GPTQModel for defaults and orders.

mod descent;
mod factor;
mod feedback;
mod grid;
mod live;
mod loss;
mod order;
mod rescale;
mod rows;
mod settings;
mod solver;
mod walk;

pub use order::Order;
pub use settings::{Damping, Gptq, Groups, Loss, Solved, Weighing};
