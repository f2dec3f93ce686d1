//! Weights of errors in a scale search: uniform, by the power of the input, or by the Hessian.
//!
//! ```text
//! Uniform     sum_j e_j^2
//! Channels    sum_j m_j e_j^2     m_j = E[x_j^2]: the expected squared error of the output
//!                                 for uncorrelated inputs
//! Hessian     e^T H_bb e          H_bb: the rows and columns of the block: the squared error of the
//!                                 output from this block alone
//! ```
//!
//! Sums run in f64 over the columns of a block in their order, in four interleaved partial sums if
//! weights are uniform. The full quadratic form is used for blocks of up to 128 values in one row.
//! Longer blocks, and tiles, use its diagonal.
//!
//! Sources: ggml's importance matrix (`Channels`); ModelOpt's `local_hessian` (`Hessian`).

use lowbit_blocks::Format;

use crate::chunk::Chunk;
use crate::error::Error;
use crate::hessian::Hessian;

/// The longest block that uses the full quadratic form.
const LONGEST: usize = 128;

/// The weights of errors when a scale is searched.
///
/// ```
/// use lowbit_blocks::{Dtype, NVFP4, Shape};
/// use lowbit_calib::{Importance, Out, Recipe, ScaleRule};
/// use lowbit_kernels::Kernels;
///
/// let recipe = Recipe::new(NVFP4)?.with_scale_rule(ScaleRule::Mse)?;
/// let mut row = [5.0f32; 16]; // 5 lies between 4 and 6
/// row[0] = 6.0;
/// let stats = [lowbit_calib::TensorStats::from_amax(6.0)];
/// let scale = |importance: Importance<'_>| -> Result<u8, lowbit_calib::Error> {
///     let quantizer = recipe.quantizer(Shape::matrix(1, 16), Dtype::F32, &stats, Kernels::best())?;
///     let (mut codes, mut scales) = ([0; 8], [0; 1]);
///     let out = Out { codes: &mut codes, scales: &mut scales, zeros: &mut [] };
///     quantizer.with_importance(importance)?.quantize_rows(0, 0, &row, out)?;
///     Ok(scales[0])
/// };
/// // Fifteen fives outweigh one six: the largest code stands for 5. If only the six counts, it
/// // stands for 6.
/// let mut only_first = [0.0; 16];
/// only_first[0] = 1.0;
/// assert!(scale(Importance::Uniform)? < scale(Importance::Channels(&only_first))?);
/// assert_eq!(scale(Importance::Channels(&only_first))?, 0x7e); // 448
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub enum Importance<'a> {
    /// All errors have the same weight; no data is needed.
    #[default]
    Uniform,
    /// One weight for each input channel (column): E\[x^2\], in any unit.
    Channels(&'a [f32]),
    /// The diagonal blocks of a Hessian.
    Hessian(&'a Hessian),
}

/// The importance, prepared for the blocks of a format.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Weighting {
    /// A weight for each column.
    Channels(Vec<f32>),
    /// A matrix of `len * len` for each block of a row.
    Blocks { len: usize, of: Vec<f64> },
}

impl Weighting {
    /// Prepares the weights; `None` if they are uniform.
    pub(crate) fn new(
        importance: Importance<'_>,
        format: &Format,
        cols: usize,
    ) -> Result<Option<Self>, Error> {
        let got = match importance {
            Importance::Uniform => return Ok(None),
            Importance::Channels(weights) => weights.len(),
            Importance::Hessian(hessian) => hessian.size(),
        };
        if got != cols {
            return Err(Error::Channels { got, want: cols });
        }
        let hessian = match importance {
            Importance::Hessian(hessian) => hessian,
            Importance::Channels(weights) => return Self::channels(weights.to_vec()).map(Some),
            Importance::Uniform => return Ok(None),
        };
        let in_row = format.block.is_channel().then_some(cols);
        let len = format.block.group().or(format.block.flat()).or(in_row);
        let Some(len) = len.filter(|&len| len <= LONGEST && cols.is_multiple_of(len)) else {
            return Self::channels(hessian.mean_square()).map(Some);
        };
        let of = hessian.diagonal_blocks(len);
        Ok(Some(Self::Blocks { len, of }))
    }

    fn channels(weights: Vec<f32>) -> Result<Self, Error> {
        match weights.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            Some(channel) => Err(Error::Weight { channel, value: weights[channel] }),
            None => Ok(Self::Channels(weights)),
        }
    }
}

/// The weights of the errors of one chunk.
#[derive(Clone, Copy)]
pub(crate) enum Weights<'a> {
    /// Each value counts once.
    Uniform,
    /// The count of each value of the chunk, which is one block.
    Counts(&'a [f64]),
    /// Weights by column; the runs of the chunk begin in column `first`.
    Columns { of: &'a Weighting, first: usize },
}

impl Weights<'_> {
    /// The weight of a single squared error, without its neighbours. `at` is an index into a run.
    pub(crate) fn of_value(self, at: usize) -> f64 {
        match self {
            Self::Uniform => 1.0,
            Self::Counts(counts) => counts[at],
            Self::Columns { of: Weighting::Channels(weights), first } => {
                weights[(first + at) % weights.len()].into()
            }
            Self::Columns { of: Weighting::Blocks { len, of }, first } => {
                let col = (first + at) % (of.len() / len);
                of[col / len * len * len + col % len * (len + 1)]
            }
        }
    }

    /// The weighted squared error of each block against `decoded`, whose values are in the order of
    /// the chunk.
    pub(crate) fn errors(self, chunk: &Chunk<'_>, decoded: &[f32], out: &mut [f64]) {
        match self {
            Self::Uniform => chunk.squared_errors(decoded, out),
            Self::Counts(counts) => {
                let pairs = chunk.runs().flatten().zip(decoded);
                let squares = pairs.map(|(x, y)| f64::from(*x) - f64::from(*y)).map(|e| e * e);
                out.fill(squares.zip(counts).map(|(square, count)| square * count).sum());
            }
            Self::Columns { of, first } => {
                out.fill(0.0);
                for (run, decoded) in chunk.runs().zip(decoded.chunks_exact(chunk.width)) {
                    let blocks = run.chunks(chunk.len).zip(decoded.chunks(chunk.len));
                    for ((block, (x, y)), out) in blocks.enumerate().zip(out.iter_mut()) {
                        *out += of.error(first + block * chunk.len, x, y);
                    }
                }
            }
        }
    }
}

impl Weighting {
    /// The weighted squared error of a block from column `col` on; columns continue across row
    /// ends.
    fn error(&self, col: usize, x: &[f32], y: &[f32]) -> f64 {
        let differences = x.iter().zip(y).map(|(x, y)| f64::from(*x) - f64::from(*y));
        match self {
            Self::Channels(weights) => {
                let first = col % weights.len();
                let weighed = |(e, &weight): (f64, &f32)| e * e * f64::from(weight);
                match weights.get(first..first + x.len()) {
                    Some(weights) => differences.zip(weights).map(weighed).sum(),
                    None => differences.zip(weights.iter().cycle().skip(first)).map(weighed).sum(),
                }
            }
            Self::Blocks { len, of } => {
                let mut errors = [0.0; LONGEST];
                errors.iter_mut().zip(differences).for_each(|(to, e)| *to = e);
                let errors = &errors[..*len];
                let block = col % (of.len() / len) / len;
                let rows = of[block * len * len..][..len * len].chunks_exact(*len);
                let products = rows
                    .zip(errors)
                    .map(|(row, e)| e * row.iter().zip(errors).map(|(h, e)| h * e).sum::<f64>());
                products.sum()
            }
        }
    }
}
