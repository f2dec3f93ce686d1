//! Normally distributed numbers, the same on every run.

use std::f64::consts::TAU;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Uniform in (0, 1].
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

/// `n` numbers of N(0, 1), by Box and Muller.
pub fn normal(seed: u64, n: usize) -> Vec<f32> {
    let mut random = Random(seed);
    let pairs = (0..n.div_ceil(2)).flat_map(|_| {
        let radius = (-2.0 * random.uniform().ln()).sqrt();
        let (sin, cos) = (TAU * random.uniform()).sin_cos();
        [radius * cos, radius * sin]
    });
    pairs.take(n).map(|x| x as f32).collect()
}
