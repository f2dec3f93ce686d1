//! Pairs of formats to try, and tensors whose scales often have images.

use lowbit_blocks::{Block, Element, Format, Outer, QTensor, ScaleKind, Shape, TensorScale, Zero};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::stored;

fn block() -> impl Strategy<Value = Block> {
    let lengths = || select(&[1usize, 2, 4, 8, 12, 16, 24, 32, 48][..]);
    prop_oneof![
        Just(Block::Tensor),
        Just(Block::Channel),
        lengths().prop_map(Block::Group),
        lengths().prop_map(Block::Group),
        (1usize..4, lengths()).prop_map(|(rows, cols)| Block::Tile { rows, cols }),
        lengths().prop_map(Block::Flat),
    ]
}

fn element() -> impl Strategy<Value = Element> {
    let often = [
        Element::E2m1,
        Element::E4m3,
        Element::Int { bits: 4 },
        Element::Uint { bits: 4 },
        Element::Int { bits: 8 },
        Element::Uint { bits: 8 },
    ];
    prop_oneof![select(often.to_vec()), select(&Element::ALL[..])]
}

fn kind() -> impl Strategy<Value = ScaleKind> {
    use ScaleKind::{Bf16, E4m3, E8m0, F16, F32};
    select(&[F32, F16, Bf16, E4m3, E8m0][..])
}

/// A format with some fields like those of another.
pub(super) fn like(other: Format) -> impl Strategy<Value = Format> {
    let zero = select(&[Zero::None, Zero::None, Zero::Int, Zero::Float, Zero::Bias][..]);
    let fields = (element(), block(), kind(), any::<bool>(), zero);
    (fields, select(&[1u32, 2, 4, 8, 16, 3, 6, 10, 5, 17, 18, 31, 0][..])).prop_map(
        move |((element, block, scale, tensor_scale, zero), changed)| {
            let differs = |bit: u32| changed >> bit & 1 == 1;
            let mut format = Format::new(
                if differs(0) { element } else { other.element },
                if differs(1) { block } else { other.block },
                if differs(2) { scale } else { other.scale.kind },
            )
            .with_outer(Outer::matrix(if differs(3) { tensor_scale } else { other.has_tensor_scale() }))
            .with_zero(if differs(4) { zero } else { other.zero });
            match (format.zero, format.element) {
                (Zero::Int, Element::Int { bits }) => format.element = Element::Uint { bits },
                (Zero::Int, Element::Uint { .. }) | (Zero::None, _) => {}
                (Zero::Int, _) => format.zero = Zero::None,
                _ if format.scale.kind == ScaleKind::E8m0 => format.scale.kind = ScaleKind::Bf16,
                _ => {}
            }
            format
        },
    )
}

pub(super) fn any_format() -> impl Strategy<Value = Format> {
    (element(), block(), kind(), any::<bool>()).prop_flat_map(|(element, block, scale, tensor_scale)| {
        like(Format::new(element, block, scale).with_outer(Outer::matrix(tensor_scale)))
    })
}

/// A shape that both can hold.
pub(super) fn shape(a: Format, b: Format) -> impl Strategy<Value = Shape> {
    let group = |format: Format| if let Block::Group(len) = format.block { len } else { 1 };
    let unit = (1..).map(|n| n * group(a)).find(|cols| cols.is_multiple_of(group(b))).unwrap();
    (1usize..3, 0usize..7, 0usize..100).prop_map(move |(matrices, rows, cols)| Shape {
        matrices,
        rows,
        cols: cols.div_ceil(unit) * unit,
    })
}

