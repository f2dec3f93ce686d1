//! Vector codebooks: formats whose codes are indices of vectors, which rows of
//! [`Format`](crate::Format) do not cover.
//!
//! ```text
//! row         one code, one number; scales and zero points as the row's data describe
//! codebook    one index, several numbers; signs and scales packed between the indices:
//!             IQ1 to IQ3 of ggml, trellises
//! ```
//!
//! A row cannot describe these formats; extending rows would complicate all code that walks over
//! codes. So their interface is three functions over blocks of whole bytes: decode, weighted
//! encode, and dot product. Blocks follow one another along a row, and a row is a whole number of
//! blocks.

use alloc::vec;
use alloc::vec::Vec;

/// A vector format: blocks of [`values`](Self::values) numbers in [`bytes`](Self::bytes) bytes.
///
/// An example: four vectors of two values, an index of 2 bits for each, and a scale in the last
/// byte.
///
/// ```
/// use lowbit_blocks::Codebook;
///
/// struct Pairs;
/// const VECTORS: [[f32; 2]; 4] = [[1.0, 1.0], [1.0, -1.0], [-2.0, 0.0], [0.0, 2.0]];
///
/// impl Codebook for Pairs {
///     fn values(&self) -> usize { 8 }
///     fn bytes(&self) -> usize { 2 }
///     fn decode(&self, block: &[u8], values: &mut [f32]) {
///         for (k, pair) in values.chunks_exact_mut(2).enumerate() {
///             let vector = VECTORS[usize::from(block[0] >> (2 * k) & 3)];
///             pair.iter_mut().zip(vector).for_each(|(to, v)| *to = v * f32::from(block[1]));
///         }
///     }
///     fn encode(&self, values: &[f32], weights: &[f32], block: &mut [u8]) {
///         block.copy_from_slice(&[0, 1]);
///         for (k, (pair, w)) in values.chunks_exact(2).zip(weights.chunks_exact(2)).enumerate() {
///             let error = |v: &[f32; 2]| (0..2).map(|i| w[i] * (pair[i] - v[i]).powi(2)).sum::<f32>();
///             let near = (0..4).min_by(|&a, &b| error(&VECTORS[a]).total_cmp(&error(&VECTORS[b])));
///             block[0] |= (near.unwrap() as u8) << (2 * k);
///         }
///     }
/// }
///
/// let row = [1.0, 0.8, 0.9, -1.2, -1.7, 0.1, 0.0, 3.0];
/// let mut block = [0; 2];
/// Pairs.encode(&row, &[1.0; 8], &mut block);
/// assert_eq!(block, [0b11_10_01_00, 1]);
/// assert_eq!(Pairs.to_f32_vec(&block), [1.0, 1.0, 1.0, -1.0, -2.0, 0.0, 0.0, 2.0]);
/// assert_eq!(Pairs.dot(&block, &[1.0; 8]), 2.0);
/// assert_eq!(Pairs.bits_per_weight(), 2.0);
/// ```
pub trait Codebook {
    /// The number of values of a block.
    fn values(&self) -> usize;

    /// The number of bytes of a block.
    fn bytes(&self) -> usize;

    /// Decodes one block.
    ///
    /// # Panics
    /// If the length of `block` or `values` is not that of a block.
    fn decode(&self, block: &[u8], values: &mut [f32]);

    /// Encodes one block, for the least sum of `weight * error^2`. `weights` has one number for
    /// each value, at least 0.
    ///
    /// # Panics
    /// If the length of `values`, `weights` or `block` is not that of a block.
    fn encode(&self, values: &[f32], weights: &[f32], block: &mut [u8]);

    /// The dot product of one or more blocks with `x`: products in f32, added in the order of the
    /// values.
    ///
    /// # Panics
    /// If `blocks` are not whole blocks, or `x` has another number of values.
    fn dot(&self, blocks: &[u8], x: &[f32]) -> f32 {
        self.check(blocks, x.len());
        let mut values = vec![0.0; self.values()];
        let mut sum = 0.0;
        for (block, x) in blocks.chunks_exact(self.bytes()).zip(x.chunks_exact(self.values())) {
            self.decode(block, &mut values);
            sum = values.iter().zip(x).fold(sum, |sum, (value, x)| sum + value * x);
        }
        sum
    }

    /// Decodes one or more blocks.
    ///
    /// # Panics
    /// If `blocks` are not whole blocks.
    fn to_f32_vec(&self, blocks: &[u8]) -> Vec<f32> {
        let mut out = vec![0.0; blocks.len() / self.bytes() * self.values()];
        self.check(blocks, out.len());
        let blocks = blocks.chunks_exact(self.bytes());
        blocks.zip(out.chunks_exact_mut(self.values())).for_each(|(block, out)| self.decode(block, out));
        out
    }

    /// The number of bits stored for each value.
    fn bits_per_weight(&self) -> f64 {
        8.0 * self.bytes() as f64 / self.values() as f64
    }

    /// Checks that `blocks` are whole blocks of this number of values.
    ///
    /// # Panics
    /// If they are not.
    fn check(&self, blocks: &[u8], values: usize) {
        assert!(
            blocks.len().is_multiple_of(self.bytes()),
            "{} bytes in blocks of {}",
            blocks.len(),
            self.bytes()
        );
        let held = blocks.len() / self.bytes() * self.values();
        assert_eq!(held, values, "values in {} bytes of blocks", blocks.len());
    }
}
