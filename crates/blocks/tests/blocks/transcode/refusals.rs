//! What has no image is refused, and the reason says what.

use lowbit_blocks::transcode::Route;
use lowbit_blocks::{
    Block, Element, Error, FP8, FP8_BLOCK, Format, INT8, MXFP4, MXFP8, NVFP4, Outer, QTensor, ScaleKind,
    Shape, TensorScale, UINT8, Zero,
};

use super::{counting, named, refused, stored};

fn power(exponent: i32) -> f32 {
    2f32.powi(exponent)
}

#[track_caller]
fn says(from: &QTensor<'_>, to: Format, text: &str) {
    assert_eq!(refused(from, to).to_string(), text);
}

#[test]
fn codes_without_an_image() {
    let shape = Shape::matrix(1, 32);
    says(&counting(MXFP4, shape, &[1.0]), named("int8-g32"), "no code of int8 is -0, which e2m1 has");
    says(&counting(MXFP8, shape, &[1.0]), MXFP4, "no code of e2m1 is 0.009765625, which e4m3 has");
    says(&counting(INT8, shape, &[1.0]), named("int7-channel"), "no code of int7 is 64, which int8 has");
    says(&counting(named("nf4"), shape, &[1.0]), FP8, "no code of e4m3 is -0.6961928, which nf4 has");
    let error = counting(MXFP8, shape, &[1.0]).transcode(MXFP4, false).unwrap_err();
    assert_eq!(error.to_string(), "mxfp8 into mxfp4: no code of e2m1 is 0.009765625, which e4m3 has");
}

fn uint8(zero: u8) -> QTensor<'static> {
    let codes: Vec<u8> = (0..=255).collect();
    let scales = stored(ScaleKind::F32, &[1.0]);
    QTensor::new(UINT8, Shape::matrix(1, 256), codes, scales, Some(vec![zero].into()), TensorScale::None)
        .unwrap()
}

#[test]
fn zero_points_without_an_image() {
    says(&uint8(127), INT8, "no code of int8 is 128, which uint8 has");
    let float = UINT8.with_scale(ScaleKind::E4m3).with_zero(Zero::Float);
    says(&uint8(17), float, "zero point or bias 17 has no image");
    // -3 / 0.7 is no integer.
    let biased = |scale, bias| {
        let format = UINT8.with_zero(Zero::Bias);
        let (scales, zeros) = (stored(ScaleKind::F32, &[scale]), stored(ScaleKind::F32, &[bias]));
        let codes: Vec<u8> = (0..=255).collect();
        QTensor::new(format, Shape::matrix(1, 256), codes, scales, Some(zeros.into()), TensorScale::None)
            .unwrap()
    };
    says(&biased(0.7, -3.0), UINT8, "zero point or bias -3 has no image");
    says(&biased(0.7, -3.0), INT8, "zero point or bias -3 has no image");
    // -3 * 0.7 is rounded, and so is code * 0.7: not the same sums.
    says(&biased(0.7, -3.0 * 0.7), UINT8, "zero point or bias -2.1 has no image");
    says(&biased(1.0, 256.0), UINT8, "zero point or bias 256 has no image");
}

#[test]
fn blocks_that_cannot_be_joined() {
    let two = |from: Format, scales: &[f32]| counting(from, Shape::matrix(2, 32), scales);
    let fp8_channel = FP8.with_block(Block::Channel);
    says(
        &two(fp8_channel, &[1.0, 2.0]),
        FP8,
        "scales that meet in one block span 1 binades, more than codes can be shifted",
    );
    says(
        &two(fp8_channel, &[1.0, 3.0]),
        FP8,
        "scales that meet in one block differ by more than a power of two",
    );
    says(
        &two(fp8_channel, &[1.0, f32::NAN]),
        FP8,
        "a scale that is no positive number meets another one in one block",
    );
    says(&two(INT8, &[1.0, 0.0]), named("int8-tensor"), "a scale of zero has no image");
    says(
        &two(named("e2m1-channel"), &[1.0, power(15)]),
        FP8_BLOCK,
        "scales that meet in one block span 15 binades, more than codes can be shifted",
    );
    let zeros = Some(vec![7, 8].into());
    let scales = stored(ScaleKind::F32, &[1.0, 1.0]);
    let tensor =
        QTensor::new(UINT8, Shape::matrix(2, 1), vec![0, 1], scales, zeros, TensorScale::None).unwrap();
    says(&tensor, named("uint8-tensor"), "zero points 7 and 8 meet in one block");
}

