//! Errors of quantization and calibration.

use lowbit_blocks::{Dtype, Shape};

/// The reason why a tensor was not quantized, or a recipe was refused.
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
        /// Index of the matrix in the stack.
        matrix: usize,
        /// Row of that matrix.
        row: usize,
        /// Column of that row.
        col: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// An observed value is NaN or infinite.
    #[error("value {value} at index {index} is not finite")]
    Observed {
        /// Index in the observed slice.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// Activations that are not whole tokens.
    #[error("{values} values are not whole tokens of {features} features")]
    Tokens {
        /// Number of values given.
        values: usize,
        /// Number of features of a token.
        features: usize,
    },
    /// Statistics, scales or weights have the wrong number of channels.
    #[error("{got} channels where there are {want}")]
    Channels {
        /// Number of channels given.
        got: usize,
        /// Number of channels expected.
        want: usize,
    },
    /// Nothing was observed yet, so that the result cannot be computed.
    #[error("{what} needs at least one token, and none was observed")]
    NoTokens {
        /// The result that was asked for.
        what: &'static str,
    },
    /// An option of a method is out of range.
    #[error("{option} is {value}, but must be {want}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// The value given.
        value: f64,
        /// The valid range.
        want: &'static str,
    },
    /// A group of linears in a mixed-precision search is invalid.
    #[error("group {group}: {reason}")]
    Group {
        /// Index of the group.
        group: usize,
        /// The reason.
        reason: String,
    },
    /// No choice of formats fits the budget.
    #[error("a budget of {budget} bits, and the cheapest formats need {least}")]
    Budget {
        /// The budget in bits.
        budget: u64,
        /// The bits of the cheapest choice.
        least: u64,
    },
    /// The rule cannot choose scales of that format.
    #[error("scale rule {rule} does not fit {format}, which takes {fitting}")]
    Rule {
        /// Name of the rule.
        rule: String,
        /// Name of the format.
        format: String,
        /// Names of the rules that can.
        fitting: String,
    },
    /// No scale rule has that name.
    #[error("no scale rule is called {name}; there are {known}")]
    UnknownRule {
        /// The name given.
        name: String,
        /// All names.
        known: String,
    },
    /// No range rule of inputs has that name.
    #[error("no range rule is called {name}; there are {known}")]
    UnknownRange {
        /// The name given.
        name: String,
        /// All names.
        known: String,
    },
    /// No producer has that name.
    #[error("no producer is called {name}; there are lowbit, modelopt, compressed-tensors, bitsandbytes")]
    UnknownProducer {
        /// The name given.
        name: String,
    },
    /// The parts of a recipe contradict each other, or the format has no defined quantization.
    #[error("cannot quantize to {format}: {reason}")]
    Recipe {
        /// Name of the format.
        format: String,
        /// The contradiction.
        reason: &'static str,
    },
    /// The recipe needs statistics of each whole tensor, and their number is wrong.
    #[error("{got} statistics for {shape}, which needs {want}")]
    Stats {
        /// Number of statistics given.
        got: usize,
        /// Number expected: one, or one per matrix.
        want: usize,
        /// The shape.
        shape: Shape,
    },
    /// The statistics lack the histogram that the rule needs.
    #[error("the statistics have no histogram, which scale rule {rule} needs: take them from Recipe::stats")]
    Histogram {
        /// Name of the rule.
        rule: String,
    },
    /// The amax of the given statistics is NaN, infinite or negative.
    #[error("amax {value} is not a finite number of at least 0")]
    Amax {
        /// The amax given.
        value: f32,
    },
    /// The given tensor scale is invalid.
    #[error("tensor scale {value} is not a positive finite number")]
    TensorScale {
        /// The scale given.
        value: f32,
    },
    /// The values are not of the type that the quantizer was made for, and its arithmetic depends
    /// on the type.
    #[error("{got} values for a quantizer of {want} values")]
    Dtype {
        /// Type of the values given.
        got: Dtype,
        /// Type that the quantizer was made for.
        want: Dtype,
    },
    /// The rows do not begin or end at a boundary of the format's tiles.
    #[error(
        "{values} values from row {first_row} on are not whole tiles of {quantum} rows of a matrix of {rows} rows of {cols}"
    )]
    Rows {
        /// Number of values given.
        values: usize,
        /// Index of the first row.
        first_row: usize,
        /// Rows of a tile.
        quantum: usize,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
    },
    /// An activation is NaN or infinite.
    #[error("activation {value} of token {token}, channel {channel} is not finite")]
    Activation {
        /// Index of the token, counted over all observed tokens.
        token: u64,
        /// Input channel.
        channel: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// An importance weight is negative, NaN or infinite.
    #[error("importance {value} of channel {channel} is not a finite number of at least 0")]
    Weight {
        /// Index of the channel.
        channel: usize,
        /// The weight given.
        value: f32,
    },
    /// A Hessian has an entry that is not finite, or a negative diagonal entry.
    #[error("entry {value} at {row}, {col} of the sum of x x^T is not finite, or negative on the diagonal")]
    Sums {
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        col: usize,
        /// The entry.
        value: f64,
    },
    /// The matrix is not positive definite under any damping that was tried.
    #[error(
        "the Hessian of {channels} channels has no Cholesky factor, even with {damping} of its mean diagonal added"
    )]
    Factor {
        /// Size of the matrix.
        channels: usize,
        /// The last damping that was tried.
        damping: f64,
    },
    /// Settings of the solver contradict each other or the format.
    #[error("cannot solve: {reason}")]
    Solver {
        /// The contradiction.
        reason: &'static str,
    },
    /// An output buffer has the wrong length.
    #[error("{got} bytes for {part}, which take {want}")]
    Length {
        /// `codes`, `scales` or `zeros`.
        part: &'static str,
        /// Number of bytes given.
        got: usize,
        /// Number of bytes that the rows need.
        want: usize,
    },
}
