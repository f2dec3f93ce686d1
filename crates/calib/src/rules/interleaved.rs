//! The sweep on sixteen interleaved blocks, one per lane.
//!
//! ```text
//! x[k][i]        value k of block i
//! errors[r][i]   error of block i under code start_i + offsets[r], in f32;
//!                infinite if that is not a code, or not worth trying
//! open[i]        whether lower codes may still be better
//! ```
//!
//! Each block is tried on the same codes as it would be alone.

use core::array::from_fn;

use lowbit_blocks::Element;
use lowbit_kernels::Kernels;

/// The number of interleaved blocks.
pub(super) const LANES: usize = 16;
/// The number of codes tried at once on the way down.
const STRIDE: i16 = 4;
/// From this many codes below the start, all clipped values are considered, not only the largest.
const FAR: i16 = 8;

/// The largest code that is a number.
pub(super) const TOP: u8 = Element::E4m3.encode_one(Element::E4m3.max());
/// The largest rounding error of an f32 error, relative to it, and in steps of a value.
const DOUBT: f32 = 1e-5;

/// Effective scales of all codes. A NaN follows the last one, so that seven bits are a valid index.
pub(super) type Table = [f32; TOP as usize + 2];

/// The inputs of the sweep for one block.
pub(super) struct Block<'a> {
    pub(super) x: &'a [f32],
    pub(super) weights: Option<&'a [f32]>,
}

/// One number per block.
type Lane<T> = [T; LANES];

/// The state of the search of each block.
struct State {
    start: Lane<i16>,
    last: Lane<i16>,
    amax: Lane<f32>,
    /// The largest weight; and the weight of the largest value.
    heaviest: Lane<f32>,
    weight: Lane<f32>,
    open: Lane<bool>,
    best: Lane<f32>,
}

/// Interleaved blocks and the state of their search.
pub(super) struct Interleaved<'a> {
    kernels: Kernels,
    table: &'a Table,
    x: Vec<Lane<f32>>,
    weights: Vec<Lane<f32>>,
    offsets: Vec<i16>,
    scales: Vec<Lane<f32>>,
    errors: Vec<Lane<f32>>,
    state: State,
}

impl<'a> Interleaved<'a> {
    pub(super) fn new(kernels: Kernels, table: &'a Table) -> Self {
        let ones = [1.0; LANES];
        let (start, open) = ([1; LANES], [false; LANES]);
        Self {
            kernels,
            table,
            x: Vec::new(),
            weights: Vec::new(),
            offsets: Vec::new(),
            scales: Vec::new(),
            errors: Vec::new(),
            state: State { start, last: start, amax: ones, heaviest: ones, weight: ones, open, best: ones },
        }
    }

