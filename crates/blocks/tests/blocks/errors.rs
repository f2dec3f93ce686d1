//! Every refusal, with the sentence that a user reads.

use std::borrow::Cow;

use lowbit_blocks::*;

fn refusal(result: Result<impl Sized, Error>) -> String {
    result.err().expect("refused").to_string()
}

fn of_parts(format: Format, shape: Shape, codes: usize, scales: usize) -> Result<QTensor<'static>, Error> {
    QTensor::new(format, shape, vec![0; codes], vec![0; scales], None, TensorScale::None)
}

#[test]
fn rows_that_do_not_divide() {
    assert_eq!(
        refusal(NVFP4.check(Shape::matrix(4, 1000))),
        "row of 1000 values does not divide into blocks of 16"
    );
    assert_eq!(
        refusal(of_parts(MXFP4, Shape::matrix(4, 40), 80, 4)),
        "row of 40 values does not divide into blocks of 32"
    );
    assert!(NF4.check(Shape::matrix(3, 33)).is_ok() && FP8_BLOCK.check(Shape::matrix(1, 1)).is_ok());
}

#[test]
fn parts_of_the_wrong_length() {
    let shape = Shape::matrix(4, 32);
    assert_eq!(refusal(of_parts(MXFP4, shape, 63, 4)), "codes: 63 bytes, but 4x32 in mxfp4 has 64");
    assert_eq!(refusal(of_parts(MXFP4, shape, 64, 5)), "scales: 5 bytes, but 4x32 in mxfp4 has 4");
    let zeros = Some(Cow::Owned(vec![0; 3]));
    assert_eq!(
        refusal(QTensor::new(UINT8, shape, vec![0; 128], vec![0; 16], zeros, TensorScale::None)),
        "zeros: 3 bytes, but 4x32 in uint8 has 4"
    );
    let two = TensorScale::Multiply(vec![1.0; 2]);
    assert_eq!(
        refusal(QTensor::new(NVFP4, shape, vec![0; 64], vec![0; 8], None, two)),
        "tensor scales: 2 numbers, but 4x32 in nvfp4 has 1"
    );
    let tensor = of_parts(MXFP4, shape, 64, 4).unwrap();
    assert_eq!(
        refusal(tensor.compare(Values::F32(&[0.0; 3]))),
        "values: 3 numbers, but 4x32 in mxfp4 has 128"
    );
    let encode = |values: &[f32], scales: &[f32]| {
        QTensor::encode(MXFP4, shape, Values::F32(values), scales, None, TensorScale::None)
    };
    assert_eq!(refusal(encode(&[0.0; 127], &[1.0; 4])), "values: 127 numbers, but 4x32 in mxfp4 has 128");
    assert_eq!(refusal(encode(&[0.0; 128], &[1.0; 3])), "scales: 3 numbers, but 4x32 in mxfp4 has 4");
}

/// A scale that is not there must not read as 1.
#[test]
fn parts_missing_or_too_many() {
    let shape = Shape::matrix(1, 16);
    assert_eq!(refusal(of_parts(NVFP4, shape, 8, 1)), "nvfp4 has tensor scales, but none were given");
    assert_eq!(refusal(of_parts(UINT8, shape, 16, 4)), "uint8 has zeros, but none were given");
    let zeros = Some(Cow::Owned(vec![0]));
    let one = TensorScale::Divide(vec![1.0]);
    assert_eq!(
        refusal(QTensor::new(INT8, shape, vec![0; 16], vec![0; 4], zeros, TensorScale::None)),
        "int8 has no zeros, but some were given"
    );
    assert_eq!(
        refusal(QTensor::new(INT8, shape, vec![0; 16], vec![0; 4], None, one)),
        "int8 has no tensor scales, but some were given"
    );
}

