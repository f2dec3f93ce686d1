//! Scale rules: from the values of a block to its scale.
//!
//! ```text
//! family          file            stored scales          input
//! float           float.rs        f32, f16, bf16         amax, or the value of largest magnitude with its sign
//! two-level       two_level.rs    E4M3 times tensor      amax, and the amax of the matrix
//! microscaling    mx.rs           E8M0                   amax
//! asymmetric      asymmetric.rs   f32, f16, bf16, zero   smallest and largest value
//! affine          affine.rs       f32, f16, bf16, bias   smallest and largest value
//! percentile      percentile.rs   the first two          a quantile of |x| in place of amax
//! search          search.rs       all                    the error of the block for each candidate
//! custom          custom.rs       all but zero points    the values of the block: a custom rule
//! ```
//!
//! A rule is a pure function of one block (and the tensor scale). The files implement those
//! functions for many blocks at a time.

mod affine;
mod asymmetric;
mod chooser;
mod custom;
mod float;
mod interleaved;
mod mx;
mod percentile;
mod search;
mod super_blocks;
mod sweep;
mod tensor;
mod two_level;

pub(crate) use chooser::{Chooser, Chosen, Extremes, SecondLevel};
pub use custom::ChooseScale;
pub(crate) use custom::Custom;
pub(crate) use search::SearchBuffers;
pub(crate) use tensor::Fixed;
