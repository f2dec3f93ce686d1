//! A model on disk that is run layer by layer.
//!
//! ```text
//! embed ──► layer 0 ──► layer 1 ──► … ──► head        each layer is read when it is asked for, and dropped by the caller
//! ```

use crate::activations::{ActivationQuantization, InputQuantization};
use crate::config::describe;
use crate::head::Head;
use crate::hidden::Hidden;
use crate::layer::Layer;
use crate::projections::{F32Linear, Hook};
use crate::{Error, Result};
use lowbit_arch::{Description, Slot};
use lowbit_calib::{recipes::Producer, round_slice};
use lowbit_checkpoint::layout::{ExtraKind, Stored};
use lowbit_checkpoint::{Checkpoint, Weight, Weights};
use lowbit_kernels::Kernels;
use std::collections::BTreeMap;

/// A decoder whose weights are read when they are needed. It borrows the open checkpoint.
#[derive(Debug)]
pub struct Model<'c> {
    description: Description,
    weights: Weights<&'c Checkpoint>,
    /// The prefix of names before `layers.0`: `model.`, or nothing.
    prefix: &'static str,
    activations: ActivationQuantization,
}

impl<'c> Model<'c> {
    /// Opens the model of a checkpoint, quantized or not. Only headers and the configuration are read.
    ///
    /// # Errors
    /// [`Error::Config`] and [`Error::Unsupported`] name what is wrong or not run; [`Error::Checkpoint`] as
    /// [`Weights::of`](lowbit_checkpoint::Weights::of).
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// println!("{} layers of {} features", model.layers(), model.description().hidden);
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn open(checkpoint: &'c Checkpoint) -> Result<Self> {
        let description = describe(checkpoint)?;
        let weights = Weights::of(checkpoint)?;
        let names = ["model.", "", "language_model.model.", "model.language_model."];
        let has = |prefix: &&str| weights.get(&format!("{prefix}embed_tokens.weight")).is_some();
        let prefix = names.into_iter().find(has).unwrap_or("model.");
        Ok(Self { description, weights, prefix, activations: ActivationQuantization::None })
    }

    /// The same model with its activations quantized.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// use lowbit_model::ActivationQuantization;
    /// // As the checkpoint says: W4A4 of NVFP4, W8A8 of FP8 …
    /// let model = model.with_activations(ActivationQuantization::AsConfigured);
    /// println!("{}", model.loss(&[[1, 2, 3]])?.perplexity());
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    #[must_use]
    pub fn with_activations(self, activations: ActivationQuantization) -> Self {
        Self { activations, ..self }
    }

    /// The description of its computations, in numbers.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let token: usize = (0..model.layers()).map(|layer| model.description().cache(layer).values()).sum();
    /// println!("a token leaves {token} numbers in the caches");
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Its checkpoint.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// println!("{} bytes of tensors", model.checkpoint().total_size());
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn checkpoint(&self) -> &Checkpoint {
        self.weights.checkpoint()
    }

