//! A histogram of a tensor with one bin per bfloat16 value.
//!
//! ```text
//! bin = the upper 16 bits of the f32: sign, exponent, 7 bits of mantissa        65,536 bins, 512 KB
//! ```
//!
//! It is exact for bf16 tensors. An f16 or f32 value counts as the bf16 value next to it towards
//! zero. Counts are added, so the result depends neither on the order nor on the division of the
//! work.

/// The number of f32 bits below those of the bin.
const BELOW: u32 = 16;
/// The number of bins of one sign.
const MAGNITUDES: usize = 1 << 15;

/// The rank of percentile `percent` among `n` numbers, 1 to n.
pub(crate) fn rank(n: u64, percent: f32) -> u64 {
    ((n as f64 * f64::from(percent) / 100.0).ceil() as u64).clamp(1, n.max(1))
}

/// Counts of values by their upper 16 bits.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    /// Whether a value was not exactly its bin's: quantiles are then the upper edges of bins.
    inexact: bool,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; 2 * MAGNITUDES], inexact: false }
    }

    pub(crate) fn observe(&mut self, values: &[f32]) {
        for x in values {
            let bits = x.to_bits();
            self.counts[(bits >> BELOW) as usize] += 1;
            self.inexact |= bits << BELOW != 0;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
        self.inexact |= other.inexact;
    }

    /// The smallest magnitude that at least `percent` percent of the values do not exceed. If
    /// values are finer than bf16, it is rounded up to the largest f32 of its bin.
    pub(crate) fn percentile(&self, percent: f32) -> f32 {
        let (positive, negative) = self.counts.split_at(MAGNITUDES);
        let magnitudes = || positive.iter().zip(negative).map(|(p, n)| p + n);
        let wanted = rank(magnitudes().sum(), percent);
        let mut below = 0;
        let bin = magnitudes().position(|count| {
            below += count;
            below >= wanted
        });
        let rest = if self.inexact { (1 << BELOW) - 1 } else { 0 };
        f32::from_bits((bin.unwrap_or(0) as u32) << BELOW | rest)
    }

    /// The value and the count of each bin that is not empty.
    pub(crate) fn values(&self) -> (Vec<f32>, Vec<f64>) {
        let bins = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        bins.map(|(bin, &count)| (f32::from_bits((bin as u32) << BELOW), count as f64)).unzip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_of_bf16_values_is_a_value() {
        let mut histogram = Histogram::new();
        histogram.observe(&[1.0, -2.0, 3.0, -4.0]);
        assert_eq!([25.0, 50.0, 75.1, 100.0].map(|p| histogram.percentile(p)), [1.0, 2.0, 4.0, 4.0]);
        assert_eq!(histogram.values(), (vec![1.0, 3.0, -2.0, -4.0], vec![1.0; 4]));
    }

    #[test]
    fn percentile_of_finer_values_is_an_upper_bound() {
        let mut histogram = Histogram::new();
        histogram.observe(&[1.0, 1.000_000_1]);
        let p = histogram.percentile(100.0);
        assert!((1.000_000_1..1.01).contains(&p));
    }
}
