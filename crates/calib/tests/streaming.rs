//! Bytes do not depend on how the work is divided, on the SIMD level, or on what else is in the stack; what is wrong is an error.

mod support;

use half::{bf16, f16};
use lowbit_blocks::{
    Block, Dtype, Element, FORMATS, FP8, FP8_BLOCK, Format, INT8, MXFP4, NF4, NVFP4, QTensor, Shape,
    UINT8_TENSOR, Values,
};
use lowbit_calib::recipes::table;
use lowbit_calib::{
    Error, Out, Recipe, ScaleRule, TensorScaleRule, TensorStats, TokenScale, quantize_tokens,
};
use lowbit_kernels::Kernels;
use support::normal::normal;

/// The same recipe with something changed, checked or not.
fn with(mut recipe: Recipe, change: impl FnOnce(&mut Recipe)) -> Recipe {
    change(&mut recipe);
    recipe
}

/// Quantizes `rows` at a time with the statistics of the whole.
fn in_pieces(
    recipe: &Recipe,
    shape: Shape,
    values: Values<'_>,
    pieces: usize,
    kernels: Kernels,
) -> QTensor<'static> {
    let format = recipe.format;
    let per_matrix = shape.rows * shape.cols;
    let stats = recipe.stats().map(|empty| {
        let of = |matrix: usize| {
            let values = values.slice(matrix * per_matrix..(matrix + 1) * per_matrix);
            let half = values.len() / 2;
            let (mut first, mut second) = (empty.clone(), empty.clone());
            first.observe(values.slice(0..half)).unwrap();
            second.observe(values.slice(half..values.len())).unwrap();
            second.merge(&first);
            second
        };
        (0..shape.matrices).map(of).collect::<Vec<_>>()
    });
    let quantizer = recipe.quantizer(shape, values.dtype(), &stats.unwrap_or_default(), kernels).unwrap();
    let mut codes = vec![0xaa; format.codes_len(shape)];
    let mut scales = vec![0xaa; format.scales_len(shape)];
    let mut zeros = vec![0xaa; format.zeros_len(shape)];
    let step = pieces.next_multiple_of(quantizer.row_quantum());
    for matrix in (0..shape.matrices).rev() {
        for first in (0..shape.rows).step_by(step) {
            let rows = first..(first + step).min(shape.rows);
            let flat = |row: usize| (matrix * shape.rows + row) * shape.cols;
            let out = Out {
                codes: &mut codes[format.codes_range(shape, matrix, rows.clone())],
                scales: &mut scales[format.scales_range(shape, matrix, rows.clone())],
                zeros: &mut zeros[format.zeros_range(shape, matrix, rows.clone())],
            };
            quantizer
                .quantize_rows(matrix, first, values.slice(flat(rows.start)..flat(rows.end)), out)
                .unwrap();
        }
    }
    let zeros = format.has_zeros().then(|| zeros.into());
    QTensor::new(format, shape, codes, scales, zeros, quantizer.tensor_scale()).unwrap()
}

/// The two sides of 128 for tiles, blocks over row ends for flat formats, rows that end inside a byte.
fn shape_for(format: &Format) -> Shape {
    match format.block {
        Block::Tile { .. } | Block::Tensor => Shape { matrices: 2, rows: 131, cols: 333 },
        Block::Flat(_) => Shape { matrices: 2, rows: 37, cols: 50 },
        Block::Channel => Shape { matrices: 2, rows: 5, cols: 77 },
        Block::Group(_) => Shape { matrices: 2, rows: 9, cols: 768 },
    }
}

#[test]
fn every_recipe_gives_the_same_bytes_however_rows_are_divided() {
    let levels: Vec<Kernels> = Kernels::available().collect();
    for (index, entry) in table(Dtype::Bf16).enumerate() {
        let shape = shape_for(&entry.recipe.format);
        let values: Vec<bf16> =
            normal(index as u64, shape.len().unwrap()).into_iter().map(bf16::from_f32).collect();
        let whole = entry.recipe.quantize(shape, &values[..]).unwrap();
        for (pieces, kernels) in [1, 2, 7].into_iter().zip(levels.iter().rev().cycle()) {
            let parts = in_pieces(&entry.recipe, shape, (&values[..]).into(), pieces, *kernels);
            assert_eq!(whole, parts, "{} {} by {pieces} on {kernels:?}", entry.producer, entry.format);
        }
    }
}

