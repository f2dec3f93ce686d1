//! The exact sweep of E4M3 scales of E2M1 blocks: the best of all 126 codes at the price of a dozen.
//!
//! ```text
//! up      to 7 codes above the amax code, 15     a scale of 12/7 amax / 6 or more is never better than half of it, which is a code
//!         at least                               too, unless it is an odd one of up to 15
//! down    until w (bmax - 6 s)^2 >= the best     clipping alone costs more than the best so far, and ever more below
//! in f32  y = |x| / s,  r = nearest of 0, 0.5, 1, 1.5, 2, 3, 4, 6,  s^2 sum w (y - r)^2
//! exact   the candidates that rounding could have confused with the best: in f64 on decoded values, as every search
//! ```
//!
//! The step between neighbouring values at y is half the power of two below y, at least 1/2; adding and subtracting 1.5 2^23 steps rounds to
//! multiples of it. Equal errors: the start, then one code below, one above, two below and so on.

use lowbit_blocks::Element;
use lowbit_kernels::Blocks;

use super::chooser::{Chooser, Chosen, Extremes};
use crate::band::Band;
use crate::codes::Encoder;
use crate::importance::{Weighting, Weights};

/// Lanes of a sum.
const LANES: usize = 4;
/// Codes above the start, and the last whose half may not be a code.
const UP: u8 = 7;
const LAST_ODD: u8 = 15;
/// The largest code that is a number.
const TOP: u8 = Element::E4m3.encode_one(Element::E4m3.max());
/// Magnitudes whose squares neither vanish nor overflow in f32.
const SQUARABLE: core::ops::Range<f32> = 1e-15..1e15;
/// How far an f32 error may be from the exact one, as a part of it, and in steps of a value.
const DOUBT: f32 = 1e-5;

/// Effective scales of all codes.
struct Table {
    scales: [f32; TOP as usize + 1],
    inverses: [f32; TOP as usize + 1],
}

/// What the sweep knows of a block.
struct Block<'a> {
    x: &'a [f32],
    weights: Option<&'a [f32]>,
}

impl Chooser {
    /// Whether the sweep serves these blocks: otherwise candidates are tried one by one.
    pub(super) fn sweeps(&self, encoder: &Encoder, band: &Band<'_>, weights: Weights<'_>) -> bool {
        let weighed = match weights {
            Weights::Uniform => true,
            Weights::Columns { of: Weighting::Channels(columns), .. } => {
                columns.len().is_multiple_of(band.len)
            }
            _ => false,
        };
        let plain = encoder.is_exact(Blocks { len: band.len, scales: &[], zeros: None });
        weighed
            && plain
            && self.element == Element::E2m1
            && band.is_stream()
            && band.len.is_multiple_of(LANES)
            && band.width.is_multiple_of(band.len)
    }

    /// Replaces the scales of the start by the best ones.
    pub(super) fn sweep(
        &self,
        band: &Band<'_>,
        weights: Weights<'_>,
        seen: &Extremes,
        chosen: &mut Chosen<'_>,
    ) {
        let mut table = Table { scales: [0.0; _], inverses: [0.0; _] };
        let codes: [u8; TOP as usize + 1] = core::array::from_fn(|code| code as u8);
        self.effective_e4m3(&codes, &mut table.scales);
        table.inverses.iter_mut().zip(table.scales).for_each(|(inverse, scale)| *inverse = 1.0 / scale);
        let (len, run) = (band.len, band.runs().next().unwrap_or_default());
        let (columns, first) = match weights {
            Weights::Columns { of: Weighting::Channels(columns), first } => (Some(&columns[..]), first),
            _ => (None, 0),
        };
        for (block, x) in run.chunks_exact(len).enumerate() {
            let weights = columns.map(|of| &of[(first + block * len) % of.len()..][..len]);
            let block_of = Block { x, weights };
            let start = chosen.stored[block];
            let code = match len {
                // Code of its own for the block length of NVFP4 pays.
                16 => block_of.best::<4>(&table, start, seen.amax[block]),
                _ => block_of.best::<0>(&table, start, seen.amax[block]),
            };
            chosen.stored[block] = code;
            chosen.scales[block] = table.scales[usize::from(code)];
        }
    }
}

