//! The steps from rounding to everything that the solver does, one more idea at a time, and what each is worth on tokens that it has not seen.

use lowbit_blocks::{Dtype, NVFP4, Shape};
use lowbit_calib::{Gptq, Hessian, Importance, Order, Recipe, ScaleRule, Weighing};
use lowbit_kernels::Kernels;

/// A step of the ladder.
pub(crate) struct Step {
    /// What is done.
    pub(crate) name: &'static str,
    rule: ScaleRule,
    how: How,
}

enum How {
    Round,
    /// Scales for errors weighted by E\[x^2\].
    Weighted,
    /// Scales for errors weighted by the diagonal blocks of the Hessian.
    Blocks,
    Solve(Gptq<'static>),
}

/// GPTQ without anything besides: columns as they stand, scales by their blocks' largest values.
fn gptq() -> Gptq<'static> {
    Gptq { order: Order::Natural, passes: 0, weighing: Weighing::Uniform, ..Gptq::default() }
}

/// All of them, in order.
pub(crate) fn steps() -> Vec<Step> {
    use ScaleRule::{Amax, FourOverSix, Mse};
    let ordered = Gptq { order: Order::Activation, ..gptq() };
    let searched = Gptq { weighing: Weighing::Diagonal, ..ordered };
    let descent = Gptq { passes: 3, ..searched };
    let step = |name, rule, how| Step { name, rule, how };
    vec![
        step("rounding, largest value of a block to 6", Amax, How::Round),
        step("four-over-six", FourOverSix, How::Round),
        step("scale search", Mse, How::Round),
        step("scale search, errors weighted by E[x²]", Mse, How::Weighted),
        step("scale search, errors weighted by Hessian blocks", Mse, How::Blocks),
        step("error feedback (GPTQ), scales as in the first row", Amax, How::Solve(gptq())),
        step("+ columns in the order of activations", Amax, How::Solve(ordered)),
        step("+ scale search weighted by E[x²]", Mse, How::Solve(searched)),
        step("+ coordinate descent, 3 passes", Mse, How::Solve(descent)),
        step("+ scales and codes once more, 1 round", Mse, How::Solve(Gptq { rescales: 1, ..descent })),
    ]
}

/// A weight (rows of as many values as the Hessians have channels) with the inputs that it is quantized for and those that it is judged by.
pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) weight: Vec<f32>,
    pub(crate) seen: Hessian,
    pub(crate) held_out: Hessian,
}

/// Power of the outputs on held-out inputs, and of their error.
pub(crate) fn judge(step: &Step, layer: &Layer) -> Result<(f64, f64), lowbit_calib::Error> {
    let cols = layer.seen.size();
    let shape = Shape::matrix(layer.weight.len() / cols, cols);
    let recipe = Recipe::new(NVFP4)?.with_scale_rule(step.rule)?;
    let codes = match &step.how {
        How::Solve(gptq) => gptq.quantize(&recipe, shape, &layer.weight, &layer.seen, &[])?.weight,
        rounding => {
            let mut stats = recipe.stats();
            if let Some(stats) = &mut stats {
                stats.observe(&layer.weight[..])?;
            }
            let stats: Vec<_> = stats.into_iter().collect();
            let quantizer = recipe.quantizer(shape, Dtype::F32, &stats, Kernels::best())?;
            let squares = layer.seen.mean_square();
            let importance = match rounding {
                How::Weighted => Importance::Channels(&squares),
                How::Blocks => Importance::Hessian(&layer.seen),
                How::Round | How::Solve(_) => Importance::Uniform,
            };
            let quantizer = match importance {
                Importance::Uniform => quantizer,
                weighted => quantizer.with_importance(weighted)?,
            };
            quantizer.quantize(&layer.weight[..])?
        }
    };
    let errors: Vec<f32> = layer.weight.iter().zip(&codes.to_f32_vec()).map(|(w, q)| w - q).collect();
    Ok((layer.held_out.output_power(&layer.weight)?, layer.held_out.output_power(&errors)?))
}
