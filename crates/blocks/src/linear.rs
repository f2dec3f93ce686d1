//! Quantized linears: the weight, and the transformations of its input.
//!
//! ```text
//! y = W x                             plain
//! y[i] = sum over j of W[i][j] * (x * pre_quant_scale)[perm[j]] + bias[i]
//! ```
//!
//! `perm` sorts input features by group. With GPTQ's activation order, columns are stored in the
//! order in which they were quantized, so that a group of scales covers consecutive columns. Stored
//! column `j` belongs to input feature `perm[j]` (in a file: the stable argsort of `g_idx`).
//! `pre_quant_scale` is AWQ's, with one number per input feature, in the order of the features.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

use crate::error::Error;
use crate::shape::Shape;
use crate::tensor::QTensor;

/// A quantized linear with owned or borrowed parts: the type that engines and file layouts
/// exchange.
///
/// ```
/// use std::borrow::Cow;
/// use lowbit_blocks::{INT8, QLinear, QTensor, Shape, TensorScale};
/// let one = 1.0f32.to_le_bytes().to_vec();
/// let weight = QTensor::new(INT8, Shape::matrix(1, 3), vec![10, 20, 30], one, None, TensorScale::None)?;
/// let linear = QLinear {
///     perm: Some(Cow::Borrowed(&[2, 0, 1])), // the first stored column belongs to the last feature
///     pre_quant_scale: Some(Cow::Borrowed(&[1.0, 0.5, 2.0])),
///     ..QLinear::from(weight)
/// };
/// linear.check()?;
/// assert_eq!(linear.effective_weight(), [20.0, 15.0, 20.0]);
/// # Ok::<(), lowbit_blocks::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct QLinear<'a> {
    /// The weight, outputs x inputs.
    pub weight: QTensor<'a>,
    /// The input feature of each stored column.
    pub perm: Option<Cow<'a, [u32]>>,
    /// The pre-quant scale of each input feature. It is multiplied with the input, before
    /// activations are quantized.
    pub pre_quant_scale: Option<Cow<'a, [f32]>>,
    /// The static scale of quantized activations.
    pub input_scale: Option<f32>,
    /// The bias of each output.
    pub bias: Option<Cow<'a, [f32]>>,
}

impl<'a> From<QTensor<'a>> for QLinear<'a> {
    fn from(weight: QTensor<'a>) -> Self {
        Self { weight, perm: None, pre_quant_scale: None, input_scale: None, bias: None }
    }
}

impl QLinear<'_> {
    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// [`Error::Linear`] if a part has the wrong length; [`Error::Permutation`] if `perm` is not a
    /// permutation.
    pub fn check(&self) -> Result<(), Error> {
        self.check_lengths()?;
        let cols = self.weight.shape().cols;
        let mut seen = vec![false; if self.perm.is_some() { cols } else { 0 }];
        for (index, &value) in self.perm.iter().flat_map(|perm| perm.iter()).enumerate() {
            match seen.get_mut(value as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(Error::Permutation { index, value, cols }),
            }
        }
        Ok(())
    }

    /// Checks the lengths of the parts.
    pub(crate) fn check_lengths(&self) -> Result<(), Error> {
        let Shape { matrices, rows, cols } = self.weight.shape();
        let fit = |part, got: Option<usize>, want, axis| match got {
            Some(got) if got != want => Err(Error::Linear { part, got, want, axis }),
            _ => Ok(()),
        };
        fit("perm", self.perm.as_ref().map(|perm| perm.len()), cols, "columns")?;
        fit("pre_quant_scale", self.pre_quant_scale.as_ref().map(|scale| scale.len()), cols, "columns")?;
        fit("bias", self.bias.as_ref().map(|bias| bias.len()), matrices * rows, "rows")
    }

    /// The weight of an equivalent plain linear: columns in the order of the input features, each
    /// multiplied by its `pre_quant_scale` in f32. Row-major, matrix by matrix.
    ///
    /// # Panics
    /// If [`check`](Self::check) refuses the parts.
    #[must_use]
    pub fn effective_weight(&self) -> Vec<f32> {
        let mut weight = self.weight.to_f32_vec();
        let cols = self.weight.shape().cols;
        if cols == 0 {
            return weight;
        }
        if let Some(perm) = &self.perm {
            let mut stored = vec![0.0; cols];
            for row in weight.chunks_exact_mut(cols) {
                stored.copy_from_slice(row);
                for (&feature, &value) in perm.iter().zip(&stored) {
                    row[feature as usize] = value;
                }
            }
        }
        if let Some(scale) = &self.pre_quant_scale {
            for row in weight.chunks_exact_mut(cols) {
                row.iter_mut().zip(scale.iter()).for_each(|(value, scale)| *value *= scale);
            }
        }
        weight
    }

    /// The same linear, borrowing these parts.
    #[must_use]
    pub fn borrow(&self) -> QLinear<'_> {
        QLinear {
            weight: self.weight.borrow(),
            perm: self.perm.as_deref().map(Cow::Borrowed),
            pre_quant_scale: self.pre_quant_scale.as_deref().map(Cow::Borrowed),
            input_scale: self.input_scale,
            bias: self.bias.as_deref().map(Cow::Borrowed),
        }
    }

    /// The same linear with owned parts; borrowed parts are copied.
    #[must_use]
    pub fn into_owned(self) -> QLinear<'static> {
        QLinear {
            weight: self.weight.into_owned(),
            perm: self.perm.map(|perm| Cow::Owned(perm.into_owned())),
            pre_quant_scale: self.pre_quant_scale.map(|scale| Cow::Owned(scale.into_owned())),
            input_scale: self.input_scale,
            bias: self.bias.map(|bias| Cow::Owned(bias.into_owned())),
        }
    }
}
