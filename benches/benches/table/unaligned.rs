//! What it costs that f32 buffers begin where a large `Vec` does, 16 bytes after a cache line.

use lowbit_benches::{Case, FORMATS, OPERATIONS, Placement, SIZES, Words, in_turn};
use lowbit_kernels::Kernels;

use super::BUDGET;

/// Prints the section.
pub(crate) fn print(words: &Words) {
    let (subject, kernels) = (&FORMATS[0], Kernels::best());
    let mut heading = false;
    for operation in OPERATIONS.iter().filter(|operation| ["encode", "decode"].contains(&operation.name)) {
        for size in SIZES {
            if !words.want(&["unaligned", subject.name, operation.name, size.name]) {
                continue;
            }
            if !heading {
                println!("### Where f32 buffers begin\n");
                println!("| f32 side, GB/s | size | on a line | 16 bytes after |\n|---|---|---|---|");
                heading = true;
            }
            let mut cases =
                [Placement::Aligned, Placement::LikeVec].map(|placement| Case::new(subject, size, placement));
            let best = in_turn(
                &mut cases,
                BUDGET,
                &mut [
                    &mut |[aligned, _]: &mut [Case; 2]| (operation.run)(aligned, kernels),
                    &mut |[_, like_vec]: &mut [Case; 2]| (operation.run)(like_vec, kernels),
                    &mut |[aligned, _]: &mut [Case; 2]| aligned.memcpy(),
                    &mut |[_, like_vec]: &mut [Case; 2]| like_vec.memcpy(),
                ],
            );
            let rate = |at: usize| best[at].gb_per_s(4 * size.values);
            println!(
                "| {} {} | {} | {:.1} | {:.1} |",
                subject.name,
                operation.name,
                size.name,
                rate(0),
                rate(1)
            );
            println!("| memcpy | {} | {:.1} | {:.1} |", size.name, rate(2), rate(3));
        }
    }
    if heading {
        println!();
    }
}
