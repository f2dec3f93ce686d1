//! The shape of a quantized tensor: a stack of matrices, row-major.
//!
//! ```text
//! matrices x rows x cols        a linear is 1 x out x in, fused experts are E x out x in
//! ```
//!
//! No block crosses from one matrix to the next, and each matrix has its own tensor scale.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The number of matrices, of rows per matrix, and of columns (values per row).
///
/// ```
/// use lowbit_blocks::Shape;
/// assert_eq!(Shape::matrix(4, 32).to_string(), "4x32");
/// assert_eq!(Shape { matrices: 8, rows: 4, cols: 32 }.len(), Some(8 * 4 * 32));
/// assert_eq!(Shape::matrix(usize::MAX, 2).len(), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// The number of matrices in the stack: 1 for a plain weight, the number of experts for a fused
    /// one.
    pub matrices: usize,
    /// The number of rows of one matrix: output channels of a weight, tokens of activations.
    pub rows: usize,
    /// The number of values of a row: input features. Blocks run along this axis.
    pub cols: usize,
}

impl Shape {
    /// One matrix of `rows` rows of `cols` values.
    #[must_use]
    pub const fn matrix(rows: usize, cols: usize) -> Self {
        Self { matrices: 1, rows, cols }
    }

    /// The number of values, or `None` on overflow of `usize`.
    ///
    /// The number of rows must fit as well, even in a shape without columns.
    #[must_use]
    pub const fn len(&self) -> Option<usize> {
        match self.matrices.checked_mul(self.rows) {
            Some(rows) => rows.checked_mul(self.cols),
            None => None,
        }
    }

    /// True if the shape has no values.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.matrices == 0 || self.rows == 0 || self.cols == 0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.matrices != 1 {
            write!(f, "{}x", self.matrices)?;
        }
        write!(f, "{}x{}", self.rows, self.cols)
    }
}
