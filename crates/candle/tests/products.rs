//! Products of a quantized layer against candle's own matmul of the dequantized weights.

use candle_core::{DType, Device, Module, Result, Tensor};
use lowbit::{FORMATS, MXFP4, NVFP4, QLinear, Recipe, Shape};
use lowbit_candle::Linear;

const ROWS: usize = 48;
const COLS: usize = 256;

/// Numbers that look random and are the same everywhere.
fn noise(count: usize) -> Vec<f32> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn layer(format: lowbit::Format, bias: bool) -> Linear {
    let weights = noise(ROWS * COLS);
    let q = Recipe::new(format).unwrap().quantize(Shape::matrix(ROWS, COLS), &weights).unwrap();
    let bias = bias.then(|| (0..ROWS).map(|row| row as f32).collect::<Vec<_>>().into());
    Linear::new(QLinear { bias, ..QLinear::from(q) }).unwrap()
}

/// candle's product of the numbers that the codes stand for.
fn of_candle(layer: &Linear, x: &Tensor) -> Result<Tensor> {
    let weights = Tensor::from_vec(layer.linear().weight.to_f32_vec(), (ROWS, COLS), &Device::Cpu)?;
    let product = x.to_dtype(DType::F32)?.broadcast_matmul(&weights.t()?)?;
    match &layer.linear().bias {
        Some(bias) => product.broadcast_add(&Tensor::new(&bias[..], &Device::Cpu)?),
        None => Ok(product),
    }
}

fn largest_difference(a: &Tensor, b: &Tensor) -> Result<f32> {
    assert_eq!(a.dims(), b.dims());
    (a.to_dtype(DType::F32)? - b)?.abs()?.flatten_all()?.max(0)?.to_scalar()
}

#[test]
fn every_format_multiplies_as_candle_does() -> Result<()> {
    let x = Tensor::from_vec(noise(3 * COLS), (3, COLS), &Device::Cpu)?;
    for &(name, format) in FORMATS.iter().filter(|(_, format)| Recipe::new(*format).is_ok()) {
        let layer = layer(format, true);
        // 256 products of numbers below 1 in another order: a few 2^-24 of the sum of their magnitudes.
        let difference = largest_difference(&layer.forward(&x)?, &of_candle(&layer, &x)?)?;
        assert!(difference < 1e-4, "{name}: {difference}");
    }
    Ok(())
}

#[test]
fn dimensions_before_the_last_are_tokens_and_the_type_stays() -> Result<()> {
    let layer = layer(NVFP4, false);
    let x = Tensor::from_vec(noise(2 * 3 * COLS), (2, 3, COLS), &Device::Cpu)?;
    // The result is rounded once: by half a step, as a part of the largest number.
    for (dtype, part) in [(DType::F32, 1e-5), (DType::F16, 0.5e-3), (DType::BF16, 4e-3)] {
        let x = x.to_dtype(dtype)?;
        let y = layer.forward(&x)?;
        assert_eq!((y.dims(), y.dtype()), (&[2, 3, ROWS][..], dtype));
        let want = of_candle(&layer, &x)?;
        let largest: f32 = want.abs()?.flatten_all()?.max(0)?.to_scalar()?;
        let difference = largest_difference(&y, &want)?;
        assert!(difference <= part * largest, "{dtype:?}: {difference} of {largest}");
    }
    Ok(())
}

#[test]
fn a_view_that_is_not_contiguous_is_multiplied_too() -> Result<()> {
    let layer = layer(MXFP4, true);
    let x = Tensor::from_vec(noise(5 * COLS), (COLS, 5), &Device::Cpu)?.t()?;
    assert!(!x.is_contiguous());
    assert!(largest_difference(&layer.forward(&x)?, &of_candle(&layer, &x)?)? < 1e-4);
    Ok(())
}

#[test]
fn what_does_not_fit_is_an_error() -> Result<()> {
    let layer = layer(MXFP4, false);
    let short = Tensor::zeros((2, COLS - 1), DType::F32, &Device::Cpu)?;
    let error = layer.forward(&short).unwrap_err().to_string();
    assert!(error.contains("times a weight of 256 columns"), "{error}");
    assert!(layer.forward(&Tensor::zeros((2, COLS), DType::U8, &Device::Cpu)?).is_err());
    Ok(())
}
