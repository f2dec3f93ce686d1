//! The solver of one set of projections: linears that read the same input, quantized together under shared scales.

use half::{bf16, f16};
use lowbit_blocks::{Dtype, Element, QLinear, Shape, Values};
use lowbit_calib::{Activations, Importance, Loss, Solved, TensorStats};
use lowbit_checkpoint::overlay::Sheet;
use lowbit_checkpoint::{Choice, Progress};
use lowbit_kernels::Kernels;

use crate::collect::InputSummary;
use crate::method::{Method, Methods, Prescale};
use crate::report::LinearReport;
use crate::shared::SharedStats;
use crate::{Error, Result};

/// The damping of the regression of the drift: a part of the mean diagonal that is added to the diagonal.
const DRIFT_DAMPING: f64 = 0.05;

/// A linear to quantize: its choice, and its weight as f32.
pub(super) type Member<'a> = (&'a Choice, &'a [f32]);

/// Quantizes sets of projections, and collects the results.
pub(super) struct Solver<'a> {
    method: &'a Method,
    kernels: Kernels,
    progress: &'a dyn Progress,
    pub(super) sheet: Sheet,
    pub(super) reports: Vec<LinearReport>,
}

impl<'a> Solver<'a> {
    pub(super) fn new(method: &'a Method, kernels: Kernels, progress: &'a dyn Progress) -> Self {
        Self { method, kernels, progress, sheet: Sheet::new(), reports: Vec::new() }
    }

    /// Quantizes linears that read the same input.
    pub(super) fn group(
        &mut self,
        members: &[Member<'_>],
        inputs: &InputSummary,
    ) -> Result<Vec<QLinear<'static>>> {
        let shared = SharedStats::of(members.iter().copied())?;
        let regression = match (&inputs.drift, &inputs.hessian, members.first()) {
            (Some(drift), Some(hessian), Some((first, _))) => {
                Some(drift.regression(hessian, DRIFT_DAMPING).map_err(|e| of(first, &e))?)
            }
            _ => None,
        };
        let mut quantized = Vec::new();
        for (choice, weight) in members {
            if self.progress.cancelled() {
                return Err(Error::Interrupted);
            }
            let target = regression.as_ref().map(|r| r.target(weight, self.method.drift));
            let target = target.transpose().map_err(|e| of(choice, &e))?;
            let target = target.as_deref().unwrap_or(weight);
            let solved = self.solve(choice, target, shared.stats(choice), inputs);
            let (mut linear, loss) = solved.map_err(|e| of(choice, &e))?.into_linear();
            let power = match &inputs.hessian {
                Some(hessian) => hessian.output_power(weight).map_err(|e| of(choice, &e))?,
                None => weighted(weight, &inputs.squares),
            };
            self.reports.push(LinearReport {
                module: choice.linear.module.clone(),
                format: linear.weight.format().name(),
                tokens: inputs.tokens,
                power,
                rtn: loss.rtn,
                loss: loss.solved,
            });
            if choice.activations == Activations::Static {
                let reason =
                    "the range of its input is not known: calibrate it, or leave activations as they are";
                let unknown = || Error::method(&choice.linear.module, reason);
                linear.input_scale = Some(input_scale(choice, inputs.amax.ok_or_else(unknown)?));
            }
            self.sheet.linear(&choice.linear, &linear, choice.activations)?;
            if choice.tensor != choice.linear.weight {
                self.sheet.replaces(&choice.tensor);
            }
            quantized.push(linear);
        }
        Ok(quantized)
    }

    fn solve(
        &self,
        choice: &Choice,
        weight: &[f32],
        stats: &[TensorStats],
        inputs: &InputSummary,
    ) -> Result<Solved, lowbit_calib::Error> {
        let Shape { rows, cols, .. } = choice.linear.shape;
        let (recipe, shape) = (&choice.recipe, Shape::matrix(rows, cols));
        if let (Methods::Gptq, Some(hessian)) = (self.method.method, &inputs.hessian) {
            return self.method.gptq().quantize(recipe, shape, weight, hessian, stats);
        }
        // In the weight's own type, which some producers' recipes round scales to: the bytes are those of a job without inputs.
        let folded = self.method.prescale != Prescale::None;
        let dtype = if folded { Dtype::F32 } else { choice.linear.dtype };
        let mut quantizer = recipe.quantizer(shape, dtype, stats, self.kernels)?;
        if self.method.method == Methods::Sweep && inputs.tokens > 0 {
            quantizer = quantizer.with_importance(Importance::Channels(&inputs.squares))?;
        }
        let codes = match dtype {
            Dtype::F32 => quantizer.quantize(weight)?,
            Dtype::F16 => quantizer
                .quantize(Values::F16(&weight.iter().map(|w| f16::from_f32(*w)).collect::<Vec<_>>()))?,
            Dtype::Bf16 => quantizer
                .quantize(Values::Bf16(&weight.iter().map(|w| bf16::from_f32(*w)).collect::<Vec<_>>()))?,
        };
        // Without a Hessian, features are taken to be independent.
        let errors: Vec<f32> = weight.iter().zip(&codes.to_f32_vec()).map(|(w, r)| w - r).collect();
        let lost = weighted(&errors, &inputs.squares);
        let loss = Loss { rtn: lost, solved: lost, ..Loss::default() };
        Ok(Solved { weight: codes, perm: None, loss })
    }
}

/// An error with the name of the linear.
fn of(choice: &Choice, error: &lowbit_calib::Error) -> Error {
    Error::method(&choice.linear.module, error)
}

/// The scale of inputs up to `amax`: `amax` over the value of the largest code under the largest block scale.
fn input_scale(choice: &Choice, amax: f32) -> f32 {
    let element = choice.recipe.format.element;
    let largest = if choice.recipe.format.has_tensor_scale() {
        element.max() * Element::E4m3.max()
    } else {
        element.max()
    };
    // Inputs that were always 0 stay 0 under any scale.
    if amax > 0.0 { amax / largest } else { 1.0 }
}

/// sum over rows of sum over columns of E[x^2] v^2.
fn weighted(values: &[f32], squares: &[f32]) -> f64 {
    let row = |row: &[f32]| -> f64 {
        row.iter().zip(squares).map(|(v, m)| f64::from(*v) * f64::from(*v) * f64::from(*m)).sum()
    };
    values.chunks_exact(squares.len().max(1)).map(row).sum()
}
