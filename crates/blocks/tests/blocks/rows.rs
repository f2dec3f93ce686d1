//! Rows, matrices and views equal the same part of the whole, and borrow rather than copy.

use lowbit_blocks::{Block, QTensor, Shape, Values};
use proptest::prelude::*;

use crate::cases::{case, large, noise};
use crate::round_trip::{bits, encode};

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// Every range of rows of every matrix, blocks and bytes notwithstanding.
    #[test]
    fn any_rows_are_those_of_the_whole(case in case()) {
        let tensor = encode(&case, Values::F32(&noise(case.shape.len().unwrap())));
        let whole = tensor.to_f32_vec();
        let Shape { matrices, rows, cols } = case.shape;
        for matrix in 0..matrices {
            for (start, end) in (0..=rows).flat_map(|start| (start..=rows).map(move |end| (start, end))) {
                let mut out = vec![f32::NAN; (end - start) * cols];
                tensor.dequantize_rows(matrix, start..end, &mut out);
                let first = (matrix * rows + start) * cols;
                prop_assert_eq!(bits(&out), bits(&whole[first..first + out.len()]), "matrix {} rows {}..{}", matrix, start, end);
            }
        }
    }

    /// Row quanta cut a tensor into tensors: same values, and their bytes put together are the bytes of the whole.
    #[test]
    fn row_quanta_are_tensors_of_their_own(case in case()) {
        let tensor = encode(&case, Values::F32(&noise(case.shape.len().unwrap())));
        let (format, shape) = (case.format, case.shape);
        let quantum = format.row_quantum(shape.cols);
        let (mut codes, mut scales, mut zeros) = (Vec::new(), Vec::new(), Vec::new());
        for matrix in 0..shape.matrices {
            for start in (0..shape.rows).step_by(quantum) {
                let part = tensor.rows(matrix, start..(start + quantum).min(shape.rows));
                let again = QTensor::new(
                    format, part.shape(), part.codes(), part.scales(), part.zeros().map(Into::into), part.tensor_scale().clone(),
                );
                prop_assert_eq!(again, Ok(part.clone()));
                let mut want = vec![0.0; part.len()];
                tensor.dequantize_rows(matrix, start..start + part.shape().rows, &mut want);
                prop_assert_eq!(bits(&part.to_f32_vec()), bits(&want));
                codes.extend_from_slice(part.codes());
                if format.block != Block::Tensor || start == 0 {
                    scales.extend_from_slice(part.scales());
                    zeros.extend_from_slice(part.zeros().unwrap_or_default());
                }
            }
        }
        if shape.rows > 0 {
            prop_assert_eq!(&codes, tensor.codes());
            prop_assert_eq!(&scales, tensor.scales());
            prop_assert_eq!(&zeros, tensor.zeros().unwrap_or_default());
        }
    }
}

#[test]
fn rows_of_tensors_of_many_tiles_are_those_of_the_whole() {
    for case in large() {
        let tensor = encode(&case, Values::F32(&noise(case.shape.len().unwrap())));
        let whole = tensor.to_f32_vec();
        let Shape { matrices, rows, cols } = case.shape;
        let last = matrices - 1;
        for range in [0..1, 1..2, 2..rows, rows - 1..rows, 0..rows] {
            let mut out = vec![f32::NAN; range.len() * cols];
            tensor.dequantize_rows(last, range.clone(), &mut out);
            let first = (last * rows + range.start) * cols;
            assert_eq!(bits(&out), bits(&whole[first..first + out.len()]), "{} rows {range:?}", case.format);
        }
        let matrix = tensor.matrix(last);
        assert_eq!(bits(&matrix.to_f32_vec()), bits(&whole[last * rows * cols..]), "{}", case.format);
    }
}

#[test]
fn views_borrow_and_owning_copies() {
    let tensor = encode(&large()[0], Values::F32(&noise(2 * 70 * 1024)));
    let inside = |part: &[u8], whole: &[u8]| whole.as_ptr_range().contains(&part.as_ptr());
    for view in [tensor.borrow(), tensor.matrix(1), tensor.rows(1, 3..5)] {
        assert!(inside(view.codes(), tensor.codes()) && inside(view.scales(), tensor.scales()));
        let owned = view.clone().into_owned();
        assert!(!inside(owned.codes(), tensor.codes()) && !inside(owned.scales(), tensor.scales()));
        assert_eq!(owned, view);
    }
}

#[test]
#[should_panic(expected = "rows 1..3 of 130 are not whole quanta of 128")]
fn a_view_of_half_a_tile_panics() {
    let format = lowbit_blocks::FP8_BLOCK;
    let shape = Shape::matrix(130, 4);
    let tensor =
        QTensor::new(format, shape, vec![0; 520], vec![0; 8], None, lowbit_blocks::TensorScale::None)
            .unwrap();
    let _ = tensor.rows(0, 1..3);
}

#[test]
#[should_panic(expected = "values in 2x32")]
fn an_output_of_the_wrong_length_panics() {
    let tensor = QTensor::new(
        lowbit_blocks::MXFP4,
        Shape::matrix(2, 32),
        vec![0; 32],
        vec![0; 2],
        None,
        lowbit_blocks::TensorScale::None,
    );
    tensor.unwrap().dequantize(&mut [0.0; 63]);
}
