//! Observations of a tensor's scales, collected tile by tile.

use alloc::vec;
use alloc::vec::Vec;

use super::StoredRows;
use super::codes::Maps;
use super::extent::{Choice, Extent};
use super::powers::{Reach, holds, same, stored};
use super::route::{OuterChange, Route};
use super::source::{ScaleTarget, SourceRows};
use super::zeros;
use crate::format::{Block, Zero};
use crate::obstacle::Obstacle;
use crate::scale::ScaleKind;
use crate::shape::Shape;
use crate::tensor::QTensor;

/// Observations of scales and zero points, for one [`Route`] or for several between the same
/// formats.
#[derive(Clone, Debug)]
pub struct Facts {
    pub(super) rows: usize,
    /// Whether a tile was observed without its codes.
    pub(super) blind: bool,
    pub(super) obstacle: Option<Obstacle>,
    pub(super) rounding: Rounding,
    /// One per matrix, or a single one if matrices need not be distinguished.
    matrices: Vec<Matrix>,
    maps: Maps,
}

/// Statistics of scales that the target rounds.
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

/// Observations of one matrix.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix {
    /// The reach of the scales that the target stores: of all, and without blocks of zeros.
    pub(super) reach: [Reach; 2],
    /// The extent of the scales that share the one block of the target: of all, and without blocks
    /// of zeros.
    pub(super) extents: [Extent; 2],
    /// The obstacle that disappears if blocks of zeros are left out.
    pub(super) blocked: Option<Obstacle>,
    /// The zero point of the one block of the target.
    zero: Option<f32>,
    /// The set of one-byte stored scales that occur.
    scale_bytes: Option<Bytes>,
}

impl Matrix {
    const NONE: Self = Self {
        reach: [Reach::NONE; 2],
        extents: [Extent::EMPTY; 2],
        blocked: None,
        zero: None,
        scale_bytes: None,
    };

    /// Records the target's zero point; different ones are an obstacle.
    fn meet(&mut self, zero: f32) -> Result<(), Obstacle> {
        let known = *self.zero.get_or_insert(zero);
        if same(known, zero) { Ok(()) } else { Err(Obstacle::Zeros(known, zero)) }
    }
}

/// A set of bytes.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Bytes([u64; 4]);

impl Bytes {
    pub(super) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    fn extend(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0[usize::from(byte >> 6)] |= 1 << (byte & 63));
    }
}

impl Facts {
    pub(super) fn new(route: &Route) -> Self {
        let apart = route.to.has_tensor_scale() || route.to.block == Block::Tensor;
        // A shape without values may have any number of matrices.
        let matrices = match (route.shape.is_empty(), apart) {
            (true, _) => 0,
            (false, true) => route.shape.matrices,
            (false, false) => 1,
        };
        Self {
            rows: 0,
            blind: false,
            obstacle: None,
            rounding: Rounding::default(),
            matrices: vec![Matrix::NONE; matrices],
            maps: route.maps(),
        }
    }

    /// Merges the observations of another tensor, so that tensors with a shared tensor scale get
    /// the same one.
    ///
    /// # Panics
    /// If the two are of different formats or numbers of matrices.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.matrices.len(), other.matrices.len(), "matrices");
        assert!(self.maps.same_rule(&other.maps), "facts of different formats");
        self.rows = self.rows.saturating_add(other.rows);
        self.blind |= other.blind;
        self.obstacle = self.obstacle.or(other.obstacle);
        self.rounding.merge(&other.rounding);
        for (into, from) in self.matrices.iter_mut().zip(&other.matrices) {
            for (into, from) in into.reach.iter_mut().zip(&from.reach) {
                into.merge(from);
            }
            for (into, from) in into.extents.iter_mut().zip(&from.extents) {
                into.merge(from);
            }
            if let Some(Err(obstacle)) = from.zero.map(|zero| into.meet(zero)) {
                self.obstacle = self.obstacle.or(Some(obstacle));
            }
            into.blocked = into.blocked.or(from.blocked);
            if let Some(Bytes(from)) = &from.scale_bytes {
                let Bytes(into) = into.scale_bytes.get_or_insert_default();
                into.iter_mut().zip(from).for_each(|(into, from)| *into |= from);
            }
        }
    }

    pub(super) fn matrix(&self, matrix: usize) -> Matrix {
        let index = if self.matrices.len() == 1 { 0 } else { matrix };
        self.matrices.get(index).copied().unwrap_or(Matrix::NONE)
    }

    pub(super) fn scale_bytes(&self, matrix: usize) -> Option<Bytes> {
        self.matrix(matrix).scale_bytes
    }
}

