//! Tile by tile is the same as all at once.

use lowbit_blocks::transcode::{Exactness, Route, StoredRows};
use lowbit_blocks::{Format, MXFP4, NVFP4, QTensor, Shape, TensorScale};
use proptest::prelude::*;

use super::pairs::pair;
use super::{counting, exact};

/// Rows of a tile in both formats.
fn tiles(route: &Route, shape: Shape, quanta: usize) -> Vec<(usize, std::ops::Range<usize>)> {
    let step = route.row_quantum().saturating_mul(quanta).min(shape.rows.max(1));
    (0..shape.matrices)
        .flat_map(|matrix| {
            (0..shape.rows).step_by(step).map(move |row| (matrix, row..(row + step).min(shape.rows)))
        })
        .collect()
}

fn part<'a>(tile: &'a QTensor<'_>, codes: bool) -> StoredRows<'a> {
    StoredRows {
        rows: tile.shape().rows,
        scales: tile.scales(),
        zeros: tile.zeros().unwrap_or_default(),
        codes: codes.then_some(tile.codes()),
    }
}

fn check(from: &QTensor<'_>, to: Format, divide: bool, quanta: usize) -> Result<(), TestCaseError> {
    let shape = from.shape();
    let Ok(route) = Route::new(from.format(), to, shape, from.tensor_scale(), divide) else {
        prop_assert!(from.transcode(to, divide).is_err());
        return Ok(());
    };
    let tiles = tiles(&route, shape, quanta);
    let observed = |codes: bool| {
        // In two halves, as two threads would.
        let mut halves = [route.facts(), route.facts()];
        for (index, (matrix, rows)) in tiles.iter().enumerate() {
            let tile = from.rows(*matrix, rows.clone());
            route.observe(&mut halves[index % 2], *matrix, part(&tile, codes));
        }
        let [mut one, other] = halves;
        one.merge(&other);
        one
    };
    let (mut facts, blind) = (observed(true), observed(false));
    prop_assert!(!route.wants_codes(&facts));
    let whole = from.transcode(to, divide);
    if !route.wants_codes(&blind) {
        // The codes would not have told more.
        prop_assert_eq!(route.plan(&blind).is_ok(), whole.is_ok());
        if let (Ok(blind), Ok((_, exactness))) = (route.plan(&blind), &whole) {
            prop_assert_eq!(blind.exactness(), *exactness);
            facts = observed(false);
        }
    }
    let (plan, (whole, exactness)) = match (route.plan(&facts), whole) {
        (Ok(plan), Ok(whole)) => (plan, whole),
        (plan, whole) => {
            prop_assert_eq!(plan.is_err(), whole.is_err());
            return Ok(());
        }
    };
    prop_assert_eq!(plan.exactness(), exactness);
    prop_assert_eq!(plan.tensor_scale(), whole.tensor_scale());
    for (matrix, rows) in tiles {
        let tile = from.rows(matrix, rows.clone());
        prop_assert_eq!(plan.rows(matrix, &tile).unwrap(), whole.rows(matrix, rows));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 700, max_shrink_iters: 1000, ..ProptestConfig::default() })]

    #[test]
    fn tiles_are_rows_of_the_whole((from, to) in pair(), divide in any::<bool>(), quanta in 1usize..4) {
        check(&from, to, divide, quanta)?;
    }
}

#[test]
fn codes_are_asked_for_only_where_zeros_may_help() {
    let scales = |up: u8| vec![127, 127 + up];
    let route = Route::new(MXFP4, NVFP4, Shape::matrix(1, 64), &TensorScale::None, false).unwrap();
    let observed = |up: u8, codes: Option<&[u8]>| {
        let mut facts = route.facts();
        route.observe(&mut facts, 0, StoredRows { rows: 1, scales: &scales(up), zeros: &[], codes });
        facts
    };
    assert!(!route.wants_codes(&observed(17, None)));
    assert!(route.wants_codes(&observed(18, None)));
    let (ones, zeros) = ([0x22; 32], [[0x22; 16], [0x80; 16]].concat());
    assert!(route.plan(&observed(18, Some(&ones))).is_err());
    assert_eq!(route.plan(&observed(18, Some(&zeros))).unwrap().exactness(), Exactness::Exact);
}

#[test]
fn tensors_that_share_a_tensor_scale_merge_their_facts() {
    let shape = Shape::matrix(1, 32);
    let tensors = [1.0, 2f32.powi(10)].map(|scale| counting(MXFP4, shape, &[scale]));
    let route = Route::new(MXFP4, NVFP4, shape, &TensorScale::None, false).unwrap();
    let mut facts = route.facts();
    tensors.iter().for_each(|tensor| route.observe_rows(&mut facts, 0, tensor));
    let plan = route.plan(&facts).unwrap();
    assert_eq!(plan.tensor_scale(), &TensorScale::Multiply(vec![4.0]));
    for tensor in &tensors {
        let rows = plan.rows(0, tensor).unwrap();
        assert_eq!(rows.to_f32_vec(), tensor.to_f32_vec());
    }
    // By itself, the first would have had a tensor scale of 1.
    assert_eq!(exact(&tensors[0], NVFP4, false).tensor_scale(), &TensorScale::Multiply(vec![1.0]));
}

#[test]
fn rows_that_were_not_observed_are_refused() {
    let shape = Shape::matrix(1, 64);
    let tensor = counting(MXFP4, shape, &[1.0, 1.0]);
    let route = Route::new(MXFP4, NVFP4, shape, &TensorScale::None, false).unwrap();
    let mut facts = route.facts();
    route.observe_rows(&mut facts, 0, &tensor);
    let plan = route.plan(&facts).unwrap();
    let other = counting(MXFP4, shape, &[1.0, 2f32.powi(30)]);
    assert_eq!(
        plan.rows(0, &other).unwrap_err().to_string(),
        "mxfp4 into nvfp4: scale 1.0737418e9 is beyond e4m3"
    );
}

/// Nothing is copied where nothing changes.
#[test]
fn bytes_that_stay_are_borrowed() {
    let shape = Shape::matrix(4, 64);
    let codes = vec![0x77; NVFP4.codes_len(shape)];
    let scales = vec![0x7e; NVFP4.scales_len(shape)];
    let tensor = QTensor::new(NVFP4, shape, codes, scales, None, TensorScale::Divide(vec![3.0])).unwrap();
    let route = Route::new(NVFP4, NVFP4, shape, tensor.tensor_scale(), false).unwrap();
    assert!(!route.needs_facts());
    let plan = route.plan(&route.facts()).unwrap();
    let rows = plan.rows(0, &tensor).unwrap();
    assert_eq!(
        (rows.codes().as_ptr(), rows.scales().as_ptr()),
        (tensor.codes().as_ptr(), tensor.scales().as_ptr())
    );
    assert!(matches!(plan.exactness(), Exactness::TensorScaleRounded { .. }));
}
