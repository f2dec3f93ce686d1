//! The levels of this machine beside each other, in the L2 cache.

use lowbit_benches::{Case, FORMATS, OPERATIONS, Placement, SIZES, Words, in_turn};
use lowbit_kernels::Kernels;

use super::BUDGET;

/// The operations that have a row.
const SHOWN: [&str; 4] = ["absmax", "encode", "quantize", "decode"];

/// Prints the section.
pub(crate) fn print(words: &Words) {
    let size = SIZES[0];
    let levels = Kernels::available().filter(|&kernels| kernels != Kernels::reference()).collect::<Vec<_>>();
    let mut heading = false;
    for subject in FORMATS {
        let mut case = None;
        for operation in OPERATIONS.iter().filter(|operation| SHOWN.contains(&operation.name)) {
            let tags = ["levels", subject.name, operation.name, size.name];
            if !words.want(&tags) || !operation.applies(subject, Kernels::best()) {
                continue;
            }
            if !heading {
                println!("### Levels\n");
                print!("| {}, GB/s |", size.name);
                levels.iter().for_each(|level| print!(" {} |", level.name()));
                println!(" avx2 / avx512 |\n|---|{}---|", "---|".repeat(levels.len()));
                heading = true;
            }
            let case = case.get_or_insert_with(|| Case::new(subject, size, Placement::Aligned));
            print!("| {} {} |", subject.name, operation.name);
            let mut rate_of = |kernels: Kernels| {
                operation.prepare(case, kernels);
                let rate =
                    in_turn(case, BUDGET / 2, &mut [&mut |case: &mut Case| (operation.run)(case, kernels)]);
                rate[0]
            };
            let rates: Vec<_> = levels.iter().map(|&level| rate_of(level)).collect();
            rates.iter().for_each(|rate| print!(" {:.1} |", rate.gb_per_s(4 * size.values)));
            let of = |name: &str| levels.iter().position(|level| level.name() == name).map(|at| rates[at]);
            match (of("avx2"), of("avx512")) {
                (Some(avx2), Some(avx512)) => println!(" {:.2} |", avx2.times(avx512)),
                _ => println!(" |"),
            }
        }
    }
    if heading {
        println!();
    }
}