#[test]
fn every_rule_gives_the_same_bytes_at_every_level() {
    let odd =
        ["int3-channel", "int5-channel-asym", "e2m3-channel", "int3-tensor", "int6-tensor-asym", "e2m1-3x5"];
    let odd = odd.map(|name| Format::named(name).unwrap());
    for format in FORMATS.iter().map(|row| row.1).chain(odd) {
        let shape = shape_for(&format);
        let values: Vec<f16> = normal(7, shape.len().unwrap()).into_iter().map(f16::from_f32).collect();
        for rule in ScaleRule::fitting(&format) {
            let recipe = Recipe::new(format).unwrap().with_scale_rule(rule).unwrap();
            let reference = in_pieces(&recipe, shape, (&values[..]).into(), 3, Kernels::reference());
            for kernels in Kernels::available() {
                let got = in_pieces(&recipe, shape, (&values[..]).into(), 4, kernels);
                assert_eq!(reference, got, "{format} {rule} on {kernels:?}");
            }
        }
    }
}

#[test]
fn matrices_of_a_stack_are_quantized_on_their_own() {
    for (_, format) in FORMATS {
        let shape = shape_for(format);
        let recipe = Recipe::new(*format).unwrap();
        let mut values = normal(3, shape.len().unwrap());
        let half = values.len() / 2;
        values[..half].iter_mut().for_each(|x| *x *= 100.0);
        let stack = recipe.quantize(shape, &values[..]).unwrap().to_f32_vec();
        for (values, got) in values.chunks(half).zip(stack.chunks(half)) {
            let alone = recipe.quantize(Shape { matrices: 1, ..shape }, values).unwrap();
            assert_eq!(alone.to_f32_vec(), got, "{format}");
        }
    }
}

/// A tensor of few rows of tiles is cut into columns, and values of 16 bits are widened a few columns at a time.
#[test]
fn columns_of_tiles_give_the_bytes_of_whole_rows() {
    for (name, rows, cols) in [
        ("fp8-block", 131, 1100),
        ("fp8-block", 5, 30_000),
        ("e2m1-64x24", 5, 30_001),
        ("e2m1-3x5", 5, 30_001),
    ] {
        let recipe = Recipe::new(Format::named(name).unwrap()).unwrap();
        let shape = Shape::matrix(rows, cols);
        let values: Vec<bf16> = normal(7, rows * cols).into_iter().map(bf16::from_f32).collect();
        let mut wide: Vec<f32> = values.iter().map(|x| x.to_f32()).collect();
        let whole = in_pieces(&recipe, shape, (&wide[..]).into(), rows, Kernels::best());
        assert_eq!(recipe.quantize(shape, &wide[..]).unwrap(), whole, "{name} {shape}");
        assert_eq!(recipe.quantize(shape, &values[..]).unwrap(), whole, "{name} {shape}, bf16");
        let (row, col) = (rows - 2, cols - 3);
        wide[row * cols + col] = f32::INFINITY;
        let error = recipe.quantize(shape, &wide[..]).unwrap_err();
        assert_eq!(error, Error::NonFinite { matrix: 0, row, col, value: f32::INFINITY }, "{name}");
    }
}

#[test]
fn a_token_does_not_depend_on_its_batch() {
    let (tokens, width) = (5, 96);
    let x = normal(11, tokens * width);
    for name in [
        "fp8-channel",
        "fp8-e5m2-channel",
        "int8",
        "uint8",
        "nvfp4",
        "mxfp4",
        "mxfp6-e2m3",
        "mxfp8",
        "mxfp8-e5m2",
    ] {
        let recipe = Recipe::new(Format::named(name).unwrap()).unwrap();
        for scale in [TokenScale::PerToken, TokenScale::Given(0.01)] {
            let batch = quantize_tokens(&recipe, tokens, width, &x[..], scale).unwrap().to_f32_vec();
            for (token, got) in x.chunks(width).zip(batch.chunks(width)) {
                let alone = quantize_tokens(&recipe, 1, width, token, scale).unwrap().to_f32_vec();
                assert_eq!(alone, got, "{name} {scale:?}");
            }
        }
    }
    for format in [FP8, FP8_BLOCK, NF4] {
        let error = quantize_tokens(&Recipe::new(format).unwrap(), 5, 96, &x[..], TokenScale::PerToken);
        assert!(error.unwrap_err().to_string().contains("would make a token depend on its batch"));
    }
    let error = quantize_tokens(&Recipe::new(NVFP4).unwrap(), 5, 96, &x[..], TokenScale::Given(0.0));
    assert_eq!(error.unwrap_err(), Error::TensorScale { value: 0.0 });
}

