//! The exact sweep over E4M3 scales of E2M1 blocks: finds the best of all 126 codes at the cost of
//! a dozen trials.
//!
//! ```text
//! up      to 7 codes above the amax code,      a scale of at least 12/7 amax / 6 is never better than
//!         and to code 15 at least              half of it; half of it is a code, unless the code is
//!                                              odd and at most 15
//! down    until w (bmax - 6 s)^2 >= the best   clipping alone costs more than the best so far, and
//!                                              more with every code below
//! in f32  s^2 sum w (|x| / s - r)^2, r the nearest magnitude, for sixteen interleaved blocks: a kernel
//! exact   candidates within rounding errors of the best: in f64 on decoded values, as in every search
//! ```
//!
//! Among equal errors the order is: the start, one code below, one above, two below and so on. The
//! result of a block does not depend on its neighbours.

use core::array::from_fn;

use lowbit_blocks::Element;
use lowbit_kernels::Blocks;

use super::chooser::{Chooser, Chosen, Extremes};
use super::interleaved::{Block, Interleaved, LANES, TOP, Table};
use crate::chunk::Chunk;
use crate::encoder::Encoder;
use crate::importance::{Weighting, Weights};

/// The number of codes above the start; and the last code whose half may not be a code.
const UP: u8 = 7;
const LAST_ODD: u8 = 15;
/// Magnitudes whose squares neither underflow nor overflow in f32.
const SQUARABLE: core::ops::Range<f32> = 1e-15..1e15;
impl Chooser {
    /// True if the sweep supports these blocks; otherwise candidates are tried one by one.
    pub(super) fn sweeps(&self, encoder: &Encoder, chunk: &Chunk<'_>, weights: Weights<'_>) -> bool {
        let weighed = match weights {
            Weights::Uniform => true,
            Weights::Columns { of: Weighting::Channels(columns), .. } => {
                columns.len().is_multiple_of(chunk.len)
            }
            _ => false,
        };
        let plain = encoder.is_exact(Blocks { len: chunk.len, scales: &[], zeros: None });
        weighed
            && plain
            && self.element == Element::E2m1
            && chunk.is_one_run()
            && chunk.width.is_multiple_of(chunk.len)
    }

    /// Replaces the scales of the start by the best ones.
    pub(super) fn sweep(
        &self,
        chunk: &Chunk<'_>,
        weights: Weights<'_>,
        seen: &Extremes,
        chosen: &mut Chosen<'_>,
    ) {
        let mut table = [0.0; _];
        let codes: [u8; TOP as usize + 2] = from_fn(|code| code as u8);
        self.effective_e4m3(&codes, &mut table);
        let (len, run) = (chunk.len, chunk.runs().next().unwrap_or_default());
        let (columns, first) = match weights {
            Weights::Columns { of: Weighting::Channels(columns), first } => (Some(&columns[..]), first),
            _ => (None, 0),
        };
        let mut blocks = Interleaved::new(self.kernels, &table);
        let weights_of = |block: usize| columns.map(|of| &of[(first + block * len) % of.len()..][..len]);
        let groups = run.chunks(LANES * len).zip(chosen.stored.chunks_mut(LANES));
        for (group, ((x, stored), amax)) in groups.zip(seen.amax.chunks(LANES)).enumerate() {
            let block_of =
                |lane: usize| Block { x: &x[lane * len..][..len], weights: weights_of(group * LANES + lane) };
            sweep(&mut blocks, &table, block_of, stored, amax);
        }
        for (scale, code) in chosen.scales.iter_mut().zip(&*chosen.stored) {
            *scale = table[usize::from(*code)];
        }
    }
}

/// Replaces the codes of up to sixteen blocks by the best ones.
fn sweep<'a>(
    blocks: &mut Interleaved<'_>,
    table: &Table,
    block_of: impl Fn(usize) -> Block<'a>,
    stored: &mut [u8],
    amax: &[f32],
) {
    blocks.load((0..stored.len()).map(&block_of), amax);
    let last = |start: u8| TOP.min(start.saturating_add(UP).max(LAST_ODD));
    let normal = table[1] >= f32::MIN_POSITIVE;
    let mut ends = [None; LANES];
    for (lane, code) in stored.iter_mut().enumerate() {
        let (start, heaviest) = (*code, blocks.heaviest(lane));
        if amax[lane] == 0.0 || start == 0 || start > TOP || heaviest == 0.0 {
            continue;
        }
        if normal && SQUARABLE.contains(&amax[lane]) && SQUARABLE.contains(&heaviest) {
            ends[lane] = Some((start, last(start)));
        } else {
            *code = block_of(lane).exact_best(table, start, 1..=last(start));
        }
    }
    if ends == [None; LANES] {
        return;
    }
    blocks.search(ends);
    let found = blocks.close_to_best().into_iter().zip(ends).enumerate();
    for ((lane, ((best, count), ends)), code) in found.zip(stored) {
        match (ends, count) {
            (None, _) => {}
            (_, 1) => *code = best,
            _ => *code = block_of(lane).exact_best(table, *code, blocks.all_close(lane)),
        }
    }
}

impl Block<'_> {
    /// The best of several codes, in f64 on decoded values.
    #[cold]
    fn exact_best(&self, table: &Table, start: u8, codes: impl Iterator<Item = u8>) -> u8 {
        let rank = |code: u8| match code.cmp(&start) {
            core::cmp::Ordering::Less => 2 * u32::from(start - code) - 1,
            _ => 2 * u32::from(code - start),
        };
        let mut best = (f64::INFINITY, u32::MAX, start);
        let mut decoded = vec![0.0; self.x.len()];
        let weighting = self.weights.map(|weights| Weighting::Channels(weights.to_vec()));
        for code in codes {
            let scale = table[usize::from(code)];
            let divisor = if scale == 0.0 { f32::INFINITY } else { scale };
            for (decoded, x) in decoded.iter_mut().zip(self.x) {
                *decoded = Element::E2m1.decode_one(Element::E2m1.encode_one(x / divisor)) * scale;
            }
            let weights = weighting.as_ref().map_or(Weights::Uniform, |of| Weights::Columns { of, first: 0 });
            let mut error = [0.0];
            weights.errors(&Chunk::run(self.x, self.x.len()), &decoded, &mut error);
            let candidate = (error[0], rank(code), code);
            if (candidate.0, candidate.1) < (best.0, best.1) {
                best = candidate;
            }
        }
        best.2
    }
}
