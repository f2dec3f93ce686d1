//! What is done with activations and weights before rounding: statistics, ranges, scales, rotations, and which format goes where.

mod channels;
mod mixed;
mod ranges;
#[path = "../support/mod.rs"]
mod support;
