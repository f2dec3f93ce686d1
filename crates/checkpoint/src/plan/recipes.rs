//! The recipes of a job, one for each type of weight: the producer's, with the job's changes.

use super::Job;
use crate::{Error, Result};
use lowbit_blocks::Dtype;
use lowbit_calib::{Recipe, recipes};

/// The recipes for f32, f16 and bf16 weights.
pub(super) struct Recipes([Recipe; 3]);

const DTYPES: [Dtype; 3] = [Dtype::F32, Dtype::F16, Dtype::Bf16];

impl Recipes {
    /// The recipe for weights of this type.
    pub(super) fn of(&self, dtype: Dtype) -> &Recipe {
        &self.0[DTYPES.iter().position(|d| *d == dtype).unwrap_or(0)]
    }
}

/// The job's recipes.
///
/// # Errors
/// [`Error::Job`] if the producer has no recipe for the format, if the scale rule does not fit the
/// format, or if it is combined with parity.
pub(super) fn recipes(job: &Job) -> Result<Recipes> {
    if job.parity && job.scale_rule.is_some() {
        return Err(Error::Job("parity is the producer's own scale rule; leave one of the two out".into()));
    }
    let producer = job.layout.producer;
    let recipe = |dtype| {
        let base = recipes::recipe(producer, &job.format, dtype, job.parity)
            .ok_or_else(|| Error::Job(format!("{producer} has no recipe for {}", job.format)))?;
        let base = base.with_scale(job.layout.stores(&base.format, dtype).scale.kind);
        match job.scale_rule {
            Some(rule) => base.with_scale_rule(rule).map_err(|e| Error::Job(e.to_string())),
            None => Ok(base),
        }
    };
    let [a, b, c] = DTYPES.map(recipe);
    Ok(Recipes([a?, b?, c?]))
}
