//! What can go wrong between a matrix and its scales, said with the numbers.

use lowbit_blocks::{Dtype, Shape};

/// Why a tensor was not quantized, or a recipe refused.
///
/// ```
/// use lowbit_blocks::MXFP4;
/// use lowbit_calib::{Recipe, ScaleRule};
/// let error = Recipe::new(MXFP4)?.with_scale_rule(ScaleRule::FullRange).unwrap_err();
/// assert_eq!(error.to_string(), "scale rule full-range does not fit mxfp4, which takes floor, ceil, even, rceil, round-1.75, ceil-log2, mse");
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The format refuses the shape, or a part of the tensor has the wrong length.
    #[error(transparent)]
    Blocks(#[from] lowbit_blocks::Error),
    /// A value to quantize is NaN or infinite.
    #[error("value {value} at matrix {matrix}, row {row}, column {col} is not finite")]
    NonFinite {
        /// Which matrix of the stack.
        matrix: usize,
        /// Row of that matrix.
        row: usize,
        /// Column of that row.
        col: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A value that statistics were asked to take in is NaN or infinite.
    #[error("value {value} at index {index} is not finite")]
    Observed {
        /// Index in the slice that was observed.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// Activations that are not whole tokens.
    #[error("{values} values are not whole tokens of {features} features")]
    Tokens {
        /// Values given.
        values: usize,
        /// Features of one token.
        features: usize,
    },
    /// Statistics, scales or weights of another number of channels.
    #[error("{got} channels where there are {want}")]
    Channels {
        /// Channels given.
        got: usize,
        /// Channels of what they are for.
        want: usize,
    },
    /// Nothing was observed that a choice could rest on.
    #[error("{what} needs at least one token, and none was observed")]
    NoTokens {
        /// What was to be computed.
        what: &'static str,
    },
    /// An option of a method lies outside of what it can be.
    #[error("{option} is {value}, but must be {want}")]
    Option {
        /// Its name.
        option: &'static str,
        /// What was given.
        value: f64,
        /// What it can be.
        want: &'static str,
    },
    /// A decision of mixed precision that cannot be decided.
    #[error("group {group}: {reason}")]
    Group {
        /// Which.
        group: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// No choice of formats fits.
    #[error("a budget of {budget} bits, and the cheapest formats need {least}")]
    Budget {
        /// Bits to spend.
        budget: u64,
        /// Bits of the cheapest choice.
        least: u64,
    },
    /// The rule computes no scale of that format.
    #[error("scale rule {rule} does not fit {format}, which takes {fitting}")]
    Rule {
        /// Name of the rule.
        rule: String,
        /// Name of the format.
        format: String,
        /// Names of the rules that fit.
        fitting: String,
    },
    /// No rule has that name.
    #[error("no scale rule is called {name}; there are {known}")]
    UnknownRule {
        /// What was asked for.
        name: String,
        /// Every name.
        known: String,
    },
    /// No rule for the range of an input has that name.
    #[error("no range rule is called {name}; there are {known}")]
    UnknownRange {
        /// What was asked for.
        name: String,
        /// Every name.
        known: String,
    },
    /// No producer has that name.
    #[error("no producer is called {name}; there are lowbit, modelopt, compressed-tensors, bitsandbytes")]
    UnknownProducer {
        /// What was asked for.
        name: String,
    },
    /// The parts of a recipe contradict each other, or nobody has defined how that format is quantized.
    #[error("cannot quantize to {format}: {reason}")]
    Recipe {
        /// Name of the format.
        format: String,
        /// What contradicts what.
        reason: &'static str,
    },
    /// The recipe looks at the whole tensor first, and did not get the statistics of it.
    #[error("{got} statistics for {shape}, which needs {want}")]
    Stats {
        /// Statistics given.
        got: usize,
        /// One, or as many as matrices.
        want: usize,
        /// The shape.
        shape: Shape,
    },
    /// The statistics lack what the recipe asks of them.
    #[error("the statistics have no histogram, which scale rule {rule} needs: take them from Recipe::stats")]
    Histogram {
        /// Name of the rule.
        rule: String,
    },
    /// The amax of statistics that were given is NaN, infinite or negative.
    #[error("amax {value} is not a finite number of at least 0")]
    Amax {
        /// What was given.
        value: f32,
    },
    /// A tensor scale that was given is no scale.
    #[error("tensor scale {value} is not a positive finite number")]
    TensorScale {
        /// What was given.
        value: f32,
    },
    /// The values are of another type than the quantizer was made for, and its arithmetic depends on it.
    #[error("{got} values for a quantizer of {want} values")]
    Dtype {
        /// Type of the values.
        got: Dtype,
        /// Type that the quantizer was made for.
        want: Dtype,
    },
    /// Rows that do not begin or end where a tile of the format does.
    #[error(
        "{values} values from row {first_row} on are not whole tiles of {quantum} rows of a matrix of {rows} rows of {cols}"
    )]
    Rows {
        /// Values given.
        values: usize,
        /// First row.
        first_row: usize,
        /// Rows that go together.
        quantum: usize,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
    },
    /// An activation is NaN or infinite.
    #[error("activation {value} of token {token}, channel {channel} is not finite")]
    Activation {
        /// Token, counted over all that were observed.
        token: u64,
        /// Input channel.
        channel: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A weight of errors is no weight.
    #[error("importance {value} of channel {channel} is not a finite number of at least 0")]
    Weight {
        /// Which channel.
        channel: usize,
        /// What was given.
        value: f32,
    },
    /// A matrix that should be a sum of x x^T has an entry that is not finite, or a negative diagonal.
    #[error("entry {value} at {row}, {col} of the sum of x x^T is not finite, or negative on the diagonal")]
    Sums {
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        col: usize,
        /// The entry.
        value: f64,
    },
    /// No damping that was tried makes the matrix positive definite.
    #[error(
        "the Hessian of {channels} channels has no Cholesky factor, even with {damping} of its mean diagonal added"
    )]
    Factor {
        /// Its size.
        channels: usize,
        /// The last damping that was tried.
        damping: f64,
    },
    /// A setting of the solver that makes no sense.
    #[error("cannot solve: {reason}")]
    Solver {
        /// What contradicts what.
        reason: &'static str,
    },
    /// An output buffer has the wrong length.
    #[error("{got} bytes for {part}, which take {want}")]
    Length {
        /// `codes`, `scales` or `zeros`.
        part: &'static str,
        /// Bytes given.
        got: usize,
        /// Bytes that the rows take.
        want: usize,
    },
}
