//! Every level of this machine against the reference, bit for bit.
//!
//! Each case is computed by the reference and then by every other level, into a window of a larger buffer whose guards
//! must not change, from and to slices at odd offsets. The log names the levels that ran.

mod blocks;
mod codec;
mod distances;
mod halves;
mod inputs;
mod levels;
mod product;
mod window;
