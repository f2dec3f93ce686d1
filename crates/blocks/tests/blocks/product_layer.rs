//! What products do around the kernels: inputs of a layer, bias, experts, buffers used again, refusals.

use std::borrow::Cow;

use half::{bf16, f16};
use lowbit_blocks::*;

use crate::cases::noise;
use crate::product::{WEIGHTS, named};
use crate::round_trip::bits;

/// f16 and bf16 are widened, and nothing else.
#[test]
fn sixteen_bit_activations_are_their_f32_values() {
    let tensor = named("nvfp4", Shape::matrix(7, 176));
    let x = noise(2 * 176);
    let halves: Vec<f16> = x.iter().map(|&x| f16::from_f32(x)).collect();
    let brains: Vec<bf16> = x.iter().map(|&x| bf16::from_f32(x)).collect();
    let wide = |x: Values<'_>| (0..x.len()).map(|i| x.get(i)).collect::<Vec<f32>>();
    for x in [Values::from(&halves), Values::from(&brains)] {
        let (mut y, mut want) = ([0.0; 14], [1.0; 14]);
        tensor.matmul(x, 2, &mut y).unwrap();
        tensor.matmul(Values::F32(&wide(x)), 2, &mut want).unwrap();
        assert_eq!(bits(&y), bits(&want));
        tensor.matmul_int8(x, 2, &mut y).unwrap();
        tensor.matmul_int8(Values::F32(&wide(x)), 2, &mut want).unwrap();
        assert_eq!(bits(&y), bits(&want));
    }
}

fn dressed() -> QLinear<'static> {
    let weight = named("int4-g32-asym", Shape { matrices: 2, rows: 5, cols: 96 });
    QLinear {
        weight,
        perm: Some((0..96).map(|j| (j * 35 + 11) % 96).collect::<Vec<u32>>().into()),
        pre_quant_scale: Some(noise(96).iter().map(|x| 1.0 + x.abs()).collect::<Vec<f32>>().into()),
        input_scale: Some(123.0),
        bias: Some(noise(10).into()),
    }
}

#[test]
fn a_layer_permutes_scales_and_adds() {
    let layer = dressed();
    layer.check().unwrap();
    let x = noise(3 * 96);
    let (perm, scale, bias) = (
        layer.perm.as_deref().unwrap(),
        layer.pre_quant_scale.as_deref().unwrap(),
        layer.bias.as_deref().unwrap(),
    );
    let form: Vec<f32> =
        x.chunks(96).flat_map(|x| perm.iter().map(|&p| x[p as usize] * scale[p as usize])).collect();
    assert_eq!(bits(&layer.input(&x, 3).unwrap()), bits(&form));
    let add = |mut y: Vec<f32>| {
        y.chunks_mut(10).for_each(|y| y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias));
        y
    };
    let mut want = vec![0.0; 30];
    layer.weight.matmul(&form, 3, &mut want).unwrap();
    let want = add(want);
    let mut y = vec![0.0; 30];
    layer.matmul(&x, 3, &mut y).unwrap();
    assert_eq!(bits(&y), bits(&want));
    layer.matvec(&x[96..192], &mut y[..10]).unwrap();
    assert_eq!(bits(&y[..10]), bits(&want[10..20]));

    let mut want = vec![0.0; 30];
    layer.weight.matmul_int8(&form, 3, &mut want).unwrap();
    let want = add(want);
    layer.matmul_int8(&x, 3, &mut y).unwrap();
    assert_eq!(bits(&y), bits(&want));
    layer.matvec_int8(&x[..96], &mut y[..10]).unwrap();
    assert_eq!(bits(&y[..10]), bits(&want[..10]));
    let mut activations = Activations::new();
    activations.set_int8(&form, 3).unwrap();
    layer.matmul_quantized(&activations, &mut y).unwrap();
    assert_eq!(bits(&y), bits(&want));

    // One expert of the stack.
    let second = layer.matrix(1);
    second.check().unwrap();
    let mut of_one = vec![0.0; 15];
    second.matmul_quantized(&activations, &mut of_one).unwrap();
    let part: Vec<f32> = want.chunks(10).flat_map(|y| y[5..].to_vec()).collect();
    assert_eq!(bits(&of_one), bits(&part));
    assert!(
        matches!(second.weight.codes().as_ptr(), at if layer.weight.codes().as_ptr_range().contains(&at))
    );
}

