//! Conversion of rows of the source to rows of the target.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

use super::StoredRows;
use super::codes::{Key, Maps};
use super::exactness::Exactness;
use super::extent::Choice;

use super::packed::Packed;
use super::powers::{holds, power, shifted};
use super::route::{OuterChange, Route};
use super::source::{ScaleTarget, SourceRows};
use crate::error::Error;
use crate::format::{Format, Zero};
use crate::grid::{Grid, Overlap};
use crate::obstacle::Obstacle;
use crate::scale::{ScaleKind, TensorScale};
use crate::tensor::QTensor;

/// Converts rows of one format to another, as planned.
///
/// [`Route::plan`] creates it.
#[derive(Clone, PartialEq, Debug)]
pub struct Transcoder {
    route: Route,
    tensor_scale: TensorScale,
    /// The exponents of the tensor scales of all matrices, if the source has no tensor scales.
    exponents: Vec<i32>,
    /// The scales of all matrices, if each matrix of the target is one block.
    whole: Vec<f32>,
    exactness: Exactness,
}

impl Transcoder {
    pub(super) const fn new(
        route: Route,
        tensor_scale: TensorScale,
        exponents: Vec<i32>,
        whole: Vec<f32>,
        exactness: Exactness,
    ) -> Self {
        Self { route, tensor_scale, exponents, whole, exactness }
    }

    /// The relation of the result to the source.
    #[must_use]
    pub const fn exactness(&self) -> Exactness {
        self.exactness
    }

    /// The tensor scales of the result.
    #[must_use]
    pub const fn tensor_scale(&self) -> &TensorScale {
        &self.tensor_scale
    }

    /// Converts some rows of one matrix, in whole [`row quanta`](Route::row_quantum), to the
    /// target's format.
    ///
    /// Unchanged bytes are borrowed.
    ///
    /// # Errors
    /// [`Error::Transcode`] if the rows differ from the observed ones.
    ///
    /// # Panics
    /// If the matrix is out of range, or `tile` has another format or width, or several matrices.
    pub fn rows<'t>(&self, matrix: usize, tile: &'t QTensor<'_>) -> Result<QTensor<'t>, Error> {
        let Route { from, to, .. } = &self.route;
        self.route.assert_tile(tile);
        assert!(matrix < self.route.shape.matrices, "matrix {matrix} of {}", self.route.shape);
        let shape = tile.shape();
        let (codes, scales, zeros) = self.parts(matrix, tile).map_err(|why| self.route.error(why))?;
        debug_assert_eq!(
            (codes.len(), scales.len()),
            (to.codes_len(shape), to.scales_len(shape)),
            "{from} to {to}"
        );
        QTensor::new(*to, shape, codes, scales, zeros, self.tensor_scale.matrix(matrix))
    }

    fn parts<'t>(&self, matrix: usize, tile: &'t QTensor<'_>) -> Result<Parts<'t>, Obstacle> {
        let Route { from, to, rule, outer, .. } = &self.route;
        let mut maps = self.route.maps();
        let one_map = !rule.subtracts && maps.shifts(0)?.contains(0);
        let super_blocks = |format: &Format| format.scale.outer.count();
        let same_grid = from.block == to.block
            && from.scale.kind == to.scale.kind
            && super_blocks(from) == super_blocks(to);
        let scales_stay = match outer {
            OuterChange::Absent | OuterChange::Kept | OuterChange::Inverted => true,
            OuterChange::Added => self.exponents.get(matrix).is_none_or(|&m| m == 0),
            OuterChange::Folded => false,
        };
        let zeros_stay = from.zero == to.zero && (from.scale.kind == to.scale.kind || from.zero == Zero::Int)
            || from.zero == Zero::None && to.zero == Zero::Int;
        if !one_map || !same_grid || !scales_stay || !zeros_stay {
            return self.mapped(maps, matrix, tile);
        }
        let zeros = match (tile.zeros(), to.zero) {
            (_, Zero::None) => None,
            (Some(zeros), _) => Some(Cow::Borrowed(zeros)),
            (None, _) => Some(vec![rule.added; to.zeros_len(tile.shape())].into()),
        };
        let codes = self.all_codes(&mut maps, tile, 0, Key::By(0))?;
        Ok((codes, Cow::Borrowed(tile.scales()), zeros))
    }