#[test]
fn a_value_that_is_not_finite_is_named() {
    let places = [(0, 0, 0), (1, 3, 5), (1, 4, 191)];
    for (_, format) in FORMATS {
        let recipe = Recipe::new(*format).unwrap();
        let shape = Shape { matrices: 2, rows: 5, cols: 768 };
        for (matrix, row, col) in places {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut values = normal(1, shape.len().unwrap());
                values[(matrix * shape.rows + row) * shape.cols + col] = bad;
                let error = recipe.quantize(shape, &values[..]).unwrap_err();
                let Error::NonFinite { matrix: m, row: r, col: c, value } = error else {
                    panic!("{format}: {error}")
                };
                assert_eq!((m, r, c, value.to_bits()), (matrix, row, col, bad.to_bits()), "{format}");
            }
        }
    }
    // Where statistics come from elsewhere, rows are looked at all the same.
    let values = [1.0, f32::NAN, 3.0, 4.0];
    let shape = Shape::matrix(2, 2);
    let quantizer = Recipe::new(FP8).unwrap().quantizer(
        shape,
        Dtype::F32,
        &[TensorStats::from_amax(4.0)],
        Kernels::best(),
    );
    let out = Out { codes: &mut [0; 4], scales: &mut [0; 4], zeros: &mut [] };
    let error = quantizer.unwrap().quantize_rows(0, 0, &values[..], out).unwrap_err();
    assert_eq!(error.to_string(), "value NaN at matrix 0, row 0, column 1 is not finite");
}

