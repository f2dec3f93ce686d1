//! Range clipping: the largest weights of a group are clamped, so that the remaining weights get
//! finer steps.
//!
//! ```text
//! limit = largest |w| of the group * (1 - i / 20), i = 0 … 9         error = E[(sum over the group of x (w - Q(clamp(w, limit))))^2]
//! ```
//!
//! Each group gets the first limit of least error. AutoAWQ leaves out query and key projections,
//! because errors of attention scores are not errors of outputs. That choice is the caller's.
//! Clipping runs after the scales are applied, on inputs divided by them.

use super::RoundTrip;
use crate::error::Error;
use crate::output_error::Inputs;

/// The limits that the search tries.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Clip {
    /// The number of steps that the whole range is divided into.
    pub grid: usize,
    /// The largest part of the range that may be clipped: 0.5 tries limits above half.
    pub shrink: f64,
    /// Columns per group.
    pub group: usize,
}

impl Default for Clip {
    /// The defaults of AutoAWQ: steps of 5 % down to 55 %, groups of 128.
    fn default() -> Self {
        Self { grid: 20, shrink: 0.5, group: 128 }
    }
}

/// The weight, with each group clamped to its limit of least error.
///
/// ```
/// use lowbit_calib::awq::{Clip, clip};
/// use lowbit_calib::Inputs;
/// // The quantizer rounds to thirds of the largest weight. With a limit of 3, 0.85 has an error
/// // of 0.15; with a limit of 2.55, 15 % less, it is exact. The first channel has little power.
/// let thirds = |w: &[f32]| {
///     let step = w.iter().fold(0.0f32, |m, w| m.max(w.abs())) / 3.0;
///     w.iter().map(|w| (w / step).round() * step).collect::<Vec<f32>>()
/// };
/// let clipped = clip(&Clip { group: 4, ..Clip::default() }, &thirds, &[3.0, 0.85, 0.85, 0.85], Inputs::MeanSquare(&[0.02, 1.0, 1.0, 1.0]))?;
/// assert_eq!(clipped, [2.55, 0.85, 0.85, 0.85]);
/// # Ok::<(), lowbit_calib::Error>(())
/// ```
///
/// # Errors
/// [`Error::Tokens`] if the weight is not whole rows of as many columns as there are channels;
/// [`Error::Option`] for options out of range; errors of the quantizer.
pub fn clip(
    options: &Clip,
    format: &impl RoundTrip,
    weight: &[f32],
    inputs: Inputs<'_>,
) -> Result<Vec<f32>, Error> {
    let channels = inputs.channels();
    if channels == 0 || !weight.len().is_multiple_of(channels) {
        return Err(Error::Tokens { values: weight.len(), features: channels });
    }
    if options.group == 0 || options.grid == 0 {
        return Err(Error::Option { option: "group and grid", value: 0.0, want: "at least 1" });
    }
    if !(0.0..=1.0).contains(&options.shrink) {
        return Err(Error::Option { option: "shrink", value: options.shrink, want: "between 0 and 1" });
    }
    let steps = ((options.shrink * options.grid as f64) as usize).max(1);
    // The groups in row-major order, each with its first column.
    let groups = |x: &[f32]| -> Vec<(usize, Vec<f32>)> {
        let rows = x.chunks_exact(channels);
        let of_row = |row: &[f32]| {
            let groups = row.chunks(options.group).enumerate();
            groups.map(|(at, group)| (at * options.group, group.to_vec())).collect::<Vec<_>>()
        };
        rows.flat_map(of_row).collect()
    };
    let original = groups(weight);
    let mut best = original.clone();
    let mut errors = vec![f64::INFINITY; original.len()];
    for step in 0..steps {
        let share = 1.0 - step as f64 / options.grid as f64;
        let clamped: Vec<Vec<f32>> = original
            .iter()
            .map(|(_, group)| {
                let largest = group.iter().fold(0.0f32, |max, w| max.max(w.abs()));
                let limit = (f64::from(largest) * share) as f32;
                group.iter().map(|w| w.clamp(-limit, limit)).collect()
            })
            .collect();
        let restored = format.round_trip(&[&clamped.concat()], channels)?.concat();
        if restored.len() != weight.len() {
            return Err(Error::Tokens { values: restored.len(), features: channels });
        }
        for (at, (first, restored)) in groups(&restored).into_iter().enumerate() {
            let delta: Vec<f32> = restored.iter().zip(&original[at].1).map(|(q, w)| q - w).collect();
            let error = inputs.part(first, &delta);
            if error < errors[at] {
                (errors[at], best[at].1) = (error, clamped[at].clone());
            }
        }
    }
    Ok(best.into_iter().flat_map(|(_, group)| group).collect())
}