#[test]
fn scales_out_of_reach() {
    let two = |scales: &[f32]| counting(MXFP4, Shape::matrix(1, 64), scales);
    says(
        &two(&[power(9), power(-9)]),
        NVFP4,
        "scales up to 5.12e2, down to a last bit of 2^-9, of 1 binary digits: more than e4m3 holds",
    );
    let int4 = |scale| Format::int(4, Block::Group(32)).with_scale(scale);
    let bf16 = |scales: &[f32]| counting(int4(ScaleKind::Bf16), Shape::matrix(1, 64), scales);
    says(&bf16(&[1.0, 131072.0]), int4(ScaleKind::F16), "scale 1.31072e5 is beyond f16");
    says(&bf16(&[1.0, -1.0]), int4(ScaleKind::E8m0), "scale -1e0 is beyond e8m0");
    says(&bf16(&[1.0, 0.0]), int4(ScaleKind::E8m0), "a scale of zero has no image");
    let two_levels = int4(ScaleKind::E4m3).with_outer(Outer::Matrix);
    assert!(refused(&bf16(&[1.0, 1.0078125]), two_levels).to_string().contains("of 8 binary digits"));
}

#[test]
fn tensor_scales_without_a_reciprocal() {
    for t in [0.0, f32::INFINITY, f32::NAN, f32::from_bits(1)] {
        let shape = Shape::matrix(1, 16);
        let tensor =
            QTensor::new(NVFP4, shape, vec![0; 8], vec![0x38], None, TensorScale::Divide(vec![t])).unwrap();
        says(&tensor, NVFP4, &format!("tensor scale {t:e} has no reciprocal"));
        // In the same direction it stays what it is.
        assert_eq!(
            tensor.transcode(NVFP4, true).unwrap().0.tensor_scale().stored()[0].to_bits(),
            t.to_bits()
        );
    }
    let bias = NVFP4.with_element(Element::Uint { bits: 4 }).with_zero(Zero::Bias);
    let zeros = Some(vec![0x38].into());
    let scale = TensorScale::Divide(vec![1.0]);
    let tensor = QTensor::new(bias, Shape::matrix(1, 16), vec![0; 8], vec![0x38], zeros, scale).unwrap();
    says(
        &tensor,
        bias.with_zero(Zero::Float),
        "tensor scales have to stay as they are where zero points change",
    );
}

#[test]
fn shapes_that_do_not_fit() {
    let tensor = counting(INT8, Shape::matrix(1, 48), &[1.0]);
    assert_eq!(tensor.transcode(MXFP4, false).unwrap_err(), Error::RaggedRow { cols: 48, block: 32 });
    let scale = TensorScale::Multiply(vec![1.0]);
    let error = Route::new(INT8, NVFP4, Shape::matrix(1, 48), &scale, false).unwrap_err();
    assert!(matches!(error, Error::Part { part: "tensor scales", wanted: false, .. }));
    // No values, and a scale for each of so many matrices: nothing justifies the memory.
    let empty = Shape { matrices: 1 << 40, rows: 0, cols: 32 };
    let error = Route::new(MXFP4, NVFP4, empty, &TensorScale::None, false).unwrap_err();
    assert_eq!(error, Error::TooLarge { shape: empty });
}

#[test]
#[should_panic(expected = "0 rows observed of 2")]
fn a_plan_without_facts_is_the_callers_mistake() {
    let route = Route::new(MXFP4, NVFP4, Shape::matrix(2, 32), &TensorScale::None, false).unwrap();
    let _ = route.plan(&route.facts());
}
