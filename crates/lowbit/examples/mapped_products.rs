//! One token through every linear of a mapped checkpoint, with no copy of the weights, at the speed of reading them.
//!
//! ```sh
//! cargo run --release -p lowbit --example mapped_products              the small model of this repository, quantized for the purpose
//! cargo run --release -p lowbit --example mapped_products -- DIR       any checkpoint that was quantized
//! RAYON_NUM_THREADS=1 cargo run …                                      one thread
//! ```
//!
//! Attention and norms are left out: what a token costs is its linears. Each reads a vector of noise, as f32 and quantized to int8
//! on the way, which is counted. Beside them stands how fast this machine reads as many bytes and does nothing with them.

#![allow(clippy::print_stdout)] // printing is what an example is for

use std::collections::BTreeMap;
use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use lowbit::checkpoint::{Job, Mapped};
use lowbit::{Activations, Kernels, NVFP4, QLinear};

/// Each measurement is the best of as many repetitions as fit.
const BUDGET: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn Error>> {
    let (dir, ours) = match std::env::args().nth(1) {
        Some(dir) => (PathBuf::from(dir), false),
        None => (quantize_small_model()?, true),
    };
    // SAFETY: a finished checkpoint, which nobody writes to while it is mapped.
    #[allow(unsafe_code)]
    let mapped = unsafe { Mapped::open(&dir) }?;
    let mut linears = Vec::new();
    let (mut borrowed, mut copied) = (0, 0);
    for stored in mapped.linears() {
        let linear = mapped.linear(&stored.linear.module)?;
        let weight = &linear.weight;
        for bytes in [Some(weight.codes()), Some(weight.scales()), weight.zeros()].into_iter().flatten() {
            let in_file = |name: &str| {
                mapped.bytes(name).is_ok_and(|(_, file)| std::ptr::eq(bytes.as_ptr(), file.as_ptr()))
            };
            let is_view = stored.parts.iter().any(|part| in_file(&part.name));
            *if is_view { &mut borrowed } else { &mut copied } += bytes.len();
        }
        linears.push(linear);
    }
    if linears.is_empty() {
        return Err(format!("{} has no quantized linear", dir.display()).into());
    }
    println!(
        "{} linears: {:.1} MB borrowed from the map, {:.1} MB arranged in memory once",
        linears.len(),
        borrowed as f64 / 1e6,
        copied as f64 / 1e6
    );

    let bytes = borrowed + copied;
    let threads = match std::env::var("RAYON_NUM_THREADS").ok().and_then(|threads| threads.parse().ok()) {
        None | Some(0) => thread::available_parallelism()?.get(),
        Some(threads) => threads,
    };
    let bandwidth = read_bandwidth(bytes, threads);
    println!(
        "{threads} threads, {}; reading {:.1} MB: {bandwidth:.1} GB/s\n",
        Kernels::best().name(),
        bytes as f64 / 1e6
    );
    for int8 in [false, true] {
        let rates = token(&linears, int8)?;
        println!("{} activations", if int8 { "int8" } else { "f32" });
        println!(
            "  {:<24} {:>5} {:>9} {:>9} {:>12} {:>12}",
            "format", "", "MB", "ms", "packed GB/s", "as f32 GB/s"
        );
        let mut all = Rate::default();
        for (format, rate) in &rates {
            rate.print(format);
            all.add(rate);
        }
        all.print("all");
        let share = all.packed() / bandwidth;
        println!("  {share:.2} of the read bandwidth, {:.0} tokens/s\n", 1.0 / all.time.as_secs_f64());
    }

    drop(linears);
    drop(mapped);
    if ours {
        std::fs::remove_dir_all(dir)?;
    }
    Ok(())
}

/// NVFP4, where the system keeps temporary files.
fn quantize_small_model() -> Result<PathBuf, Box<dyn Error>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/austen-2m");
    let out = std::env::temp_dir().join(format!("lowbit-mapped-products-{}", std::process::id()));
    let mut job = Job::new(source, &out);
    job.format = NVFP4;
    job.plan()?.run(&())?;
    Ok(out)
}

