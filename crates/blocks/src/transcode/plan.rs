//! Planning: the target's tensor scales, one scale for a whole matrix if needed, and the exactness
//! of the result.

use alloc::vec::Vec;

use super::exactness::Exactness;
use super::extent::Choice;
use super::facts::Facts;
use super::powers::{Reach, holds};
use super::route::{OuterChange, Route};
use super::tensor_scale;
use super::transcoder::Transcoder;
use crate::error::Error;
use crate::format::Zero;
use crate::obstacle::Obstacle;

impl Route {
    /// Plans the conversion from the observed scales.
    ///
    /// # Errors
    /// [`Error::Transcode`] if a scale, zero point or block has no exact counterpart.
    ///
    /// # Panics
    /// If observations are [needed](Self::needs_facts) and some rows were not observed.
    pub fn plan(&self, facts: &Facts) -> Result<Transcoder, Error> {
        let rows = self.shape.matrices.saturating_mul(self.shape.rows);
        let observed = facts.rows;
        let seen = observed >= rows || self.shape.is_empty();
        assert!(self.certain || seen, "{observed} rows observed of {rows}");
        self.decide(facts).map_err(|obstacle| self.error(obstacle))
    }

    /// True if observing the codes could improve the plan: facts were observed without them, and
    /// blocks of zeros, which allow any scale, may be an obstacle.
    #[must_use]
    pub fn wants_codes(&self, facts: &Facts) -> bool {
        facts.blind
            && self.from.zero == Zero::None
            && !self.certain
            && !matches!(self.decide(facts).map(|plan| plan.exactness()), Ok(Exactness::Exact))
    }

    fn decide(&self, facts: &Facts) -> Result<Transcoder, Obstacle> {
        if let Some(obstacle) = facts.obstacle {
            return Err(obstacle);
        }
        let mut rounding = facts.rounding;
        let one_scale = self.chooses_whole();
        let matrices = if self.outer == OuterChange::Added || one_scale { self.shape.matrices } else { 0 };
        let (mut whole, mut exponents) = (Vec::new(), Vec::new());
        for matrix in 0..matrices {
            let of = facts.matrix(matrix);
            let mut reach = Ok(of.reach);
            if one_scale {
                let fits = |scale: f32| match self.outer {
                    OuterChange::Added if scale != 0.0 => {
                        Reach::of(scale).exponent_into(self.to.scale.kind).is_some()
                    }
                    _ => holds(self.to.scale.kind, scale),
                };
                let first = of.extents[0].choose(fits);
                let choice = match first {
                    Choice::Accepted(_) | Choice::Any => first,
                    _ => of.extents[1].choose(fits),
                };
                let scale = match choice {
                    Choice::Accepted(scale) => scale,
                    Choice::Any => 1.0,
                    Choice::Unaccepted(scale) => scale,
                    Choice::Blocked(obstacle) => return Err(obstacle),
                };
                rounding.of += 1;
                if self.outer != OuterChange::Added && !fits(scale) {
                    rounding.add(scale, self.to.scale.kind)?;
                }
                whole.push(scale);
                reach = Ok([Reach::of(scale); 2]);
            } else if of.blocked.is_some() {
                reach = Err(of.reach[1]);
            }
            if self.outer == OuterChange::Added {
                let tried = match &reach {
                    Ok(both) => &both[..],
                    Err(some) => core::slice::from_ref(some),
                };
                let found = tried.iter().find_map(|reach| reach.exponent_into(self.to.scale.kind));
                let [_, Reach { max, lowest, digits, .. }] = of.reach;
                exponents.push(found.ok_or(Obstacle::Reach {
                    max,
                    lowest,
                    digits,
                    kind: self.to.scale.kind,
                })?);
            }
        }
        let (tensor_scale, error) = tensor_scale::tensor_scale(self, facts, &exponents);
        let exactness = if rounding.count > 0 {
            let (count, of) = (rounding.count, rounding.of);
            Exactness::ScalesRounded { count, of, relative_error: rounding.relative_error }
        } else if let Some(relative_error) = error {
            Exactness::TensorScaleRounded { relative_error }
        } else {
            Exactness::Exact
        };
        Ok(Transcoder::new(self.clone(), tensor_scale, exponents, whole, exactness))
    }
}
