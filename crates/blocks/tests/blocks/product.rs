//! Products against their definition, written here a second time over plain numbers; every level, every bit.

use lowbit_blocks::*;
use proptest::prelude::*;

use crate::cases::{Case, case, large, noise, stored};
use crate::oracle::Oracle;
use crate::round_trip::{bits, encode, oracle};

/// Sums neighbours until one is left.
fn pairwise(lanes: &[f32]) -> f32 {
    if let [sum] = lanes {
        *sum
    } else {
        pairwise(&lanes.chunks(2).map(|pair| pair[0] + pair[1]).collect::<Vec<_>>())
    }
}

/// Thirty-two strided lanes; lane l and l + 16 first, then neighbours.
fn fold32(products: impl Iterator<Item = f32>) -> f32 {
    let mut lanes = [0.0f32; 32];
    products.enumerate().for_each(|(j, product)| lanes[j % 32] += product);
    pairwise(&(0..16).map(|l| lanes[l] + lanes[l + 16]).collect::<Vec<_>>())
}

fn dot(w: &[f32], x: &[f32]) -> f32 {
    fold32(w.iter().zip(x).map(|(w, x)| w * x))
}

/// A row, one number at a time: value of the code, scale, zero point.
struct Side {
    numbers: Vec<(f32, f32, f32)>,
    restored: Vec<f32>,
    /// Values in a block, if the row starts with one.
    block: Option<usize>,
    /// What integers are multiplied with to be the element's values.
    unit: Option<f32>,
    fine_unit: Option<(f32, usize)>,
    has_zeros: bool,
}

fn unit(element: Element) -> Option<f32> {
    match element {
        Element::E2m1 => Some(0.5),
        Element::E2m3 => Some(0.125),
        Element::MxInt8 => Some(1.0 / 64.0),
        Element::Int { .. } | Element::Uint { .. } => Some(1.0),
        _ => None,
    }
}

/// The same for the weights of products with bytes, and up to which length of a block: sums are exact there for E4M3 and NF4, too.
fn fine_unit(element: Element) -> Option<(f32, usize)> {
    match element {
        Element::E4m3 => Some((1.0 / 512.0, 64)),
        Element::E4m3Fnuz => Some((1.0 / 1024.0, 64)),
        Element::Nf4 => Some((1.0 / 134_217_728.0, 1024)),
        _ => None,
    }
}

/// Values in a block, where rows start with blocks (or lie in one) and on bytes, and values are not shifted afterwards.
fn row_block(format: &Format, shape: Shape) -> Option<usize> {
    let cols = shape.cols;
    let block = match format.block {
        _ if format.zero.is_added() => None,
        Block::Tensor | Block::Channel => Some(cols),
        Block::Group(block) | Block::Tile { cols: block, .. } => Some(block),
        Block::Flat(_) if !(cols * format.element.bits() as usize).is_multiple_of(8) => None,
        Block::Flat(block) if cols.is_multiple_of(block) => Some(block),
        Block::Flat(block) if block.is_multiple_of(cols.max(1)) => Some(cols),
        Block::Flat(_) => None,
    };
    block.map(|block| block.min(cols).max(1))
}

