//! Statistics of all weights under one tensor scale, where linears share it.

use std::collections::HashMap;

use lowbit_calib::TensorStats;
use lowbit_checkpoint::Choice;

use crate::{Error, Result};

/// Statistics of weights, by the scale that they share ([`Choice::shares`]).
pub(crate) struct SharedStats(HashMap<usize, TensorStats>);

impl SharedStats {
    /// Statistics of linears that are quantized together.
    pub(crate) fn of<'a>(members: impl IntoIterator<Item = (&'a Choice, &'a [f32])>) -> Result<Self> {
        let mut by_scale: HashMap<usize, TensorStats> = HashMap::new();
        for (choice, weight) in members {
            let Some(mut stats) = choice.recipe.stats() else { continue };
            stats.observe(weight).map_err(|e| Error::method(&choice.linear.module, e))?;
            by_scale.entry(choice.shares).and_modify(|all| all.merge(&stats)).or_insert(stats);
        }
        Ok(Self(by_scale))
    }

    /// Statistics that [`Recipe::quantizer`](lowbit_calib::Recipe::quantizer) takes for one linear; none where the format has no tensor scale.
    pub(crate) fn stats(&self, choice: &Choice) -> &[TensorStats] {
        self.0.get(&choice.shares).map_or(&[], std::slice::from_ref)
    }
}
