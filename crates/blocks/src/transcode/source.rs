//! Rows of the source, and the choice of the target's scales.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::codes::{Key, Maps};
use super::extent::{Choice, Extent};
use super::packed::Packed;
use super::powers::{same, split};
use super::route::{OuterChange, Route};
use super::{StoredRows, zeros};
use crate::format::Zero;
use crate::grid::{Grid, Overlap};
use crate::obstacle::Obstacle;
use crate::shape::Shape;

/// A consumer of chosen scales, which also decides which scales are acceptable.
pub(super) trait ScaleTarget {
    /// True if the target can store this scale.
    fn accepts(&self, scale: f32) -> bool;
    /// Receives the choices for a block of the target: with all overlaps, and without the free
    /// ones.
    fn take(&mut self, block: usize, first: Choice, second: Choice);
}

/// Some rows with decoded scales and zero points.
pub(super) struct SourceRows<'a> {
    pub(super) route: &'a Route,
    pub(super) part: StoredRows<'a>,
    pub(super) shape: Shape,
    /// Whether every block of the target lies in one block of the source, and codes need no shift.
    pub(super) straight: bool,
    /// Scales of the source's blocks: effective scales, or stored block scales if both formats have
    /// tensor scales.
    pub(super) scales: Vec<f32>,
    zeros: Vec<f32>,
    /// The zero points that the code map subtracts.
    offsets: Vec<u8>,
    grid: Grid,
    /// The target's grid of the same rows.
    target: Grid,
    pub(super) packed: Packed,
}

impl<'a> SourceRows<'a> {
    pub(super) fn new(
        route: &'a Route,
        maps: &mut Maps,
        matrix: usize,
        part: &StoredRows<'a>,
    ) -> Result<Self, Obstacle> {
        let (from, shape) = (&route.from, Shape::matrix(part.rows, route.shape.cols));
        let blocks = from.scales_per_matrix(shape);
        let mut scales = vec![0.0; blocks];
        from.scale.decode(part.scales, 0..blocks, &mut scales);
        if route.outer == OuterChange::Folded {
            route.tensor_scale.apply(matrix, &mut scales);
        }
        let mut zeros = Vec::new();
        match from.zero {
            Zero::None => {}
            Zero::Int => zeros.extend(part.zeros.iter().map(|&zero| f32::from(zero))),
            Zero::Float | Zero::Bias | Zero::Min => {
                zeros.resize(blocks, 0.0);
                from.scale.decode(part.zeros, 0..blocks, &mut zeros);
                if from.zero == Zero::Min {
                    zeros.iter_mut().for_each(|min| *min = -*min);
                }
            }
        }
        let mut offsets = Vec::new();
        let mut straight = route.refined && route.shifts.is_none_or(|shifts| shifts.contains(0));
        if route.rule.subtracts && !shape.is_empty() {
            offsets.reserve_exact(blocks);
            for (&zero, &scale) in zeros.iter().zip(&scales) {
                let offset = zeros::subtracted(from, zero, scale)?;
                straight &= maps.shifts(offset)?.contains(0);
                offsets.push(offset);
            }
        }
        let (grid, target) = (Grid::of(from, shape), Grid::of(&route.to, shape));
        let packed = Packed::new(grid);
        Ok(Self { route, part: *part, shape, straight, scales, zeros, offsets, grid, target, packed })
    }

    pub(super) fn overlaps(&self, rows: Range<usize>, visit: impl FnMut(Overlap)) {
        self.grid.overlaps(&self.target, rows, visit);
    }

    /// The zero point that the code map subtracts in all blocks, if they have the same.
    pub(super) fn one_offset(&self) -> Option<u8> {
        let first = self.offsets.first().copied().unwrap_or(0);
        self.offsets.iter().all(|&offset| offset == first).then_some(first)
    }

    pub(super) fn offset(&self, overlap: &Overlap) -> u8 {
        self.offsets.get(overlap.source).copied().unwrap_or(0)
    }

    pub(super) fn extent(&self, maps: &mut Maps, overlap: &Overlap) -> Result<Extent, Obstacle> {
        let offset = self.offset(overlap);
        let shifts = maps.shifts(offset)?;
        Ok(Extent::of(self.scales[overlap.source], shifts, || maps.has_zeros(offset)))
    }

    /// True if all values of an overlap are zeros because its codes are zeros. They stay the same
    /// under any scale.
    pub(super) fn is_free(&self, overlap: &Overlap) -> bool {
        let (scale, element) = (self.scales[overlap.source], self.route.from.element);
        let Some(codes) = self.part.codes else { return false };
        self.route.from.zero == Zero::None
            && scale > 0.0
            && scale.is_finite()
            && (overlap.start..overlap.end)
                .all(|col| element.decode_one(self.packed.code(codes, overlap.row, col)) == 0.0)
    }

