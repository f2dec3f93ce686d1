//! What is done with activations and weights before rounding: statistics, ranges, scales, rotations, and which format goes where.

mod awq;
mod channels;
mod int8;
mod mixed;
mod network;
mod ranges;
mod rotation;
#[path = "../support/mod.rs"]
mod support;
