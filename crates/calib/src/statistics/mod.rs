//! What is gathered of activations while a model runs: per-channel moments, and how often magnitudes occur.
//!
//! ```text
//! ChannelStats          per input channel of a linear: max |x|, sums of x, |x|, x^2; tokens     scales, importance, bias
//! Magnitudes            counts of |x| over a whole input, 2048 bins per binade                  ranges (amax)
//! RangeRule             Magnitudes -> amax: max, percentile, mse, entropy, headroom
//! ```
//!
//! All of them stream and merge: maxima, counts, and f64 sums in the order of tokens.

mod channels;
mod magnitudes;
mod range;

pub use channels::ChannelStats;
pub use magnitudes::Magnitudes;
pub use range::RangeRule;
