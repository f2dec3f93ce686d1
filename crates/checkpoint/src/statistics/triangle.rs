//! Storage of a symmetric matrix as its upper triangle, row by row.
//!
//! ```text
//! n x n, row i from the diagonal on:   h_00 h_01 … h_0,n-1   h_11 … h_1,n-1   …   h_n-1,n-1          n (n + 1) / 2 numbers
//! ```

use std::ops::Range;

/// Number of elements of the triangle; `None` on overflow.
pub(super) fn len(n: usize) -> Option<usize> {
    n.checked_add(1)?.checked_mul(n).map(|twice| twice / 2)
}

/// The range of row `i` in the triangle.
pub(super) fn row(n: usize, i: usize) -> Range<usize> {
    // The rows before it have n, n - 1, … elements.
    let start = i * n - i * i.saturating_sub(1) / 2;
    start..start + (n - i)
}

/// Copies the upper triangle of a row-major matrix to the lower one.
pub(super) fn mirror(n: usize, matrix: &mut [f64]) {
    for i in 1..n {
        for j in 0..i {
            matrix[i * n + j] = matrix[j * n + i];
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn rows_stand_one_after_the_other() {
        for n in 0..9 {
            let rows: Vec<usize> = (0..n).flat_map(|i| super::row(n, i)).collect();
            assert_eq!(rows, (0..super::len(n).unwrap()).collect::<Vec<_>>());
        }
        assert_eq!(super::len(usize::MAX), None);
    }
}