impl Block<'_> {
    /// The best code. `N` vectors of values, or 0 for a number known at run time.
    #[inline]
    fn best<const N: usize>(&self, table: &Table, start: u8, amax: f32) -> u8 {
        let all = 1..=TOP.min(start.saturating_add(UP).max(LAST_ODD));
        let heaviest = self.weights.map_or(1.0, |weights| weights.iter().copied().fold(0.0, f32::max));
        let least_scale = table.scales[usize::from(*all.start())];
        if amax == 0.0 || start == 0 || start > TOP || heaviest == 0.0 {
            return start;
        }
        let usual = SQUARABLE.contains(&amax) && least_scale >= f32::MIN_POSITIVE;
        if !usual || !(SQUARABLE.contains(&heaviest)) {
            return self.exact_best(table, start, all);
        }
        let mut errors = [f32::INFINITY; TOP as usize + 1];
        let mut best = f32::INFINITY;
        for code in start..=*all.end() {
            let error = self.error::<N>(table, code);
            errors[usize::from(code)] = error;
            best = if error < best { error } else { best };
        }
        let last = *all.end();
        let weight = self.weights.map_or(1.0, |of| {
            let largest = self.x.iter().zip(of).filter(|(x, _)| x.abs() == amax);
            largest.map(|(_, weight)| *weight).fold(0.0, f32::max)
        });
        let mut first = start;
        for code in (1..start).rev() {
            let scale = table.scales[usize::from(code)];
            let clipped = amax - 6.0 * scale;
            let clipped = if clipped > 0.0 { clipped } else { 0.0 };
            let mut lost = weight * clipped * clipped;
            if code + UP < start && lost < best {
                lost = self.clipping(scale);
            }
            // Beyond doubt.
            if lost > best * (1.0 + 4.0 * DOUBT) + DOUBT * DOUBT * scale * scale * heaviest {
                break;
            }
            let error = self.error::<N>(table, code);
            errors[usize::from(code)] = error;
            best = if error < best { error } else { best };
            first = code;
        }
        let slack = DOUBT * table.scales[usize::from(last)] * heaviest.sqrt();
        let least = best.sqrt() * (1.0 + DOUBT) + 2.0 * slack;
        let limit = least * least;
        let mut close = (first..=last).filter(|&code| errors[usize::from(code)] <= limit);
        match (close.next(), close.next()) {
            (Some(only), None) => only,
            _ => {
                let close = (first..=last).filter(|&code| errors[usize::from(code)] <= limit);
                self.exact_best(table, start, close)
            }
        }
    }

    /// s^2 sum w (y - r)^2.
    #[inline(always)]
    fn error<const N: usize>(&self, table: &Table, code: u8) -> f32 {
        let (scale, inverse) = (table.scales[usize::from(code)], table.inverses[usize::from(code)]);
        let x = self.x.as_chunks::<LANES>().0;
        let x = if N > 0 { &x[..N] } else { x };
        let mut sums = [0.0f32; LANES];
        match self.weights {
            None => {
                for x in x {
                    for (sum, x) in sums.iter_mut().zip(x) {
                        let e = distance(*x, inverse);
                        *sum += e * e;
                    }
                }
            }
            Some(weights) => {
                let weights = weights.as_chunks::<LANES>().0;
                let weights = if N > 0 { &weights[..N] } else { weights };
                for (x, weights) in x.iter().zip(weights) {
                    for ((sum, x), weight) in sums.iter_mut().zip(x).zip(weights) {
                        let e = distance(*x, inverse);
                        *sum += e * e * weight;
                    }
                }
            }
        }
        ((sums[0] + sums[1]) + (sums[2] + sums[3])) * (scale * scale)
    }

    /// What clipping alone costs under this scale, and at least under every smaller one.
    fn clipping(&self, scale: f32) -> f32 {
        let clipped = self.x.iter().map(|x| (x.abs() - 6.0 * scale).max(0.0));
        let weights = self.weights.unwrap_or_default().iter().copied().chain(core::iter::repeat(1.0));
        clipped.zip(weights).map(|(e, weight)| e * e * weight).sum()
    }

    /// The best of some codes, in f64 on decoded values.
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
            let scale = table.scales[usize::from(code)];
            let divisor = if scale == 0.0 { f32::INFINITY } else { scale };
            for (decoded, x) in decoded.iter_mut().zip(self.x) {
                *decoded = Element::E2m1.decode_one(Element::E2m1.encode_one(x / divisor)) * scale;
            }
            let weights = weighting.as_ref().map_or(Weights::Uniform, |of| Weights::Columns { of, first: 0 });
            let mut error = [0.0];
            weights.errors(&Band::stream(self.x, self.x.len()), &decoded, &mut error);
            let candidate = (error[0], rank(code), code);
            if (candidate.0, candidate.1) < (best.0, best.1) {
                best = candidate;
            }
        }
        best.2
    }
}

/// How far `|x| / s` is from the nearest magnitude of E2M1.
#[inline(always)]
fn distance(x: f32, inverse: f32) -> f32 {
    /// The exponent of an f32.
    const EXPONENT: u32 = 0x7f80_0000;
    /// Times a power of two: 1.5 2^22, added to its bits.
    const MAGIC: u32 = 22 << 23 | 1 << 22;
    let y = x.abs() * inverse;
    let at_least_one = if y > 1.0 { y } else { 1.0 };
    let magic = f32::from_bits((at_least_one.to_bits() & EXPONENT) + MAGIC);
    let nearest = (y + magic) - magic;
    y - if nearest < 6.0 { nearest } else { 6.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_to_the_nearest_value() {
        for i in 0..=1000 {
            let x = i as f32 / 100.0;
            let nearest = Element::E2m1.decode_one(Element::E2m1.encode_one(x));
            assert_eq!(distance(x, 1.0).abs(), (x - nearest).abs(), "{x}");
            assert_eq!(distance(-x, 1.0).abs(), (x - nearest).abs(), "{x}");
        }
    }
}
