//! Projections: the linears of a layer that read the same input, and the hooks that observe it.
//!
//! ```text
//! observe: the input, chunk by chunk ──► replace_weights ──► products          q, k, v │ o │ gate, up │ down
//! ```
//!
//! All tokens of all sequences pass one set of projections before the next one begins, so the weights of one decide the inputs of the next:
//! calibration is sequential within a layer as it is from layer to layer.

use crate::activations::InputQuantization;
use crate::product::product;
use crate::{Error, Result};

/// Tokens of a chunk that hooks see and products take at once.
pub(crate) const CHUNK: usize = 2048;

/// The place of some projections in their layer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ProjectionKind {
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
pub struct Projections {
    /// Place of the layer in the model.
    pub layer: usize,
    /// Their place in it.
    pub kind: ProjectionKind,
    /// The expert, in a mixture of them.
    pub expert: Option<usize>,
    /// One to three linears, in the order of the name: q, k, v; gate, up.
    pub linears: Vec<F32Linear>,
}

/// A linear as it is run: a plain f32 weight, whatever it was decoded from, and what happens to its input.
#[derive(Clone, PartialEq, Debug)]
pub struct F32Linear {
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
    /// Factors of the input's features, before the input is quantized.
    pub pre_quant_scale: Option<Vec<f32>>,
    /// How the input is quantized.
    pub input: InputQuantization,
}

/// An observer of the inputs of a layer's linears while the layer runs, which may replace their weights. `()` observes nothing.
pub trait Hook {
    /// Inputs of a set of projections, a chunk of tokens at a time (rows of `cols` features), before its products are taken: before `pre_quant_scale` and
    /// before they are quantized, too. An expert sees its own tokens only, and none if no token chose it.
    ///
    /// # Errors
    /// Stops the run; see [`Error::hook`].
    fn observe(&mut self, projections: &Projections, rows: &[f32]) -> Result<()> {
        let _ = (projections, rows);
        Ok(())
    }

    /// The residual stream (rows of `width` features, all tokens) that the outputs of the next projections will be added to:
    /// [`ProjectionKind::AttentionOut`] or [`ProjectionKind::Down`]. Not called where outputs are normed before they are added.
    ///
    /// # Errors
    /// Stops the run; see [`Error::hook`].
    fn stream(&mut self, kind: ProjectionKind, stream: &[f32], width: usize) -> Result<()> {
        let _ = (kind, stream, width);
        Ok(())
    }

    /// Called after all tokens of all sequences were observed. May replace the weights of these projections (biases, `pre_quant_scale` and the
    /// quantization of the input, too); the products use them.
    ///
    /// # Errors
    /// Stops the run; see [`Error::hook`].
    fn replace_weights(&mut self, projections: &mut Projections) -> Result<()> {
        let _ = projections;
        Ok(())
    }
}

impl Hook for () {}

impl Projections {
    /// Name of the projections: `layers.0.qkv`, `layers.0.experts.7.down` …
    ///
    /// ```
    /// use lowbit_model::{ProjectionKind, Projections};
    /// let down = Projections { layer: 3, kind: ProjectionKind::Down, expert: Some(7), linears: Vec::new() };
    /// assert_eq!(down.name(), "layers.3.experts.7.down");
    /// ```
    pub fn name(&self) -> String {
        let kind = match self.kind {
            ProjectionKind::Qkv => "qkv",
            ProjectionKind::AttentionOut => "attention_out",
            ProjectionKind::GateUp => "gate_up",
            ProjectionKind::Down => "down",
            ProjectionKind::Head => return "head".into(),
        };
        match self.expert {
            Some(expert) => format!("layers.{}.experts.{expert}.{kind}", self.layer),
            None => format!("layers.{}.{kind}", self.layer),
        }
    }

    /// Features of the input.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// assert_eq!(model.layer(0)?.projections()[0].inputs(), model.description().hidden);
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn inputs(&self) -> usize {
        self.linears.first().map_or(0, |linear| linear.cols)
    }

    /// The output of each linear, after the hook observed the input and replaced weights.
    pub(crate) fn run(&mut self, x: &[f32], hook: &mut dyn Hook) -> Result<Vec<Vec<f32>>> {
        let cols = self.inputs();
        for chunk in x.chunks(CHUNK * cols) {
            hook.observe(self, chunk)?;
        }
        hook.replace_weights(self)?;
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
            let mut prepared: Option<(&F32Linear, Vec<f32>)> = None;
            for (linear, output) in self.linears.iter().zip(&mut outputs) {
                let y = &mut output[nth * CHUNK * linear.rows..][..chunk.len() / cols * linear.rows];
                if linear.takes_plain() {
                    product(chunk, &linear.weight, linear.bias.as_deref(), cols, linear.rows, y);
                    continue;
                }
                // Linears of one set of projections mostly have the same scales.
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

impl F32Linear {
    /// The input as it is.
    fn takes_plain(&self) -> bool {
        self.pre_quant_scale.is_none() && self.input == InputQuantization::Plain
    }

    fn same_input(&self, other: &Self) -> bool {
        self.pre_quant_scale == other.pre_quant_scale && self.input == other.input
    }

    /// The input multiplied with `pre_quant_scale`, and quantized.
    fn prepare(&self, x: &[f32]) -> Result<Vec<f32>> {
        let mut x = x.to_vec();
        if let Some(factors) = &self.pre_quant_scale {
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
        fit("pre_quant_scale", self.pre_quant_scale.as_ref().map_or(cols, Vec::len), cols)
    }
}