#[test]
fn the_first_value_that_is_not_finite_is_named() {
    let shape = Shape { matrices: 2, rows: 3, cols: 32 };
    for kind in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = [1.0f32; 192];
        x[96 + 64 + 5] = kind;
        x[191] = f32::NAN;
        let encode = QTensor::encode(MXFP4, shape, Values::F32(&x), &[1.0; 6], None, TensorScale::None);
        assert_eq!(refusal(encode), format!("value {kind} at matrix 1, row 2, column 5 is not finite"));
    }
    // Far apart, so that with threads the later one may be met first.
    let shape = Shape::matrix(400, 1024);
    let mut x = vec![1.0f32; 400 * 1024];
    x[399 * 1024] = f32::NAN;
    x[130 * 1024 + 7] = f32::INFINITY;
    let encode =
        QTensor::encode(MXFP4, shape, Values::F32(&x), &vec![1.0; 400 * 32], None, TensorScale::None);
    assert_eq!(refusal(encode), "value inf at matrix 0, row 130, column 7 is not finite");
}

#[test]
fn scales_that_cannot_be_stored() {
    let encode = |kind, scale| {
        let format = Format::int(8, Block::Channel).with_scale(kind);
        QTensor::encode(
            format,
            Shape::matrix(2, 1),
            Values::F32(&[1.0, 1.0]),
            &[1.0, scale],
            None,
            TensorScale::None,
        )
    };
    assert_eq!(refusal(encode(ScaleKind::F32, f32::NAN)), "scale NaN of block 1 does not fit in f32");
    assert_eq!(refusal(encode(ScaleKind::F16, 1e6)), "scale 1000000 of block 1 does not fit in f16");
    assert_eq!(refusal(encode(ScaleKind::Bf16, f32::INFINITY)), "scale inf of block 1 does not fit in bf16");
    assert_eq!(refusal(encode(ScaleKind::E8m0, -2.0)), "scale -2 of block 1 does not fit in e8m0");
    // E4M3 stops at 448; a sign is no obstacle where the type has one.
    assert_eq!(encode(ScaleKind::E4m3, 1e6).unwrap().effective_scales(0), [1.0, 448.0]);
    assert_eq!(encode(ScaleKind::E4m3, -2.0).unwrap().effective_scales(0), [1.0, -2.0]);
}

#[test]
fn tensor_scales_that_scale_nothing() {
    let encode = |tensor_scale| {
        let (shape, values) = (Shape { matrices: 2, rows: 1, cols: 16 }, [1.0f32; 32]);
        QTensor::encode(NVFP4, shape, &values, &[1.0, 1.0], None, tensor_scale)
    };
    let said = "tensor scale NaN of matrix 1 is not a number that scales";
    assert_eq!(refusal(encode(TensorScale::Multiply(vec![1.0, f32::NAN]))), said);
    let said = "tensor scale inf of matrix 0 is not a number that scales";
    assert_eq!(refusal(encode(TensorScale::Divide(vec![f32::INFINITY, 1.0]))), said);
    let said = "tensor scale 0 of matrix 0 is not a number that scales";
    assert_eq!(refusal(encode(TensorScale::Divide(vec![0.0, 1.0]))), said);
    // Zero multiplies to zeros.
    assert_eq!(encode(TensorScale::Multiply(vec![0.0, 1.0])).unwrap().to_f32_vec()[..17], {
        let mut want = [0.0; 17];
        want[16] = 1.0;
        want
    });
}

#[test]
fn fields_that_contradict_each_other() {
    let check = |format: Format| refusal(format.check(Shape::matrix(1, 1)));
    assert_eq!(
        check(Format::int(9, Block::Channel)),
        "int9-channel is not a format: integers have 1 to 8 bits"
    );
    assert_eq!(
        check(Format::int(0, Block::Channel)),
        "int0-channel is not a format: integers have 1 to 8 bits"
    );
    assert_eq!(
        check(Format::int(4, Block::Group(0))),
        "int4-g0 is not a format: a block holds at least one value"
    );
    let tile = Block::Tile { rows: 2, cols: 0 };
    assert_eq!(check(FP8.with_block(tile)), "e4m3-2x0 is not a format: a block holds at least one value");
    assert_eq!(
        check(FP8.with_zero(Zero::Int)),
        "e4m3-tensor-asym is not a format: integer zero points are for unsigned integers"
    );
    assert_eq!(
        check(MXFP4.with_zero(Zero::Bias)),
        "e2m1-g32-e8m0-bias is not a format: e8m0 cannot store a zero point or bias"
    );
}

#[test]
fn too_large_to_address() {
    assert_eq!(
        refusal(FP8.check(Shape::matrix(usize::MAX, 2))),
        format!("a tensor of {}x2 values is too large to address", usize::MAX)
    );
}
