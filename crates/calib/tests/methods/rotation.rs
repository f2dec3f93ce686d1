//! Hadamard rotations: orthogonal in every size, and what they are for.

use crate::support::normal::normal;
use lowbit_blocks::{MXFP4, Shape};
use lowbit_calib::{Error, Recipe, Rotation, ScaleRule};

#[test]
fn every_size_is_orthogonal_with_entries_of_one_magnitude() {
    for block in [1, 2, 4, 12, 16, 20, 24, 28, 32, 40, 56, 96, 128] {
        for rotation in
            [Rotation::new(block).unwrap(), Rotation::new(block).unwrap().with_signs(block as u64)]
        {
            // Rows of T^T: the images of the unit vectors.
            let mut images = vec![0.0f32; block * block];
            (0..block).for_each(|i| images[i * block + i] = 1.0);
            let unit = images.clone();
            rotation.rows(&mut images).unwrap();
            let entry = 1.0 / (block as f32).sqrt();
            assert!(images.iter().all(|x| (x.abs() - entry).abs() < 1e-7), "{block}");
            for (i, j) in (0..block).flat_map(|i| (0..block).map(move |j| (i, j))) {
                let row = |i: usize| images[i * block..][..block].iter();
                let dot: f64 = row(i).zip(row(j)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-6, "{block}: {i} {j} {dot}");
            }
            rotation.invert_rows(&mut images).unwrap();
            assert!(images.iter().zip(&unit).all(|(a, b)| (a - b).abs() < 1e-6), "{block}");
        }
    }
    let random = |seed| Rotation::new(64).unwrap().with_signs(seed);
    assert_eq!(random(1), random(1));
    assert_ne!(random(1), random(2));
}

#[test]
fn columns_are_rows_of_the_transposed() {
    let (rows, columns) = (24, 5);
    let rotation = Rotation::new(12).unwrap().with_signs(3);
    let weight = normal(1, rows * columns);
    let turn = |w: &[f32], rows: usize, columns: usize| -> Vec<f32> {
        (0..columns).flat_map(|c| (0..rows).map(move |r| w[r * columns + c])).collect()
    };
    let mut by_rows = turn(&weight, rows, columns);
    rotation.rows(&mut by_rows).unwrap();
    let mut by_columns = weight;
    rotation.columns(&mut by_columns, columns).unwrap();
    assert_eq!(by_columns, turn(&by_rows, columns, rows));
}

#[test]
fn sizes_and_lengths_that_do_not_fit_are_errors() {
    for block in [0, 3, 6, 10, 36, 44] {
        assert!(matches!(Rotation::new(block), Err(Error::Option { .. })), "{block}");
    }
    let rotation = Rotation::new(8).unwrap();
    assert_eq!(rotation.rows(&mut [0.0; 12]), Err(Error::Tokens { values: 12, features: 8 }));
    assert!(rotation.columns(&mut [0.0; 12], 1).is_err() && rotation.columns(&mut [], 0).is_err());
}

#[test]
fn a_block_of_mxfp4_with_an_outlier_gains_decibels() {
    let mut weight = normal(9, 64 * 128);
    weight.iter_mut().step_by(32).for_each(|w| *w *= 20.0);
    let recipe = Recipe::new(MXFP4).unwrap().with_scale_rule(ScaleRule::Mse).unwrap();
    let mse = |w: &[f32]| {
        let q = recipe.quantize(Shape::matrix(64, 128), w).unwrap();
        q.compare(w).unwrap().mse
    };
    let before = mse(&weight);
    Rotation::new(32).unwrap().with_signs(1).rows(&mut weight).unwrap();
    let gain = 10.0 * (before / mse(&weight)).log10();
    assert!(gain > 1.0, "{gain} dB");
}
