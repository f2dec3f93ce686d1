//! Errors of quantized tensors.

use alloc::string::String;

use crate::obstacle::Obstacle;
use crate::shape::Shape;

/// The reason why a tensor was refused. Invalid bytes from a file give an error, never a panic.
///
/// ```
/// use lowbit_blocks::{Format, NVFP4, Shape};
/// let error = NVFP4.check(Shape::matrix(4, 1000)).unwrap_err();
/// assert_eq!(error.to_string(), "row of 1000 values does not divide into blocks of 16");
/// ```
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Rows do not divide into groups; a group cannot be short.
    #[error("row of {cols} values does not divide into blocks of {block}")]
    RaggedRow {
        /// Number of values of a row.
        cols: usize,
        /// Number of values of a block.
        block: usize,
    },
    /// The tensor has more bytes than this machine can address.
    #[error("a tensor of {shape} values is too large to address")]
    TooLarge {
        /// The requested shape.
        shape: Shape,
    },
    /// The fields of a format contradict each other.
    #[error("{format} is not a format: {reason}")]
    BadFormat {
        /// Name of the format.
        format: String,
        /// The contradiction.
        reason: &'static str,
    },
    /// A part of the tensor has the wrong number of elements.
    #[error("{part}: {got} {unit}, but {shape} in {format} has {want}")]
    Length {
        /// `codes`, `scales`, `zeros`, `tensor scales` or `values`.
        part: &'static str,
        /// `bytes` or `numbers`.
        unit: &'static str,
        /// The length given.
        got: usize,
        /// The length that the shape requires.
        want: usize,
        /// The shape of the tensor.
        shape: Shape,
        /// Name of the format.
        format: String,
    },
    /// A part is missing, or is given although the format does not have it.
    #[error("{format} has {}{part}, but {} given", if *.wanted { "" } else { "no " }, if *.wanted { "none were" } else { "some were" })]
    Part {
        /// `zeros` or `tensor scales`.
        part: &'static str,
        /// Whether the format has that part.
        wanted: bool,
        /// Name of the format.
        format: String,
    },
    /// An input value is NaN or infinite.
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
    /// A given scale cannot be stored: it is NaN, too large for the scale's type, or negative in a
    /// type without a sign.
    #[error("scale {value} of block {index} does not fit in {scale}")]
    Scale {
        /// Index of the block, over all matrices.
        index: usize,
        /// The scale given.
        value: f32,
        /// Name of the scale's type.
        scale: &'static str,
    },
    /// A given tensor scale is NaN, infinite, or a divisor that is zero.
    #[error("tensor scale {value} of matrix {matrix} is not a number that scales")]
    TensorScale {
        /// Index of the matrix in the stack.
        matrix: usize,
        /// The scale given.
        value: f32,
    },
    /// Activations have another number of values than the product needs.
    #[error("activations: {got} values, but {columns} column{} of {cols} {} {}", if *.columns == 1 { "" } else { "s" }, if *.columns == 1 { "has" } else { "have" }, .columns.saturating_mul(*.cols))]
    Input {
        /// Number of values given.
        got: usize,
        /// Number of columns given, one for each token.
        columns: usize,
        /// Number of values per column: columns of the weight.
        cols: usize,
    },
    /// Activations do not divide into columns of equal length.
    #[error("activations: {got} values do not divide into {columns} columns")]
    Columns {
        /// Number of values given.
        got: usize,
        /// Number of columns given, one for each token.
        columns: usize,
    },
    /// A permutation, bias or pre-quant scale does not fit its weight.
    #[error("{part}: {got} entries, but the weight has {want} {axis}")]
    Linear {
        /// `perm`, `pre_quant_scale` or `bias`.
        part: &'static str,
        /// The length given.
        got: usize,
        /// The length that the weight requires.
        want: usize,
        /// `rows` or `columns`.
        axis: &'static str,
    },
    /// A permutation contains a column twice, or a column that does not exist.
    #[error("perm: entry {index} is {value}, which is {}", if *.value as usize >= *.cols { "past the last column" } else { "there already" })]
    Permutation {
        /// Index in the permutation.
        index: usize,
        /// The column at that index.
        value: u32,
        /// Number of columns of the weight.
        cols: usize,
    },
    /// A tensor cannot be transcoded exactly.
    #[error("{from} into {to}: {why}")]
    Transcode {
        /// Name of the tensor's format.
        from: String,
        /// Name of the requested format.
        to: String,
        /// The obstacle.
        why: Obstacle,
    },
}
