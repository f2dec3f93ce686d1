//! Encode and dequantize equal the oracle, bit for bit, for every format and ragged shapes.

use half::{bf16, f16};
use lowbit_blocks::{FORMATS, QTensor, TensorScale, Values};
use lowbit_kernels::Kernels;
use proptest::prelude::*;

use crate::cases::{Case, case, format, large, noise, shape, values};
use crate::oracle::Oracle;

/// Bits of each value, all NaNs alike.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

pub(crate) fn encode(case: &Case, values: Values<'_>) -> QTensor<'static> {
    let Case { format, shape, scales, zeros, tensor_scale } = case;
    QTensor::encode(*format, *shape, values, scales, zeros.as_deref(), tensor_scale.clone()).unwrap()
}

pub(crate) fn oracle<'a>(tensor: &'a QTensor<'_>) -> Oracle<'a> {
    Oracle {
        format: tensor.format(),
        shape: tensor.shape(),
        scales: tensor.scales(),
        zeros: tensor.zeros().unwrap_or_default(),
        tensor_scale: tensor.tensor_scale(),
    }
}

fn check(case: &Case, x: &[f32]) {
    let tensor = encode(case, x.into());
    let about = format!("{} {}", case.format, case.shape);
    assert_eq!(tensor.codes(), oracle(&tensor).encode(x), "codes of {about}");
    assert_eq!(
        bits(&tensor.to_f32_vec()),
        bits(&oracle(&tensor).decode(tensor.codes())),
        "values of {about}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn encode_and_dequantize_are_the_oracle(
        (case, x) in case().prop_flat_map(|case| {
            let len = case.shape.len().unwrap();
            (Just(case), values(len))
        })
    ) {
        check(&case, &x);
    }

    /// Bytes as a file could hold them: any codes, NaN scales, any zero points.
    #[test]
    fn any_bytes_dequantize_as_the_oracle_says(
        (tensor, _) in format().prop_flat_map(|format| shape(format).prop_map(move |shape| (format, shape)))
            .prop_flat_map(|(format, shape)| {
                let bytes = |n| proptest::collection::vec(any::<u8>(), n);
                let parts = (
                    bytes(format.codes_len(shape)),
                    bytes(format.scales_len(shape)),
                    bytes(format.zeros_len(shape)),
                    proptest::collection::vec(any::<f32>(), shape.matrices),
                );
                parts.prop_map(move |(codes, scales, zeros, tensor_scale)| {
                    let zeros = format.has_zeros().then_some(zeros.into());
                    let tensor_scale =
                        if format.has_tensor_scale() { TensorScale::Multiply(tensor_scale) } else { TensorScale::None };
                    (QTensor::new(format, shape, codes, scales, zeros, tensor_scale).unwrap(), ())
                })
            })
    ) {
        prop_assert_eq!(bits(&tensor.to_f32_vec()), bits(&oracle(&tensor).decode(tensor.codes())));
    }
}

#[test]
fn tensors_of_many_tiles_are_the_oracle() {
    for case in large() {
        check(&case, &noise(case.shape.len().unwrap()));
    }
}

#[test]
fn every_named_format_is_the_oracle_on_two_matrices() {
    for (name, format) in FORMATS {
        let shape = lowbit_blocks::Shape { matrices: 2, rows: 130, cols: 256 };
        let scales: Vec<f32> =
            noise(2 * format.scales_per_matrix(shape)).iter().map(|x| x.abs() + 0.5).collect();
        let zeros = format.has_zeros().then(|| vec![7; format.zeros_len(shape)]);
        let tensor_scale =
            if format.has_tensor_scale() { TensorScale::Multiply(vec![0.5, 3.0]) } else { TensorScale::None };
        let case = Case { format: *format, shape, scales, zeros, tensor_scale };
        assert_eq!(Some(*format), lowbit_blocks::Format::named(name));
        check(&case, &noise(shape.len().unwrap()));
    }
}

#[test]
fn every_kernel_level_gives_the_same_tensor() {
    for case in large() {
        let x = noise(case.shape.len().unwrap());
        let tensor = encode(&case, (&x[..]).into());
        let values = bits(&tensor.to_f32_vec());
        for kernels in Kernels::available() {
            let about = format!("{} {} at {}", case.format, case.shape, kernels.name());
            let Case { format, shape, scales, zeros, tensor_scale } = &case;
            let x = Values::F32(&x);
            let same = QTensor::encode_with(
                kernels,
                *format,
                *shape,
                x,
                scales,
                zeros.as_deref(),
                tensor_scale.clone(),
            );
            assert_eq!(same.unwrap(), tensor, "{about}");
            let mut out = vec![0.0; values.len()];
            tensor.dequantize_with(kernels, &mut out);
            assert_eq!(bits(&out), values, "{about}");
        }
    }
}

#[test]
fn half_inputs_encode_like_their_f32_values() {
    for case in large() {
        let wide = noise(case.shape.len().unwrap());
        let x: Vec<f16> = wide.iter().map(|&x| f16::from_f32(x)).collect();
        let same: Vec<f32> = x.iter().map(|x| x.to_f32()).collect();
        assert_eq!(encode(&case, Values::F16(&x)), encode(&case, Values::F32(&same)), "f16 {}", case.format);
        let x: Vec<bf16> = wide.iter().map(|&x| bf16::from_f32(x)).collect();
        let same: Vec<f32> = x.iter().map(|x| x.to_f32()).collect();
        assert_eq!(
            encode(&case, Values::Bf16(&x)),
            encode(&case, Values::F32(&same)),
            "bf16 {}",
            case.format
        );
    }
}

#[test]
fn half_outputs_are_the_f32_values_rounded() {
    for case in large() {
        let tensor = encode(&case, Values::F32(&noise(case.shape.len().unwrap())));
        let wide = tensor.to_f32_vec();
        let mut half = vec![f16::ZERO; wide.len()];
        tensor.dequantize_f16(&mut half);
        let want: Vec<u16> = wide.iter().map(|&x| f16::from_f32(x).to_bits()).collect();
        assert_eq!(half.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), want, "f16 {}", case.format);
        let mut brain = vec![bf16::ZERO; wide.len()];
        tensor.dequantize_bf16(&mut brain);
        let want: Vec<u16> = wide.iter().map(|&x| bf16::from_f32(x).to_bits()).collect();
        assert_eq!(brain.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), want, "bf16 {}", case.format);
    }
}

/// A block whose scale is zero holds zeros, not the saturated codes of an infinite quotient.
#[test]
fn a_zero_scale_encodes_zeros() {
    let x = [1.0f32, -1.0, 0.0, 5.0];
    let int4 = lowbit_blocks::Format::int(4, lowbit_blocks::Block::Channel);
    let shape = lowbit_blocks::Shape::matrix(1, 4);
    let tensor = QTensor::encode(int4, shape, Values::F32(&x), &[0.0], None, TensorScale::None).unwrap();
    assert_eq!((tensor.codes(), tensor.to_f32_vec()), (&[0, 0][..], vec![0.0; 4]));
}