/// Scales of one mantissa and exponents close together, or any at all; some zeros, some negative ones.
fn scales(kind: ScaleKind, n: usize) -> impl Strategy<Value = Vec<f32>> {
    let mantissa = select(&[1.0f32, 1.0, 1.5, 1.125, 1.0078125, 1.3][..]);
    let spread = select(&[0i32, 0, 1, 3, 14, 40][..]);
    (mantissa, spread, -20i32..20, any::<bool>()).prop_flat_map(move |(mantissa, spread, base, special)| {
        let one = (0..=spread, 0u32..40).prop_map(move |(up, other)| {
            let scale = mantissa * 2f32.powi(base + up);
            match other {
                0 | 1 if special => 0.0,
                2 if special && kind != ScaleKind::E8m0 => -scale,
                3 if special => scale * 1.75,
                4 if special => f32::NAN,
                _ => scale,
            }
        });
        vec(one, n)
    })
}

fn zeros(format: Format, scales: Vec<f32>) -> BoxedStrategy<Option<Vec<u8>>> {
    let n = scales.len();
    let middle = 1 << (format.element.bits() - 1).min(7);
    let points = (any::<bool>(), vec(any::<u8>(), n), vec(0u32..30, n)).prop_map(move |(all, any, odd)| {
        let own = |(&any, &odd)| if odd == 0 && !all { any } else { middle };
        any.iter().zip(&odd).map(own).collect::<Vec<u8>>()
    });
    match format.zero {
        Zero::None => Just(None).boxed(),
        Zero::Int => points.prop_map(Some).boxed(),
        Zero::Float => points
            .prop_map(move |points| {
                let points: Vec<f32> = points.iter().map(|&zero| f32::from(zero)).collect();
                Some(stored(format.scale.kind, &points))
            })
            .boxed(),
        _ => points
            .prop_map(move |points| {
                let biases = points.iter().zip(&scales).map(|(&zero, scale)| -f32::from(zero) * scale);
                Some(stored(format.scale.kind, &biases.collect::<Vec<f32>>()))
            })
            .boxed(),
    }
}

/// Bits after the last code of a row, or of a flat matrix, are zero.
fn clear_padding(format: Format, shape: Shape, codes: &mut [u8]) {
    let values = if let Block::Flat(_) = format.block { shape.rows * shape.cols } else { shape.cols };
    let used = values * format.element.bits() as usize % 8;
    if used > 0 {
        let last = |codes: &mut [u8]| *codes.last_mut().unwrap() &= (1 << used) - 1;
        codes.chunks_mut(format.row_bytes(values)).for_each(last);
    }
}

/// A tensor of `format`; some of its codes are zeros for long stretches.
pub(super) fn tensor(format: Format, shape: Shape) -> impl Strategy<Value = QTensor<'static>> {
    let count = format.scales_per_matrix(shape) * shape.matrices;
    let codes = (vec(any::<u8>(), format.codes_len(shape)), 0usize..60, any::<bool>());
    let power = (-30i32..30).prop_map(|exponent| 2f32.powi(exponent));
    let second = (vec(prop_oneof![power, 0.0078125f32..128.0], shape.matrices), any::<bool>());
    scales(format.scale.kind, count)
        .prop_flat_map(move |scales| (Just(scales.clone()), zeros(format, scales)))
        .prop_flat_map(move |scales| (Just(scales), codes.clone(), second.clone()))
        .prop_map(move |((scales, zeros), (mut codes, run, blank), (second, divide))| {
            if blank {
                codes.chunks_mut(run + 1).step_by(2).for_each(|codes| codes.fill(0));
            }
            clear_padding(format, shape, &mut codes);
            let tensor_scale = match (format.has_tensor_scale(), divide) {
                (false, _) => TensorScale::None,
                (true, false) => TensorScale::Multiply(second),
                (true, true) => TensorScale::Divide(second),
            };
            let scales = stored(format.scale.kind, &scales);
            QTensor::new(format, shape, codes, scales, zeros.map(Into::into), tensor_scale).unwrap()
        })
}

/// A tensor, and a format to try.
pub(super) fn pair() -> impl Strategy<Value = (QTensor<'static>, Format)> {
    any_format()
        .prop_flat_map(|from| (Just(from), like(from)))
        .prop_flat_map(|(from, to)| shape(from, to).prop_map(move |shape| (from, to, shape)))
        .prop_flat_map(|(from, to, shape)| (tensor(from, shape), Just(to)))
}
