//! Options and results of the GPTQ solver.

use lowbit_blocks::{QLinear, QTensor};

use super::order::Order;
use crate::hessian::Hessian;

/// The damping: the number added to the diagonal of H before it is factored, relative to the mean
/// of the diagonal.
#[derive(Clone, Copy, Debug)]
pub enum Damping<'a> {
    /// This damping; 0.05 by default.
    Fixed(f64),
    /// The candidate of least error on held-out tokens (the first of equals). The weights are then
    /// solved for both Hessians together.
    HeldOut {
        /// The dampings to try.
        candidates: &'a [f64],
        /// The Hessian of the held-out tokens.
        hessian: &'a Hessian,
    },
}

/// The weights from which the scale of a group is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Groups {
    /// The original weights: all scales are chosen first.
    #[default]
    Static,
    /// The weights updated by the feedback when the group begins.
    Live,
    /// The weights updated by the feedback of earlier blocks, as published and as in AutoGPTQ and
    /// GPTQModel. The feedback of the same block is missing; dead channels get zero weights.
    Stale,
}

/// The weights of errors in a scale search.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Weighing {
    /// All errors have the same weight.
    Uniform,
    /// The diagonal of the Hessian.
    #[default]
    Diagonal,
    /// The diagonal blocks of the Hessian.
    Blocks,
}

/// Options of GPTQ with coordinate descent.
///
/// ```
/// use lowbit_blocks::{Block, Format, Shape};
/// use lowbit_calib::{Gptq, Hessian, Recipe};
///
/// // Two inputs are always equal, so only the sum of their weights matters.
/// let mut hessian = Hessian::new(2);
/// hessian.observe(&[1.0, 1.0, -2.0, -2.0])?;
/// let recipe = Recipe::new(Format::int(4, Block::Channel))?;
/// // The scale is 7.5 / 7.5 = 1. Rounded separately, 7.5 is clipped to 7 and 0.4 becomes 0: the sum
/// // is 0.9 too small. With feedback 0.4 becomes 1: the sum is 0.1 too large.
/// let solved = Gptq::default().quantize(&recipe, Shape::matrix(1, 2), &[7.5, 0.4], &hessian, &[])?;
/// assert_eq!(solved.weight.to_f32_vec(), [7.0, 1.0]);
/// assert!((solved.loss.rtn - 0.9 * 0.9 * 2.5).abs() < 1e-5); // E[x^2] = 2.5
/// assert!((solved.loss.solved - 0.1 * 0.1 * 2.5).abs() < 1e-5);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gptq<'a> {
    /// The damping of the Hessian.
    pub damping: Damping<'a>,
    /// The order of columns.
    pub order: Order,
    /// Columns per block; errors propagate between blocks as matrix products. It changes results by
    /// rounding only, except for [`Groups::Stale`].
    pub block: usize,
    /// The maximum number of passes of coordinate descent.
    pub passes: usize,
    /// Rounds after descent: scales and codes of blocks are chosen together, then descent runs
    /// again. For blocks of up to 128 values in one row. A round takes longer than everything else
    /// together and gains little; 0 by default.
    pub rescales: usize,
    /// The weights from which scales are chosen.
    pub groups: Groups,
    /// The weights of errors when the recipe searches scales.
    pub weighing: Weighing,
    /// Whether a row that has less error with rounding alone keeps the rounded codes; otherwise all
    /// rows keep the codes of the feedback.
    pub keep_better: bool,
}

impl Gptq<'_> {
    /// The algorithm as published, and as AutoGPTQ and GPTQModel run it. Scales of a group are
    /// chosen from weights without the feedback of its own block, columns are in stored order,
    /// damping is 0.01, and there is no descent.
    ///
    /// With `int*` formats and `amax`, or `uint*` formats with zero points and `min-max`, codes and
    /// scales equal theirs up to rounding. The exception is a group without negative weights, which
    /// their symmetric rule clips at half.
    #[must_use]
    pub const fn published() -> Self {
        Self {
            damping: Damping::Fixed(0.01),
            order: Order::Natural,
            block: 128,
            passes: 0,
            rescales: 0,
            groups: Groups::Stale,
            weighing: Weighing::Uniform,
            keep_better: false,
        }
    }
}

impl Default for Gptq<'_> {
    fn default() -> Self {
        Self {
            damping: Damping::Fixed(0.05),
            order: Order::default(),
            block: 128,
            passes: 3,
            rescales: 0,
            groups: Groups::default(),
            weighing: Weighing::default(),
            keep_better: true,
        }
    }
}

/// The result of the solver for one matrix.
#[derive(Clone, Debug)]
pub struct Solved {
    /// The quantized matrix.
    pub weight: QTensor<'static>,
    /// The input column of each stored column; `None` if the columns are in their original order.
    pub perm: Option<Vec<u32>>,
    /// The output error, at each stage.
    pub loss: Loss,
}

impl Solved {
    /// The quantized linear, with its order of columns, and the loss.
    #[must_use]
    pub fn into_linear(self) -> (QLinear<'static>, Loss) {
        let mut linear = QLinear::from(self.weight);
        linear.perm = self.perm.map(Into::into);
        (linear, self.loss)
    }
}

/// The mean squared error of an output vector, tr(D H D^T) / tokens, at each stage, on the tokens
/// of the Hessian. 0 without tokens.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Loss {
    /// The loss of rounding each weight, under the same scales.
    pub rtn: f64,
    /// The loss after feedback, with the rows kept that were better without.
    pub feedback: f64,
    /// The loss of the result.
    pub solved: f64,
    /// The number of rows that kept the codes of rounding.
    pub rows_kept: usize,
    /// The number of codes that each pass of descent changed, including passes after a rescale.
    pub changed: Vec<usize>,
    /// The number of blocks whose scale or codes changed, in each round.
    pub rescaled: Vec<usize>,
    /// The damping that was used, relative to the mean of the diagonal.
    pub damping: f64,
}

impl Loss {
    /// Adds the losses of other rows.
    pub(super) fn add(&mut self, rows: &Self) {
        self.rtn += rows.rtn;
        self.feedback += rows.feedback;
        self.solved += rows.solved;
        self.rows_kept += rows.rows_kept;
        for (own, rows) in [(&mut self.changed, &rows.changed), (&mut self.rescaled, &rows.rescaled)] {
            own.resize(own.len().max(rows.len()), 0);
            own.iter_mut().zip(rows).for_each(|(sum, count)| *sum += count);
        }
    }
}
