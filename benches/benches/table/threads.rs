//! Two threads beside one: whole tensors, with the feature `rayon`.

use lowbit_benches::Words;

/// Prints the section.
#[cfg(feature = "rayon")]
pub(crate) fn print(words: &Words) {
    pools::print(words);
}

/// Prints nothing: there are no threads.
#[cfg(not(feature = "rayon"))]
pub(crate) fn print(_: &Words) {}

#[cfg(feature = "rayon")]
mod pools {
    use lowbit_benches::{Case, FORMATS, OPERATIONS, Operation, Placement, Rate, Size, Words, in_turn};
    use lowbit_kernels::Kernels;
    use rayon::{ThreadPool, ThreadPoolBuilder};

    use crate::BUDGET;

    /// 1 MB take as long as it takes to wake a thread; 8 MB are in the cache that cores share.
    const SIZES: [Size; 3] = [
        Size { name: "1MB", values: 1 << 18 },
        Size { name: "8MB", values: 1 << 21 },
        Size { name: "64MB", values: 1 << 24 },
    ];

    pub(super) fn print(words: &Words) {
        let mut heading = false;
        for subject in FORMATS {
            for operation in OPERATIONS.iter().filter(|shown| ["tensor", "dequantize"].contains(&shown.name))
            {
                for size in SIZES {
                    let tags = ["threads", subject.name, operation.name, size.name];
                    if !words.want(&tags) || !operation.applies(subject, Kernels::best()) {
                        continue;
                    }
                    if !heading {
                        println!("### Two threads\n");
                        if std::thread::available_parallelism().map_or(1, usize::from) < 2 {
                            println!("One core: no rows.\n");
                            return;
                        }
                        println!("| GB/s | size | 1 thread | 2 threads | ratio |\n|---|---|---|---|---|");
                        heading = true;
                    }
                    let mut case = Case::new(subject, size, Placement::Aligned);
                    let [one, two] = one_and_two(&mut case, operation);
                    let [slow, fast] = [one, two].map(|rate| rate.gb_per_s(4 * size.values));
                    let (what, ratio) = (operation.name, two.times(one));
                    println!(
                        "| {} {what} | {} | {slow:.1} | {fast:.1} | {ratio:.2} |",
                        subject.name, size.name
                    );
                }
            }
        }
        if heading {
            println!();
        }
    }

    /// Each twice, in turn, and the better of both.
    fn one_and_two(case: &mut Case, operation: &Operation) -> [Rate; 2] {
        let pool =
            |threads| ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads");
        let pools = [pool(1), pool(2)];
        let mut run = |pool: &ThreadPool| {
            let mut once = |case: &mut Case| (operation.run)(case, Kernels::best());
            // The whole loop is inside the pool: to enter it takes as long as some of what is timed.
            pool.install(|| in_turn(case, BUDGET, &mut [&mut once])[0])
        };
        let [one, two, one_more, two_more] = [0, 1, 0, 1].map(|at| run(&pools[at]));
        let fastest = |a: Rate, b: Rate| if a < b { a } else { b };
        [fastest(one, one_more), fastest(two, two_more)]
    }
}
