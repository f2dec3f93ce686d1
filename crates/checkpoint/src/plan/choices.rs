//! What a job would quantize, and with which recipe: for those who choose codes themselves, by looking at more than one linear.

use super::{Job, QuantizedUnit, Source, Unit, Way, recipes, select, units};
use crate::layout::{self, Linear};
use crate::{Checkpoint, Error, Progress, Result};
use lowbit_calib::{Activations, Recipe};

/// A linear that a job quantizes.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Its module, the name and the type of its weight, its shape.
    pub linear: Linear,
    /// How it is quantized.
    pub recipe: Recipe,
    /// What engines are told to do with its input.
    pub activations: Activations,
    /// The tensor of the source that holds it: of an expert, the stack.
    pub tensor: String,
    /// Linears with the same number share their tensor scale.
    pub shares: usize,
}

impl Job {
    /// The linears that this job quantizes, in name order, with their recipes; static scales of inputs are taken to come with them. Nothing is
    /// written.
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
    /// As [`plan`](Self::plan), but for the output directory.
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

    /// The source, which must not be quantized.
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
