//! Tensor scales that linears share: what is known of all weights under one of them.

use std::collections::HashMap;

use lowbit_calib::TensorStats;
use lowbit_checkpoint::Choice;

use crate::{Error, Result};

/// Statistics of weights, by what they share ([`Choice::shares`]).
pub(crate) struct Shares(HashMap<usize, TensorStats>);

impl Shares {
    /// Of linears that are quantized together.
    pub(crate) fn of<'a>(members: impl IntoIterator<Item = (&'a Choice, &'a [f32])>) -> Result<Self> {
        let mut shares: HashMap<usize, TensorStats> = HashMap::new();
        for (choice, weight) in members {
            let Some(mut stats) = choice.recipe.stats() else { continue };
            stats.observe(weight.into()).map_err(|e| Error::method(&choice.linear.module, e))?;
            shares.entry(choice.shares).and_modify(|all| all.merge(&stats)).or_insert(stats);
        }
        Ok(Self(shares))
    }

    /// What [`Recipe::quantizer`](lowbit_calib::Recipe::quantizer) wants to know beside the weight; nothing where the format has no such scale.
    pub(crate) fn stats(&self, choice: &Choice) -> &[TensorStats] {
        self.0.get(&choice.shares).map_or(&[], std::slice::from_ref)
    }
}
