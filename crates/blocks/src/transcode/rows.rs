//! Rows of the source as rows of the target.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

use super::Part;
use super::codes::{Key, Maps};
use super::exactness::{Exactness, Obstacle};
use super::extent::Choice;
use super::level::power;
use super::powers::{holds, shifted};
use super::route::{Level, Route};
use super::stream::Stream;
use super::tile::{Judge, Tile};
use crate::error::Error;
use crate::format::Zero;
use crate::scale::{ScaleKind, TensorScale};
use crate::tensor::QTensor;

/// Turns rows of one format into rows of another without rounding a value.
///
/// Made by [`Route::plan`].
#[derive(Clone, PartialEq, Debug)]
pub struct Transcoder {
    route: Route,
    tensor_scale: TensorScale,
    /// Of the tensor scales of all matrices, where the source has none.
    exponents: Vec<i32>,
    /// The scales of all matrices, where the target has one for each.
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

    /// How the result relates to the source.
    #[must_use]
    pub const fn exactness(&self) -> Exactness {
        self.exactness
    }

    /// The tensor scales of the result.
    #[must_use]
    pub const fn tensor_scale(&self) -> &TensorScale {
        &self.tensor_scale
    }

    /// Some rows of one matrix, in whole [`row quanta`](Route::row_quantum), in the target's format.
    ///
    /// Bytes that stay as they are, are borrowed.
    ///
    /// # Errors
    /// [`Error::Transcode`] where the rows are not those that were observed.
    ///
    /// # Panics
    /// If there is no such matrix, or `tile` is of another format or width, or more than one matrix.
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
        let Route { from, to, rule, level, shape, .. } = &self.route;
        let mut maps = self.route.maps();
        let one_map = !rule.subtracts && maps.shifts(0)?.contains(0);
        let same_grid = from.block == to.block && from.scale == to.scale;
        let scales_stay = match level {
            Level::Absent | Level::Kept | Level::Turned => true,
            Level::Added => self.exponents.get(matrix).is_none_or(|&m| m == 0),
            Level::Folded => false,
        };
        let zeros_stay = from.zero == to.zero && (from.scale == to.scale || from.zero == Zero::Int)
            || from.zero == Zero::None && to.zero == Zero::Int;
        if !one_map || !same_grid || !scales_stay || !zeros_stay {
            return self.mapped(maps, matrix, tile);
        }
        let zeros = match (tile.zeros(), to.zero) {
            (_, Zero::None) => None,
            (Some(zeros), _) => Some(Cow::Borrowed(zeros)),
            (None, _) => Some(vec![rule.added; to.zeros_len(tile.shape())].into()),
        };
        let codes = if self.route.keeps_code_bytes() {
            Cow::Borrowed(tile.codes())
        } else {
            let table = maps.table(0, Key::By(0))?;
            let (read, write) = (Stream::new(from, shape.cols), Stream::new(to, shape.cols));
            let mut out = Vec::with_capacity(to.codes_len(tile.shape()));
            let mut codes = Vec::new();
            for rows in super::runs::strips(self.route.row_quantum(), tile.shape()) {
                read.read(tile.codes(), rows, &mut codes);
                codes.iter_mut().for_each(|code| *code = table[usize::from(*code)]);
                write.write(&codes, &mut out);
            }
            out.into()
        };
        Ok((codes, Cow::Borrowed(tile.scales()), zeros))
    }

    /// Block by block.
    fn mapped<'t>(
        &self,
        mut maps: Maps,
        matrix: usize,
        tile: &'t QTensor<'_>,
    ) -> Result<Parts<'t>, Obstacle> {
        let Route { to, .. } = &self.route;
        let maps = &mut maps;
        let source = Tile::new(&self.route, maps, matrix, &Part::of(tile))?;
        let exponent = self.exponents.get(matrix).copied().unwrap_or(0);
        let mut scales = Scales {
            kind: to.scale,
            exponent,
            rounds: matches!(self.exactness, Exactness::ScalesRounded { .. }),
            chosen: vec![power(exponent); to.scales_per_matrix(tile.shape())],
            obstacle: None,
        };
        if self.route.chooses_whole() {
            scales.chosen.copy_from_slice(&self.whole[matrix..=matrix]);
        } else {
            source.choose(maps, &mut scales)?;
        }
        if let Some(obstacle) = scales.obstacle {
            return Err(obstacle);
        }
        let chosen = scales.chosen;
        let codes = self.codes(maps, &source, tile, &chosen)?;
        let lowered: Vec<f32> =
            chosen.iter().map(|&scale| shifted(scale, -exponent).unwrap_or(f32::NAN)).collect();
        let mut bytes = vec![0; to.scales_len(tile.shape())];
        to.scale.encode_into(&lowered, &mut bytes);
        let zeros = source.target_zeros()?;
        let zeros = match to.zero {
            Zero::None => None,
            Zero::Int => Some(zeros.iter().map(|&zero| zero as u8).collect()),
            Zero::Float | Zero::Bias => {
                let mut bytes = vec![0; to.zeros_len(tile.shape())];
                to.scale.encode_into(&zeros, &mut bytes);
                Some(bytes.into())
            }
        };
        Ok((codes, bytes.into(), zeros))
    }

    fn codes<'t>(
        &self,
        maps: &mut Maps,
        source: &Tile<'_>,
        tile: &'t QTensor<'_>,
        scales: &[f32],
    ) -> Result<Cow<'t, [u8]>, Obstacle> {
        let mut obstacle = None;
        if self.route.keeps_code_bytes() {
            let mut stay = true;
            source.runs(0..source.shape.rows, |run| match source.key(maps, &run, scales[run.target]) {
                Ok(key) => stay &= key == Key::By(0),
                Err(why) => obstacle = Some(why),
            });
            if obstacle.is_none() && stay {
                return Ok(Cow::Borrowed(tile.codes()));
            }
        }
        let write = Stream::new(&self.route.to, source.shape.cols);
        let mut out = Vec::with_capacity(self.route.to.codes_len(source.shape));
        let mut codes = Vec::new();
        for rows in source.strips() {
            source.stream.read(tile.codes(), rows.clone(), &mut codes);
            let first = rows.start;
            source.runs(rows, |run| {
                let key = source.key(maps, &run, scales[run.target]);
                match key.and_then(|key| maps.table(source.offset(&run), key)) {
                    Ok(table) => {
                        let row = &mut codes[(run.row - first) * source.shape.cols..];
                        row[run.start..run.end].iter_mut().for_each(|code| *code = table[usize::from(*code)]);
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

/// Takes the scales that a plan allows.
struct Scales {
    kind: ScaleKind,
    exponent: i32,
    rounds: bool,
    chosen: Vec<f32>,
    obstacle: Option<Obstacle>,
}

impl Judge for Scales {
    fn accepts(&self, scale: f32) -> bool {
        shifted(scale, -self.exponent).is_some_and(|lowered| holds(self.kind, lowered))
    }

    fn settle(&mut self, block: usize, _: Choice, second: Choice) {
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