/// Matrices of several parts are observed part by part: the extremes lie in different ones, and so do values that are not finite.
#[test]
fn parts_of_a_matrix_have_the_scale_and_the_first_error_of_the_whole() {
    let shape = Shape { matrices: 2, rows: 1100, cols: 1024 }; // 18 parts, or 2 where they are counted
    let mut x = normal(5, 2 * 1100 * 1024);
    (x[3], x[1_100_000], x[1_126_401]) = (-30.0, 20.0, 40.0);
    for recipe in [
        Recipe::new(NVFP4).unwrap(),
        Recipe::new(FP8).unwrap(),
        with(Recipe::new(FP8).unwrap(), |recipe| recipe.scale_rule = ScaleRule::Percentile(99.9)),
        Recipe::new(UINT8_TENSOR).unwrap(),
    ] {
        let whole = recipe.quantize(shape, &x[..]).unwrap();
        assert!(whole == in_pieces(&recipe, shape, (&x[..]).into(), 4, Kernels::best()), "{recipe:?}");
        let mut wrong = x.clone();
        (wrong[1_126_400 + 900 * 1024 + 7], wrong[2_000_000]) = (f32::NEG_INFINITY, f32::NAN);
        let want = Error::NonFinite { matrix: 1, row: 853, col: 128, value: f32::NAN };
        let got = recipe.quantize(shape, &wrong[..]).unwrap_err();
        assert_eq!(format!("{got:?}"), format!("{want:?}"));
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let best = Kernels::best();
    let ragged = Recipe::new(NVFP4).unwrap().quantize(Shape::matrix(1, 17), &[1.0f32; 17][..]);
    assert_eq!(ragged.unwrap_err().to_string(), "row of 17 values does not divide into blocks of 16");
    let short = Recipe::new(INT8).unwrap().quantize(Shape::matrix(2, 16), &[1.0f32; 31][..]);
    assert_eq!(short.unwrap_err().to_string(), "values: 31 numbers, but 2x16 in int8 has 32");

    let missing =
        Recipe::new(NVFP4).unwrap().quantizer(Shape::matrix(1, 16), Dtype::F32, &[], best).unwrap_err();
    assert_eq!(missing.to_string(), "0 statistics for 1x16, which needs 1");
    let percentile = Recipe::new(UINT8_TENSOR).unwrap().with_scale_rule(ScaleRule::Mse).unwrap();
    let flat = percentile
        .quantizer(Shape::matrix(1, 16), Dtype::F32, &[TensorStats::from_amax(1.0)], best)
        .unwrap_err();
    assert!(flat.to_string().starts_with("the statistics have no histogram, which scale rule mse needs"));

    let quantizer =
        Recipe::new(MXFP4).unwrap().quantizer(Shape::matrix(4, 32), Dtype::F32, &[], best).unwrap();
    let row = [1.0f32; 32];
    let call = |first_row, values: Values<'_>, codes: usize, scales: usize| {
        let (mut codes, mut scales) = (vec![0; codes], vec![0; scales]);
        quantizer.quantize_rows(
            0,
            first_row,
            values,
            Out { codes: &mut codes, scales: &mut scales, zeros: &mut [] },
        )
    };
    assert_eq!(call(3, (&row[..]).into(), 16, 1), Ok(()));
    assert_eq!(
        call(3, (&row[..]).into(), 15, 1).unwrap_err().to_string(),
        "15 bytes for codes, which take 16"
    );
    assert_eq!(
        call(3, (&row[..]).into(), 16, 2).unwrap_err().to_string(),
        "2 bytes for scales, which take 1"
    );
    assert!(matches!(call(4, (&row[..]).into(), 16, 1), Err(Error::Rows { first_row: 4, .. })));
    assert!(matches!(call(0, (&row[..31]).into(), 16, 1), Err(Error::Rows { values: 31, .. })));
    let half = [f16::ONE; 32];
    assert_eq!(call(0, (&half[..]).into(), 16, 1), Err(Error::Dtype { got: Dtype::F16, want: Dtype::F32 }));

    let tiles =
        Recipe::new(FP8_BLOCK).unwrap().quantizer(Shape::matrix(300, 2), Dtype::F32, &[], best).unwrap();
    let out = Out { codes: &mut [0; 128], scales: &mut [0; 4], zeros: &mut [] };
    let error = tiles.quantize_rows(0, 64, &[1.0f32; 128][..], out).unwrap_err();
    let want = "128 values from row 64 on are not whole tiles of 128 rows of a matrix of 300 rows of 2";
    assert_eq!(error.to_string(), want);
}

#[test]
fn empty_tensors_have_scales_or_nothing() {
    for (_, format) in FORMATS {
        for (rows, cols) in [(0, 0), (0, 768), (3, 0)] {
            let shape = Shape { matrices: 2, rows, cols };
            let q = Recipe::new(*format).unwrap().quantize(shape, &[0.0f32; 0][..]).unwrap();
            assert_eq!(
                (q.codes().len(), q.scales().len()),
                (0, format.scales_len(shape)),
                "{format} {shape}"
            );
            let kind = format.scale.kind;
            let mut scales = vec![0.0; q.scales().len() / kind.bytes()];
            kind.decode_into(q.scales(), &mut scales);
            assert!(scales.iter().all(|scale| *scale == 1.0), "{format} {shape}");
        }
    }
}

#[test]
fn recipes_that_contradict_themselves_are_refused() {
    let nvfp4 = Recipe::new(NVFP4).unwrap();
    let reason = |recipe: Recipe| recipe.check().unwrap_err().to_string();
    let other = Recipe::new(MXFP4).unwrap();
    assert!(
        reason(with(nvfp4, |recipe| recipe.tensor_scale = other.tensor_scale))
            .contains("do not agree on whether")
    );
    assert!(
        reason(with(nvfp4, |recipe| recipe.scale_rule = other.scale_rule))
            .contains("which takes amax, percentile:99.9, four-over-six, mse")
    );
    let ties = with(Recipe::new(INT8).unwrap(), |recipe| recipe.ties = lowbit_calib::Ties::TowardZero);
    assert!(reason(ties).contains("ties toward zero are defined for e2m1"));
    let float_zero = INT8.with_element(Element::Uint { bits: 4 }).with_zero(lowbit_blocks::Zero::Float);
    assert!(Recipe::new(float_zero).unwrap_err().to_string().contains("are read, not chosen"));
    for percent in [0.0, -1.0, 100.5, f32::NAN] {
        let recipe = with(nvfp4, |recipe| recipe.scale_rule = ScaleRule::Percentile(percent));
        assert!(reason(recipe).contains("a percentile is above 0 and at most 100"));
    }
    for scale_max in [0.0, -448.0, 449.0, f32::INFINITY, f32::NAN] {
        for rule in [TensorScaleRule::Multiply { scale_max }, TensorScaleRule::Divide { scale_max }] {
            assert!(reason(with(nvfp4, |recipe| recipe.tensor_scale = rule)).contains("largest block scale"));
        }
    }
    // 0 and -1: what would the tensor scale divide by?
    let int1 = NVFP4.with_element(Element::Int { bits: 1 });
    assert!(Recipe::new(int1).unwrap_err().to_string().contains("an element that has positive values"));
}

