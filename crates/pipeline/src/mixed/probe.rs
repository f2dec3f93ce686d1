//! The sensitivity of a model to one set of projections: the KL divergence that its coarsest format alone causes.

use std::collections::HashMap;

use lowbit_model::{Head, Hidden, Hook, Model, Projections};

use crate::Result;

/// The original model's states before each layer, on a few sequences, and its predictions.
pub(super) struct Probe {
    before: Vec<Hidden>,
    last: Hidden,
    head: Head,
}

impl Probe {
    pub(super) fn new<S: AsRef<[u32]>>(model: &Model<'_>, sequences: &[S]) -> Result<Self> {
        let mut hidden = model.embed(sequences)?;
        let mut before = Vec::new();
        for at in 0..model.layers() {
            before.push(hidden.clone());
            model.layer(at)?.forward(&mut hidden, &mut ())?;
        }
        Ok(Self { before, last: hidden, head: model.head()? })
    }

    /// The mean KL divergence of the model whose layer `at` has these weights instead of its own.
    pub(super) fn divergence(
        &self,
        model: &Model<'_>,
        at: usize,
        weights: HashMap<String, Vec<f32>>,
    ) -> Result<f64> {
        let mut hidden = self.before[at].clone();
        model.layer(at)?.forward(&mut hidden, &mut Replace(weights))?;
        for later in at + 1..model.layers() {
            model.layer(later)?.forward(&mut hidden, &mut ())?;
        }
        Ok(self.head.divergence(&self.last, &self.head, &hidden)?.mean())
    }
}

/// Puts weights in the place of those of the same names.
struct Replace(HashMap<String, Vec<f32>>);

impl Hook for Replace {
    fn replace_weights(&mut self, projections: &mut Projections) -> lowbit_model::Result<()> {
        for linear in &mut projections.linears {
            if let Some(weight) = self.0.remove(&linear.name) {
                linear.weight = weight;
            }
        }
        Ok(())
    }
}
