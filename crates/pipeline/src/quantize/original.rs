//! What the inputs of a layer are in the original model: kept while the quantized one is solved for, layer by layer.

use std::collections::HashMap;

use lowbit_model::{Hook, Result, Stage, StageKind};

/// Inputs of the stages of one layer, and the residual stream before its outputs are added: all tokens. Experts are left out: in another model they
/// get other tokens.
#[derive(Debug, Default)]
pub(super) struct Original {
    inputs: HashMap<String, Vec<f32>>,
    streams: HashMap<StageKind, Vec<f32>>,
}

impl Original {
    /// Some values of a stage's input.
    pub(super) fn input(&self, stage: &Stage, first: usize, values: usize) -> Option<&[f32]> {
        self.inputs.get(&stage.name())?.get(first..first.checked_add(values)?)
    }

    /// The stream that the outputs of such a stage are added to.
    pub(super) fn stream(&self, kind: StageKind) -> Option<&[f32]> {
        self.streams.get(&kind).map(Vec::as_slice)
    }

    /// Drops the input of a stage that is quantized.
    pub(super) fn drop_input(&mut self, stage: &Stage) {
        self.inputs.remove(&stage.name());
    }
}

impl Hook for Original {
    fn observe(&mut self, stage: &Stage, rows: &[f32]) -> Result<()> {
        if stage.expert.is_none() {
            self.inputs.entry(stage.name()).or_default().extend_from_slice(rows);
        }
        Ok(())
    }

    fn stream(&mut self, kind: StageKind, stream: &[f32], _: usize) -> Result<()> {
        self.streams.insert(kind, stream.to_vec());
        Ok(())
    }
}
