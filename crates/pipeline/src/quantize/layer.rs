//! The hook that quantizes a layer: it collects the input of one set of projections, quantizes them, and the layer continues with the decoded weights.

use std::collections::HashMap;

use lowbit_calib::Drift;
use lowbit_checkpoint::Choice;

use lowbit_model::{Hook, ProjectionKind, Projections, Result};

use super::original::Original;
use super::solver::{Member, Solver};
use crate::Error;
use crate::collect::{InputCollector, InputSummary};
use crate::method::Method;

/// Quantizes the linears of one layer while it runs.
pub(super) struct LayerQuantizer<'a> {
    method: &'a Method,
    choices: &'a HashMap<&'a str, &'a Choice>,
    /// The projections that are being run, and how many of their tokens were collected.
    collector: Option<InputCollector>,
    drift: Option<Drift>,
    tokens: usize,
    /// By how much the stream that the next outputs are added to falls short of the original's.
    short: Option<(ProjectionKind, Vec<f32>, usize)>,
    /// Inputs of the original model's layer, where the method compares them.
    original: Option<Original>,
    pub(super) solver: Solver<'a>,
}

impl<'a> LayerQuantizer<'a> {
    pub(super) fn new(
        method: &'a Method,
        choices: &'a HashMap<&'a str, &'a Choice>,
        original: Option<Original>,
        solver: Solver<'a>,
    ) -> Self {
        Self { method, choices, collector: None, drift: None, tokens: 0, short: None, original, solver }
    }
}

impl Hook for LayerQuantizer<'_> {
    fn observe(&mut self, projections: &Projections, rows: &[f32]) -> Result<()> {
        if !projections.linears.iter().any(|linear| self.choices.contains_key(linear.name.as_str())) {
            return Ok(());
        }
        let at = |e: lowbit_calib::Error| Error::method(&projections.name(), e);
        let (features, hessians) = (projections.inputs(), self.method.needs_hessians());
        self.collector
            .get_or_insert_with(|| InputCollector::new(projections, hessians))
            .observe(projections, rows)?;
        let (first, tokens) = (self.tokens, rows.len() / features.max(1));
        self.tokens += tokens;
        let before = self.original.as_ref().and_then(|o| o.input(projections, first * features, rows.len()));
        if let Some(before) = before {
            let drift = self.drift.get_or_insert_with(|| Drift::new(features));
            drift.observe(before, rows).map_err(at)?;
            if let Some((kind, short, width)) = &self.short
                && *kind == projections.kind
            {
                drift
                    .observe_stream(&short[first * width..(first + tokens) * width], *width, rows)
                    .map_err(at)?;
            }
        }
        Ok(())
    }

    fn stream(&mut self, kind: ProjectionKind, stream: &[f32], width: usize) -> Result<()> {
        let before = self.original.as_ref().and_then(|original| original.stream(kind));
        let before = before.filter(|before| before.len() == stream.len());
        self.short = before.map(|before| {
            let short = before.iter().zip(stream).map(|(before, now)| before - now);
            (kind, short.collect(), width)
        });
        Ok(())
    }

    fn replace_weights(&mut self, projections: &mut Projections) -> Result<()> {
        // An expert that no token chose has been shown nothing.
        let hessians = self.method.needs_hessians();
        let collector = self.collector.take().unwrap_or_else(|| InputCollector::new(projections, hessians));
        let inputs = InputSummary {
            tokens: collector.channels.tokens(),
            squares: collector.channels.mean_square(),
            amax: Some(collector.channels.amax()),
            hessian: collector.hessian,
            drift: self.drift.take(),
        };
        self.tokens = 0;
        if let Some(original) = &mut self.original {
            original.drop_input(projections);
        }
        let chosen = projections.linears.iter_mut().filter_map(|linear| {
            let choice = *self.choices.get(linear.name.as_str())?;
            Some((choice, linear))
        });
        let mut chosen: Vec<_> = chosen.collect();
        let members: Vec<Member<'_>> =
            chosen.iter().map(|(choice, linear)| (*choice, &linear.weight[..])).collect();
        let quantized = self.solver.group(&members, &inputs)?;
        if self.method.sequential {
            for ((_, linear), quantized) in chosen.iter_mut().zip(&quantized) {
                linear.weight = quantized.effective_weight();
            }
        }
        Ok(())
    }
}
