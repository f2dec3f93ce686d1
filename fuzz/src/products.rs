//! Products of any tensor with any activations: every SIMD level gives the bits of the reference, threads or not, and f32 products are those of
//! the restored weight.

use lowbit_blocks::{
    Activations, Block, Element, Format, Outer, QTensor, ScaleKind, Shape, TensorScale, Zero,
};
use lowbit_kernels::Kernels;

/// Values for comparison: NaN agrees with any NaN.
fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
}

/// A format from four bytes, sensible or not.
fn format([element, block, size, parts]: [u8; 4]) -> Format {
    let size = 1 + size as usize % 80;
    let element = Element::ALL[element as usize % Element::ALL.len()];
    let block = match block % 5 {
        0 => Block::Tensor,
        1 => Block::Channel,
        2 => Block::Group(size),
        3 => Block::Tile { rows: 1 + block as usize / 5 % 4, cols: size },
        _ => Block::Flat(size),
    };
    let scale = [ScaleKind::F32, ScaleKind::F16, ScaleKind::Bf16, ScaleKind::E4m3, ScaleKind::E8m0]
        [parts as usize % 5];
    let zero = [Zero::None, Zero::None, Zero::Int, Zero::Float, Zero::Bias][parts as usize / 5 % 5];
    Format::new(element, block, scale).with_outer(Outer::matrix(parts & 0x80 != 0)).with_zero(zero)
}

/// A tensor of the next bytes of `data`, over and over.
fn tensor(format: Format, shape: Shape, data: &mut impl Iterator<Item = u8>) -> Option<QTensor<'static>> {
    format.check(shape).ok()?;
    let mut take = |n: usize| data.take(n).collect::<Vec<u8>>();
    let (codes, scales) = (take(format.codes_len(shape)), take(format.scales_len(shape)));
    let zeros = (format.zero != Zero::None).then(|| take(format.zeros_len(shape)).into());
    let numbers: Vec<f32> = take(4 * shape.matrices)
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    let tensor_scale = match (format.has_tensor_scale(), codes.len() % 2) {
        (false, _) => TensorScale::None,
        (true, 0) => TensorScale::Multiply(numbers),
        (true, _) => TensorScale::Divide(numbers),
    };
    QTensor::new(format, shape, codes, scales, zeros, tensor_scale).ok()
}

/// Panics where the property does not hold.
pub fn check(data: &[u8]) {
    let Some((head, rest)) = data.split_first_chunk::<12>() else { return };
    let [rows, cols, columns, matrices, w @ .., a, b, c, d] = *head;
    if rest.is_empty() {
        return;
    }
    let (rows, cols, columns) = (rows as usize % 7, 2 * cols as usize, columns as usize % 5);
    let weights = format(w);
    // Groups divide rows.
    let cols = if let Block::Group(block) = weights.block { cols.next_multiple_of(block) } else { cols };
    let mut data = rest.iter().copied().cycle();
    let Some(weight) = tensor(weights, Shape { matrices: matrices as usize % 3, rows, cols }, &mut data)
    else {
        return;
    };
    let x: Vec<f32> = (0..columns * cols)
        .map(|_| f32::from_le_bytes(core::array::from_fn(|_| data.next().unwrap_or(0))))
        .collect();
    let tokens = tensor(format([a, b, c, d]), Shape::matrix(columns, cols), &mut data);

    let all = weight.shape().matrices * rows;
    let mut y = vec![7.0; columns * all];
    let reference = Kernels::reference();
    let (mut want, mut want_int8, mut want_tokens) = (y.clone(), y.clone(), y.clone());
    let (mut restored, mut turned) = (y.clone(), y.clone());
    reference.dot_f32(&weight.to_f32_vec(), &x, cols, &mut turned);
    for (at, value) in turned.iter().enumerate() {
        restored[at % columns * all + at / columns] = *value;
    }
    let mut activations = Activations::new();
    for kernels in Kernels::available() {
        let about = |what| {
            format!(
                "{}: {what}, {} times {:?}",
                kernels.name(),
                weight.format(),
                tokens.as_ref().map(|x| x.format())
            )
        };
        let check = |y: &[f32], want: &mut Vec<f32>, what| {
            if kernels == reference {
                want.copy_from_slice(y);
            }
            assert_eq!(bits(y), bits(want), "{}", about(what));
        };
        weight.matmul_with(kernels, &x, columns, &mut y).expect("as many values as asked for");
        check(&y, &mut want, "f32");
        assert_eq!(bits(&y), bits(&restored), "{}", about("the restored weight"));
        activations.set_int8_with(kernels, &x, columns).expect("whole columns");
        if columns > 0 {
            weight.matmul_quantized_with(kernels, &activations, &mut y).expect("as many values as asked for");
            check(&y, &mut want_int8, "int8");
        }
        if let Some(tokens) = &tokens {
            activations.set_quantized_with(kernels, tokens).expect("any tensor will do");
            weight.matmul_quantized_with(kernels, &activations, &mut y).expect("as many values as asked for");
            check(&y, &mut want_tokens, "tokens");
        }
    }
}
