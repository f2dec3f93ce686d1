//! Percentiles: the smallest magnitude that P percent of the values of a block do not exceed
//! (nearest rank).
//!
//! ```text
//! n values sorted by magnitude, m_1 <= m_2 <= … <= m_n          percentile p -> m_ceil(n p / 100)
//! ```

use crate::chunk::Chunk;
use crate::histogram::rank;

/// The percentile of each block, in place of its amax.
pub(super) fn percentiles(chunk: &Chunk<'_>, percent: f32, out: &mut [f32]) {
    let mut magnitudes = Vec::with_capacity(chunk.len.min(chunk.count()));
    for (block, out) in out.iter_mut().enumerate() {
        magnitudes.clear();
        for run in chunk.runs() {
            let start = block * chunk.len;
            let end = run.len().min(start + chunk.len);
            // Magnitudes of finite numbers are ordered like their bits.
            magnitudes.extend(run[start..end].iter().map(|x| x.abs().to_bits()));
        }
        let at = rank(magnitudes.len() as u64, percent) as usize - 1;
        *out = f32::from_bits(*magnitudes.select_nth_unstable(at).1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_counts_magnitudes_of_a_block() {
        let values: Vec<f32> = (1..=10).map(|i| if i % 2 == 0 { i as f32 } else { -(i as f32) }).collect();
        let chunk = Chunk::run(&values, 5);
        let mut out = [0.0; 2];
        for (percent, want) in
            [(100.0, [5.0, 10.0]), (80.0, [4.0, 9.0]), (79.0, [4.0, 9.0]), (1.0, [1.0, 6.0])]
        {
            percentiles(&chunk, percent, &mut out);
            assert_eq!(out, want, "{percent} %");
        }
    }
}
