#![doc = include_str!("../README.md")]

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Module, Result, Shape, Tensor, bail};
use lowbit::half::{bf16, f16};
use lowbit::{QLinear, Values};

/// A quantized linear layer: a [`Module`], and the [`CustomOp1`] behind it. Clones share the weights.
#[derive(Clone, Debug)]
pub struct Linear(Arc<QLinear<'static>>);

impl Linear {
    /// A layer of one matrix.
    ///
    /// # Errors
    /// If its parts do not fit together ([`QLinear::check`]), or it is a stack of matrices.
    pub fn new(linear: QLinear<'static>) -> Result<Self> {
        linear.check().map_err(Error::wrap)?;
        match linear.weight.shape().matrices {
            1 => Ok(Self(Arc::new(linear))),
            matrices => bail!("a layer has one matrix, this one {matrices}"),
        }
    }

    /// The layer.
    #[must_use]
    pub fn linear(&self) -> &QLinear<'static> {
        &self.0
    }
}

impl Module for Linear {
    /// `x W^T + bias` of f32, f16 or bf16 numbers; the last dimension of `x` holds the features.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1_no_bwd(self)
    }
}

impl CustomOp1 for Linear {
    fn name(&self) -> &'static str {
        "lowbit-linear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else { bail!("x is not contiguous") };
        let (rows, cols) = (self.0.weight.shape().rows, self.0.weight.shape().cols);
        let mut dims = layout.dims().to_vec();
        let Some(last) = dims.last_mut().filter(|last| **last == cols) else {
            bail!("x of dimensions {:?} times a weight of {cols} columns", layout.dims())
        };
        *last = rows;
        let tokens = dims[..dims.len() - 1].iter().product();
        let product = |x: Values<'_>| self.0.matmul_vec(x, tokens).map_err(Error::wrap);
        let y = match storage {
            CpuStorage::F32(x) => CpuStorage::F32(product(x[start..end].into())?),
            CpuStorage::F16(x) => {
                CpuStorage::F16(product(x[start..end].into())?.into_iter().map(f16::from_f32).collect())
            }
            CpuStorage::BF16(x) => {
                CpuStorage::BF16(product(x[start..end].into())?.into_iter().map(bf16::from_f32).collect())
            }
            _ => bail!("x is neither f32, f16 nor bf16"),
        };
        Ok((y, Shape::from(dims)))
    }
}
