//! Each rule by which numbers have images, with bytes that can be checked by hand.

use lowbit_blocks::transcode::Exactness;
use lowbit_blocks::{
    Block, Element, FP8, FP8_BLOCK, Format, INT8, MXFP4, MXFP6_E2M3, MXFP6_E3M2, MXFP8, MXFP8_E5M2, MXINT8,
    NF4, NVFP4, QTensor, ScaleKind, Shape, TensorScale, Zero,
};

use super::{counting, exact, named, stored, there_and_back};

fn power(exponent: i32) -> f32 {
    2f32.powi(exponent)
}

#[test]
fn the_same_format_is_the_same_bytes() {
    let mxfp4 = counting(MXFP4, Shape::matrix(3, 64), &[1.0, f32::NAN, 0.25, 4.0, power(-127), power(127)]);
    assert_eq!(exact(&mxfp4, MXFP4, false), mxfp4);
    // -0 nibbles and NaN codes.
    let fp8 = counting(FP8, Shape::matrix(5, 77), &[f32::INFINITY]);
    assert_eq!(exact(&fp8, FP8, false), fp8);
}

#[test]
fn elements_widen_under_the_same_scales() {
    let shape = Shape::matrix(2, 64);
    let mxfp4 = counting(MXFP4, shape, &[1.0, 8.0, 0.25, power(-127)]);
    for wider in [MXFP6_E3M2, MXFP6_E2M3, MXFP8, MXFP8_E5M2] {
        assert_eq!(there_and_narrower(&mxfp4, wider).scales(), mxfp4.scales());
    }
    for narrow in [MXFP6_E3M2, MXFP6_E2M3] {
        let mxfp6 = counting(narrow, shape, &[1.0, 8.0, 0.25, power(-127)]);
        assert_eq!(there_and_narrower(&mxfp6, MXFP8).scales(), mxfp6.scales());
    }
    let int4 = counting(named("int4-channel"), Shape::matrix(2, 9), &[0.3, -7.0]);
    for bits in 5..=8 {
        exact(&int4, Format::int(bits, Block::Channel), false);
    }
    exact(&int4, named("fp8-channel"), false);
    let mxint8 = counting(MXINT8, shape, &[64.0, 128.0, 1.0, 2.0]);
    let int8 = exact(&mxint8, Format::int(8, Block::Group(32)), false);
    assert_eq!(int8.scales(), stored(ScaleKind::Bf16, &[1.0, 2.0, power(-6), power(-5)]));
    assert_eq!(int8.codes(), mxint8.codes());
    assert_eq!(exact(&int8, MXINT8, false), mxint8);
}

