//! Statistics of activations, collected while a model runs: per-channel moments and histograms of
//! magnitudes.
//!
//! ```text
//! ChannelStats          per input channel of a linear: max |x|, sums of x, |x|, x^2; tokens
//!                       for scales, importance, bias
//! Magnitudes            counts of |x| over a whole input, 2048 bins per binade
//!                       for ranges (amax)
//! RangeRule             Magnitudes -> amax: max, percentile, mse, entropy, headroom
//! ```
//!
//! All of them can be streamed and merged: they are maxima, counts, and f64 sums in the order of
//! tokens.

mod channels;
mod magnitudes;
mod range;

pub use channels::ChannelStats;
pub use magnitudes::Magnitudes;
pub use range::RangeRule;
