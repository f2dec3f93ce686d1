//! The inputs of a layer in the original model, kept while the quantized layer is solved for.

use std::collections::HashMap;

use lowbit_model::{Hook, ProjectionKind, Projections, Result};

/// Inputs of the projections of one layer, and the residual stream before its outputs are added: all tokens. Experts are left out: in another model they
/// get other tokens.
#[derive(Debug, Default)]
pub(super) struct Original {
    inputs: HashMap<String, Vec<f32>>,
    streams: HashMap<ProjectionKind, Vec<f32>>,
}

impl Original {
    /// Some values of the input of a set of projections.
    pub(super) fn input(&self, projections: &Projections, first: usize, values: usize) -> Option<&[f32]> {
        self.inputs.get(&projections.name())?.get(first..first.checked_add(values)?)
    }

    /// The stream that the outputs of such a set of projections are added to.
    pub(super) fn stream(&self, kind: ProjectionKind) -> Option<&[f32]> {
        self.streams.get(&kind).map(Vec::as_slice)
    }

    /// Drops the input of a set of projections that is quantized.
    pub(super) fn drop_input(&mut self, projections: &Projections) {
        self.inputs.remove(&projections.name());
    }
}

impl Hook for Original {
    fn observe(&mut self, projections: &Projections, rows: &[f32]) -> Result<()> {
        if projections.expert.is_none() {
            self.inputs.entry(projections.name()).or_default().extend_from_slice(rows);
        }
        Ok(())
    }

    fn stream(&mut self, kind: ProjectionKind, stream: &[f32], _: usize) -> Result<()> {
        self.streams.insert(kind, stream.to_vec());
        Ok(())
    }
}
