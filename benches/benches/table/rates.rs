//! Every operation, format and size at one level, beside memcpy and what is asked.

use lowbit_benches::{Case, FORMATS, OPERATIONS, Placement, Rate, SIZES, Words, in_turn, levels, target};
use lowbit_kernels::Kernels;

use super::BUDGET;

/// Prints the section.
pub(crate) fn print(words: &Words) {
    let levels = levels(words);
    let mut copies = vec![(f64::INFINITY, 0f64); SIZES.len()];
    let mut heading = false;
    for subject in FORMATS {
        let mut cases: Vec<Option<Case>> = SIZES.iter().map(|_| None).collect();
        for operation in OPERATIONS {
            for ((size, case), copies) in SIZES.into_iter().zip(&mut cases).zip(&mut copies) {
                for &kernels in &levels {
                    let tags = ["rates", subject.name, operation.name, size.name, kernels.name()];
                    if !words.want(&tags) || !operation.applies(subject, kernels) {
                        continue;
                    }
                    if !heading {
                        println!(
                            "| operation | size | level | GB/s | x memcpy | asked | |\n|---|---|---|---|---|---|---|"
                        );
                        heading = true;
                    }
                    let case = case.get_or_insert_with(|| Case::new(subject, size, Placement::Aligned));
                    operation.prepare(case, kernels);
                    let [rate, memcpy] = beside_memcpy(case, |case| (operation.run)(case, kernels));
                    let bytes = 4 * size.values;
                    let copy = memcpy.gb_per_s(bytes);
                    *copies = (copies.0.min(copy), copies.1.max(copy));
                    println!(
                        "| {} {} | {} | {} | {:.1} | {:.2} | {} |",
                        subject.name,
                        operation.name,
                        size.name,
                        kernels.name(),
                        rate.gb_per_s(bytes),
                        rate.times(memcpy),
                        verdict(rate.times(memcpy), target(subject.name, operation.name, size)),
                    );
                }
            }
        }
    }
    if heading {
        println!("\nmemcpy, GB/s of what is copied, over the rows above:");
        for (size, (least, most)) in SIZES.into_iter().zip(copies).filter(|(_, (_, most))| *most > 0.0) {
            println!("{} {least:.0} to {most:.0};", size.name);
        }
        println!();
    }
}

/// What an operation and a memcpy of the same values take.
pub(crate) fn beside_memcpy(case: &mut Case, mut run: impl FnMut(&mut Case)) -> [Rate; 2] {
    let best = in_turn(case, BUDGET, &mut [&mut run, &mut Case::memcpy]);
    [best[0], best[1]]
}

/// What is asked, and whether it is there.
fn verdict(ratio: f64, target: Option<f64>) -> String {
    match target {
        None => " | ".to_owned(),
        Some(target) if ratio >= target => format!("{target} | met"),
        Some(target) => format!("{target} | {:.2} of it", ratio / target),
    }
}

/// Whether a level is worth a column of its own.
pub(crate) fn contestants() -> Vec<Kernels> {
    Kernels::available().filter(|&kernels| kernels != Kernels::reference()).collect()
}