fn rows_of(tensor: &QTensor<'_>) -> Vec<Side> {
    let (oracle, shape): (Oracle<'_>, _) = (oracle(tensor), tensor.shape());
    let all = tensor.to_f32_vec();
    let side = |at: usize| {
        let (m, r) = (at / shape.rows, at % shape.rows);
        Side {
            numbers: (0..shape.cols).map(|c| oracle.parts(tensor.codes(), (m, r, c))).collect(),
            restored: all[at * shape.cols..][..shape.cols].to_vec(),
            block: row_block(&tensor.format(), shape),
            unit: unit(tensor.format().element),
            fine_unit: fine_unit(tensor.format().element),
            has_zeros: tensor.format().zero != Zero::None,
        }
    };
    (0..shape.matrices * shape.rows).map(side).collect()
}

/// The product with activations in blocks; what is not made for it is the product of restored values.
fn dot_blocks(w: &Side, x: &Side) -> f32 {
    let n = w.numbers.len();
    let (Some(wide), Some(narrow), false) = (w.block, x.block, x.has_zeros) else {
        return dot(&w.restored, &x.restored);
    };
    let (narrow, wide) = (narrow.min(wide), narrow.max(wide));
    if wide < n && !wide.is_multiple_of(narrow) {
        return dot(&w.restored, &x.restored);
    }
    let mut lanes = [0.0f32; 16];
    let starts = (0..n).step_by(narrow).flat_map(|start| {
        let end = n.min(start + narrow);
        (start..end).step_by(65536).map(move |at| (at, end.min(at + 65536)))
    });
    for (k, (start, end)) in starts.enumerate() {
        let pairs = || w.numbers[start..end].iter().zip(&x.numbers[start..end]);
        let ((_, wscale, zero), (_, xscale, _)) = (w.numbers[start], x.numbers[start]);
        let sum = match (
            w.unit.or(w.fine_unit.and_then(|(unit, most)| (narrow <= most).then_some(unit))),
            x.unit,
        ) {
            (Some(a), Some(b)) => {
                let whole = |value: f32, unit: f32| f64::from(value) / f64::from(unit);
                let products: f64 = pairs().map(|(w, x)| whole(w.0, a) * whole(x.0, b)).sum();
                let products = products as f32 * (a * b);
                if w.has_zeros {
                    let values: f64 = pairs().map(|(_, x)| whole(x.0, b)).sum();
                    products - zero * (values as f32 * b)
                } else {
                    products
                }
            }
            _ if w.has_zeros => fold32(pairs().map(|(w, x)| (w.0 - zero) * x.0)),
            _ => fold32(pairs().map(|(w, x)| w.0 * x.0)),
        };
        lanes[k % 16] += (sum * wscale) * xscale;
    }
    pairwise(&lanes)
}

/// One column quantized to int8 in blocks of 32.
fn int8(x: &[f32]) -> Side {
    let mut numbers = Vec::new();
    for block in x.chunks(32) {
        let amax = block.iter().fold(0.0f32, |amax, x| amax.max(x.abs()));
        let scale = amax / 127.0;
        let code =
            |x: f32| if scale == 0.0 { 0.0 } else { (x / scale).round_ties_even().clamp(-128.0, 127.0) };
        numbers.extend(block.iter().map(|&x| (code(x), scale, 0.0)));
    }
    let restored = numbers.iter().map(|(value, scale, _)| value * scale).collect();
    Side {
        numbers,
        restored,
        block: Some(32.min(x.len().max(1))),
        unit: Some(1.0),
        fine_unit: None,
        has_zeros: false,
    }
}

/// `columns x rows` from a function of row and column.
fn table(rows: usize, columns: usize, of: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| (r, c))).map(|(r, c)| of(r, c)).collect()
}

/// Whole products of a tensor with `columns` columns, f32 and int8 activations, on every level.
fn check(tensor: &QTensor<'_>, x: &[f32], columns: usize) {
    let (shape, format) = (tensor.shape(), tensor.format());
    let (rows, cols) = (shape.matrices * shape.rows, shape.cols);
    let w = rows_of(tensor);
    let column = |c: usize| &x[c * cols..][..cols];
    let want = table(rows, columns, |r, c| dot(&w[r].restored, column(c)));
    let quantized: Vec<Side> = (0..columns).map(|c| int8(column(c))).collect();
    let want_int8 = table(rows, columns, |r, c| dot_blocks(&w[r], &quantized[c]));
    let mut y = vec![f32::NAN; rows * columns];
    for kernels in Kernels::available() {
        let about = format!("{}: {format} {shape}, {columns} columns", kernels.name());
        tensor.matmul_with(kernels, x, columns, &mut y).unwrap();
        assert_eq!(bits(&y), bits(&want), "f32, {about}");
        let mut activations = Activations::new();
        activations.set_int8_with(kernels, x, columns).unwrap();
        tensor.matmul_quantized_with(kernels, &activations, &mut y).unwrap();
        assert_eq!(bits(&y), bits(&want_int8), "int8, {about}");
    }
    tensor.matmul_int8(x, columns, &mut y).unwrap();
    assert_eq!(bits(&y), bits(&want_int8));
    if columns == 1 {
        tensor.matvec(x, &mut y).unwrap();
        assert_eq!(bits(&y), bits(&want));
        tensor.matvec_int8(x, &mut y).unwrap();
        assert_eq!(bits(&y), bits(&want_int8));
    }
}

