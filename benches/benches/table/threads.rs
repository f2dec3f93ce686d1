//! Two threads beside one: whole tensors, with the feature `rayon`.

use lowbit_benches::Words;

/// Prints the section.
#[cfg(feature = "rayon")]
pub(crate) fn print(words: &Words) {
    use lowbit_benches::{Case, FORMATS, OPERATIONS, Placement, SIZES, in_turn};
    use lowbit_kernels::Kernels;
    use rayon::ThreadPoolBuilder;

    use super::BUDGET;

    let kernels = Kernels::best();
    let mut heading = false;
    for subject in FORMATS {
        for operation in
            OPERATIONS.iter().filter(|operation| ["tensor", "dequantize"].contains(&operation.name))
        {
            for size in SIZES.into_iter().skip(1) {
                if !words.want(&["threads", subject.name, operation.name, size.name])
                    || !operation.applies(subject, kernels)
                {
                    continue;
                }
                if !heading {
                    heading = true;
                    if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
                        println!("One core: no rows with two threads.\n");
                        return;
                    }
                    println!("### Two threads\n");
                    println!("| GB/s | size | 1 thread | 2 threads | ratio |\n|---|---|---|---|---|");
                }
                let pools = [1, 2].map(|threads| {
                    ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads")
                });
                let mut case = Case::new(subject, size, Placement::Aligned);
                let [mut one, mut two] = pools
                    .each_ref()
                    .map(|pool| |case: &mut Case| pool.install(|| (operation.run)(case, kernels)));
                let best = in_turn(&mut case, 2 * BUDGET, &mut [&mut one, &mut two]);
                let rate = |at: usize| best[at].gb_per_s(4 * size.values);
                println!(
                    "| {} {} | {} | {:.1} | {:.1} | {:.2} |",
                    subject.name,
                    operation.name,
                    size.name,
                    rate(0),
                    rate(1),
                    best[1].times(best[0])
                );
            }
        }
    }
    if heading {
        println!();
    }
}

/// Prints nothing: there are no threads.
#[cfg(not(feature = "rayon"))]
pub(crate) fn print(_: &Words) {}
