//! Every operation, format, size and level under criterion: `cargo bench -p lowbit-benches --bench kernels -- nvfp4/encode/1MB`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lowbit_benches::{Case, FORMATS, OPERATIONS, Placement, SIZES};
use lowbit_kernels::Kernels;

fn memcpy(c: &mut Criterion) {
    lowbit_benches::one_thread();
    let mut group = c.benchmark_group("memcpy");
    for size in SIZES {
        let mut case = Case::new(&FORMATS[0], size, Placement::Aligned);
        group.throughput(Throughput::Bytes(4 * size.values as u64));
        group.bench_function(size.name, |b| b.iter(|| case.memcpy()));
    }
}

fn kernels(c: &mut Criterion) {
    for subject in FORMATS {
        for size in SIZES {
            // Built when the first of its benches is wanted.
            let mut case = None;
            for operation in OPERATIONS {
                let mut group = c.benchmark_group(format!("{}/{}", subject.name, operation.name));
                group.throughput(Throughput::Bytes(4 * size.values as u64));
                // The reference is the definition, not a contestant.
                for kernels in Kernels::available().filter(|&kernels| kernels != Kernels::reference()) {
                    if !operation.applies(subject, kernels) {
                        continue;
                    }
                    group.bench_function(BenchmarkId::new(size.name, kernels.name()), |b| {
                        let case = case.get_or_insert_with(|| Case::new(subject, size, Placement::Aligned));
                        operation.prepare(case, kernels);
                        b.iter(|| (operation.run)(case, kernels));
                    });
                }
            }
        }
    }
}

criterion_group!(benches, memcpy, kernels);
criterion_main!(benches);
