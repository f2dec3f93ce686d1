//! The options of the GPTQ solver, and its results.

use lowbit_blocks::{QLinear, QTensor};

use super::order::Order;
use crate::hessian::Hessian;

/// What is added to the diagonal of H before it is factored, as a part of its mean.
#[derive(Clone, Copy, Debug)]
pub enum Damping<'a> {
    /// This much; 0.05 by default.
    Fixed(f64),
    /// The candidate whose weights have the least error on tokens that were not solved for (the
    /// first of equals). The weights are then solved for both Hessians together.
    HeldOut {
        /// What to try.
        candidates: &'a [f64],
        /// Of other tokens.
        hessian: &'a Hessian,
    },
}

/// Which weights the scale of a group is chosen from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Groups {
    /// The original ones: all scales are chosen first.
    #[default]
    Static,
    /// What the feedback has made of them when the group begins.
    Live,
    /// As published, and as AutoGPTQ and GPTQModel have it: what the feedback of earlier blocks has
    /// made of them. What happened in the same block is missing; dead channels get zero weights.
    Stale,
}

/// What the errors of a weight count when scales are searched.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Weighing {
    /// All the same.
    Uniform,
    /// By the diagonal of the Hessian.
    #[default]
    Diagonal,
    /// By its diagonal blocks.
    Blocks,
}

/// GPTQ with coordinate descent.
///
/// ```
/// use lowbit_blocks::{Block, Format, Shape};
/// use lowbit_calib::{Gptq, Hessian, Recipe};
///
/// // Two inputs that are always equal: only the sum of the weights matters.
/// let mut hessian = Hessian::new(2);
/// hessian.observe(&[1.0, 1.0, -2.0, -2.0])?;
/// let recipe = Recipe::new(Format::int(4, Block::Channel))?;
/// // The scale is 7.5 / 7.5 = 1. Rounded by itself, 0.4 becomes 0, and 7.5 is cut to 7: 0.9 is lost. With feedback, 1 takes up 0.5 of it.
/// let solved = Gptq::default().quantize(&recipe, Shape::matrix(1, 2), &[7.5, 0.4], &hessian, &[])?;
/// assert_eq!(solved.weight.to_f32_vec(), [7.0, 1.0]);
/// assert!((solved.loss.rtn - 0.9 * 0.9 * 2.5).abs() < 1e-5); // E[x^2] = 2.5
/// assert!((solved.loss.solved - 0.1 * 0.1 * 2.5).abs() < 1e-5);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gptq<'a> {
    /// What is added to the diagonal.
    pub damping: Damping<'a>,
    /// The order of columns.
    pub order: Order,
    /// Columns between whose blocks errors travel as products of matrices; it changes results by
    /// rounding only, but for [`Groups::Stale`].
    pub block: usize,
    /// Passes of coordinate descent, at most.
    pub passes: usize,
    /// Rounds after that: scales and codes of blocks chosen together once more, then descent again.
    /// For blocks of up to 128 values in one row. A round takes longer than all else together and
    /// gains little; none by default.
    pub rescales: usize,
    /// Which weights scales are chosen from.
    pub groups: Groups,
    /// What errors count when the recipe searches scales.
    pub weighing: Weighing,
    /// Whether a row whose error rounding alone makes smaller keeps that; otherwise rows are what
    /// the feedback made of them.
    pub keep_better: bool,
}

impl Gptq<'_> {
    /// The algorithm as published, and as AutoGPTQ and GPTQModel run it: the scales of a group from
    /// weights that lack the feedback of its own block, columns as they stand, damping 0.01, and
    /// nothing besides.
    ///
    /// With `int*` formats and `amax`, or `uint*` formats with zero points and `min-max`, codes and
    /// scales are theirs but for rounding, and but for groups without a negative weight, which
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

/// What became of a matrix.
#[derive(Clone, Debug)]
pub struct Solved {
    /// The quantized matrix.
    pub weight: QTensor<'static>,
    /// Which column of the input each of its columns stands for; `None` where they stand as they
    /// were.
    pub perm: Option<Vec<u32>>,
    /// How well.
    pub loss: Loss,
}

impl Solved {
    /// The linear that it is, its columns in the order of the file, and how well.
    #[must_use]
    pub fn into_linear(self) -> (QLinear<'static>, Loss) {
        let mut linear = QLinear::from(self.weight);
        linear.perm = self.perm.map(Into::into);
        (linear, self.loss)
    }
}

/// tr(D H D^T) / tokens on the way: the mean squared error of an output vector, on the tokens that
/// H was made from. 0 without tokens.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Loss {
    /// Of rounding each weight, under the same scales.
    pub rtn: f64,
    /// After feedback, where it was better.
    pub feedback: f64,
    /// Of the result.
    pub solved: f64,
    /// Rows that rounding alone made better.
    pub rows_kept: usize,
    /// Codes that each pass of descent changed, those after a rescale included.
    pub changed: Vec<usize>,
    /// Blocks that got another scale or other codes with it, in each round.
    pub rescaled: Vec<usize>,
    /// What was added to the diagonal, as a part of its mean.
    pub damping: f64,
}

impl Loss {
    /// Adds what other rows came to.
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
