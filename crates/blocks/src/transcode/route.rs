//! From one format to another: what is clear from the formats alone, and what the scales have to say.

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

/// What happens to tensor scales.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OuterChange {
    /// Neither side has any.
    Absent,
    /// Both sides have them and use them alike.
    Kept,
    /// One side multiplies by them, the other divides.
    Inverted,
    /// The target has them: powers of two.
    Added,
    /// The source has them: block scales take them in.
    Folded,
}

/// A pair of formats between which codes have images; whether all scales have them, too, is for [`Facts`](super::Facts) to say.
///
/// See the [module](super) for the whole of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Route {
    pub(super) from: Format,
    pub(super) to: Format,
    pub(super) shape: Shape,
    pub(super) tensor_scale: TensorScale,
    pub(super) divide: bool,
    pub(super) outer: OuterChange,
    pub(super) rule: CodeRule,
    /// Of codes, where zero points are not subtracted.
    pub(super) shifts: Option<Shifts>,
    /// Whether blocks of the target lie in blocks of the source.
    pub(super) refined: bool,
    pub(super) certain: bool,
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
            let scales = match outer {
                OuterChange::Folded => to.scale.kind == ScaleKind::F32,
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
