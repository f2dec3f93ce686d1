//! Encoding of values with chosen scales, in the arithmetic of the recipe.
//!
//! ```text
//! exact path      one kernel call: code = RNE(x / s), or RNE(x / s + zero)
//! stepwise path   y = x / s or x * (1/s);  y = RN_d(y);  y = RN_d(y + zero)
//!                 ties and zeros adjusted;  code = RNE(y / 1)
//! biased path     y = (x - bias) / s;  code = RNE(y / 1)
//! ```
//!
//! The exact path serves f32 division with ties to even, and bf16 division by powers of two. It
//! covers both signs of zero: adding a zero point of +0.0 makes a quotient of -0.0 positive and
//! changes nothing else. The stepwise path reproduces the arithmetic of other tools; its steps are
//! loops over slices.
//!
//! On the stepwise path a zero point is added as a signed number, as compressed-tensors does. The
//! signed code gets its offset last, since `RN_d(y + z)` differs for z and z + 2^(b-1).

use lowbit_blocks::{Dtype, Element, ScaleKind};
use lowbit_kernels::{Blocks, Kernels};
use lowbit_scalar::Fp4;

use crate::arithmetic::{Arithmetic, Quotient, Ties, ZeroSign, any_zero, round_slice};
use crate::recipe::Recipe;

/// The smallest scale that bitsandbytes takes the reciprocal of.
pub(crate) const RECIPROCAL_FLOOR: f32 = 1e-38;

/// The part of a recipe that is needed once scales are chosen.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    pub(crate) element: Element,
    pub(crate) kernels: Kernels,
    arithmetic: Arithmetic,
    dtype: Dtype,
    quotient: Quotient,
    ties: Ties,
    zero_sign: ZeroSign,
    flat: bool,
    biased: bool,
    powers_of_two: bool,
}

/// Buffers of the stepwise path.
#[derive(Default)]
pub(crate) struct Quotients {
    values: Vec<f32>,
    positive_zeros: Vec<f32>,
    scales: Vec<f32>,
}

impl Encoder {
    pub(crate) fn new(recipe: &Recipe, weight: Dtype, kernels: Kernels) -> Self {
        Self {
            element: recipe.format.element,
            kernels,
            arithmetic: recipe.arithmetic,
            dtype: recipe.arithmetic.dtype(weight),
            quotient: recipe.quotient,
            ties: recipe.ties,
            zero_sign: recipe.zero_sign,
            flat: recipe.format.block.is_flat(),
            biased: recipe.format.zero.is_added(),
            powers_of_two: recipe.format.scale.kind == ScaleKind::E8m0,
        }
    }

    /// True if the exact path gives the same bits as the stepwise path.
    pub(crate) fn is_exact(&self, blocks: Blocks<'_>) -> bool {
        let direct = match self.dtype {
            Dtype::F32 => blocks.zeros.is_none() || self.arithmetic == Arithmetic::F32,
            // A bf16 number over a power of two up to 1 is a bf16 number. The smallest scale,
            // 2^-133, is unchanged.
            Dtype::Bf16 => self.powers_of_two && blocks.scales.iter().all(|scale| *scale <= 1.0),
            Dtype::F16 => false,
        };
        direct
            && !self.biased
            && self.quotient == Quotient::Divide
            && self.ties == Ties::Even
            && self.zero_sign != ZeroSign::Negative
    }

    /// Encodes values in blocks into one dense stream of codes. `next` is prefetched: the values
    /// read after these.
    pub(crate) fn encode(
        &self,
        x: &[f32],
        blocks: Blocks<'_>,
        codes: &mut [u8],
        buffers: &mut Quotients,
        next: &[u8],
    ) {
        if let Some(biases) = blocks.zeros.filter(|_| self.biased) {
            return self.encode_biased(x, blocks, biases, codes, buffers);
        }
        if !self.is_exact(blocks) {
            return self.encode_stepwise(x, blocks, codes, buffers);
        }
        let mut blocks = blocks;
        if self.zero_sign == ZeroSign::Positive && blocks.zeros.is_none() {
            buffers.positive_zeros.resize(blocks.scales.len(), 0.0);
            blocks.zeros = Some(&buffers.positive_zeros);
        }
        // A block scale times a subnormal tensor scale may be 0. Such a block decodes to zeros, so
        // its codes are those of zeros, x / infinity. 0 / 0 would be NaN in elements that have one.
        if any_zero(self.kernels, blocks.scales) {
            buffers.scales.clear();
            buffers.scales.extend(blocks.scales.iter().map(|&s| if s == 0.0 { f32::INFINITY } else { s }));
            blocks.scales = &buffers.scales;
        }
        self.kernels.encode_ahead(self.element, x, blocks, codes, next);
    }

