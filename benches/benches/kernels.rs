//! Every kernel, format, size and level under criterion: `cargo bench -p lowbit-benches --bench kernels -- nvfp4/encode`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lowbit_benches::{Case, FORMATS, OPERATIONS, SIZES};
use lowbit_kernels::{Element, Kernels};

fn memcpy(c: &mut Criterion) {
    let mut group = c.benchmark_group("memcpy");
    for (size, n) in SIZES {
        let mut case = Case::new(Element::E2m1, 16, n);
        group.throughput(Throughput::Bytes(4 * n as u64));
        group.bench_function(size, |b| b.iter(|| case.memcpy()));
    }
}

fn kernels(c: &mut Criterion) {
    for (format, element, block) in FORMATS {
        for (name, operation) in OPERATIONS {
            let mut group = c.benchmark_group(format!("{format}/{name}"));
            for (size, n) in SIZES {
                let mut case = Case::new(element, block, n);
                group.throughput(Throughput::Bytes(4 * n as u64));
                // The reference is the definition, not a contestant.
                for kernels in Kernels::available().filter(|&kernels| kernels != Kernels::reference()) {
                    group.bench_function(BenchmarkId::new(kernels.name(), size), |b| {
                        b.iter(|| operation(&mut case, kernels));
                    });
                }
            }
        }
    }
}

criterion_group!(benches, memcpy, kernels);
criterion_main!(benches);
