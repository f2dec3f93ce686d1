//! E4M3 scales, with or without a tensor scale t: NVFP4.
//!
//! ```text
//! Multiply   raw = amax / RN(max * t)             s = E4M3(raw)       effective scale = s * t      ModelOpt, ours
//! Divide     raw = RN_d(amax / max) * t           s = E4M3(raw)       effective scale = s / t      compressed-tensors
//! zero       One: raw = 0 -> 1.0, else at least 2^-9       Epsilon: E4M3(raw) = 0 -> 0.125
//! all        at most 448
//! ```
//!
//! Every operation is one f32 rounding, except RN_d. The candidates of a search are neighbours of
//! the amax code.

use lowbit_blocks::Dtype;
use lowbit_kernels::{Blocks, Element};

use super::Chooser;
use crate::arithmetic::round_to;
use crate::zero_block::ZeroBlock;

/// The tensor scale of one matrix, and whether it multiplies or divides.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum SecondLevel {
    /// No tensor scale.
    None,
    /// Effective scale = block scale * this number.
    Multiply(f32),
    /// Effective scale = block scale / this number.
    Divide(f32),
}

/// Machine epsilon of E4M3 (`torch.finfo(float8_e4m3fn).eps`), 2^-3, as a code.
const EPSILON: u8 = Element::E4m3.encode_one(0.125);
/// The codes of 1, of the smallest positive value, and of NaN.
const ONE: u8 = Element::E4m3.encode_one(1.0);
const LEAST: u8 = 1;
const NAN: u8 = Element::E4m3.encode_one(f32::NAN);
/// The code of the largest value.
const TOP: u8 = Element::E4m3.encode_one(Element::E4m3.max());

/// Offsets of candidate codes from the amax code. For E2M1 and any monotone error, a scale of 2/7
/// amax or more is never better than half of it. So the optimum is less than 12/7 times the amax
/// scale: within 7 codes. Below it, clipping soon costs more than it gains.
pub(super) const OFFSETS: [i8; 13] = [-1, 1, -2, 2, -3, 3, -4, 4, -5, 5, -6, 6, 7];

impl Chooser {
    /// Two-level scales of blocks from their amax: stored bytes, and effective scales.
    pub(super) fn two_level_scales(&self, amax: &[f32], stored: &mut [u8], scales: &mut [f32]) {
        let d = self.scale_dtype;
        // The remaining operation on `raw` is one division, which the encoder does.
        let (raw, divisor) = match self.second_level {
            SecondLevel::None if d == Dtype::F32 => (amax, self.divisor),
            SecondLevel::Multiply(t) => (amax, self.divisor * t),
            SecondLevel::None | SecondLevel::Divide(_) => {
                let t = if let SecondLevel::Divide(t) = self.second_level { t } else { 1.0 };
                for (raw, &amax) in scales.iter_mut().zip(amax) {
                    *raw = round_to(d, amax / self.divisor) * t;
                }
                (&*scales, 1.0)
            }
        };
        if !raw.is_empty() {
            self.kernels.encode(Element::E4m3, raw, Blocks::whole(&divisor), stored);
        }
        // Zero blocks and underflows are rare.
        let ends =
            stored.iter().fold((u8::MAX, 0), |(min, max): (u8, u8), &code| (min.min(code), max.max(code)));
        if ends.0 == 0 || ends.1 >= NAN {
            for (code, raw) in stored.iter_mut().zip(raw) {
                *code = self.mended(*code, raw / divisor);
            }
        }
        self.effective_e4m3(stored, scales);
    }

    /// The replacement of the codes 0 and NaN.
    fn mended(&self, code: u8, raw: f32) -> u8 {
        match (code, self.zero_block) {
            (0, ZeroBlock::Epsilon) => EPSILON,
            (_, ZeroBlock::Epsilon) => code,
            (0, _) if raw > 0.0 => LEAST,
            // 0 / 0 occurs if the tensor scale is subnormal.
            (0 | NAN, _) => ONE,
            _ => code,
        }
    }

    /// The candidates `offset` codes away from the amax code, clamped to valid codes.
    pub(super) fn two_level_neighbours(
        &self,
        base: &[u8],
        offset: i8,
        stored: &mut [u8],
        scales: &mut [f32],
    ) {
        for (code, &base) in stored.iter_mut().zip(base) {
            *code = base.saturating_add_signed(offset).clamp(1, TOP);
        }
        self.effective_e4m3(stored, scales);
    }

    /// The effective scales of stored codes.
    pub(super) fn effective_e4m3(&self, stored: &[u8], scales: &mut [f32]) {
        let factor = match self.second_level {
            SecondLevel::Multiply(t) => t,
            _ => 1.0,
        };
        if !stored.is_empty() {
            self.kernels.decode(Element::E4m3, stored, Blocks::whole(&factor), scales);
        }
        if let SecondLevel::Divide(t) = self.second_level {
            scales.iter_mut().for_each(|scale| *scale /= t);
        }
    }
}