/// How many linears of a format, their bytes and values, and how long one token takes.
#[derive(Default)]
struct Rate {
    linears: usize,
    bytes: usize,
    values: usize,
    time: Duration,
}

impl Rate {
    fn add(&mut self, other: &Self) {
        self.linears += other.linears;
        self.bytes += other.bytes;
        self.values += other.values;
        self.time += other.time;
    }

    fn packed(&self) -> f64 {
        self.bytes as f64 / self.time.as_secs_f64() / 1e9
    }

    fn print(&self, format: &str) {
        let Self { linears, bytes, values, time } = self;
        let (mb, ms, packed) = (*bytes as f64 / 1e6, time.as_secs_f64() * 1e3, self.packed());
        let wide = 4.0 * *values as f64 / time.as_secs_f64() / 1e9;
        println!("  {format:<24} {linears:>5} {mb:>9.1} {ms:>9.3} {packed:>12.1} {wide:>12.1}");
    }
}

/// The fastest token, its time divided among the formats. One `Activations` and one output serve all layers.
fn token(linears: &[QLinear<'_>], int8: bool) -> Result<BTreeMap<String, Rate>, Box<dyn Error>> {
    let most = |of: fn(&QLinear<'_>) -> usize| linears.iter().map(of).max().unwrap_or(0);
    let x: Vec<f32> = (0..most(|l| l.weight.shape().cols)).map(|i| (i as f32 * 0.7).sin()).collect();
    let mut y = vec![0.0; most(|l| l.weight.shape().matrices * l.weight.shape().rows)];
    let mut activations = Activations::new();
    let (start, mut best, mut best_time) = (Instant::now(), BTreeMap::new(), Duration::MAX);
    while start.elapsed() < BUDGET {
        let mut rates = BTreeMap::<String, Rate>::new();
        for linear in linears {
            let (shape, name) = (linear.weight.shape(), linear.weight.format().name());
            let (x, y) = (&x[..shape.cols], &mut y[..shape.matrices * shape.rows]);
            let begin = Instant::now();
            if int8 {
                // Layers that share their input could share this, too.
                activations.set_int8(&*linear.input(x, 1)?, 1)?;
                linear.matmul_quantized(&activations, y)?;
            } else {
                linear.matvec(x, y)?;
            }
            black_box(y);
            let (bytes, values, time) = (linear.weight.size_bytes(), linear.weight.len(), begin.elapsed());
            rates.entry(name).or_default().add(&Rate { linears: 1, bytes, values, time });
        }
        let time = rates.values().map(|rate| rate.time).sum();
        if time < best_time {
            (best, best_time) = (rates, time);
        }
    }
    Ok(best)
}

/// GB/s of the kernel that does least with what it reads, over a buffer of this size, a part for each thread.
fn read_bandwidth(bytes: usize, threads: usize) -> f64 {
    let buffer = vec![1.0f32; bytes / 4];
    let part = (bytes / 4).div_ceil(threads).max(1);
    // Often enough that starting the threads does not count.
    let times = (1 << 29) / bytes.max(1) + 1;
    let read = |part: &[f32]| {
        let (kernels, mut amax) = (Kernels::best(), [0.0]);
        for _ in 0..times {
            part.chunks(1 << 16).for_each(|chunk| kernels.absmax(chunk, chunk.len(), black_box(&mut amax)));
        }
    };
    let (start, mut best) = (Instant::now(), Duration::MAX);
    while start.elapsed() < BUDGET {
        let begin = Instant::now();
        thread::scope(|scope| buffer.chunks(part).for_each(|part| drop(scope.spawn(|| read(part)))));
        best = best.min(begin.elapsed());
    }
    (times * bytes) as f64 / best.as_secs_f64() / 1e9
}
