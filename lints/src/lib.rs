//! Rules of the house that a compiler does not know, as functions over the parsed sources of all crates.
//!
//! `tests/` asks them: enums that grow are matched in one crate, modules form no circle, a file is one idea, prose is 100 columns wide.

pub mod circles;
pub mod matches;
pub mod prose;
pub mod sources;