/// A row by itself, whatever stands around it.
#[test]
fn dot_is_a_row_of_the_product() {
    for &(name, cols) in WEIGHTS {
        let tensor = named(name, Shape { matrices: 2, rows: 3, cols });
        let x = noise(cols);
        let mut y = [0.0; 6];
        tensor.matvec(&x, &mut y).unwrap();
        for (at, y) in y.iter().enumerate() {
            assert_eq!(tensor.dot(at / 3, at % 3, &x).unwrap().to_bits(), y.to_bits(), "{name} row {at}");
        }
    }
}

/// What stands in one column or one buffer before changes nothing.
#[test]
fn activations_are_used_again() {
    let tensor = named("mxfp4", Shape::matrix(6, 96));
    let mut used = Activations::new();
    let (mut y, mut want) = ([0.0; 24], [0.0; 24]);
    used.set_quantized(&named("fp8-channel", Shape::matrix(9, 64))).unwrap();
    for (tokens, count) in
        [("int8", 4), ("uint8", 4), ("mxfp8", 1), ("nvfp4", 2), ("mxfp4", 3), ("int8-g32", 2)]
    {
        let tokens = named(tokens, Shape::matrix(count, 96));
        used.set_quantized(&tokens).unwrap();
        let mut fresh = Activations::default();
        fresh.set_quantized(&tokens).unwrap();
        tensor.matmul_quantized(&used, &mut y[..6 * count]).unwrap();
        tensor.matmul_quantized(&fresh, &mut want[..6 * count]).unwrap();
        assert_eq!(bits(&y), bits(&want));
        used.set_int8(&noise(count * 96), count).unwrap();
        fresh.set_int8(&noise(count * 96), count).unwrap();
        tensor.matmul_quantized(&used, &mut y[..6 * count]).unwrap();
        tensor.matmul_quantized(&fresh, &mut want[..6 * count]).unwrap();
        assert_eq!(bits(&y), bits(&want));
    }
}

#[test]
fn inputs_that_do_not_fit_are_errors() {
    let tensor = named("nvfp4", Shape::matrix(4, 32));
    let refusal = |result: Result<(), Error>| result.unwrap_err().to_string();
    let mut y = [0.0; 8];
    assert_eq!(
        refusal(tensor.matvec(&[0.0f32; 31], &mut y[..4])),
        "activations: 31 values, but 1 column of 32 has 32"
    );
    assert_eq!(
        refusal(tensor.matmul(&[0.0f32; 32], 2, &mut y)),
        "activations: 32 values, but 2 columns of 32 have 64"
    );
    assert_eq!(
        refusal(tensor.matmul_int8(&[0.0f32; 32], 2, &mut y)),
        "activations: 32 values, but 2 columns of 32 have 64"
    );
    let mut activations = Activations::new();
    activations.set_int8(&[0.0f32; 96], 2).unwrap();
    assert_eq!(
        refusal(tensor.matmul_quantized(&activations, &mut y)),
        "activations: 96 values, but 2 columns of 32 have 64"
    );
    assert_eq!(
        refusal(activations.set_int8(&[0.0f32; 33], 2)),
        "activations: 33 values do not divide into 2 columns"
    );
    let short = QLinear { perm: Some(Cow::Borrowed(&[0, 1])), ..QLinear::from(tensor.borrow()) };
    assert_eq!(
        refusal(short.matvec(&[0.0f32; 32], &mut y[..4])),
        "perm: 2 entries, but the weight has 32 columns"
    );
    let past = QLinear { perm: Some(Cow::Owned(vec![32; 32])), ..QLinear::from(tensor.borrow()) };
    assert_eq!(
        refusal(past.matvec(&[0.0f32; 32], &mut y[..4])),
        "perm: entry 0 is 32, which is past the last column"
    );
    let biased = QLinear { bias: Some(Cow::Borrowed(&[1.0; 3])), ..QLinear::from(tensor.borrow()) };
    assert_eq!(
        refusal(biased.matvec_int8(&[0.0f32; 32], &mut y[..4])),
        "bias: 3 entries, but the weight has 4 rows"
    );
}

#[test]
#[should_panic(expected = "2 columns of 4 results")]
fn an_output_of_the_wrong_length_panics() {
    let tensor = named("nvfp4", Shape::matrix(4, 32));
    let _ = tensor.matmul(&[0.0f32; 64], 2, &mut [0.0; 7]);
}
