//! The documents of the repository, whose examples `cargo test` compiles and runs.

/// What a visitor reads first.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// Ten minutes for a newcomer.
#[cfg(doctest)]
#[doc = include_str!("../tutorial.md")]
pub struct Tutorial;