    fn encode_biased(
        &self,
        x: &[f32],
        blocks: Blocks<'_>,
        biases: &[f32],
        codes: &mut [u8],
        buffers: &mut Quotients,
    ) {
        let y = &mut buffers.values;
        y.clear();
        y.extend_from_slice(x);
        let lines = blocks.scales.iter().zip(biases);
        for (y, (&scale, &bias)) in y.chunks_mut(blocks.len).zip(lines) {
            // A scale of zero underflowed its type. All values decode to the bias.
            let scale = if scale == 0.0 { f32::INFINITY } else { scale };
            y.iter_mut().for_each(|y| *y = (*y - bias) / scale);
        }
        self.kernels.encode(self.element, y, Blocks::whole(&1.0), codes);
    }

    fn encode_stepwise(&self, x: &[f32], blocks: Blocks<'_>, codes: &mut [u8], buffers: &mut Quotients) {
        let y = &mut buffers.values;
        y.clear();
        y.extend_from_slice(x);
        for (y, &scale) in y.chunks_mut(blocks.len).zip(blocks.scales) {
            let short = self.flat && y.len() < blocks.len;
            match self.quotient {
                Quotient::Reciprocal if !short => {
                    let reciprocal = 1.0 / scale.max(RECIPROCAL_FLOOR);
                    y.iter_mut().for_each(|y| *y *= reciprocal);
                }
                _ => y.iter_mut().for_each(|y| *y /= scale),
            }
        }
        round_slice(self.kernels, self.dtype, y);
        let Some(zeros) = blocks.zeros else {
            self.move_ties_and_zeros(y);
            return self.kernels.encode(self.element, y, Blocks::whole(&1.0), codes);
        };
        let half = (self.element.max() + 1.0) / 2.0;
        for (y, zero) in y.chunks_mut(blocks.len).zip(zeros) {
            y.iter_mut().for_each(|y| *y += zero - half);
        }
        round_slice(self.kernels, self.dtype, y);
        let bits = self.element.bits();
        self.kernels.encode(Element::Int { bits: bits as u8 }, y, Blocks::whole(&1.0), codes);
        flip_top_bits(bits as usize, y.len(), codes);
    }

    /// Adjusts y so that rounding ties to even gives the ties of `ties`, and zeros the sign of
    /// `zero_sign`.
    fn move_ties_and_zeros(&self, y: &mut [f32]) {
        match self.ties {
            Ties::Even => {}
            Ties::TowardZero => y.iter_mut().for_each(|y| *y = below_tie(*y)),
            Ties::Lower if self.element == Element::Fp4 => y.iter_mut().for_each(|y| *y = sorted_fp4(*y)),
            Ties::Lower => {}
        }
        match self.zero_sign {
            ZeroSign::Keep => {}
            ZeroSign::Positive => y.iter_mut().for_each(|y| *y += 0.0),
            ZeroSign::Negative => y.iter_mut().filter(|y| **y == 0.0).for_each(|y| *y = -0.0),
        }
    }
}

/// Moves ties of E2M1 that would round up in magnitude to the next number toward zero.
fn below_tie(y: f32) -> f32 {
    match y.abs() {
        0.75 | 1.75 | 3.5 => f32::from_bits(y.to_bits() - 1),
        _ => y,
    }
}

/// A number whose nearest FP4 code is the code that a search of the sorted table finds for `y`.
/// Ties go to the lower value. Of the two zeros, code 0 gets (-1/384, 0] and code 8 gets (0,
/// 1/384].
fn sorted_fp4(y: f32) -> f32 {
    /// Codes in ascending order of their values.
    const ORDER: [u8; 16] = [11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3];
    /// Rounds to code 8, negative zero: the sign of an FP4 code is `y < 0`.
    const NEGATIVE_ZERO: f32 = -1e-9;
    let value = |rank: usize| Fp4::TABLE[usize::from(ORDER[rank])];
    let above = (0..15).filter(|&rank| y > (value(rank) + value(rank + 1)) / 2.0).count();
    if ORDER[above] == 8 { NEGATIVE_ZERO } else { value(above) }
}

/// Converts two's complement to offset binary: the highest bit of each code is flipped.
fn flip_top_bits(bits: usize, n: usize, codes: &mut [u8]) {
    match bits {
        8 => codes.iter_mut().for_each(|code| *code ^= 0x80),
        4 if n.is_multiple_of(2) => codes.iter_mut().for_each(|code| *code ^= 0x88),
        _ => (0..n).map(|i| i * bits + bits - 1).for_each(|bit| codes[bit / 8] ^= 1 << (bit % 8)),
    }
}
