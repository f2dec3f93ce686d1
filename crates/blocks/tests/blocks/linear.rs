//! The linear layer: parts that fit, parts that do not, and the weight they amount to.

use std::borrow::Cow;

use lowbit_blocks::{INT8, QLinear, QTensor, Shape, TensorScale};

fn linear() -> QLinear<'static> {
    let scales = [1.0f32, 0.5].map(f32::to_le_bytes).concat();
    let codes = vec![1, 2, 3, 10, 20, 30];
    QLinear::from(QTensor::new(INT8, Shape::matrix(2, 3), codes, scales, None, TensorScale::None).unwrap())
}

#[test]
fn effective_weight_undoes_permutation_and_scale() {
    let mut layer = linear();
    assert_eq!(layer.effective_weight(), [1.0, 2.0, 3.0, 5.0, 10.0, 15.0]);
    layer.perm = Some(Cow::Borrowed(&[1, 2, 0]));
    assert_eq!(layer.effective_weight(), [3.0, 1.0, 2.0, 15.0, 5.0, 10.0]);
    layer.pre_quant_scale = Some(Cow::Borrowed(&[2.0, 1.0, 0.5]));
    assert_eq!(layer.check(), Ok(()));
    assert_eq!(layer.effective_weight(), [6.0, 1.0, 1.0, 30.0, 5.0, 5.0]);

    // The formula of the module: y = sum W[i][j] * (x * pre_quant_scale)[perm[j]] is the plain product with that weight.
    let x = [4.0f32, -1.0, 8.0];
    let stored = layer.weight.to_f32_vec();
    let (perm, scale) = (layer.perm.as_ref().unwrap(), layer.pre_quant_scale.as_ref().unwrap());
    for (row, plain) in stored.chunks(3).zip(layer.effective_weight().chunks(3)) {
        let y: f32 = row.iter().zip(perm.iter()).map(|(w, &j)| w * (x[j as usize] * scale[j as usize])).sum();
        assert_eq!(y, plain.iter().zip(&x).map(|(w, x)| w * x).sum::<f32>());
    }
}

#[test]
fn parts_that_do_not_fit() {
    let refusal = |layer: &QLinear<'_>| layer.check().unwrap_err().to_string();
    let perm = |perm: &[u32]| QLinear { perm: Some(Cow::Owned(perm.to_vec())), ..linear() };
    assert_eq!(refusal(&perm(&[0, 1])), "perm: 2 entries, but the weight has 3 columns");
    assert_eq!(refusal(&perm(&[0, 1, 1])), "perm: entry 2 is 1, which is there already");
    assert_eq!(refusal(&perm(&[0, 3, 1])), "perm: entry 1 is 3, which is past the last column");
    let scaled = QLinear { pre_quant_scale: Some(Cow::Borrowed(&[1.0])), ..linear() };
    assert_eq!(refusal(&scaled), "pre_quant_scale: 1 entries, but the weight has 3 columns");
    let biased = QLinear { bias: Some(Cow::Borrowed(&[1.0; 3])), ..linear() };
    assert_eq!(refusal(&biased), "bias: 3 entries, but the weight has 2 rows");
}

#[test]
fn borrowing_copies_nothing() {
    let layer = QLinear {
        perm: Some(Cow::Owned(vec![0, 2, 1])),
        bias: Some(Cow::Owned(vec![1.0, 2.0])),
        input_scale: Some(0.5),
        ..linear()
    };
    let view = layer.borrow();
    assert_eq!(view.weight.codes().as_ptr(), layer.weight.codes().as_ptr());
    assert_eq!(view.perm.as_ref().unwrap().as_ptr(), layer.perm.as_ref().unwrap().as_ptr());
    assert_eq!(view, layer);
    assert_eq!(view.into_owned(), layer);
}
