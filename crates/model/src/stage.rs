//! The linears of a layer that read the same input, and who may look on.
//!
//! ```text
//! observe input, chunk by chunk ──► settle: weights may change ──► products          q, k, v │ o │ gate, up │ down
//! ```
//!
//! All tokens of all sequences pass a stage before the next one begins, so what is decided of one stage is in the inputs of the next: calibration is
//! sequential within a layer as it is from layer to layer.

use crate::activations::Input;
use crate::product::product;
use crate::{Error, Result};

/// Tokens of a chunk that hooks see and products take at once.
pub(crate) const CHUNK: usize = 2048;

/// What the linears of a stage are to their layer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StageKind {
    /// Queries, keys and values: after the first norm.
    Qkv,
    /// The output of the attention.
    AttentionOut,
    /// Gate and up: after the second norm.
    GateUp,
    /// The output of the MLP.
    Down,
    /// The output head: after the last norm.
    Head,
}

/// Linears that read the same input.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Place of the layer in the model.
    pub layer: usize,
    /// What it is to the layer.
    pub kind: StageKind,
    /// The expert, in a mixture of them.
    pub expert: Option<usize>,
    /// One to three linears, in the order of the name: q, k, v; gate, up.
    pub linears: Vec<Linear>,
}

/// A linear as it is run: a plain f32 weight, whatever it was decoded from, and what happens to its input.
#[derive(Clone, PartialEq, Debug)]
pub struct Linear {
    /// Module: `model.layers.0.self_attn.q_proj`. Its weight is called `NAME.weight`.
    pub name: String,
    /// Output features.
    pub rows: usize,
    /// Input features.
    pub cols: usize,
    /// `rows` x `cols`, row-major.
    pub weight: Vec<f32>,
    /// Added to each output.
    pub bias: Option<Vec<f32>>,
    /// What each input feature is multiplied with before anything else (`pre_quant_scale`).
    pub input_factors: Option<Vec<f32>>,
    /// How the input is quantized.
    pub input: Input,
}

/// Looks at the inputs of a layer's linears while it runs, and may change their weights. The unit type only looks away.
pub trait Hook {
    /// Inputs of a stage, a chunk of tokens at a time (rows of `cols` features), before its products are taken: before factors and before they are
    /// quantized, too. An expert sees its own tokens only, and none if no token chose it.
    ///
    /// # Errors
    /// Stops the run; see [`Error::hook`].
    fn observe(&mut self, stage: &Stage, rows: &[f32]) -> Result<()> {
        let _ = (stage, rows);
        Ok(())
    }

    /// The residual stream (rows of `width` features, all tokens) that the outputs of the next stage will be added to:
    /// [`StageKind::AttentionOut`] or [`StageKind::Down`]. Not called where outputs are normed before they are added.
    ///
    /// # Errors
    /// Stops the run; see [`Error::hook`].
    fn stream(&mut self, kind: StageKind, stream: &[f32], width: usize) -> Result<()> {
        let _ = (kind, stream, width);
        Ok(())
    }

    /// After all tokens of all sequences were seen: may replace the weights of this stage's linears (biases, factors and the quantization of the
    /// input, too), which the products then use.
    ///
    /// # Errors
    /// Stops the run; see [`Error::hook`].
    fn settle(&mut self, stage: &mut Stage) -> Result<()> {
        let _ = stage;
        Ok(())
    }
}

impl Hook for () {}

impl Stage {
    /// Name of the stage: `layers.0.qkv`, `layers.0.experts.7.down` …
    pub fn name(&self) -> String {
        let kind = match self.kind {
            StageKind::Qkv => "qkv",
            StageKind::AttentionOut => "attention_out",
            StageKind::GateUp => "gate_up",
            StageKind::Down => "down",
            StageKind::Head => return "head".into(),
        };
        match self.expert {
            Some(expert) => format!("layers.{}.experts.{expert}.{kind}", self.layer),
            None => format!("layers.{}.{kind}", self.layer),
        }
    }

    /// Features of the input.
    pub fn inputs(&self) -> usize {
        self.linears.first().map_or(0, |linear| linear.cols)
    }

    /// Shows the input to the hook, lets it settle, and gives the output of each linear.
    pub(crate) fn run(&mut self, x: &[f32], hook: &mut dyn Hook) -> Result<Vec<Vec<f32>>> {
        let cols = self.inputs();
        for chunk in x.chunks(CHUNK * cols) {
            hook.observe(self, chunk)?;
        }
        hook.settle(self)?;
        self.outputs(x)
    }

    /// The output of each linear.
    pub(crate) fn outputs(&self, x: &[f32]) -> Result<Vec<Vec<f32>>> {
        let (cols, tokens) = (self.inputs(), x.len() / self.inputs().max(1));
        for linear in &self.linears {
            linear.check(cols)?;
        }
        let mut outputs: Vec<_> = self.linears.iter().map(|linear| vec![0.0; tokens * linear.rows]).collect();
        for (nth, chunk) in x.chunks(CHUNK * cols).enumerate() {
            let mut prepared: Option<(&Linear, Vec<f32>)> = None;
            for (linear, output) in self.linears.iter().zip(&mut outputs) {
                let y = &mut output[nth * CHUNK * linear.rows..][..chunk.len() / cols * linear.rows];
                if linear.takes_plain() {
                    product(chunk, &linear.weight, linear.bias.as_deref(), cols, linear.rows, y);
                    continue;
                }
                // Linears of one stage mostly have the same factors and scales.
                if !prepared.as_ref().is_some_and(|(other, _)| other.same_input(linear)) {
                    prepared = Some((linear, linear.prepare(chunk)?));
                }
                let x = prepared.as_ref().map_or(chunk, |(_, x)| x);
                product(x, &linear.weight, linear.bias.as_deref(), cols, linear.rows, y);
                linear.input.round_output(y);
            }
        }
        Ok(outputs)
    }
}

impl Linear {
    /// The input as it is.
    fn takes_plain(&self) -> bool {
        self.input_factors.is_none() && self.input == Input::Plain
    }

    fn same_input(&self, other: &Self) -> bool {
        self.input_factors == other.input_factors && self.input == other.input
    }

    /// The input with factors and quantization.
    fn prepare(&self, x: &[f32]) -> Result<Vec<f32>> {
        let mut x = x.to_vec();
        if let Some(factors) = &self.input_factors {
            for row in x.chunks_exact_mut(self.cols) {
                row.iter_mut().zip(factors).for_each(|(x, factor)| *x *= factor);
            }
        }
        self.input.quantize(&self.name, self.cols, &mut x)?;
        Ok(x)
    }

    /// Whether it still fits after a hook had it.
    fn check(&self, cols: usize) -> Result<()> {
        let fit = |part, have: usize, want: usize| match have == want {
            true => Ok(()),
            false => Err(Error::Linear { linear: self.name.clone(), part, have, want }),
        };
        fit("the input", self.cols, cols)?;
        fit("the weight", self.weight.len(), self.rows * self.cols)?;
        fit("the bias", self.bias.as_ref().map_or(self.rows, Vec::len), self.rows)?;
        fit("input_factors", self.input_factors.as_ref().map_or(cols, Vec::len), cols)
    }
}
