//! The table of a record in benches/records, as Markdown: what every operation reaches beside a memcpy timed in turn with it, what is asked of it,
//! and what peers reach.
//!
//! ```text
//! cargo bench -p lowbit-benches --bench table                                all of it
//! cargo bench -p lowbit-benches --bench table -- nvfp4 encode,decode 1MB     some rows: each word is a section, format, operation,
//! cargo bench -p lowbit-benches --bench table -- rates mxfp4 avx2            size or level, with commas between alternatives
//! ```
//!
//! With `--features ggml` and a shared library of ggml that you built, rows say what it reaches in the same turns:
//!
//! ```text
//! LOWBIT_GGML=/path/to/libggml.so cargo bench -p lowbit-benches --features ggml --bench table
//! ```
//!
//! Sections: `rates` (the best level, or those that are named), `levels`, `unaligned`, `threads`, `products`.
#![allow(clippy::print_stdout)]

mod levels;
mod machine;
mod peer;
mod products;
mod rates;
mod threads;
mod unaligned;

use lowbit_benches::Words;
use std::time::Duration;

/// How long the runs of one row take turns.
const BUDGET: Duration = Duration::from_millis(250);

fn main() {
    lowbit_benches::one_thread();
    let words = Words::from_arguments();
    println!("{}\n", machine::describe());
    let peer = peer::Peer::find();
    rates::print(&words, &peer);
    levels::print(&words);
    unaligned::print(&words);
    threads::print(&words);
    products::print(&words, &peer);
}
