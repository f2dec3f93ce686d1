//! The plan of a job that quantizes unquantized weights.

use super::{Draft, Job, Linears, OnNonFinite, Plan, Title, paths, recipes, select, units};
use crate::layout::{self, Quantized, QuantizedModule, Scheme};
use crate::{CONFIG, Checkpoint, Error, Progress, Result};
use lowbit_blocks::{Dtype, Format};
use lowbit_calib::Activations;
use lowbit_layouts::Error as LayoutError;
use serde_json::Value;
use std::collections::BTreeSet;

impl Job {
    /// Works out the plan. Nothing is written.
    ///
    /// # Errors
    /// Any error of the source, the output directory or the job: see [`Error`].
    pub fn plan(&self) -> Result<Plan> {
        self.plan_with(&())
    }

    /// As [`plan`](Self::plan), and reports the progress of the scan that [`OnNonFinite::Keep`]
    /// needs.
    ///
    /// # Errors
    /// As [`plan`](Self::plan), or [`Error::Cancelled`].
    pub fn plan_with(&self, progress: &dyn Progress) -> Result<Plan> {
        let checkpoint = self.open()?;
        paths::check(&self.settings.source, &self.settings.out, self.settings.resume)?;
        let nonfinite = self.nonfinite(&checkpoint, progress)?;
        self.plan_without(checkpoint, &nonfinite)
    }

    /// The weights that stay unquantized because they hold NaN or an infinity.
    pub(super) fn nonfinite(
        &self,
        checkpoint: &Checkpoint,
        progress: &dyn Progress,
    ) -> Result<BTreeSet<String>> {
        match self.on_nonfinite {
            OnNonFinite::Error => Ok(BTreeSet::new()),
            OnNonFinite::Keep => {
                let patterns = (&self.include[..], &self.exclude[..]);
                let selection = select::select(checkpoint, self.layout, patterns, &BTreeSet::new())?;
                let names = selection.picked.into_iter().map(|picked| picked.tensor).collect();
                super::nonfinite::find_nonfinite(checkpoint, &names, &self.settings, progress)
            }
        }
    }

    /// The plan that leaves the tensors in `nonfinite` unquantized.
    fn plan_without(&self, checkpoint: Checkpoint, nonfinite: &BTreeSet<String>) -> Result<Plan> {
        let config = checkpoint.config();
        let mut config = config
            .cloned()
            .ok_or_else(|| Error::file(&self.settings.source, format!("there is no {CONFIG}")))?;
        let carried = layout::carry(self.layout, &self.format, self.activations)?;
        if carried.activations == Activations::Static {
            return Err(Error::Layout(LayoutError::CannotCarry {
                format: self.format.name(),
                layout: self.layout.name(),
                with: format!(" as {}", carried.scheme),
                can: "static scales of activations come with calibration".into(),
            }));
        }
        let patterns = (&self.include[..], &self.exclude[..]);
        let selection = select::select(&checkpoint, self.layout, patterns, nonfinite)?;
        let mut warnings = [checkpoint.warnings(), &selection.warnings].concat();
        warnings.extend(
            nonfinite.iter().map(|name| format!("{name} holds NaN or infinity and stays unquantized")),
        );
        if selection.picked.iter().any(|p| p.linear.module.rsplit('.').next() == Some("lm_head")) {
            // A loader that ties the head would overwrite the quantized head with the embedding.
            // Many tie by default, so the configuration says otherwise.
            config.insert("tie_word_embeddings".into(), false.into());
            let text = config.get_mut("text_config").and_then(Value::as_object_mut);
            if let Some(tie) = text.and_then(|text| text.get_mut("tie_word_embeddings")) {
                *tie = false.into();
            }
        }
        warnings.extend(short_tiles(&self.format, &selection));
        let recipes = recipes::recipes(self)?;
        let units = units::units(&checkpoint, self, carried.activations, &recipes, &selection)?;
        let dtype = selection.picked.first().map_or(Dtype::Bf16, |p| p.linear.dtype);
        let scheme =
            Scheme { format: self.layout.stores(&self.format, dtype), activations: carried.activations };
        let module = |p: &select::Picked| QuantizedModule {
            name: p.linear.module.clone(),
            scheme,
            permuted: false,
            smoothed: false,
        };
        let mut modules: Vec<_> = selection.picked.iter().map(module).collect();
        modules.sort_by(|a, b| a.name.cmp(&b.name));
        let quantized = Quantized {
            modules: &modules,
            kept: &selection.kept,
            embeddings: &selection.embeddings,
            cache: false,
            dtype,
            source: None,
        };
        let configs = self.layout.configure(&quantized, &config);
        Draft {
            settings: self.settings.clone(),
            checkpoint,
            linears: Linears::default(),
            units,
            configs,
            dropped: Vec::new(),
            metadata: self.layout.metadata,
            title: Title {
                format: self.format.name(),
                layout: Some(self.layout),
                scheme: carried.scheme,
                activations: carried.activations,
            },
            warnings,
        }
        .finish()
    }
}

/// A warning about linears whose shape is no multiple of the format's tile. They are stored as the
/// producer stores them, but engines with kernels for whole tiles refuse them.
fn short_tiles(format: &Format, selection: &select::Selection) -> Option<String> {
    let (rows, cols) = format.block.tile()?;
    let short = selection.picked.iter().map(|p| &p.linear);
    let short: Vec<_> = short.filter(|l| l.shape.rows % rows != 0 || l.shape.cols % cols != 0).collect();
    let (first, count) = (short.first()?, short.len());
    Some(format!(
        "{count} linears do not divide into tiles of {rows} x {cols}, {} ({}) first: some engines refuse them",
        first.module, first.shape
    ))
}
