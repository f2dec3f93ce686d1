//! Runs, blocks and overlaps of a grid against the place of each value, worked out by itself.

use lowbit_blocks::*;
use proptest::prelude::*;

use crate::cases::format;
use crate::oracle::bits;

/// The block of a value in its matrix.
fn block(format: &Format, shape: Shape, row: usize, col: usize) -> usize {
    match format.block {
        Block::Tensor => 0,
        Block::Channel => row,
        Block::Group(g) => row * (shape.cols / g) + col / g,
        Block::Tile { rows, cols } => row / rows * shape.cols.div_ceil(cols) + col / cols,
        Block::Flat(b) => (row * shape.cols + col) / b,
    }
}

/// The first bit of the code of a value in its matrix.
fn bit(format: &Format, shape: Shape, row: usize, col: usize) -> usize {
    let bits = bits(format.element);
    match format.block {
        Block::Flat(_) => (row * shape.cols + col) * bits,
        _ => 8 * row * (shape.cols * bits).div_ceil(8) + col * bits,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Runs cover the values in order, and say of each where its block and its code are.
    #[test]
    fn runs_hold_each_value_once(
        format in format(),
        matrices in 1usize..4, rows in 1usize..9, cols in 1usize..200,
        start in 0usize..2000, count in 0usize..2000, most in 1usize..400,
    ) {
        let shape = Shape { matrices, rows, cols };
        let Ok(grid) = format.grid(shape) else { return Ok(()) };
        let (matrix, start) = (matrices - 1, start.min(rows * cols));
        let end = (start + count).min(rows * cols);
        let (bytes, blocks) = (format.codes_len(shape) / matrices, format.scales_per_matrix(shape));
        let mut at = start;
        for run in grid.runs(matrix, start..end, most) {
            prop_assert_eq!(run.values.start, at);
            prop_assert!(run.values.len() <= most.max(8) && !run.values.is_empty());
            for (index, value) in run.values.clone().enumerate() {
                let (row, col) = (value / cols, value % cols);
                let of_run = run.blocks.start + (run.offset + run.skipped + index) / run.len;
                prop_assert!(run.blocks.contains(&of_run));
                prop_assert_eq!(of_run, matrix * blocks + block(&format, shape, row, col));
                prop_assert_eq!(of_run, grid.block(matrix, row, col));
                let width = bits(format.element);
                let first = 8 * run.bytes.start + (run.skipped + index) * width;
                prop_assert_eq!(first, 8 * matrix * bytes + bit(&format, shape, row, col));
                prop_assert!(first + width <= 8 * run.bytes.end);
            }
            at = run.values.end;
        }
        prop_assert_eq!(at, end);
    }

    /// Overlaps with another grid cover each row, and lie in one block of either side.
    #[test]
    fn overlaps_lie_in_one_block_of_either_side(
        from in format(), to in format(), rows in 1usize..9, cols in 1usize..200,
    ) {
        let shape = Shape::matrix(rows, cols);
        let (Ok(source), Ok(target)) = (from.grid(shape), to.grid(shape)) else { return Ok(()) };
        let mut places = Vec::new();
        source.overlaps(&target, 0..rows, |overlap| {
            for col in overlap.start..overlap.end {
                places.push((overlap.row, col, overlap.source, overlap.target));
            }
        });
        let wants = (0..rows * cols).map(|value| {
            let (row, col) = (value / cols, value % cols);
            (row, col, block(&from, shape, row, col), block(&to, shape, row, col))
        });
        prop_assert_eq!(places, wants.collect::<Vec<_>>());
    }
}
