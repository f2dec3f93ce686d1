//! Routes: properties of a conversion that follow from the two formats, without the scales.

use core::ops::Range;

use super::codes::{CodeRule, Maps, Shifts};
use super::packed::Packed;
use super::powers::{reciprocal, scales_fit};
use super::zeros;
use crate::error::Error;
use crate::format::{Block, Format, Zero};
use crate::grid::{self, Grid};
use crate::obstacle::Obstacle;
use crate::scale::{ScaleKind, TensorScale};
use crate::shape::Shape;
use crate::tensor::check_tensor_scales;

/// The change of tensor scales.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OuterChange {
    /// Neither format has tensor scales.
    Absent,
    /// Both formats have tensor scales, of the same kind.
    Kept,
    /// Tensor scales multiply in one format and divide in the other.
    Inverted,
    /// Only the target has tensor scales; they become powers of two.
    Added,
    /// Only the source has tensor scales; block scales absorb them.
    Folded,
}

/// A pair of formats whose codes have exact counterparts. [`Facts`](super::Facts) tell whether
/// scales have them, too.
///
/// See the [module](super) for an overview.
#[derive(Clone, PartialEq, Debug)]
pub struct Route {
    pub(super) from: Format,
    pub(super) to: Format,
    pub(super) shape: Shape,
    pub(super) tensor_scale: TensorScale,
    pub(super) divide: bool,
    pub(super) outer: OuterChange,
    pub(super) rule: CodeRule,
    /// The shifts of codes, if zero points are not subtracted.
    pub(super) shifts: Option<Shifts>,
    /// Whether every block of the target lies in one block of the source.
    pub(super) refined: bool,
    pub(super) certain: bool,
}

impl Route {
    /// The route from a tensor of format `from`, with this shape and these tensor scales, to the
    /// format `to`. `divide` tells whether the target's tensor scale, if it has one, divides or
    /// multiplies.
    ///
    /// # Errors
    /// Errors of [`Format::check`] for either format; [`Error::Part`] and [`Error::Length`] for
    /// tensor scales that do not fit `from`; [`Error::Transcode`] if codes have no exact
    /// counterpart, or a tensor scale has no reciprocal.
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
        // A shape without values may have any number of matrices, so a scale for each could be far
        // larger than the input.
        if shape.is_empty() && to.size_bytes(shape) > from.size_bytes(shape).saturating_add(1 << 16) {
            return Err(Error::TooLarge { shape });
        }
        let outer = match (from.has_tensor_scale(), to.has_tensor_scale()) {
            (false, false) => OuterChange::Absent,
            (false, true) => OuterChange::Added,
            (true, false) => OuterChange::Folded,
            (true, true) if matches!(tensor_scale, TensorScale::Divide(_)) == divide => OuterChange::Kept,
            (true, true) => OuterChange::Inverted,
        };
        let rule = CodeRule::new(&from, &to);
        let mut route = Self {
            from,
            to,
            shape,
            tensor_scale: tensor_scale.clone(),
            divide,
            outer,
            rule,
            shifts: None,
            refined: grid::refines(from.block, to.block, shape.cols),
            certain: false,
        };
        let biased = |format: &Format| format.zero.is_added();
        let two_levels = matches!(outer, OuterChange::Kept | OuterChange::Inverted);
        if two_levels && from.zero != Zero::None && biased(&from) != biased(&to) {
            return Err(route.error(Obstacle::TwoLevels));
        }
        if outer == OuterChange::Inverted
            && let Some(&value) = tensor_scale.stored().iter().find(|&&scale| reciprocal(scale).is_none())
        {
            return Err(route.error(Obstacle::TensorScale { value }));
        }
        // Two-level representations of a scale are not unique, so finding one would be a choice.
        // They must be the same, or transcoding fails.
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
            let scales = match outer {
                OuterChange::Folded => to.scale.kind == ScaleKind::F32,
                _ => scales_fit(&to.scale, &from.scale),
            };
            route.certain = shifts.contains(0) && scales && route.refined && zeros::always(&from, &to);
        }
        Ok(route)
    }

    /// True if [`plan`](Self::plan) needs the scales and zero points; false if every tensor of the
    /// source format has an exact counterpart.
    ///
    /// Scales are not needed either to invert tensor scales. If they are observed, the plan knows
    /// whether the rounded reciprocal makes a difference.
    #[must_use]
    pub const fn needs_facts(&self) -> bool {
        !self.certain
    }

    /// The row quantum of tiles: the least common multiple of both formats' quanta. The last tile
    /// may be shorter.
    #[must_use]
    pub fn row_quantum(&self) -> usize {
        let of = |format: &Format| format.row_quantum(self.shape.cols);
        grid::lcm(of(&self.from), of(&self.to))
    }

    /// Ranges of rows of a matrix: about 64 thousand values each, in whole quanta.
    pub(super) fn chunks(&self, shape: Shape) -> impl Iterator<Item = Range<usize>> + use<> {
        let step = grid::rows_holding(shape, self.row_quantum(), 1 << 16);
        (0..shape.rows).step_by(step).map(move |start| start..(start + step).min(shape.rows))
    }

    /// True if code bytes do not change.
    pub(super) fn keeps_code_bytes(&self) -> bool {
        let packed = |format| Packed::new(Grid::of(format, self.shape));
        self.rule.keeps_bytes() && packed(&self.from).same_bytes(&packed(&self.to))
    }

    /// True if the plan has to choose one scale for all blocks of a matrix.
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