    /// The mapping of an overlap's codes, if its scale becomes `target`.
    pub(super) fn key(&self, maps: &mut Maps, overlap: &Overlap, target: f32) -> Result<Key, Obstacle> {
        let scale = self.scales[overlap.source];
        let shifts = maps.shifts(self.offset(overlap))?;
        let shift = match (split(scale), split(target)) {
            (Some((a, from)), Some((b, to))) if a == b => Some(from - to),
            // Zeros, infinities and NaN do not change under any shift.
            (None, None) if same(scale, target) => Some(shifts.preferred()),
            _ => None,
        };
        // Zeros do not change under a scale of zero, or any positive scale.
        let positive = target > 0.0 && target.is_finite();
        match shift.filter(|&shift| shifts.contains(shift)) {
            Some(shift) => Ok(Key::By(shift)),
            _ if !positive && target.to_bits() != 0 => Err(Obstacle::Special),
            None if scale.to_bits() == 0 && maps.has_zeros(self.offset(overlap)) => Ok(Key::Zeros),
            None if self.is_free(overlap) => Ok(Key::By(shifts.preferred())),
            None => Err(Obstacle::Quotient),
        }
    }

    /// Chooses the scale of each block of the target.
    pub(super) fn choose(&self, maps: &mut Maps, target: &mut impl ScaleTarget) -> Result<(), Obstacle> {
        let (mut extents, mut choices) = (Vec::new(), Vec::new());
        for rows in self.route.chunks(self.shape) {
            let blocks = self.target.blocks(0, rows.clone());
            self.gather(maps, rows.clone(), &blocks, &mut extents, &[])?;
            choices.clear();
            choices.extend(extents.iter().map(|extent| extent.choose(|scale| target.accepts(scale))));
            let settled = |choice: &Choice| matches!(choice, Choice::Accepted(_) | Choice::Any);
            if self.part.codes.is_some() && !choices.iter().all(settled) {
                let asked: Vec<bool> = choices.iter().map(|choice| !settled(choice)).collect();
                self.gather(maps, rows, &blocks, &mut extents, &asked)?;
            }
            for ((block, &first), extent) in blocks.zip(&choices).zip(&extents) {
                let second =
                    if settled(&first) { first } else { extent.choose(|scale| target.accepts(scale)) };
                target.take(block, first, second);
            }
        }
        Ok(())
    }

    /// Collects the scales that share each block of the target. In the blocks marked in `asked`,
    /// scales of zero values are left out.
    fn gather(
        &self,
        maps: &mut Maps,
        rows: Range<usize>,
        blocks: &Range<usize>,
        extents: &mut Vec<Extent>,
        asked: &[bool],
    ) -> Result<(), Obstacle> {
        extents.clear();
        extents.resize(blocks.len(), Extent::EMPTY);
        let mut result = Ok(());
        self.overlaps(rows, |overlap| {
            let block = overlap.target - blocks.start;
            let looks = asked.get(block).is_some_and(|asked| *asked);
            match if looks && self.is_free(&overlap) { Ok(Extent::FREE) } else { self.extent(maps, &overlap) }
            {
                Ok(extent) => extents[block].merge(&extent),
                Err(obstacle) => result = Err(obstacle),
            }
        });
        result
    }

    /// The zero points or biases of the target's blocks.
    pub(super) fn target_zeros(&self) -> Result<Vec<f32>, Obstacle> {
        let (from, to) = (&self.route.from, &self.route.to);
        if to.zero == Zero::None {
            return Ok(Vec::new());
        }
        let added = self.route.rule.added;
        let mut images: Vec<Option<f32>> = vec![None; to.scales_per_matrix(self.shape)];
        let mut result = Ok(());
        self.overlaps(0..self.shape.rows, |overlap| {
            let zero = self.zeros.get(overlap.source).copied().unwrap_or(0.0);
            match zeros::image(from, to, added, zero, self.scales[overlap.source]) {
                Ok(image) => {
                    let known = *images[overlap.target].get_or_insert(image);
                    if !same(known, image) {
                        result = Err(Obstacle::Zeros(known, image));
                    }
                }
                Err(obstacle) => result = Err(obstacle),
            }
        });
        // A block without values (in a matrix without columns) is in no overlap.
        result.map(|()| images.into_iter().map(|image| image.unwrap_or(0.0)).collect())
    }
}
