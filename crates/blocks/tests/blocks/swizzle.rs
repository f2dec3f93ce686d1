//! Swizzles: a bijection onto the padded buffer, both ways inverse, equal to the permutation of axes that defines them.

use lowbit_blocks::Shape;
use lowbit_blocks::swizzle::Swizzle;
use proptest::prelude::*;
use proptest::sample::select;

const BOTH: [Swizzle; 2] = [Swizzle::Rows128, Swizzle::Rows8];

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn there_and_back(
        swizzle in select(&BOTH[..]), matrices in 0usize..4, rows in 0usize..300, cols in 0usize..20,
    ) {
        let grid = Shape { matrices, rows, cols };
        let linear: Vec<u8> = (0..grid.len().unwrap()).map(|i| (i % 251) as u8 + 1).collect();
        let mut swizzled = vec![0xaa; swizzle.padded_len(grid)];
        swizzle.swizzle(grid, &linear, &mut swizzled);
        let mut back = vec![0; linear.len()];
        swizzle.unswizzle(grid, &swizzled, &mut back);
        prop_assert_eq!(&back, &linear);
        // No scale is zero, so exactly the padding is.
        prop_assert_eq!(swizzled.iter().filter(|&&byte| byte == 0).count(), swizzled.len() - linear.len());
    }
}

/// 128x4 is `x.reshape(M/128, 4, 32, K/4, 4).permute(0, 3, 2, 1, 4)` of the padded grid.
#[test]
fn rows128_is_the_permutation_of_five_axes() {
    let (rows, cols) = (384, 12);
    let mut want = Vec::new();
    for tile_row in 0..rows / 128 {
        for tile_col in 0..cols / 4 {
            for row in 0..32 {
                for band in 0..4 {
                    for col in 0..4 {
                        want.push(((tile_row * 4 + band) * 32 + row, tile_col * 4 + col));
                    }
                }
            }
        }
    }
    for (offset, (row, col)) in want.into_iter().enumerate() {
        assert_eq!(Swizzle::Rows128.offset(cols, row, col), offset, "row {row}, column {col}");
    }
}

#[test]
fn rows8_is_row_major_tiles() {
    let (rows, cols) = (24, 12);
    let tiles = (0..rows / 8).flat_map(|tile_row| (0..cols / 4).map(move |tile_col| (tile_row, tile_col)));
    let want = tiles
        .flat_map(|(r, c)| (0..8).flat_map(move |row| (0..4).map(move |col| (r * 8 + row, c * 4 + col))));
    for (offset, (row, col)) in want.enumerate() {
        assert_eq!(Swizzle::Rows8.offset(cols, row, col), offset, "row {row}, column {col}");
    }
}

/// Every offset of a padded grid is hit once, whatever its number of columns.
#[test]
fn offsets_are_a_bijection() {
    for swizzle in BOTH {
        for cols in [1, 3, 4, 5, 8, 11] {
            let rows = 2 * swizzle.tile_rows();
            let padded = swizzle.padded_len(Shape::matrix(rows, cols));
            let mut hit = vec![false; padded];
            let padded_cols = padded / rows;
            for (row, col) in (0..rows).flat_map(|row| (0..padded_cols).map(move |col| (row, col))) {
                let offset = swizzle.offset(cols, row, col);
                assert!(!std::mem::replace(&mut hit[offset], true), "{swizzle:?} hits {offset} twice");
            }
            assert!(hit.iter().all(|&hit| hit));
        }
    }
}

#[test]
fn absurd_grids_do_not_overflow() {
    let all = usize::MAX;
    for swizzle in BOTH {
        assert_eq!(swizzle.padded_len(Shape { matrices: all, rows: all, cols: all }), all);
        assert_eq!(swizzle.padded_len(Shape::matrix(all, 1)), all);
    }
}
