//! What can be wrong with a quantized tensor, said with its numbers.

use alloc::string::String;

use crate::obstacle::Obstacle;
use crate::shape::Shape;

/// Why a tensor was refused. Bytes from a file lead here and never to a panic.
///
/// ```
/// use lowbit_blocks::{Format, NVFP4, Shape};
/// let error = NVFP4.check(Shape::matrix(4, 1000)).unwrap_err();
/// assert_eq!(error.to_string(), "row of 1000 values does not divide into blocks of 16");
/// ```
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Groups have no short last block.
    #[error("row of {cols} values does not divide into blocks of {block}")]
    RaggedRow {
        /// Values in a row.
        cols: usize,
        /// Values in a block.
        block: usize,
    },
    /// The tensor has more bytes than this machine can address.
    #[error("a tensor of {shape} values is too large to address")]
    TooLarge {
        /// The shape asked for.
        shape: Shape,
    },
    /// The fields of a format contradict each other.
    #[error("{format} is not a format: {reason}")]
    BadFormat {
        /// Name of the format.
        format: String,
        /// What contradicts what.
        reason: &'static str,
    },
    /// A part of the tensor has the wrong number of elements.
    #[error("{part}: {got} {unit}, but {shape} in {format} has {want}")]
    Length {
        /// `codes`, `scales`, `zeros`, `tensor scales` or `values`.
        part: &'static str,
        /// `bytes` or `numbers`.
        unit: &'static str,
        /// What was given.
        got: usize,
        /// What the shape asks for.
        want: usize,
        /// The shape of the tensor.
        shape: Shape,
        /// Name of the format.
        format: String,
    },
    /// A part is given that the format does not have, or lacks one that it has.
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
        /// Which matrix of the stack.
        matrix: usize,
        /// Row of that matrix.
        row: usize,
        /// Column of that row.
        col: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A given scale cannot be stored: NaN, too large for the scale's type, or negative where that has no sign.
    #[error("scale {value} of block {index} does not fit in {scale}")]
    Scale {
        /// Index of the block, counted over all matrices.
        index: usize,
        /// The scale that was given.
        value: f32,
        /// Name of the scale's type.
        scale: &'static str,
    },
    /// A given tensor scale is NaN or infinite, or would divide by zero.
    #[error("tensor scale {value} of matrix {matrix} is not a number that scales")]
    TensorScale {
        /// Which matrix of the stack.
        matrix: usize,
        /// The scale that was given.
        value: f32,
    },
    /// Activations do not fill the columns that a product takes.
    #[error("activations: {got} values, but {columns} column{} of {cols} {} {}", if *.columns == 1 { "" } else { "s" }, if *.columns == 1 { "has" } else { "have" }, .columns.saturating_mul(*.cols))]
    Input {
        /// Values given.
        got: usize,
        /// Columns given: tokens.
        columns: usize,
        /// Values that each has: columns of the weight.
        cols: usize,
    },
    /// Activations are not the same number of values for each column.
    #[error("activations: {got} values do not divide into {columns} columns")]
    Columns {
        /// Values given.
        got: usize,
        /// Columns given: tokens.
        columns: usize,
    },
    /// A permutation, bias or input scale does not fit the weight it belongs to.
    #[error("{part}: {got} entries, but the weight has {want} {axis}")]
    Linear {
        /// `perm`, `pre_quant_scale` or `bias`.
        part: &'static str,
        /// What was given.
        got: usize,
        /// What the weight asks for.
        want: usize,
        /// `rows` or `columns`.
        axis: &'static str,
    },
    /// A permutation names a column twice, or one that does not exist.
    #[error("perm: entry {index} is {value}, which is {}", if *.value as usize >= *.cols { "past the last column" } else { "there already" })]
    Permutation {
        /// Position in the permutation.
        index: usize,
        /// The column it names.
        value: u32,
        /// Columns of the weight.
        cols: usize,
    },
    /// A tensor cannot be said in another format without rounding.
    #[error("{from} into {to}: {why}")]
    Transcode {
        /// Name of the tensor's format.
        from: String,
        /// Name of the format asked for.
        to: String,
        /// What is in the way.
        why: Obstacle,
    },
}