/// A tensor against activations that are a tensor.
fn check_quantized(tensor: &QTensor<'_>, x: &QTensor<'_>) {
    let (w, columns) = (rows_of(tensor), rows_of(x));
    let want = table(w.len(), columns.len(), |r, c| dot_blocks(&w[r], &columns[c]));
    let mut activations = Activations::new();
    let mut y = vec![f32::NAN; want.len()];
    for kernels in Kernels::available() {
        activations.set_quantized_with(kernels, x).unwrap();
        assert_eq!((activations.columns(), activations.cols()), (columns.len(), x.shape().cols));
        tensor.matmul_quantized_with(kernels, &activations, &mut y).unwrap();
        let about = (kernels.name(), tensor.format().name(), x.format().name(), tensor.shape(), x.shape());
        assert_eq!(bits(&y), bits(&want), "{about:?}");
    }
}

/// A tensor with everyday contents in a format of that name.
pub(crate) fn named(name: &str, shape: Shape) -> QTensor<'static> {
    let format = Format::named(name).unwrap();
    let count = format.scales_per_matrix(shape) * shape.matrices;
    let scales: Vec<f32> = noise(count).iter().map(|x| 0.25 + x.abs()).collect();
    let zeros = match format.zero {
        Zero::None => None,
        Zero::Int => Some((0..count).map(|i| (i * 7 % 13) as u8).collect::<Vec<u8>>()),
        Zero::Min => Some(stored(format.scale, shape.matrices, &scales)),
        _ => {
            let zeros: Vec<f32> = scales.iter().map(|scale| scale - 2.0).collect();
            Some(stored(format.scale, shape.matrices, &zeros))
        }
    };
    let per_matrix: Vec<f32> = (0..shape.matrices).map(|m| 0.7 + m as f32).collect();
    let tensor_scale = match (format.has_tensor_scale(), count % 2) {
        (false, _) => TensorScale::None,
        (true, 0) => TensorScale::Divide(per_matrix),
        (true, _) => TensorScale::Multiply(per_matrix),
    };
    let values = noise(shape.len().unwrap());
    QTensor::encode(format, shape, &values, &scales, zeros.as_deref(), tensor_scale).unwrap()
}

/// Weights: names, and columns of which they take as many as a row.
pub(crate) const WEIGHTS: &[(&str, usize)] = &[
    ("nvfp4", 16),
    ("nvfp4", 176),
    ("nvfp4", 1040),
    ("q4_k", 512),
    ("q6_k", 256),
    ("int4-g48", 144),
    ("int4-g48-asym", 96),
    ("e2m1-g16-ue5m3", 176),
    ("mxfp4", 32),
    ("mxfp4", 224),
    ("mxfp8", 96),
    ("mxfp6-e2m3", 160),
    ("mxfp6-e3m2", 160),
    ("mxint8", 96),
    ("int4-g32", 96),
    ("int4-g32-asym", 96),
    ("int4-g128", 640),
    ("int4-g128-asym", 640),
    ("int8", 333),
    ("uint8", 100),
    ("int8-g128-asym", 256),
    ("fp8", 77),
    ("fp8-channel", 200),
    ("fp8-block", 333),
    ("fp8-e5m2-channel", 65),
    ("nf4", 64),
    ("nf4", 192),
    ("nf4", 100),
    ("nf4", 33),
    ("fp4", 48),
    ("int3-g64", 192),
    ("int3-channel", 101),
    ("int2-g64", 128),
    ("int5-g7", 77),
    ("uint4-g48-bias", 96),
    ("uint4-g64-float", 192),
];