/// The wider format cannot go back by itself: its other codes have no image.
fn there_and_narrower(from: &QTensor<'_>, to: Format) -> QTensor<'static> {
    let wide = exact(from, to, false);
    assert!(wide.transcode(from.format(), false).is_err(), "{to} to {}", from.format());
    wide
}

#[test]
fn signed_and_unsigned_integers_are_an_offset_apart() {
    for width in 1..=8 {
        let signed = Format::int(width, Block::Group(8));
        let unsigned = Format::uint(width, Block::Group(8));
        let tensor = counting(signed, Shape::matrix(3, 16), &[1.0, 2.0, -0.5, 0.0, 7.0, f32::INFINITY]);
        let there = there_and_back(&tensor, unsigned);
        assert_eq!(there.zeros(), Some(&[1 << (width - 1); 6][..]));
        // As MLX says it: a bias of -2^(bits-1) * s, exact for any positive, finite scale.
        let finite = counting(signed, Shape::matrix(1, 16), &[1.5, 0.25]);
        let middle = exact(&finite, unsigned, false);
        let biased = unsigned.with_zero(Zero::Bias);
        assert_eq!(exact(&exact(&middle, biased, false), unsigned, false), middle);
        assert_eq!(exact(&exact(&middle, biased, false), signed, false), finite);
        let float = unsigned.with_zero(Zero::Float);
        assert_eq!(there_and_back(&middle, float).scales(), middle.scales());
    }
}

#[test]
fn any_zero_points_are_subtracted_where_there_is_room() {
    let uint4 = Format::uint(4, Block::Group(8));
    let scales = stored(ScaleKind::Bf16, &[1.0, 0.5, 2.0]);
    let codes: Vec<u8> = (0..12).map(|i| i * 21).collect();
    let zeros = Some(vec![0, 15, 7].into());
    let tensor = QTensor::new(uint4, Shape::matrix(1, 24), codes, scales, zeros, TensorScale::None).unwrap();
    // -15 .. 15
    exact(&tensor, Format::int(5, Block::Group(8)), false);
    exact(&tensor, Format::int(8, Block::Group(8)), false);
    let fp8 = exact(&tensor, Format::int(8, Block::Group(8)).with_element(Element::E4m3), false);
    assert_eq!(fp8.codes()[0..2], [0, 0]); // code 0 less zero point 0
    exact(&tensor, Format::uint(8, Block::Group(4)), false);
}

#[test]
fn blocks_are_cut_and_joined() {
    let shape = Shape { matrices: 2, rows: 4, cols: 256 };
    let int4 = |block| Format::int(4, block).with_scale(ScaleKind::F32);
    let tensor = counting(int4(Block::Tensor), shape, &[0.3, 0.7]);
    let blocks = [
        Block::Channel,
        Block::Group(128),
        Block::Group(32),
        Block::Tile { rows: 4, cols: 128 },
        Block::Tile { rows: 2, cols: 96 },
        Block::Flat(128),
    ];
    for block in blocks {
        let cut = there_and_back(&tensor, int4(block));
        for other in blocks {
            exact(&cut, int4(other), false);
        }
    }
    let nf4 = counting(NF4, Shape::matrix(3, 128), &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
    there_and_back(&nf4, NF4.with_block(Block::Group(64)));
    // 3 rows of 5 nibbles: 8 bytes as one stream, 9 as rows.
    let flat = int4(Block::Tensor).with_block(Block::Flat(64));
    let odd = counting(int4(Block::Tensor), Shape::matrix(2, 5), &[1.0]);
    assert_eq!(exact(&odd, flat, false).codes().len(), 5);
}

#[test]
fn mxfp4_is_nvfp4_while_exponents_span_at_most_18_binades() {
    let shape = Shape::matrix(1, 64);
    let tensor = counting(MXFP4, shape, &[power(8), power(-9)]);
    let there = there_and_back(&tensor, NVFP4);
    // 256 is 0 1111 000; 2^-9 the smallest subnormal.
    assert_eq!(
        (there.scales(), there.tensor_scale()),
        (&[0x78, 0x78, 1, 1][..], &TensorScale::Multiply(vec![1.0]))
    );
    // Two binades further up: a tensor scale of 4, or of 1/4 that divides.
    let tensor = counting(MXFP4, shape, &[power(10), power(-7)]);
    let there = there_and_back(&tensor, NVFP4);
    assert_eq!(
        (there.scales(), there.tensor_scale()),
        (&[0x78, 0x78, 1, 1][..], &TensorScale::Multiply(vec![4.0]))
    );
    let there = exact(&tensor, NVFP4, true);
    assert_eq!(there.tensor_scale(), &TensorScale::Divide(vec![0.25]));
    assert_eq!(exact(&there, MXFP4, false), tensor);
    // At the very end of E8M0.
    there_and_back(&counting(MXFP4, shape, &[power(-127), power(-110)]), NVFP4);
    there_and_back(&counting(MXFP4, shape, &[power(127), power(110)]), NVFP4);
}

#[test]
fn blocks_of_zeros_take_no_part_in_the_span() {
    let scales = stored(ScaleKind::E8m0, &[power(-127), 1.0, power(100)]);
    let codes = [[0x80; 16], [0x72; 16], [0x08; 16]].concat();
    let tensor = QTensor::new(MXFP4, Shape::matrix(1, 96), codes, scales, None, TensorScale::None).unwrap();
    let nvfp4 = exact(&tensor, NVFP4, false);
    assert_eq!((nvfp4.scales(), nvfp4.codes()), (&[0x38; 6][..], tensor.codes()));
    let fp8 = exact(&tensor, FP8_BLOCK, false);
    assert_eq!((fp8.scales(), &fp8.codes()[..3]), (&1f32.to_le_bytes()[..], &[0, 0x80, 0][..]));
    exact(&tensor, FP8, false);
}

#[test]
fn mxfp4_is_fp8_in_tiles_by_shifting_codes() {
    let shape = Shape::matrix(130, 160);
    // 5 blocks in each row, over 15 binades in the first row of tiles.
    let scales: Vec<f32> = (0..650).map(|i| power(i % 15 - 20)).collect();
    let tensor = counting(MXFP4, shape, &scales);
    for scale in [ScaleKind::F32, ScaleKind::E8m0, ScaleKind::Bf16] {
        let fp8 = exact(&tensor, FP8_BLOCK.with_scale(scale), false);
        // From 2^-20 to 2^-6: the scale is 2^-12, so that 0.5 * 2^-20 is E4M3's 2^-9, and 6 * 2^-6 its 384.
        let mut first = [0.0];
        scale.decode_into(&fp8.scales()[..scale.bytes()], &mut first);
        assert_eq!(first, [power(-12)], "{scale}");
    }
    exact(&tensor, FP8, false);
}

#[test]
fn scales_change_their_type_where_they_can() {
    let shape = Shape::matrix(1, 24);
    let format = |scale| Format::int(4, Block::Group(8)).with_scale(scale);
    use ScaleKind::{Bf16, E4m3, E8m0, F16, F32};
    let powers = counting(format(E8m0), shape, &[1.0, 0.5, 256.0]);
    for scale in [F32, F16, Bf16, E4m3] {
        there_and_back(&powers, format(scale));
    }
    // 1 + 2^-10 is an f16 and no bf16: 1 is 0.1 % off.
    let f16 = counting(format(F16), shape, &[1.0 + power(-10), 0.5, 3.0]);
    there_and_back(&f16, format(F32));
    let (bf16, exactness) = f16.transcode(format(Bf16), false).unwrap();
    let relative_error = (1.0 / f64::from(1.0 + power(-10)) - 1.0).abs();
    assert_eq!(exactness, Exactness::ScalesRounded { count: 1, of: 3, relative_error });
    assert_eq!(bf16.scales(), stored(Bf16, &[1.0, 0.5, 3.0]));
    assert_eq!(bf16.codes(), f16.codes());
}

fn nvfp4(tensor_scale: TensorScale, scales: &[u8]) -> QTensor<'static> {
    let codes: Vec<u8> = (0..8 * scales.len()).map(|i| (i * 29) as u8).collect();
    QTensor::new(NVFP4, Shape::matrix(1, 16 * scales.len()), codes, scales.to_vec(), None, tensor_scale)
        .unwrap()
}

#[test]
fn a_tensor_scale_turns_into_its_reciprocal() {
    for t in [0.25f32, 4.0, -8.0] {
        let tensor = nvfp4(TensorScale::Multiply(vec![t]), &[0x38, 0x7e, 0x01]);
        let there = exact(&tensor, NVFP4, true);
        assert_eq!(there.tensor_scale(), &TensorScale::Divide(vec![1.0 / t]));
        assert_eq!(exact(&there, NVFP4, false), tensor);
    }
    let tensor = nvfp4(TensorScale::Divide(vec![3.0]), &[0x38, 0x7e, 0x01]);
    let (there, exactness) = tensor.transcode(NVFP4, false).unwrap();
    assert_eq!(there.tensor_scale(), &TensorScale::Multiply(vec![1.0 / 3.0]));
    assert_eq!((there.codes(), there.scales()), (tensor.codes(), tensor.scales()));
    let relative_error = (3.0 * f64::from(1f32 / 3.0) - 1.0).abs();
    // 2^n / 3 is the reciprocal times 2^n; 448 / 3 is rounded elsewhere.
    assert_eq!(exactness, Exactness::TensorScaleRounded { relative_error });
    exact(&nvfp4(TensorScale::Divide(vec![3.0]), &[0x38, 0x40, 0x01]), NVFP4, false);
}

#[test]
fn one_level_and_two() {
    let two = nvfp4(TensorScale::Multiply(vec![0.3]), &[0x38, 0x7e, 0x01]);
    // f32 holds the rounded product of both scales.
    exact(&two, named("e2m1-g16").with_scale(ScaleKind::F32), false);
    exact(&two, named("e4m3-g16").with_scale(ScaleKind::F32), false);
    let powers = nvfp4(TensorScale::Divide(vec![8.0]), &[0x38, 0x38, 0x40, 0x40]);
    assert_eq!(exact(&powers, MXFP4, false).scales(), [124, 125]);
    there_and_back(&counting(named("e2m1-g16-e4m3"), Shape::matrix(1, 32), &[1.75, 448.0]), NVFP4);
    // As many binary digits as E4M3 has, further up.
    let bf16 = counting(named("e2m1-g16"), Shape::matrix(1, 32), &[1.625 * power(40), 1.875 * power(30)]);
    assert_eq!(exact(&bf16, NVFP4, true).tensor_scale(), &TensorScale::Divide(vec![power(-32)]));
}

#[test]
fn a_scale_of_zero_joins_others_where_there_are_signed_zeros() {
    let fp8 = |block| FP8.with_block(block);
    let tensor = counting(fp8(Block::Channel), Shape::matrix(3, 16), &[2.0, 0.0, 2.0]);
    exact(&tensor, FP8, false);
    let int8 = counting(INT8, Shape::matrix(2, 16), &[0.0, 1.0]);
    exact(&int8, Format::int(8, Block::Group(8)), false);
}

/// Rows are worked on some at a time; here they are several times as many, with codes that differ from block to block.
#[test]
fn large_tensors_are_worked_on_strip_by_strip() {
    let shape = Shape { matrices: 2, rows: 300, cols: 512 };
    let scales: Vec<f32> = (0..2 * 300 * 16).map(|i| power(i * 7 % 13 - 5)).collect();
    let mxfp4 = counting(MXFP4, shape, &scales);
    there_and_back(&mxfp4, NVFP4);
    for to in [FP8_BLOCK, FP8, named("e4m3-flat96"), named("e5m2-2x384")] {
        exact(&mxfp4, to, false);
    }
    // 3-bit codes across row ends, in rows that are padded, and signed ones.
    let flat = named("int3-channel").with_block(Block::Flat(50));
    let shape = Shape::matrix(500, 333);
    let tensor = counting(flat, shape, &vec![0.75; flat.scales_per_matrix(shape)]);
    let rows = exact(&tensor, named("int3-channel"), false);
    assert_eq!(exact(&rows, flat, false).codes()[..62437], tensor.codes()[..62437]); // the last byte has room
    exact(&exact(&rows, named("int3-channel-asym"), false), flat, false);
}
