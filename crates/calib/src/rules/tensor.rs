//! The scale of a whole matrix, from statistics that are computed before its first row is encoded.
//!
//! ```text
//! amax, narrow, min-max, full-range    from the extremes
//! percentile, mse, mse-full-range      from the histogram: the value of each bin, weighted by its count
//! ```

use lowbit_blocks::Zero;

use super::chooser::{Chooser, Chosen, Extremes};
use super::search::SearchBuffers;
use crate::chunk::Chunk;
use crate::encoder::Encoder;
use crate::error::Error;
use crate::importance::Weights;
use crate::scale_rule::ScaleRule;
use crate::stats::TensorStats;

/// The scale and zero point of a matrix, as stored bytes and as numbers.
#[derive(Clone, Debug)]
pub(crate) struct Fixed {
    pub(crate) stored: Vec<u8>,
    pub(crate) scale: [f32; 1],
    pub(crate) zero_code: Vec<u8>,
    pub(crate) zero: Vec<f32>,
}

impl Fixed {
    pub(crate) fn choose(chooser: &Chooser, encoder: &Encoder, stats: &TensorStats) -> Result<Self, Error> {
        let zeros = usize::from(chooser.zero == Zero::Int);
        let mut fixed = Self {
            stored: vec![0; chooser.kind.bytes()],
            scale: [0.0],
            zero_code: vec![0; zeros],
            zero: vec![0.0; zeros],
        };
        let mut chosen = Chosen {
            stored: &mut fixed.stored,
            scales: &mut fixed.scale,
            zero_codes: &mut fixed.zero_code,
            zeros: &mut fixed.zero,
        };
        let histogram =
            || stats.histogram().ok_or_else(|| Error::Histogram { rule: chooser.rule.to_string() });
        let (lo, hi) = stats.range();
        let amax = match chooser.rule {
            ScaleRule::Percentile(percent) => histogram()?.percentile(percent).min(stats.amax()),
            ScaleRule::FullRange | ScaleRule::MseFullRange if -lo >= hi => -lo,
            ScaleRule::FullRange | ScaleRule::MseFullRange => -hi,
            _ => stats.amax(),
        };
        let seen = Extremes { amax: vec![amax], lo: vec![lo], hi: vec![hi] };
        chooser.choose(&seen, &mut chosen);
        if chooser.candidates() > 0 {
            let (values, counts) = histogram()?.values();
            if !values.is_empty() {
                let chunk = Chunk::run(&values, values.len());
                let mut buffers = SearchBuffers::default();
                chooser.search(encoder, &chunk, Weights::Counts(&counts), &seen, &mut chosen, &mut buffers);
            }
        }
        Ok(fixed)
    }
}