impl Route {
    /// Empty observations.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts::new(self)
    }

    /// Observes the scales and zero points of some rows of one matrix, in whole
    /// [row quanta](Self::row_quantum). Each row must be observed once, in any order.
    ///
    /// Codes are only read where blocks of zeros could make a difference. Without codes, such
    /// blocks count like any others.
    ///
    /// # Panics
    /// If the matrix is out of range, or a part has the wrong number of bytes for its rows.
    pub fn observe(&self, facts: &mut Facts, matrix: usize, part: StoredRows<'_>) {
        let shape = Shape::matrix(part.rows, self.shape.cols);
        assert!(matrix < self.shape.matrices, "matrix {matrix} of {}", self.shape);
        assert_eq!(part.scales.len(), self.from.scales_len(shape), "bytes of scales");
        assert_eq!(part.zeros.len(), self.from.zeros_len(shape), "bytes of zero points");
        if let Some(codes) = part.codes {
            assert_eq!(codes.len(), self.from.codes_len(shape), "bytes of codes");
        }
        facts.rows = facts.rows.saturating_add(part.rows);
        facts.blind |= part.codes.is_none() && self.from.zero == Zero::None;
        if facts.obstacle.is_some() || shape.is_empty() {
            return;
        }
        let index = if facts.matrices.len() == 1 { 0 } else { matrix };
        let (of, maps) = (&mut facts.matrices[index], &mut facts.maps);
        if self.outer == OuterChange::Inverted && self.from.scale.kind.bytes() == 1 {
            of.scale_bytes.get_or_insert_default().extend(part.scales);
        }
        if self.needs_facts() {
            let mut observer = Observer { route: self, of, rounding: &mut facts.rounding, obstacle: None };
            let observed = observer.observe(maps, matrix, &part);
            facts.obstacle = observed.err().or(observer.obstacle);
        }
    }

    /// [`observe`](Self::observe) with a tensor of these rows.
    ///
    /// # Panics
    /// As [`observe`](Self::observe), and if the tensor has another format or width, or several
    /// matrices.
    pub fn observe_rows(&self, facts: &mut Facts, matrix: usize, tile: &QTensor<'_>) {
        self.assert_tile(tile);
        self.observe(facts, matrix, StoredRows::of(tile));
    }

    pub(super) fn assert_tile(&self, tile: &QTensor<'_>) {
        assert_eq!(tile.format(), self.from, "format of the tile");
        let Shape { matrices, cols, .. } = tile.shape();
        assert_eq!((matrices, cols), (1, self.shape.cols), "matrices and columns of the tile");
    }
}

struct Observer<'a> {
    route: &'a Route,
    of: &'a mut Matrix,
    rounding: &'a mut Rounding,
    obstacle: Option<Obstacle>,
}

impl Observer<'_> {
    fn observe(&mut self, maps: &mut Maps, matrix: usize, part: &StoredRows<'_>) -> Result<(), Obstacle> {
        let tile = SourceRows::new(self.route, maps, matrix, part)?;
        let always = self.route.refined && zeros::always(&self.route.from, &self.route.to);
        let zeros = if always { Vec::new() } else { tile.target_zeros()? };
        if self.route.to.block != Block::Tensor {
            let keeps = match self.route.outer {
                OuterChange::Added => tile.straight && self.reach(&tile),
                _ => tile.kept_scales(0).is_some(),
            };
            if keeps {
                self.rounding.of += self.route.to.scales_per_matrix(tile.shape);
                return Ok(());
            }
            return tile.choose(maps, self);
        }
        zeros.first().map_or(Ok(()), |&zero| self.of.meet(zero))?;
        self.whole(maps, &tile)
    }

    /// Records the reach of scales that do not change; false if one is zero and the target has no
    /// zero scale.
    fn reach(&mut self, tile: &SourceRows<'_>) -> bool {
        if tile.scales.contains(&0.0) && !holds(self.route.to.scale.kind, 0.0) {
            return false;
        }
        let [all, some] = &mut self.of.reach;
        // The last scale that was covered; neighbouring scales are often equal.
        let mut last = None;
        tile.overlaps(0..tile.shape.rows, |overlap| {
            let scale = tile.scales[overlap.source];
            if last == Some(scale.to_bits()) {
                return;
            }
            let reach = Reach::of(scale);
            all.merge(&reach);
            if !some.covers(&reach) {
                if tile.is_free(&overlap) {
                    return;
                }
                some.merge(&reach);
            }
            last = Some(scale.to_bits());
        });
        true
    }

    /// Collects the scales of all tiles for the one block of the target.
    fn whole(&mut self, maps: &mut Maps, tile: &SourceRows<'_>) -> Result<(), Obstacle> {
        let mut result = Ok(());
        let [all, some] = &mut self.of.extents;
        tile.overlaps(0..tile.shape.rows, |overlap| match tile.extent(maps, &overlap) {
            Ok(extent) => {
                all.merge(&extent);
                if !some.covers(&extent) {
                    some.merge(if tile.is_free(&overlap) { &Extent::FREE } else { &extent });
                }
            }
            Err(obstacle) => result = Err(obstacle),
        });
        result
    }
}

impl ScaleTarget for Observer<'_> {
    fn accepts(&self, scale: f32) -> bool {
        match self.route.outer {
            OuterChange::Added if scale != 0.0 => self.of.reach[1].covers(&Reach::of(scale)),
            _ => holds(self.route.to.scale.kind, scale),
        }
    }

    fn take(&mut self, _: usize, first: Choice, second: Choice) {
        self.rounding.of += 1;
        if self.route.outer == OuterChange::Added {
            match first {
                Choice::Accepted(scale) | Choice::Unaccepted(scale) => {
                    self.of.reach[0].merge(&Reach::of(scale))
                }
                Choice::Any => {}
                Choice::Blocked(obstacle) => self.of.blocked = self.of.blocked.or(Some(obstacle)),
            }
        }
        match second {
            Choice::Accepted(_) | Choice::Any => {}
            Choice::Unaccepted(scale) if self.route.outer == OuterChange::Added => {
                self.of.reach[1].merge(&Reach::of(scale));
            }
            Choice::Unaccepted(scale) => {
                if let Err(obstacle) = self.rounding.add(scale, self.route.to.scale.kind) {
                    self.obstacle = self.obstacle.or(Some(obstacle));
                }
            }
            Choice::Blocked(obstacle) => self.obstacle = self.obstacle.or(Some(obstacle)),
        }
    }
}
