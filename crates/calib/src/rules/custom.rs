//! Custom scale rules: a closure chooses the scale of a block from its values and the scale of the
//! recipe's rule.
//!
//! ```text
//! proposed = the effective scale of the recipe's rule        wanted = choose(block, proposed)
//! stored   = RN_kind(wanted [/ or * tensor scale])           effective = stored [* or / tensor scale]
//! ```

use std::fmt;
use std::sync::Arc;

use super::{Chooser, Chosen, SecondLevel};
use crate::chunk::Chunk;

/// A rule that chooses the scale of each block. Closures `Fn(&[f32], f32) -> f32` implement it.
///
/// ```
/// use lowbit_blocks::{Format, Shape};
/// use lowbit_calib::Recipe;
/// // If all but the largest value are small, the scale is halved: the outlier is clipped, and the
/// // other values get finer steps.
/// let clip = |block: &[f32], proposed: f32| {
///     let large = block.iter().filter(|x| x.abs() > 2.0).count();
///     if large == 1 { proposed / 2.0 } else { proposed }
/// };
/// let block: Vec<f32> = (0..32).map(|i| if i == 0 { 6.0 } else { 0.25 }).collect();
/// let recipe = Recipe::new(Format::named("mxfp4").unwrap())?;
/// let (usual, clipped) =
///     (recipe.quantize(Shape::matrix(1, 32), &block)?, recipe.quantize_with(Shape::matrix(1, 32), &block, clip)?);
/// assert_eq!(usual.to_f32_vec()[..2], [6.0, 0.0]); // 0.25 is halfway between 0 and 0.5: the even code
/// assert_eq!(clipped.to_f32_vec()[..2], [3.0, 0.25]); // scale 1/2: 6 is the largest code, 0.5 the smallest
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
pub trait ChooseScale: Send + Sync {
    /// The effective scale of a block: the factor of its decoded codes.
    ///
    /// `block` holds the values of the block, tiles row by row; none is NaN or infinite. `proposed`
    /// is the scale of the recipe's rule. The result is rounded to the type of stored scales. If it
    /// is then zero, infinite or NaN, the block keeps `proposed`.
    fn choose(&self, block: &[f32], proposed: f32) -> f32;
}

impl<F: Fn(&[f32], f32) -> f32 + Send + Sync> ChooseScale for F {
    fn choose(&self, block: &[f32], proposed: f32) -> f32 {
        self(block, proposed)
    }
}

/// A rule that quantizers share.
#[derive(Clone)]
pub(crate) struct Custom(pub(crate) Arc<dyn ChooseScale>);

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Custom")
    }
}

impl Chooser {
    /// Adds a custom rule, which is applied last.
    pub(crate) fn set_custom(&mut self, custom: Custom) {
        self.custom = Some(custom);
    }

    /// Replaces the scales of a chunk by those of the custom rule, if there is one.
    pub(crate) fn replace(&self, chunk: &Chunk<'_>, chosen: &mut Chosen<'_>) {
        let Some(Custom(custom)) = &self.custom else { return };
        let stored = chosen.stored.chunks_exact_mut(self.kind.bytes());
        let mut block = Vec::new();
        for (index, (scale, stored)) in chosen.scales.iter_mut().zip(stored).enumerate() {
            block.clear();
            let columns = index * chunk.len..chunk.width.min((index + 1) * chunk.len);
            chunk.runs().for_each(|run| block.extend_from_slice(&run[columns.clone()]));
            let wanted = custom.choose(&block, *scale);
            let alone = match self.second_level {
                SecondLevel::None => wanted,
                SecondLevel::Multiply(t) => wanted / t,
                SecondLevel::Divide(t) => wanted * t,
            };
            let mut read = [0.0];
            let mut bytes = [0; 4];
            let bytes = &mut bytes[..stored.len()];
            self.kind.encode_into(&[alone], bytes);
            self.kind.decode_into(bytes, &mut read);
            let effective = match self.second_level {
                SecondLevel::None => read[0],
                SecondLevel::Multiply(t) => read[0] * t,
                SecondLevel::Divide(t) => read[0] / t,
            };
            if alone.is_finite() && effective.is_finite() && effective != 0.0 {
                stored.copy_from_slice(bytes);
                *scale = effective;
            }
        }
    }
}
