//! Scale search: every candidate encodes the blocks, and each block keeps the candidate of least
//! squared error.
//!
//! ```text
//! start        the scales of the rule itself (amax, rceil, full-range, min-max; 6 of four-over-six)
//! candidates   four-over-six: 1.5 amax      E4M3: 13 neighbouring codes      E8M0: three powers of two below
//!              float: amax, or both ends of the range, times 0.98, 0.96 … 0.40;
//!              E2M1 from 1.70 down, as its optimum lies below 12/7
//! kept         the first candidate of strictly less error, in f64 on the dequantized block
//! ```
//!
//! So a search is never worse than its start, and a block that is already exact does not change.

use lowbit_blocks::{Element, ScaleKind, Zero};
use lowbit_kernels::Blocks;

use super::chooser::{Chooser, Chosen, Extremes};
use super::mx;
use super::two_level::OFFSETS;
use crate::chunk::Chunk;
use crate::encoder::{Encoder, Quotients};
use crate::importance::Weights;
use crate::scale_rule::ScaleRule;

/// The step of float candidates, relative to amax: 2 %, from below 1 to 0.40.
const STEP: f32 = 0.02;
const SHRINK_STEPS: usize = 30;
/// The number of steps above 1 for E2M1. Its values between 4 and 6 are so coarse that a block may
/// gain if 6 is unused.
const GROW_STEPS: usize = 35;
/// Powers of two tried below `rceil`.
const POWERS: u8 = 3;

/// Buffers of a search, reused between chunks.
#[derive(Default)]
pub(crate) struct SearchBuffers {
    stored: Vec<u8>,
    scales: Vec<f32>,
    zero_codes: Vec<u8>,
    zeros: Vec<f32>,
    base: Vec<u8>,
    shrunk: Extremes,
    best: Vec<f64>,
    errors: Vec<f64>,
    codes: Vec<u8>,
    decoded: Vec<f32>,
    quotients: Quotients,
}

impl Chooser {
    /// The number of candidates besides the start; 0 for a rule that does not search.
    pub(crate) fn candidates(&self) -> usize {
        match (self.rule, self.kind) {
            (ScaleRule::FourOverSix, _) => 1,
            (ScaleRule::Mse, _) if self.kind == ScaleKind::E4m3 => OFFSETS.len(),
            (ScaleRule::Mse, kind) if kind.is_power_of_two() => usize::from(POWERS),
            (ScaleRule::Mse | ScaleRule::MseFullRange, _) => self.grow_steps() + SHRINK_STEPS,
            _ => 0,
        }
    }

    fn grow_steps(&self) -> usize {
        if self.element == Element::E2m1 { GROW_STEPS } else { 0 }
    }

    /// Computes candidate `k`. `base` holds the stored scales of the start.
    fn candidate(
        &self,
        k: usize,
        seen: &Extremes,
        base: &[u8],
        shrunk: &mut Extremes,
        chosen: &mut Chosen<'_>,
    ) {
        match (self.rule, self.kind) {
            (ScaleRule::FourOverSix, _) => {
                seen.times(1.5, shrunk);
                self.choose(shrunk, chosen);
            }
            _ if self.kind == ScaleKind::E4m3 => {
                self.two_level_neighbours(base, OFFSETS[k], chosen.stored, chosen.scales)
            }
            (_, kind) if kind.is_power_of_two() => {
                for ((stored, scale), base) in
                    chosen.stored.iter_mut().zip(chosen.scales.iter_mut()).zip(base)
                {
                    *stored = base.saturating_sub(k as u8 + 1);
                    *scale = mx::scale(*stored);
                }
            }
            _ => {
                // Downwards from below 1, then upwards from above 1.
                let steps = if k < SHRINK_STEPS { -((k + 1) as f32) } else { (k + 1 - SHRINK_STEPS) as f32 };
                seen.times(1.0 + STEP * steps, shrunk);
                self.choose(shrunk, chosen);
            }
        }
    }