    /// Its weights, quantized or not.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let name = format!("{}.weight", model.module("layers.0.mlp.down_proj"));
    /// println!("{} rows", model.weights().get(&name).map_or(0, |weight| weight.rows()));
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn weights(&self) -> &Weights<&'c Checkpoint> {
        &self.weights
    }

    /// How many layers it has.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// for layer in 0..model.layers() {
    ///     println!("{} sets of projections", model.layer(layer)?.projections().len());
    /// }
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn layers(&self) -> usize {
        self.description.layers
    }

    /// The hidden states before the first layer: the embeddings of some sequences of tokens.
    ///
    /// # Errors
    /// [`Error::Tokens`] for no tokens at all, an empty sequence or a token beyond the vocabulary.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let hidden = model.embed(&[[1, 2, 3], [4, 5, 6]])?;
    /// assert_eq!((hidden.lengths(), hidden.tokens().len()), (&[3, 3][..], 6));
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn embed<S: AsRef<[u32]>>(&self, sequences: &[S]) -> Result<Hidden> {
        let width = self.description.hidden;
        let weight = self.weight(
            &format!("{}.weight", self.name(Slot::Embedding, 0)?),
            &[self.description.vocab, width],
        )?;
        let mut hidden = Hidden { tokens: Vec::new(), lengths: Vec::new(), width, values: Vec::new() };
        for (nth, sequence) in sequences.iter().map(AsRef::as_ref).enumerate() {
            if sequence.is_empty() {
                return Err(Error::Tokens(format!("sequence {nth} has no tokens")));
            }
            if let Some(token) = sequence.iter().find(|&&token| token as usize >= self.description.vocab) {
                let reason = format!(
                    "token {token} of sequence {nth} is beyond a vocabulary of {}",
                    self.description.vocab
                );
                return Err(Error::Tokens(reason));
            }
            hidden.tokens.extend_from_slice(sequence);
            hidden.lengths.push(sequence.len());
        }
        if hidden.tokens.is_empty() {
            return Err(Error::Tokens("there are no tokens".into()));
        }
        let mut rows: BTreeMap<u32, Vec<f32>> = BTreeMap::new();
        for &token in &hidden.tokens {
            if let std::collections::btree_map::Entry::Vacant(row) = rows.entry(token) {
                let mut values = Vec::new();
                weight.read(token as usize..token as usize + 1, &mut values)?;
                values.iter_mut().for_each(|x| *x *= self.description.embedding_scale);
                row.insert(values);
            }
        }
        hidden.values.reserve_exact(hidden.tokens.len() * width);
        hidden.tokens.iter().for_each(|token| hidden.values.extend_from_slice(&rows[token]));
        hidden.check(|| "the embedding".into())?;
        Ok(hidden)
    }

    /// Reads a layer.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for a tensor that is missing or cannot be decoded, [`Error::Shape`] for one that does not fit the configuration.
    ///
    /// # Panics
    /// If there is no such layer.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let mut hidden = model.embed(&[[1, 2, 3]])?;
    /// model.layer(0)?.forward(&mut hidden, &mut ())?; // the states after the first layer
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn layer(&self, layer: usize) -> Result<Layer> {
        assert!(layer < self.description.layers, "layer {layer} of {}", self.description.layers);
        Layer::read(self, layer)
    }

    /// Reads the last norm and the output head.
    ///
    /// # Errors
    /// As [`layer`](Self::layer).
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let hidden = model.hidden(&[[1, 2, 3]])?;
    /// let logits = model.head()?.logits(hidden.values())?; // a row of the vocabulary for each token
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn head(&self) -> Result<Head> {
        Head::read(self)
    }

    /// Reads and runs all layers, one after the other.
    ///
    /// # Errors
    /// As [`layer`](Self::layer) and [`Layer::forward`].
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// let mut hidden = model.embed(&[[1, 2, 3]])?;
    /// model.forward(&mut hidden, &mut ())?; // as `hidden` of the model, with a hook
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn forward(&self, hidden: &mut Hidden, hook: &mut dyn Hook) -> Result<()> {
        for layer in 0..self.layers() {
            self.layer(layer)?.forward(hidden, hook)?;
        }
        Ok(())
    }

    /// The full name of a module of the decoder: `layers.0.mlp.up_proj` is `model.layers.0.mlp.up_proj` in most checkpoints.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// assert_eq!(model.module("layers.0.mlp.up_proj"), "model.layers.0.mlp.up_proj");
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn module(&self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }

    /// The full name of the module in a place of a layer.
    pub(crate) fn name(&self, slot: Slot, layer: usize) -> Result<String> {
        let none = || Error::Unsupported {
            file: self.checkpoint().dir().to_owned(),
            what: format!("{slot:?} of a {} model", self.description.family.name),
            can: "models with names for it are".into(),
        };
        self.description.module(slot, layer).map(|module| self.module(&module)).ok_or_else(none)
    }

    /// Names that the output head may have, the embedding's last if they are tied.
    pub(crate) fn head_module(&self) -> String {
        let own =
            [format!("{}lm_head", self.prefix.strip_suffix("model.").unwrap_or("")), "lm_head".to_owned()];
        let has = |module: &String| self.weights.get(&format!("{module}.weight")).is_some();
        let [first, second] = own;
        let tied = self.description.tied.then(|| self.module("embed_tokens"));
        [first, second.clone()].into_iter().find(has).or(tied).unwrap_or(second)
    }

    /// A weight with this shape.
    fn weight(&self, name: &str, want: &[usize]) -> Result<Weight<'_>> {
        let missing = || lowbit_checkpoint::container::Error::Missing {
            dir: self.checkpoint().dir().to_owned(),
            tensor: name.to_owned(),
        };
        let weight = self.weights.find(name).ok_or_else(missing)?;
        let shape = weight.shape();
        let have = match want {
            [_] if (shape.matrices, shape.rows) == (1, 1) => vec![shape.cols],
            _ if shape.matrices == 1 => vec![shape.rows, shape.cols],
            _ => vec![shape.matrices, shape.rows, shape.cols],
        };
        if have != want {
            return Err(Error::Shape { tensor: name.to_owned(), have, want: want.to_vec() });
        }
        Ok(weight)
    }

    /// All values of a vector.
    pub(crate) fn vector(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        self.weight(name, &[len])?.read(0..1, &mut values)?;
        Ok(values)
    }

    /// The weight of a norm, by its full module name.
    pub(crate) fn norm(&self, name: &str, len: usize) -> Result<Vec<f32>> {
        let mut values = self.vector(&format!("{name}.weight"), len)?;
        if self.description.unit_norms {
            values.iter_mut().for_each(|w| *w += 1.0);
        }
        Ok(values)
    }

    /// A linear by its full module name.
    pub(crate) fn linear(&self, module: &str, rows: usize, cols: usize) -> Result<F32Linear> {
        let name = format!("{module}.weight");
        let stored = self.weights.stored(&name);
        let needed = [ExtraKind::Transform, ExtraKind::LowRank];
        if let Some(extra) = stored.and_then(|s| s.extras.iter().find(|e| needed.contains(&e.kind))) {
            let (file, what) = (
                self.checkpoint().dir().to_owned(),
                format!("the {} `{}`", extra.kind.words(), extra.tensor),
            );
            return Err(Error::Unsupported { file, what, can: "linears without one are".into() });
        }
        let mut weight = self.weight(&name, &[rows, cols])?;
        let mut pre_quant_scale = None;
        if self.activations.simulates()
            && let Some(stored) = stored
        {
            pre_quant_scale = stored.read_pre_quant_scale(self.checkpoint())?;
            weight = weight.unsmoothed();
        }
        let mut values = Vec::new();
        weight.read(0..rows, &mut values)?;
        let producer = self.weights.reading().map_or(Producer::Lowbit, |r| r.layout.producer);
        let is_head = module == self.head_module();
        let input = match (is_head, self.activations) {
            (true, ActivationQuantization::All(_)) => InputQuantization::Plain,
            _ => self.activations.input(module, stored, producer, self.checkpoint())?,
        };
        if let InputQuantization::Float(dtype) = input {
            round_slice(Kernels::best(), dtype, &mut values);
        }
        let bias = format!("{module}.bias");
        let demanded = self.description.biased.iter().any(|b| module.rsplit('.').next() == Some(b));
        let has = demanded || self.weights.get(&bias).is_some();
        let bias = if has { Some(self.vector(&bias, rows)?) } else { None };
        Ok(F32Linear { name: module.to_owned(), rows, cols, weight: values, bias, pre_quant_scale, input })
    }

    /// The quantized linear of this module, if it is one.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Checkpoint;
    /// use lowbit_model::Model;
    /// let checkpoint = Checkpoint::open("SmolLM2-135M")?;
    /// let model = Model::open(&checkpoint)?;
    /// if let Some(stored) = model.stored("model.layers.0.mlp.up_proj") {
    ///     println!("{}", stored.format);
    /// }
    /// # Ok::<(), lowbit_model::Error>(())
    /// ```
    pub fn stored(&self, module: &str) -> Option<&Stored> {
        self.weights.stored(&format!("{module}.weight"))
    }
}