    /// Converts block by block.
    fn mapped<'t>(
        &self,
        mut maps: Maps,
        matrix: usize,
        tile: &'t QTensor<'_>,
    ) -> Result<Parts<'t>, Obstacle> {
        let Route { to, .. } = &self.route;
        let maps = &mut maps;
        let source = SourceRows::new(&self.route, maps, matrix, &StoredRows::of(tile))?;
        let exponent = self.exponents.get(matrix).copied().unwrap_or(0);
        let kept = if self.route.chooses_whole() { None } else { source.kept_scales(exponent) };
        let (codes, scales) = match (kept, source.one_offset()) {
            (Some(kept), Some(offset)) => (self.all_codes(maps, tile, offset, Key::By(0))?, kept),
            (Some(kept), None) => (self.codes(maps, &source, tile, |_, _| Ok(Key::By(0)))?, kept),
            (None, _) => self.chosen(maps, &source, tile, matrix, exponent)?,
        };
        let zeros = source.target_zeros()?;
        let zeros = match to.zero {
            Zero::None => None,
            Zero::Int => Some(zeros.iter().map(|&zero| zero as u8).collect()),
            Zero::Float | Zero::Bias if to.scale.outer.count().is_some() => {
                Some(tile.zeros().unwrap_or_default().to_vec().into())
            }
            Zero::Float | Zero::Bias => {
                let mut bytes = vec![0; to.zeros_len(tile.shape())];
                to.scale.kind.encode_into(&zeros, &mut bytes);
                Some(bytes.into())
            }
            // `Route::new` has checked that the source has the same minima.
            Zero::Min => Some(tile.zeros().unwrap_or_default().to_vec().into()),
        };
        Ok((codes, scales.into(), zeros))
    }

    /// Converts codes and chooses scales, for blocks that combine several of the source or whose
    /// scales are rounded.
    fn chosen<'t>(
        &self,
        maps: &mut Maps,
        source: &SourceRows<'_>,
        tile: &'t QTensor<'_>,
        matrix: usize,
        exponent: i32,
    ) -> Result<(Cow<'t, [u8]>, Vec<u8>), Obstacle> {
        let kind = self.route.to.scale.kind;
        let mut scales = Scales {
            kind,
            exponent,
            rounds: matches!(self.exactness, Exactness::ScalesRounded { .. }),
            chosen: vec![power(exponent); self.route.to.scales_per_matrix(tile.shape())],
            obstacle: None,
        };
        if self.route.chooses_whole() {
            scales.chosen.copy_from_slice(&self.whole[matrix..=matrix]);
        } else {
            source.choose(maps, &mut scales)?;
        }
        let Scales { chosen, obstacle: None, .. } = scales else {
            return Err(scales.obstacle.unwrap_or(Obstacle::Special));
        };
        let codes = self
            .codes(maps, source, tile, |maps, overlap| source.key(maps, overlap, chosen[overlap.target]))?;
        let lowered: Vec<f32> =
            chosen.iter().map(|&scale| shifted(scale, -exponent).unwrap_or(f32::NAN)).collect();
        let mut bytes = vec![0; lowered.len() * kind.bytes()];
        kind.encode_into(&lowered, &mut bytes);
        Ok((codes, bytes))
    }

    /// Converts all codes by one table.
    fn all_codes<'t>(
        &self,
        maps: &mut Maps,
        tile: &'t QTensor<'_>,
        offset: u8,
        key: Key,
    ) -> Result<Cow<'t, [u8]>, Obstacle> {
        if tile.is_empty() || self.route.keeps_code_bytes() && key == Key::By(0) {
            return Ok(Cow::Borrowed(tile.codes()));
        }
        let (from, to, shape) = (&self.route.from, &self.route.to, tile.shape());
        let table = maps.table(offset, key)?;
        let (read, write) = (Packed::new(Grid::of(from, shape)), Packed::new(Grid::of(to, shape)));
        if let Some(codes) = read.mapped_bytes(&write, tile.codes(), table) {
            return Ok(codes.into());
        }
        let (mut out, mut codes) = (Vec::with_capacity(to.codes_len(shape)), Vec::new());
        for rows in self.route.chunks(shape) {
            read.read(tile.codes(), rows, &mut codes);
            codes.iter_mut().for_each(|code| *code = table[usize::from(*code)]);
            write.write(&codes, &mut out);
        }
        Ok(out.into())
    }

    /// Converts codes by the table of `key` for each overlap.
    fn codes<'t>(
        &self,
        maps: &mut Maps,
        source: &SourceRows<'_>,
        tile: &'t QTensor<'_>,
        key: impl Fn(&mut Maps, &Overlap) -> Result<Key, Obstacle>,
    ) -> Result<Cow<'t, [u8]>, Obstacle> {
        let mut obstacle = None;
        let (mut one, mut differ) = (None, false);
        source.overlaps(0..source.shape.rows, |overlap| {
            if !differ {
                match key(maps, &overlap) {
                    Ok(key) => {
                        differ = *one.get_or_insert((source.offset(&overlap), key))
                            != (source.offset(&overlap), key)
                    }
                    Err(why) => obstacle = Some(why),
                }
            }
        });
        if let (Some((offset, key)), false, None) = (one, differ, obstacle) {
            return self.all_codes(maps, tile, offset, key);
        }
        let write = Packed::new(Grid::of(&self.route.to, source.shape));
        let (mut out, mut codes) = (Vec::with_capacity(self.route.to.codes_len(source.shape)), Vec::new());
        for rows in self.route.chunks(source.shape) {
            source.packed.read(tile.codes(), rows.clone(), &mut codes);
            let first = rows.start;
            source.overlaps(rows, |overlap| {
                match key(maps, &overlap).and_then(|key| maps.table(source.offset(&overlap), key)) {
                    Ok(table) => {
                        let row = &mut codes[(overlap.row - first) * source.shape.cols..];
                        row[overlap.start..overlap.end]
                            .iter_mut()
                            .for_each(|code| *code = table[usize::from(*code)]);
                    }
                    Err(why) => obstacle = Some(why),
                }
            });
            if let Some(obstacle) = obstacle {
                return Err(obstacle);
            }
            write.write(&codes, &mut out);
        }
        Ok(out.into())
    }
}

/// Codes, scales, zero points.
type Parts<'t> = (Cow<'t, [u8]>, Cow<'t, [u8]>, Option<Cow<'t, [u8]>>);

/// Collects the chosen scales.
struct Scales {
    kind: ScaleKind,
    exponent: i32,
    rounds: bool,
    chosen: Vec<f32>,
    obstacle: Option<Obstacle>,
}

impl ScaleTarget for Scales {
    fn accepts(&self, scale: f32) -> bool {
        shifted(scale, -self.exponent).is_some_and(|lowered| holds(self.kind, lowered))
    }

    fn take(&mut self, block: usize, _: Choice, second: Choice) {
        match second {
            Choice::Any => {} // one, times the tensor scale
            Choice::Accepted(scale) => self.chosen[block] = scale,
            Choice::Unaccepted(scale) if self.rounds => self.chosen[block] = scale,
            Choice::Unaccepted(value) => {
                self.obstacle = Some(Obstacle::Scale { value, kind: self.kind });
            }
            Choice::Blocked(obstacle) => self.obstacle = Some(obstacle),
        }
    }
}
