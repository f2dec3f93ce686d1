//! Products of a weight of 4096 or 576 columns, one to sixteen columns of activations, beside reading the same bytes and ggml's `vec_dot`.
//!
//! GB/s count 4 bytes for every weight and column; *packed* is what is read of the weight, *of read* its ratio to reading the codes
//! and doing nothing, under the same conditions: over and over, or in turn with ggml, whose weights push ours out of the caches. ggml
//! multiplies row by row, with q8_0 activations made before, as ours are.

use lowbit_benches::{
    FORMATS, PRODUCTS, Product, ProductCase, Rate, Subject, Words, in_turn, levels, read_rate,
};
use lowbit_kernels::Kernels;

use super::BUDGET;
use super::peer::Peer;

/// Name of the f32 bytes of the weight, its rows and columns: one in the L2 cache, one of rows that no sixteen blocks divide, one whose packed
/// bytes are twice the largest cache here.
const SIZES: [(&str, usize, usize); 3] = [("1MB", 64, 4096), ("1MB-576", 448, 576), ("512MB", 32_768, 4096)];

/// The formats that have rows.
const SHOWN: [&str; 11] = [
    "nvfp4",
    "mxfp4",
    "int4-g32",
    "int4-g128",
    "int4-g128-asym",
    "int8",
    "int8-g32",
    "fp8-channel",
    "fp8-block",
    "mxfp8",
    "nf4",
];

/// Prints the section.
pub(crate) fn print(words: &Words, peer: &Peer) {
    let mut heading = false;
    for subject in FORMATS.iter().filter(|subject| SHOWN.contains(&subject.name)) {
        for (size, rows, cols) in SIZES {
            if subject.block(cols).is_some_and(|block| !cols.is_multiple_of(block)) {
                continue;
            }
            let mut case = None;
            for product in PRODUCTS {
                // The kernel with f32 scales reads more than is stored: it has no row where bytes are what counts.
                if product.name.starts_with("dot") && size == "512MB" {
                    continue;
                }
                for kernels in levels(words) {
                    let tags = ["products", subject.name, product.name, size, kernels.name()];
                    if !words.want(&tags) {
                        continue;
                    }
                    if !heading {
                        println!("### Products, one thread\n");
                        println!(
                            "| product | size | level | GB/s | packed | of read | ggml | x ggml |\n|---|---|---|---|---|---|---|---|"
                        );
                        heading = true;
                    }
                    let (case, read) = case.get_or_insert_with(|| {
                        let case = ProductCase::new(subject, rows, cols);
                        let read = read_codes(&case);
                        (case, read)
                    });
                    if case.takes(product) {
                        row(subject, product, size, kernels, case, *read, peer);
                    }
                }
            }
        }
    }
    if heading {
        println!();
    }
}

/// GB/s of reading the codes, over and over.
fn read_codes(case: &ProductCase) -> f64 {
    let (_, words, _) = bytemuck::pod_align_to::<u8, f32>(case.codes());
    read_rate(words, BUDGET).gb_per_s(4 * words.len())
}

/// GB/s of reading the codes in turn with something else, whose own weights push them out of the caches.
fn read_in_turn(case: &mut ProductCase, other: &mut dyn FnMut(&mut ProductCase)) -> f64 {
    let words = |case: &ProductCase| bytemuck::pod_align_to::<u8, f32>(case.codes()).1.len();
    let mut read = |case: &mut ProductCase| {
        let (_, words, _) = bytemuck::pod_align_to::<u8, f32>(case.codes());
        Kernels::best().absmax(std::hint::black_box(words), words.len(), &mut [0.0]);
    };
    let bytes = 4 * words(case);
    in_turn(case, BUDGET, &mut [&mut read, other])[0].gb_per_s(bytes)
}

fn row(
    subject: &Subject,
    product: &Product,
    size: &str,
    kernels: Kernels,
    case: &mut ProductCase,
    read: f64,
    peer: &Peer,
) {
    let mut theirs = product.quantized.then(|| peer.product(subject.name, case, product.columns)).flatten();
    let mut ours = |case: &mut ProductCase| (product.run)(case, kernels);
    let mut runs: Vec<&mut dyn FnMut(&mut ProductCase)> = vec![&mut ours];
    runs.extend(theirs.iter_mut().map(|run| &mut **run as &mut dyn FnMut(&mut ProductCase)));
    let best = in_turn(case, BUDGET, &mut runs);
    // What a neighbour pushes out of the caches, it pushes out for both.
    let read = match &mut theirs {
        Some(other) => read_in_turn(case, &mut **other),
        None => read,
    };
    let packed = best[0].gb_per_s(case.packed_bytes());
    let all = |rate: Rate| rate.gb_per_s(4 * case.len() * product.columns);
    let (ggml, factor) = match best.get(1) {
        Some(&theirs) => (format!("{:.1}", all(theirs)), format!("{:.2}", best[0].times(theirs))),
        None => Default::default(),
    };
    println!(
        "| {} {} | {size} | {} | {:.1} | {packed:.1} | {:.2} | {ggml} | {factor} |",
        subject.name,
        product.name,
        kernels.name(),
        all(best[0]),
        packed / read,
    );
}
