//! GB/s of every kernel and level as a table for `docs/kernels.md`, with the ratio to a memcpy timed in turn with it:
//! `cargo bench -p lowbit-benches --bench table`. About a minute; `-- nvfp4` times one format only.
//!
//! Each figure is the best of its runs, which is what a noisy machine lets one compare.
#![allow(clippy::print_stdout)]

use lowbit_benches::{Case, FORMATS, OPERATIONS, SIZES};
use lowbit_kernels::Kernels;
use std::time::{Duration, Instant};

/// The shortest of the runs of an operation and of a memcpy, run in turn for a while.
fn best(case: &mut Case, mut operation: impl FnMut(&mut Case)) -> (Duration, Duration) {
    let mut best = (Duration::MAX, Duration::MAX);
    let start = Instant::now();
    let mut runs = 0;
    while runs < 3 || start.elapsed() < Duration::from_millis(300) {
        let begin = Instant::now();
        operation(case);
        let middle = Instant::now();
        case.memcpy();
        best = (best.0.min(middle - begin), best.1.min(middle.elapsed()));
        runs += 1;
    }
    best
}

fn main() {
    // Cargo passes --bench; anything else names a format.
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let levels: Vec<Kernels> =
        Kernels::available().filter(|&kernels| kernels != Kernels::reference()).collect();
    print!("| kernel | size |");
    levels.iter().for_each(|kernels| print!(" {} |", kernels.name()));
    println!("\n|---|---|{}", "---|".repeat(levels.len()));
    for (format, element, block) in FORMATS {
        if !wanted.is_empty() && wanted.iter().all(|name| name != format) {
            continue;
        }
        for (size, n) in SIZES {
            let mut case = Case::new(element, block, n);
            for (name, operation) in OPERATIONS {
                print!("| {format} {name} | {size} |");
                for &kernels in &levels {
                    let (time, memcpy) = best(&mut case, |case| operation(case, kernels));
                    let rate = 4.0 * n as f64 / time.as_secs_f64() / 1e9;
                    print!(" {rate:.1} ({:.2}) |", memcpy.as_secs_f64() / time.as_secs_f64());
                }
                println!();
            }
        }
    }
}
