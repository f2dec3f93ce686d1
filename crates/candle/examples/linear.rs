//! A candle tensor times an MXFP4 layer.

use candle_core::{Device, Module, Tensor};
use lowbit::prelude::*;
use lowbit_candle::Linear;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let weights = Tensor::randn(0f32, 1.0, (64, 128), &Device::Cpu)?;
    let recipe = Recipe::new("MXFP4".parse()?)?;
    let q = recipe.quantize(Shape::matrix(64, 128), &weights.flatten_all()?.to_vec1::<f32>()?)?;
    let layer = Linear::new(QLinear::from(q))?;
    let x = Tensor::randn(0f32, 1.0, (4, 128), &Device::Cpu)?;
    let error = (layer.forward(&x)? - x.matmul(&weights.t()?)?)?.sqr()?.mean_all()?;
    println!("mean squared error of 64 outputs for 4 tokens: {:.3}", error.to_scalar::<f32>()?);
    Ok(())
}