#[test]
fn an_amax_that_is_none_is_refused() {
    for amax in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -1.0] {
        for format in [NVFP4, FP8] {
            let stats = [TensorStats::from_amax(amax)];
            let quantizer = Recipe::new(format).unwrap().quantizer(
                Shape::matrix(1, 16),
                Dtype::F32,
                &stats,
                Kernels::best(),
            );
            let want = format!("amax {amax} is not a finite number of at least 0");
            assert_eq!(quantizer.unwrap_err().to_string(), want);
        }
    }
}

/// What engines do with these types: share them among threads, keep them, pass errors on.
#[test]
fn types_cross_threads() {
    fn value<T: Clone + std::fmt::Debug + Send + Sync + 'static>() {}
    fn error<T: std::error::Error + Send + Sync + 'static>() {}
    value::<QTensor<'static>>();
    value::<lowbit_blocks::QLinear<'static>>();
    value::<Recipe>();
    value::<lowbit_calib::Quantizer>();
    value::<TensorStats>();
    value::<Kernels>();
    error::<lowbit_blocks::Error>();
    error::<Error>();
}

/// A flat block, and a tile, may be longer than any tensor; then there is one.
#[test]
fn blocks_longer_than_the_tensor() {
    let values = normal(3, 5 * 48);
    let shape = Shape::matrix(5, 48);
    let huge = usize::MAX;
    let pairs = [
        (Block::Flat(huge), Block::Flat(5 * 48)),
        (Block::Flat(huge / 2 + 1), Block::Flat(5 * 48)),
        (Block::Tile { rows: huge, cols: huge }, Block::Tile { rows: 5, cols: 48 }),
        (Block::Tile { rows: 2, cols: huge / 2 + 1 }, Block::Tile { rows: 2, cols: 48 }),
    ];
    for element in [Element::Int { bits: 3 }, Element::Int { bits: 8 }, Element::Nf4, Element::E4m3] {
        for (long, fitting) in pairs {
            let of = |block| Recipe::new(FP8.with_element(element).with_block(block)).unwrap();
            let long = of(long).quantize(shape, &values[..]).unwrap();
            let fitting = of(fitting).quantize(shape, &values[..]).unwrap();
            assert_eq!((long.codes(), long.scales()), (fitting.codes(), fitting.scales()), "{element}");
            assert_eq!(long.to_f32_vec(), fitting.to_f32_vec());
        }
    }
}

/// Block scale times tensor scale is 0 where the tensor holds the smallest subnormals only: zeros, and no NaN, under every element.
#[test]
fn effective_scales_that_underflow_give_zeros() {
    let tiny = f32::from_bits(1);
    let values: Vec<f32> = (0..32).map(|i| [tiny, -tiny, 0.0, -0.0][i % 4]).collect();
    for element in [Element::E2m1, Element::E4m3, Element::E5m2, Element::E4m3Fnuz, Element::Int { bits: 4 }]
    {
        for rule in ["amax", "mse"] {
            let recipe = Recipe::new(NVFP4.with_element(element)).unwrap();
            let recipe = recipe.with_scale_rule(rule.parse().unwrap()).unwrap();
            let q = recipe.quantize(Shape::matrix(1, 32), &values[..]).unwrap();
            let restored = q.to_f32_vec();
            assert!(restored.iter().zip(&values).all(|(y, x)| (y - x).abs() <= tiny), "{element} {rule}");
        }
    }
}
