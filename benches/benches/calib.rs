//! Scale searches in bytes of f32 per second, and the solver beside a product of matrices with as many operations.
//!
//! ```text
//! cargo bench -p lowbit-benches --bench calib                    all rows, one thread
//! LOWBIT_SIZE=4096 cargo bench -p lowbit-benches --bench calib -- gptq      a larger layer
//! ```
//!
//! Operations of GPTQ of r rows and n columns, an addition and a multiplication each counted: n^3 / 3 for the factor, r n^2 for the feedback and for the loss
//! before and after it, 2 r n^2 for each pass of descent and for the gradient it begins with, which takes the place of the second loss.

#![allow(missing_docs)] // criterion's macros

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use lowbit_blocks::{Block, Dtype, Format, MXFP4, NVFP4, Shape};
use lowbit_calib::{Gptq, Hessian, Importance, Out, Recipe, ScaleRule, TensorStats};
use lowbit_kernels::Kernels;

/// Numbers that are spread about as weights are: sums of four uniform ones.
fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 24) as f32 - 0.5
    };
    (0..n).map(|_| uniform() + uniform() + uniform() + uniform()).collect()
}

fn sweeps(c: &mut Criterion) {
    let (rows, cols) = (512, 2048);
    let (weight, power) = (numbers(rows * cols, 1), numbers(cols, 2));
    let power: Vec<f32> = power.iter().map(|x| x * x + 0.1).collect();
    let mut hessian = Hessian::new(cols);
    hessian.observe(&numbers(64 * cols, 3)).expect("finite");
    let mut group = c.benchmark_group("sweep");
    group.throughput(Throughput::Bytes(4 * weight.len() as u64)).sample_size(10);
    for (name, format) in [("nvfp4", NVFP4), ("mxfp4", MXFP4), ("int4", Format::int(4, Block::Group(64)))] {
        let recipe =
            Recipe::new(format).and_then(|recipe| recipe.with_scale_rule(ScaleRule::Mse)).expect("fits");
        let shape = Shape::matrix(rows, cols);
        let mut codes = vec![0; format.codes_len(shape)];
        let mut scales = vec![0; format.scales_len(shape)];
        let rules = [
            ("plain", Importance::Uniform),
            ("channels", Importance::Channels(&power)),
            ("blocks", Importance::Hessian(&hessian)),
        ];
        for (rule, importance) in rules {
            let stats = [TensorStats::from_amax(2.0)];
            let quantizer = recipe.quantizer(shape, Dtype::F32, &stats, Kernels::best()).expect("fits");
            let quantizer = quantizer.with_importance(importance).expect("fits");
            group.bench_function(format!("{name} {rule}"), |b| {
                b.iter(|| {
                    let out = Out { codes: &mut codes, scales: &mut scales, zeros: &mut [] };
                    quantizer.quantize_rows(0, 0, &weight[..], out).expect("finite");
                });
            });
        }
    }
}

fn solver(c: &mut Criterion) {
    let n: usize = std::env::var("LOWBIT_SIZE").ok().and_then(|n| n.parse().ok()).unwrap_or(1024);
    let weight = numbers(n * n, 4);
    let mut hessian = Hessian::new(n);
    hessian.observe(&numbers(2 * n * n, 5)).expect("finite");
    let mut group = c.benchmark_group("gptq");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    // As many operations as the factor and the feedback take: 4/3 n^3, where a product has 2 n^3.
    let (a, b) = (Mat::<f32>::from_fn(n, n, |i, j| (i + j) as f32), Mat::<f32>::identity(n, n));
    let mut product = Mat::<f32>::zeros(n, 2 * n / 3);
    group.bench_function(format!("product {n}"), |bench| {
        bench.iter(|| matmul(product.as_mut(), Accum::Replace, &a, b.subcols(0, 2 * n / 3), 1.0, Par::Seq));
    });
    let recipe = Recipe::new(NVFP4).and_then(|recipe| recipe.with_scale_rule(ScaleRule::Mse)).expect("fits");
    let gptq = Gptq { passes: 0, rescales: 0, ..Gptq::default() };
    let rows = [
        ("feedback alone", Gptq { keep_better: false, ..gptq }),
        ("feedback", gptq),
        ("3 passes", Gptq { passes: 3, ..gptq }),
        ("3 passes, rescale, 3 passes", Gptq { passes: 3, rescales: 1, ..gptq }),
    ];
    for (name, gptq) in rows {
        group.bench_function(format!("{name} {n}"), |b| {
            b.iter(|| gptq.quantize(&recipe, Shape::matrix(n, n), &weight, &hessian, &[]).expect("solved"));
        });
    }
    group.bench_function(format!("hessian of 512 tokens {n}"), |b| {
        let tokens = numbers(512 * n, 6);
        let mut hessian = Hessian::new(n);
        b.iter(|| hessian.observe(&tokens).expect("finite"));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(core::time::Duration::from_millis(300))
        .measurement_time(core::time::Duration::from_secs(1));
    targets = sweeps, solver
}
criterion_main!(benches);