    /// Loads up to sixteen new blocks of one length, with their amax.
    pub(super) fn load<'b>(&mut self, blocks: impl Iterator<Item = Block<'b>>, amax: &[f32]) {
        let Self { x, weights, state, .. } = self;
        state.amax = from_fn(|lane| amax.get(lane).copied().unwrap_or_default());
        weights.clear();
        for (lane, block) in blocks.take(LANES).enumerate() {
            beside(x, lane, block.x);
            block.weights.into_iter().for_each(|of| beside(weights, lane, of));
        }
        (state.heaviest, state.weight) = ([1.0; LANES], [1.0; LANES]);
        if weights.is_empty() {
            return;
        }
        (state.heaviest, state.weight) = ([0.0; LANES], [0.0; LANES]);
        for (x, weights) in x.iter().zip(weights) {
            for lane in 0..LANES {
                let weight = weights[lane];
                let of_largest = if x[lane].abs() == state.amax[lane] { weight } else { 0.0 };
                state.heaviest[lane] = greater(state.heaviest[lane], weight);
                state.weight[lane] = greater(state.weight[lane], of_largest);
            }
        }
    }

    /// The largest weight of a block.
    pub(super) fn heaviest(&self, lane: usize) -> f32 {
        self.state.heaviest[lane]
    }

    /// Tries the blocks on all codes that may be best: upwards from `start` to `last`, and
    /// downwards from `start`. Blocks without a pair of codes are skipped.
    pub(super) fn search(&mut self, ends: Lane<Option<(u8, u8)>>) {
        let state = &mut self.state;
        state.start = ends.map(|ends| ends.map_or(1, |(start, _)| i16::from(start)));
        state.last = ends.map(|ends| ends.map_or(1, |(_, last)| i16::from(last)));
        state.open = ends.map(|ends| ends.is_some());
        state.best = [f32::INFINITY; LANES];
        self.offsets.clear();
        self.scales.clear();
        self.errors.clear();
        let up = (0..LANES).map(|lane| self.state.last[lane] - self.state.start[lane]).max();
        self.attempt(0..=up.unwrap_or(0));
        for done in (0..).step_by(STRIDE as usize) {
            self.close(done);
            if self.state.open == [false; LANES] {
                break;
            }
            self.attempt((done + 1..=done + STRIDE).map(|below| -below));
        }
    }

    /// Tries the open blocks on codes at these offsets from their starts.
    fn attempt(&mut self, offsets: impl Iterator<Item = i16>) {
        let Self { state: State { start, last, open, best, .. }, .. } = self;
        let at = self.scales.len();
        for offset in offsets {
            self.offsets.push(offset);
            self.scales.push(from_fn(|lane| {
                self.table[(start[lane] + offset).clamp(1, last[lane]) as usize & 0x7f]
            }));
        }
        self.errors.resize(self.scales.len(), [0.0; LANES]);
        let weights = (!self.weights.is_empty()).then_some(&self.weights[..]);
        self.kernels.e2m1_errors(&self.x, weights, &self.scales[at..], &mut self.errors[at..]);
        for (offset, errors) in self.offsets[at..].iter().zip(&mut self.errors[at..]) {
            for lane in 0..LANES {
                let code = start[lane] + offset;
                let counts = open[lane] & (code >= 1) & (code <= last[lane]);
                errors[lane] = if counts { errors[lane] } else { f32::INFINITY };
                best[lane] = if errors[lane] < best[lane] { errors[lane] } else { best[lane] };
            }
        }
    }

    /// Closes blocks whose clipping error, more than `done` codes below the start, exceeds the best
    /// error so far.
    fn close(&mut self, done: i16) {
        let State { start, amax, heaviest, weight, open, best, .. } = &mut self.state;
        let next: Lane<i16> = from_fn(|lane| start[lane] - done - 1);
        let scale: Lane<f32> = next.map(|code| self.table[code.max(0) as usize & 0x7f]);
        let limit: Lane<f32> = from_fn(|lane| {
            // Includes the margin of rounding errors.
            best[lane] * (1.0 + 4.0 * DOUBT) + DOUBT * DOUBT * scale[lane] * scale[lane] * heaviest[lane]
        });
        for lane in 0..LANES {
            let clipped = greater(amax[lane] - 6.0 * scale[lane], 0.0);
            open[lane] &= (next[lane] >= 1) & (weight[lane] * clipped * clipped <= limit[lane]);
        }
        if done < FAR || *open == [false; LANES] {
            return;
        }
        let mut lost = [0.0; LANES];
        for (k, x) in self.x.iter().enumerate() {
            let weights = self.weights.get(k).unwrap_or(&[1.0; LANES]);
            for lane in 0..LANES {
                let clipped = greater(x[lane].abs() - 6.0 * scale[lane], 0.0);
                lost[lane] += clipped * clipped * weights[lane];
            }
        }
        (0..LANES).for_each(|lane| open[lane] &= lost[lane] <= limit[lane]);
    }

    /// For each block one code that may be the best, and the number of codes that may be, within
    /// rounding errors.
    pub(super) fn close_to_best(&self) -> Lane<(u8, u16)> {
        let limits = self.limits();
        let (mut offset, mut count) = ([0i16; LANES], [0u16; LANES]);
        for (row, errors) in self.offsets.iter().zip(&self.errors) {
            for lane in 0..LANES {
                let close = errors[lane] <= limits[lane];
                offset[lane] = if close { *row } else { offset[lane] };
                count[lane] += u16::from(close);
            }
        }
        from_fn(|lane| ((self.state.start[lane] + offset[lane]) as u8, count[lane]))
    }

    /// All codes of one block that may be the best.
    pub(super) fn all_close(&self, lane: usize) -> impl Iterator<Item = u8> {
        let limit = self.limits()[lane];
        let rows = self.offsets.iter().zip(&self.errors).filter(move |(_, errors)| errors[lane] <= limit);
        rows.map(move |(offset, _)| (self.state.start[lane] + offset) as u8)
    }

    /// The largest error that rounding could confuse with the best, for each block.
    fn limits(&self) -> Lane<f32> {
        let State { last, heaviest, best, .. } = &self.state;
        from_fn(|lane| {
            let slack = DOUBT * self.table[last[lane] as usize & 0x7f] * heaviest[lane].sqrt();
            let least = best[lane].sqrt() * (1.0 + DOUBT) + 2.0 * slack;
            least * least
        })
    }
}

/// Writes the numbers of a block into a lane of the rows.
fn beside(rows: &mut Vec<Lane<f32>>, lane: usize, of: &[f32]) {
    rows.resize(of.len(), [0.0; LANES]);
    rows.iter_mut().zip(of).for_each(|(row, x)| row[lane % LANES] = *x);
}

fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}
