//! From one format to another: what is clear from the formats alone, and what the scales have to say.

use alloc::vec::Vec;
use core::ops::Range;

use super::codes::{CodeRule, Maps, Shifts};
use super::exactness::Exactness;
use super::extent::Choice;
use super::facts::Facts;
use super::packed::Packed;
use super::powers::{Reach, holds, scales_fit, stored};
use super::rows::Transcoder;
use super::{level, zeros};
use crate::error::Error;
use crate::format::{Block, Format, Zero};
use crate::grid::{self, Grid};
use crate::obstacle::Obstacle;
use crate::scale::{ScaleKind, TensorScale};
use crate::shape::Shape;
use crate::tensor::check_tensor_scales;

/// What happens to tensor scales.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Level {
    /// Neither side has any.
    Absent,
    /// Both sides have them and use them alike.
    Kept,
    /// One side multiplies by them, the other divides.
    Turned,
    /// The target has them: powers of two.
    Added,
    /// The source has them: block scales take them in.
    Folded,
}

/// A pair of formats between which codes have images; whether all scales have them, too, is for [`Facts`] to say.
///
/// See the [module](super) for the whole of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Route {
    pub(super) from: Format,
    pub(super) to: Format,
    pub(super) shape: Shape,
    pub(super) tensor_scale: TensorScale,
    pub(super) divide: bool,
    pub(super) level: Level,
    pub(super) rule: CodeRule,
    /// Of codes, where zero points are not subtracted.
    pub(super) shifts: Option<Shifts>,
    /// Whether blocks of the target lie in blocks of the source.
    pub(super) refined: bool,
    certain: bool,
}

impl Route {
    /// From a tensor of `from` with this shape and these tensor scales to `to`, whose tensor scale, if it has one, divides or
    /// multiplies.
    ///
    /// # Errors
    /// What [`Format::check`] refuses in either format; [`Error::Part`] and [`Error::Length`] for tensor scales that do not fit
    /// `from`; [`Error::Transcode`] where codes have no image, or a tensor scale no reciprocal.
    pub fn new(
        from: Format,
        to: Format,
        shape: Shape,
        tensor_scale: &TensorScale,
        divide: bool,
    ) -> Result<Self, Error> {
        from.check(shape)?;
        to.check(shape)?;
        check_tensor_scales(&from, shape, tensor_scale)?;
        // A shape without values may have any number of matrices; nothing that was read justifies a scale for each.
        if shape.is_empty() && to.size_bytes(shape) > from.size_bytes(shape).saturating_add(1 << 16) {
            return Err(Error::TooLarge { shape });
        }
        let level = match (from.has_tensor_scale(), to.has_tensor_scale()) {
            (false, false) => Level::Absent,
            (false, true) => Level::Added,
            (true, false) => Level::Folded,
            (true, true) if matches!(tensor_scale, TensorScale::Divide(_)) == divide => Level::Kept,
            (true, true) => Level::Turned,
        };
        let rule = CodeRule::new(&from, &to);
        let mut route = Self {
            from,
            to,
            shape,
            tensor_scale: tensor_scale.clone(),
            divide,
            level,
            rule,
            shifts: None,
            refined: grid::refines(from.block, to.block, shape.cols),
            certain: false,
        };
        let biased = |format: &Format| format.zero.is_added();
        let two_levels = matches!(level, Level::Kept | Level::Turned);
        if two_levels && from.zero != Zero::None && biased(&from) != biased(&to) {
            return Err(route.error(Obstacle::TwoLevels));
        }
        if level == Level::Turned
            && let Some(&value) =
                tensor_scale.stored().iter().find(|&&scale| level::reciprocal(scale).is_none())
        {
            return Err(route.error(Obstacle::TensorScale { value }));
        }
        // Two levels that say a given scale are not unique, and finding one is choosing; so they stay, or there is no image.
        let same = from.scale == to.scale && from.block == to.block && from.zero == to.zero;
        if to.scale.outer.count().is_some() && !same {
            return Err(route.error(Obstacle::SuperBlocks));
        }
        if !rule.subtracts {
            let shifts = route.maps().shifts(0).map_err(|obstacle| route.error(obstacle))?;
            if to.scale.outer.count().is_some() && !shifts.contains(0) {
                return Err(route.error(Obstacle::SuperBlocks));
            }
            route.shifts = Some(shifts);
            let scales = match level {
                Level::Folded => to.scale.kind == ScaleKind::F32,
                _ => scales_fit(&to.scale, &from.scale),
            };
            route.certain = shifts.contains(0) && scales && route.refined && zeros::always(&from, &to);
        }
        Ok(route)
    }

