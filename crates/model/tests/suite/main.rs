//! Models of the repository, run: against transformers, against themselves on other numbers of threads, and against files that lie.

mod activations;
mod families;
mod hooks;
mod malformed;
mod real;
mod refused;
mod tiny;
