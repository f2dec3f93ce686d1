//! The row tiles of a plan: whole rows of one matrix of a linear, or a byte range of a copied
//! tensor, a few MB each.
//!
//! Tiles are numbered, and the journal lists their numbers: they follow from the plan alone.

use crate::plan::{Plan, Source, Unit};
use lowbit_blocks::Shape;
use std::collections::BTreeMap;
use std::ops::Range;

/// Values of a row tile: 2 MB of bf16, 4 MB of f32.
const TILE_VALUES: usize = 1 << 20;
/// Bytes of a tile of a copied tensor.
const COPY_BYTES: u64 = 4 << 20;

/// One piece of work.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    pub(super) unit: usize,
    pub(super) what: What,
}

/// The contents of a tile.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// Rows of a matrix. The first tile of a unit also writes the parts that do not belong to rows.
    Rows { matrix: usize, rows: Range<usize>, first: bool },
    /// Bytes of the tensor.
    Bytes(Range<u64>),
}

/// Units that are done together because they share statistics; most groups have one unit.
#[derive(Debug)]
pub(super) struct Group {
    /// Their tiles, which are consecutive.
    pub(super) tiles: Range<usize>,
    /// Indices of the units.
    pub(super) units: Vec<usize>,
    /// Whether every tile must be observed before the first is written.
    pub(super) observed: bool,
}

/// All work of a plan.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) tiles: Vec<Tile>,
    pub(super) groups: Vec<Group>,
}

impl Work {
    pub(super) fn new(plan: &Plan) -> Self {
        // Groups are in the order of their first units, so that a tensor is read again while the
        // system still caches it.
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut of_share = BTreeMap::new();
        for (at, unit) in plan.units.iter().enumerate() {
            match unit {
                Unit::Quantized(q) => {
                    let group = *of_share.entry(q.shares).or_insert_with(|| {
                        groups.push(Vec::new());
                        groups.len() - 1
                    });
                    groups[group].push(at);
                }
                _ => groups.push(vec![at]),
            }
        }
        let mut work = Self::default();
        for units in groups {
            let start = work.tiles.len();
            let mut observed = false;
            for &at in &units {
                match &plan.units[at] {
                    Unit::Quantized(q) => {
                        observed |= q.recipe().is_some_and(|recipe| recipe.stats().is_some());
                        work.rows(at, q.linear.shape, q.quantum);
                    }
                    Unit::Decoded(d) => work.rows(at, d.linear.shape, d.quantum),
                    Unit::Copied(copied) => work.bytes(at, copied.len),
                    Unit::Constant(constant) => work.bytes(at, constant.bytes.len() as u64),
                }
            }
            work.groups.push(Group { tiles: start..work.tiles.len(), units, observed });
        }
        work
    }

    fn bytes(&mut self, unit: usize, len: u64) {
        let starts = (0..len).step_by(COPY_BYTES as usize);
        let tile = |start| Tile { unit, what: What::Bytes(start..len.min(start + COPY_BYTES)) };
        self.tiles.extend(starts.map(tile));
    }

    fn rows(&mut self, unit: usize, shape: Shape, quantum: usize) {
        let wanted = TILE_VALUES / shape.cols.max(1);
        let step = (wanted - wanted % quantum).max(quantum).min(shape.rows).max(1);
        let mut first = true;
        for matrix in 0..shape.matrices {
            for start in (0..shape.rows).step_by(step) {
                let rows = start..shape.rows.min(start + step);
                self.tiles.push(Tile { unit, what: What::Rows { matrix, rows, first } });
                first = false;
            }
        }
    }
}

impl Tile {
    /// Number of source bytes that the tile reads.
    pub(super) fn bytes(&self, plan: &Plan) -> u64 {
        match (&self.what, &plan.units[self.unit]) {
            (What::Rows { rows, .. }, Unit::Quantized(q)) => match &q.source {
                Source::Floats { .. } => (rows.len() * q.linear.shape.cols * q.linear.dtype.bytes()) as u64,
                Source::Quantized(strips) => plan.linears.bytes(strips, q.linear.shape, rows.len()),
            },
            (What::Rows { rows, .. }, Unit::Decoded(d)) => {
                plan.linears.bytes(&d.strips, d.linear.shape, rows.len())
            }
            (What::Bytes(range), _) => range.end - range.start,
            (What::Rows { .. }, _) => 0,
        }
    }
}