    /// Whether [`plan`](Self::plan) has to know the scales and zero points: false where every tensor of the one format has its image
    /// in the other.
    ///
    /// Between tensor scales that multiply and ones that divide, scales are not needed either; if they are observed, the plan
    /// knows whether the rounded reciprocal makes any difference.
    #[must_use]
    pub const fn needs_facts(&self) -> bool {
        !self.certain
    }

    /// Rows that tiles have to be whole multiples of, but for the last: those of both formats.
    #[must_use]
    pub fn row_quantum(&self) -> usize {
        let of = |format: &Format| format.row_quantum(self.shape.cols);
        grid::lcm(of(&self.from), of(&self.to))
    }

    /// The rows of a matrix, some at a time: about 64 thousand values, in whole quanta.
    pub(super) fn chunks(&self, shape: Shape) -> impl Iterator<Item = Range<usize>> + use<> {
        let step = grid::rows_holding(shape, self.row_quantum(), 1 << 16);
        (0..shape.rows).step_by(step).map(move |start| start..(start + step).min(shape.rows))
    }

    /// Nothing observed yet.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts::new(self)
    }

    /// What the observed scales allow.
    ///
    /// # Errors
    /// [`Error::Transcode`] where some scale, zero point or block has no image.
    ///
    /// # Panics
    /// If facts are [needed](Self::needs_facts) and some rows were not observed.
    pub fn plan(&self, facts: &Facts) -> Result<Transcoder, Error> {
        let rows = self.shape.matrices.saturating_mul(self.shape.rows);
        let observed = facts.rows;
        let seen = observed >= rows || self.shape.is_empty();
        assert!(self.certain || seen, "{observed} rows observed of {rows}");
        self.decide(facts).map_err(|obstacle| self.error(obstacle))
    }

    /// Whether facts that were observed without codes would say more with them: blocks that hold nothing but zeros may stand in the
    /// way, and any scale does for those.
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
        let matrices = if self.level == Level::Added || one_scale { self.shape.matrices } else { 0 };
        let (mut whole, mut exponents) = (Vec::new(), Vec::new());
        for matrix in 0..matrices {
            let of = facts.matrix(matrix);
            let mut reach = Ok(of.reach);
            if one_scale {
                let fits = |scale: f32| match self.level {
                    Level::Added if scale != 0.0 => {
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
                if self.level != Level::Added && !fits(scale) {
                    rounding.add(scale, self.to.scale.kind)?;
                }
                whole.push(scale);
                reach = Ok([Reach::of(scale); 2]);
            } else if of.blocked.is_some() {
                reach = Err(of.reach[1]);
            }
            if self.level == Level::Added {
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
        let (tensor_scale, error) = level::tensor_scale(self, facts, &exponents);
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

    /// Codes that need no map: the same bytes, in the same places.
    pub(super) fn keeps_code_bytes(&self) -> bool {
        let packed = |format| Packed::new(Grid::of(format, self.shape));
        self.rule.keeps_bytes() && packed(&self.from).same_bytes(&packed(&self.to))
    }

    /// Whether the plan has to choose one scale for the blocks of a whole matrix.
    pub(super) fn chooses_whole(&self) -> bool {
        self.to.block == Block::Tensor && !self.certain
    }

    pub(super) fn maps(&self) -> Maps {
        Maps::new(self.rule, self.shifts)
    }

    pub(super) fn error(&self, why: Obstacle) -> Error {
        Error::Transcode { from: self.from.name(), to: self.to.name(), why }
    }
}

/// Scales that the target rounds.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Rounding {
    pub(super) count: usize,
    pub(super) of: usize,
    pub(super) relative_error: f64,
}

impl Rounding {
    pub(super) fn add(&mut self, scale: f32, kind: ScaleKind) -> Result<(), Obstacle> {
        let stored = stored(kind, scale);
        let sign = stored.is_sign_negative() == scale.is_sign_negative();
        if !scale.is_finite() || !stored.is_finite() || stored == 0.0 || !sign {
            return Err(Obstacle::Scale { value: scale, kind });
        }
        self.count += 1;
        let error = (f64::from(stored) / f64::from(scale) - 1.0).abs();
        self.relative_error = self.relative_error.max(error);
        Ok(())
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.of += other.of;
        self.relative_error = self.relative_error.max(other.relative_error);
    }
}
