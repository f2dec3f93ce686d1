//! Tests of whole checkpoints: what is read, what is written, and what happens when something goes wrong. One binary, because linking takes longer
//! than testing.

mod arch;
mod converting;
mod faults;
mod hostile;
mod kill;
mod layouts;
mod looking;
mod matrix;
mod memory;
mod model;
mod parity;
mod reading;
mod selecting;
mod verify;
mod verify_faults;
mod writing;
