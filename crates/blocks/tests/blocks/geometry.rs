//! Sizes by hand, and sizes that do not fit.

use lowbit_blocks::*;
use proptest::prelude::*;

use crate::cases::format;
use crate::oracle::bits;

#[test]
fn bits_per_weight_by_hand() {
    let shape = Shape::matrix(256, 1024);
    let n = 256.0 * 1024.0;
    let cases = [
        ("nvfp4", 4.0 + 8.0 / 16.0 + 32.0 / n),
        ("mxfp4", 4.25),
        ("mxfp6-e3m2", 6.25),
        ("mxfp6-e2m3", 6.25),
        ("mxfp8", 8.25),
        ("mxint8", 8.25),
        ("fp8", 8.0 + 32.0 / n),
        ("fp8-channel", 8.0 + 32.0 / 1024.0),
        ("fp8-block", 8.0 + 32.0 / (128.0 * 128.0)),
        ("int8", 8.0 + 32.0 / 1024.0),
        ("uint8", 8.0 + 40.0 / 1024.0),
        ("uint8-tensor", 8.0 + 40.0 / n),
        ("int4-g128", 4.125),
        ("int4-g128-asym", 4.1875),
        ("int4-g32-asym", 4.75),
        ("int3-g64", 3.25),
        ("int2-g32", 2.5),
        ("int1-g128", 1.125),
        ("nf4", 4.5),
        ("fp4", 4.5),
    ];
    for (name, want) in cases {
        assert_eq!(Format::named(name).unwrap().bits_per_weight(shape), want, "{name}");
    }
    // The scale's type is the file's: f32 scales cost groups of 128 a quarter bit.
    assert_eq!(Format::named("int4-g128").unwrap().with_scale(ScaleKind::F32).bits_per_weight(shape), 4.25);
}

#[test]
fn ragged_shapes_by_hand() {
    // Five INT3 codes are 15 bits: two bytes a row.
    let int3 = Format::int(3, Block::Channel);
    assert_eq!((int3.row_bytes(5), int3.codes_len(Shape { matrices: 2, rows: 3, cols: 5 })), (2, 12));
    // The same codes as one stream per matrix: 45 bits are six bytes, in two blocks of eight and seven.
    let flat = Format::int(3, Block::Flat(8));
    let shape = Shape { matrices: 2, rows: 3, cols: 5 };
    assert_eq!((flat.codes_len(shape), flat.scale_grid(shape), flat.scales_len(shape)), (12, (1, 2), 16));
    // Tiles of 128x128 over 129x300: two rows of three.
    let shape = Shape::matrix(129, 300);
    assert_eq!((FP8_BLOCK.scale_grid(shape), FP8_BLOCK.scales_len(shape)), ((2, 3), 24));
    assert_eq!(FP8_BLOCK.scales_range(shape, 0, 128..129), 12..24);
    // One f32 scale per matrix of the stack, whatever it holds.
    assert_eq!(FP8.scales_len(Shape { matrices: 3, rows: 0, cols: 7 }), 12);
}

#[test]
fn row_quanta_by_hand() {
    assert_eq!(NF4.row_quantum(64), 1);
    assert_eq!(NF4.row_quantum(1), 64);
    assert_eq!(NF4.row_quantum(96), 2);
    assert_eq!(NF4.row_quantum(0), 1);
    // Blocks of 3 fit every row of 3, but three INT3 codes are 9 bits: eight rows to the next byte.
    assert_eq!(Format::int(3, Block::Flat(3)).row_quantum(3), 8);
    // Four rows of 10 are 5 blocks of 8 codes, and 40 * 3 bits are whole bytes, too.
    assert_eq!(Format::int(3, Block::Flat(8)).row_quantum(10), 4);
    assert_eq!(FP8_BLOCK.row_quantum(7), 128);
    assert_eq!(NVFP4.row_quantum(1 << 20), 1);
}

