//! The linears that a job would quantize, with their recipes, for callers that choose codes
//! themselves.

use super::{Job, QuantizedUnit, Source, Unit, Way, recipes, select, units};
use crate::layout::{self, Linear};
use crate::{Checkpoint, Error, Progress, Result};
use lowbit_calib::{Activations, Recipe};

/// A linear that a job quantizes.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Its module, the name and type of its weight, and its shape.
    pub linear: Linear,
    /// How it is quantized.
    pub recipe: Recipe,
    /// How engines quantize its input.
    pub activations: Activations,
    /// The source tensor that holds it; for an expert of a stack, the stack.
    pub tensor: String,
    /// The group of its tensor scale: linears with the same number share one.
    pub shares: usize,
}

impl Job {
    /// The linears that this job quantizes, in name order, with their recipes. Static input scales
    /// are allowed here: the caller is expected to supply them. Nothing is written.
    ///
    /// ```no_run
    /// use lowbit_checkpoint::Job;
    /// for choice in Job::new("llama", "unused").choices(&())? {
    ///     println!("{} as {}", choice.linear.module, choice.recipe.format);
    /// }
    /// # Ok::<(), lowbit_checkpoint::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`plan`](Self::plan), except for errors about the output directory.
    pub fn choices(&self, progress: &dyn Progress) -> Result<Vec<Choice>> {
        let checkpoint = self.open()?;
        let nonfinite = self.nonfinite(&checkpoint, progress)?;
        let activations = layout::carry(self.layout, &self.format, self.activations)?.activations;
        let selection = select::select(&checkpoint, self.layout, (&self.include, &self.exclude), &nonfinite)?;
        let recipes = recipes::recipes(self)?;
        let units = units::units(&checkpoint, self, activations, &recipes, &selection)?;
        let choice = |unit: Unit| match unit {
            Unit::Quantized(QuantizedUnit {
                linear,
                way: Way::Quantize(recipe),
                source: Source::Floats { tensor, .. },
                shares,
                ..
            }) => Some(Choice { linear, recipe, activations, tensor, shares }),
            _ => None,
        };
        Ok(units.into_iter().filter_map(choice).collect())
    }

    /// Opens the source.
    ///
    /// # Errors
    /// [`Error::File`](lowbit_container::Error::File) if it is quantized already.
    pub(super) fn open(&self) -> Result<Checkpoint> {
        let checkpoint = Checkpoint::open(&self.settings.source)?;
        match layout::read(&checkpoint)? {
            None => Ok(checkpoint),
            Some(reading) => {
                let reason =
                    format!("is quantized already ({}); `convert` changes that", reading.layout.name());
                Err(Error::file(&self.settings.source, reason))
            }
        }
    }
}
