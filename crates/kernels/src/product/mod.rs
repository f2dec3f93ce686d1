//! Sums of products of weights, as they are stored, and activations.
//!
//! Two kinds, each with one order of summation, which every level keeps:
//!
//! ```text
//! f32 activations       w_j = decode(code_j)    lane[j mod 32] += w_j * x_j                         fold 32 lanes
//! prepared activations  s_k = sum of block k    lane[k mod 16] += (s_k * scale_k) * x_scale_k       fold 16 lanes
//! ```
//!
//! Lanes start at +0.0, are added to in ascending order, and fold so: of 32 lanes, `l` and `l + 16` are added; then
//! neighbours, `2i` and `2i + 1`, until one number is left. Every product and every sum is rounded on its own.
//!
//! A result depends on its row and its column alone: not on the level, on other rows and columns, on threads.

mod columns;
mod digits;
mod exact;
mod expand;
mod fine;
mod float;
mod groups;
mod integer;
mod kernels;
mod lanes;
mod later;
mod level;
mod plan;
mod prepared;
mod products;
mod registers;
mod rest;
mod rows;
mod scales;
mod sums;
mod terms;
mod tile;
mod values;
mod weights;

use plan::Plan;
pub use prepared::{Prepared, Values};
pub use rows::Rows;
pub(crate) use scales::{AllScales, Scales};
pub use scales::{Factor, ScaleType, StoredScales};

/// Values per block of prepared activations at most; longer blocks are summed in parts, so that sums fit 32 bits:
/// `65536 * 255 * 128 < 2^31`.
pub(crate) const LONGEST_BLOCK: usize = 65536;

use crate::level::Level;
use crate::reference;

/// [`Kernels::dot_prepared`](crate::Kernels::dot_prepared) at a level, rows, columns and values being there. Scales and zero points are not those of
/// `rows`, but where sums are not exact, which has f32.
fn dot_prepared(level: Level, rows: Rows<'_>, scales: AllScales<'_>, x: Prepared<'_>, out: &mut [f32]) {
    match Plan::new(&rows, &x) {
        Some(plan) if are_exact(&rows, &x) => integer::dot(level, rows, scales, x, plan, out),
        Some(plan) => values::dot(level, rows, scales.scales, x, plan, out),
        None => reference::dot_prepared(rows, scales, x, out),
    }
}

/// Whether the sums of blocks are exact.
fn are_exact(rows: &Rows<'_>, x: &Prepared<'_>) -> bool {
    let block = rows.blocks.len.min(x.block);
    rows.element.exact_step(block).is_some() && matches!(x.values, Values::Int { .. })
}