/// The sizes again, in numbers that cannot overflow for factors below 2^32.
fn sizes(format: &Format, shape: Shape) -> [u128; 3] {
    let [m, r, c] = [shape.matrices, shape.rows, shape.cols].map(|n| n as u128);
    let bits = bits(format.element) as u128;
    let (rows, cols) = match format.block {
        Block::Tensor => (1, 1),
        Block::Channel => (r, 1),
        Block::Group(g) => (r, c.div_ceil(g as u128)),
        Block::Tile { rows, cols } => (r.div_ceil(rows as u128), c.div_ceil(cols as u128)),
        Block::Flat(b) => (1, (r * c).div_ceil(b as u128)),
    };
    let codes = if let Block::Flat(_) = format.block {
        (r * c * bits).div_ceil(8)
    } else {
        r * (c * bits).div_ceil(8)
    };
    let bits = u128::from(format.scale.kind.bits());
    let packed = |n: u128| (n * bits).div_ceil(8);
    let blocks = rows * cols;
    let scales = match format.scale.outer {
        Outer::Blocks { count, kind } => {
            let (count, outer) = (count as u128, kind.bytes() as u128);
            let last = if blocks.is_multiple_of(count) { 0 } else { outer + packed(blocks % count) };
            blocks / count * (outer + packed(count)) + last
        }
        _ => packed(blocks),
    };
    let zeros = match format.zero {
        Zero::None => 0,
        Zero::Int => blocks,
        _ => scales,
    };
    [m * codes, m * scales, m * zeros]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Shapes up to absurd: sizes are exact or `usize::MAX`, and what passes `check` is exact and adds up.
    #[test]
    fn sizes_are_exact_or_refused(
        format in format(),
        [matrices, rows, cols] in prop::array::uniform3((0u32..=32, any::<u32>()).prop_map(|(shift, n)| (u64::from(n) >> shift) as usize)),
    ) {
        let shape = Shape { matrices, rows, cols };
        let wants = sizes(&format, shape);
        let gots = [format.codes_len(shape), format.scales_len(shape), format.zeros_len(shape)];
        for (got, want) in gots.into_iter().zip(wants) {
            prop_assert!(got as u128 == want || (got == usize::MAX && want > isize::MAX as u128), "{} of {}", got, want);
        }
        if format.check(shape).is_ok() {
            prop_assert_eq!(gots.map(|got| got as u128), wants);
            let tensor_scales = if format.has_tensor_scale() { 4 * matrices } else { 0 };
            prop_assert_eq!(format.size_bytes(shape), gots.iter().sum::<usize>() + tensor_scales);
        }
    }

    /// Nothing about any shape whatever panics.
    #[test]
    fn no_shape_panics(
        format in format(),
        block in prop::array::uniform2(any::<usize>()),
        matrices in any::<usize>(), rows in any::<usize>(), cols in any::<usize>(),
    ) {
        let shape = Shape { matrices, rows, cols };
        for block in [format.block, Block::Group(block[0]), Block::Flat(block[0]), Block::Tile { rows: block[0], cols: block[1] }] {
            let format = format.with_block(block);
            let lens = (format.codes_len(shape), format.scales_len(shape), format.zeros_len(shape));
            let rest = (format.row_bytes(cols), format.scales_per_matrix(shape), format.bits_per_weight(shape));
            let ok = format.check(shape).is_ok();
            prop_assert!(!ok || lens.0 != usize::MAX, "{:?} {:?} {}", lens, rest, format.row_quantum(cols));
            let tensor = QTensor::new(format, shape, vec![0; 8], vec![0; 8], None, TensorScale::None);
            prop_assert!(tensor.is_err() || ok);
        }
    }
}

#[test]
fn absurd_shapes_are_refused() {
    let all = usize::MAX;
    assert_eq!((NVFP4.codes_len(Shape::matrix(all, 16)), NVFP4.zeros_len(Shape::matrix(all, 16))), (all, 0));
    assert_eq!(NF4.scales_per_matrix(Shape::matrix(all, 64)), all);
    for shape in [
        Shape { matrices: all, rows: all, cols: 0 },
        Shape { matrices: 0, rows: all, cols: all },
        Shape { matrices: 2, rows: all, cols: 1 },
        Shape::matrix(all, all),
        Shape::matrix(1 << 40, 1 << 40),
        Shape::matrix(all, 1),
    ] {
        for (name, format) in FORMATS {
            let error = format.check(shape);
            let refused = matches!(error, Err(Error::TooLarge { .. } | Error::RaggedRow { .. }));
            assert!(refused, "{name} takes {shape:?}: {error:?}");
        }
    }
}
