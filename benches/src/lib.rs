//! What the benches share: buffers, formats, sizes, the operations that are timed, what is asked of them, and how they are timed.
//!
//! ```text
//! formats   which formats, and which operations of each        sizes   how many values
//! case      one format at one size: its inputs and outputs     aligned buffers that begin where a cache line does
//! operation what is timed of a case                            targets what is asked of it, as a ratio to memcpy
//! time      best of many runs, in turn with a memcpy           words   the filter of the command line
//! ```
//!
//! Throughput always counts the f32 side, 4 bytes a value, whatever the type of the values, so that operations compare with each
//! other and with a memcpy of as many f32, which reads and writes as much and computes nothing.

mod aligned;
mod case;
mod formats;
#[cfg(feature = "ggml")]
mod ggml;
mod operation;
mod product;
mod sizes;
mod targets;
mod time;
mod words;

pub use aligned::Aligned;
pub use case::{COLUMNS, Case, Placement};
pub use formats::{Coverage, FORMATS, Subject};
#[cfg(feature = "ggml")]
pub use ggml::{Ggml, Type};
pub use operation::{OPERATIONS, Operation};
pub use product::{PRODUCTS, Product, ProductCase};
pub use sizes::{SIZES, Size};
pub use targets::target;
pub use time::{Rate, in_turn, read_rate};
pub use words::Words;

use lowbit_kernels::Kernels;

/// Sums of four uniform numbers, close to N(0, 1), the same in every run.
pub fn values(n: usize) -> impl Iterator<Item = f32> {
    let mut state = 1u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 24) as f32 - 0.5
    };
    (0..n).map(move |_| (0..4).map(|_| uniform()).sum::<f32>() * 3f32.sqrt())
}

/// From here on, work that is shared out over threads stays on this one.
///
/// # Panics
/// If there is a pool of threads already.
pub fn one_thread() {
    // A pool whose only thread were another one would be woken for each call, which takes as long as 256 KB.
    #[cfg(feature = "rayon")]
    if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global() {
        panic!("a pool of one thread: {error}");
    }
}

/// The levels that are timed: those that are asked for by name, or the best one. The reference is timed only by name: it is the
/// definition, not a contestant.
pub fn levels(words: &Words) -> Vec<Kernels> {
    let named: Vec<_> = Kernels::available().filter(|kernels| words.name(kernels.name())).collect();
    if named.is_empty() { vec![Kernels::best()] } else { named }
}