    /// Replaces the scales of the start, in `chosen`, by the best of all candidates.
    ///
    pub(crate) fn search(
        &self,
        encoder: &Encoder,
        chunk: &Chunk<'_>,
        weights: Weights<'_>,
        seen: &Extremes,
        chosen: &mut Chosen<'_>,
        buffers: &mut SearchBuffers,
    ) {
        if (self.rule, self.kind) == (ScaleRule::Mse, ScaleKind::E4m3) && self.sweeps(encoder, chunk, weights)
        {
            return self.sweep(chunk, weights, seen, chosen);
        }
        let blocks = chunk.blocks();
        let zeros = if self.zero == Zero::Int { blocks } else { 0 };
        let SearchBuffers {
            stored, scales, zero_codes, zeros: zero_values, base, shrunk, best, errors, ..
        } = buffers;
        stored.resize(chosen.stored.len(), 0);
        scales.resize(blocks, 0.0);
        zero_codes.resize(zeros, 0);
        zero_values.resize(zeros, 0.0);
        best.resize(blocks, 0.0);
        errors.resize(blocks, 0.0);
        base.clear();
        base.extend_from_slice(chosen.stored);
        let mut trial = Trial {
            encoder,
            chunk,
            weights,
            codes: &mut buffers.codes,
            decoded: &mut buffers.decoded,
            quotients: &mut buffers.quotients,
        };
        trial.errors(chosen.scales, chosen.zeros, best);
        let bytes = self.kind.bytes();
        for k in 0..self.candidates() {
            let mut candidate = Chosen {
                stored: &mut *stored,
                scales: &mut *scales,
                zero_codes: &mut *zero_codes,
                zeros: &mut *zero_values,
            };
            self.candidate(k, seen, base, shrunk, &mut candidate);
            trial.errors(candidate.scales, candidate.zeros, errors);
            for block in 0..blocks {
                if errors[block] < best[block] {
                    best[block] = errors[block];
                    let at = block * bytes..(block + 1) * bytes;
                    chosen.stored[at.clone()].copy_from_slice(&candidate.stored[at]);
                    chosen.scales[block] = candidate.scales[block];
                    if zeros > 0 {
                        chosen.zero_codes[block] = candidate.zero_codes[block];
                        chosen.zeros[block] = candidate.zeros[block];
                    }
                }
            }
        }
    }
}

/// Encodes and decodes a chunk.
struct Trial<'a> {
    encoder: &'a Encoder,
    chunk: &'a Chunk<'a>,
    weights: Weights<'a>,
    codes: &'a mut Vec<u8>,
    decoded: &'a mut Vec<f32>,
    quotients: &'a mut Quotients,
}

impl Trial<'_> {
    /// The squared error of each block under these scales.
    fn errors(&mut self, scales: &[f32], zeros: &[f32], out: &mut [f64]) {
        let (element, kernels) = (self.encoder.element, self.encoder.kernels);
        let zeros = (!zeros.is_empty()).then_some(zeros);
        let blocks = Blocks { len: self.chunk.len, scales, zeros };
        self.codes.resize(self.chunk.run_bytes(element), 0);
        self.decoded.resize(self.chunk.count(), 0.0);
        for (run, decoded) in self.chunk.runs().zip(self.decoded.chunks_exact_mut(self.chunk.width)) {
            self.encoder.encode(run, blocks, self.codes, self.quotients, &[]);
            kernels.decode(element, self.codes, blocks, decoded);
        }
        self.weights.errors(self.chunk, self.decoded, out);
    }
}

impl Extremes {
    /// Writes the extremes, multiplied by `factor`, to `out`.
    fn times(&self, factor: f32, out: &mut Self) {
        for (from, to) in [(&self.amax, &mut out.amax), (&self.lo, &mut out.lo), (&self.hi, &mut out.hi)] {
            to.clear();
            to.extend(from.iter().map(|x| x * factor));
        }
    }
}