#[test]
fn products_of_every_weight_with_f32_and_int8() {
    for &(name, cols) in WEIGHTS {
        for (rows, columns) in [(1, 1), (3, 1), (5, 4), (130, 2), (2, 17)] {
            check(&named(name, Shape::matrix(rows, cols)), &noise(columns * cols), columns);
        }
        check(&named(name, Shape { matrices: 3, rows: 4, cols }), &noise(2 * cols), 2);
    }
}

#[test]
fn products_of_every_weight_with_quantized_tokens() {
    for &(name, cols) in WEIGHTS {
        let weight = named(name, Shape::matrix(3, cols));
        for (tokens, _) in WEIGHTS {
            for rows in [1, 3] {
                let format = Format::named(tokens).unwrap();
                let shapes = [Shape::matrix(rows, cols), Shape { matrices: rows, rows: 1, cols }];
                for shape in shapes.into_iter().filter(|shape| format.check(*shape).is_ok()) {
                    check_quantized(&weight, &named(tokens, shape));
                }
            }
        }
    }
}

#[test]
fn empty_products() {
    for name in ["nvfp4", "int8", "nf4", "fp8-block", "fp8", "uint4-g32-bias"] {
        for (rows, cols, columns) in [(0, 64, 2), (3, 0, 2), (3, 64, 0), (0, 0, 1), (0, 0, 0), (3, 0, 0)] {
            let tensor = named(name, Shape::matrix(rows, cols));
            check(&tensor, &noise(cols * columns), columns);
            let tokens = QTensor::encode(
                MXINT8,
                Shape::matrix(columns, cols),
                &noise(columns * cols),
                &vec![1.0; columns * cols / 32],
                None,
                TensorScale::None,
            );
            check_quantized(&tensor, &tokens.unwrap());
        }
        check(&named(name, Shape { matrices: 0, rows: 2, cols: 64 }), &noise(64), 1);
    }
}

#[test]
fn products_of_tensors_of_many_tiles() {
    for case in large() {
        let tensor = encode(&case, Values::F32(&noise(case.shape.len().unwrap())));
        check(&tensor, &noise(2 * case.shape.cols), 2);
    }
}

/// Blocks of more than 65536 values are cut there.
#[test]
fn long_rows() {
    for name in ["int8", "fp8-channel", "uint8-tensor", "int4-g128"] {
        let cols = 65536 + 128;
        let tensor = named(name, Shape::matrix(2, cols));
        check(&tensor, &noise(cols), 1);
        check_quantized(&tensor, &named("int8", Shape::matrix(1, cols)));
        check_quantized(&tensor, &named("fp8-channel", Shape::matrix(1, cols)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_product_is_the_definition(case in case(), columns in 0usize..6) {
        let tensor = encode(&case, Values::F32(&noise(case.shape.len().unwrap())));
        check(&tensor, &noise(columns * case.shape.cols), columns);
    }

    #[test]
    fn any_tokens_multiply_as_defined(weight in case(), tokens in case()) {
        let shape = |of: &Case, cols| Shape { cols, ..of.shape };
        let cols = weight.shape.cols;
        let tokens_shape = shape(&tokens, cols);
        prop_assume!(tokens.format.check(tokens_shape).is_ok());
        let count = tokens.format.scales_per_matrix(tokens_shape) * tokens_shape.matrices;
        let refill = |n: usize| noise(n).iter().map(|x| 0.25 + x.abs()).collect::<Vec<f32>>();
        let zeros = match tokens.format.zero {
            Zero::None => None,
            Zero::Int => Some(vec![3; count]),
            _ => Some(stored(tokens.format.scale, tokens_shape.matrices, &refill(count))),
        };
        let tokens = Case { shape: tokens_shape, scales: refill(count), zeros, ..tokens };
        let encoded = |case: &Case| encode(case, Values::F32(&noise(case.shape.len().unwrap())));
        check_quantized(&encoded(&weight), &encoded(&tokens));
    }
}
