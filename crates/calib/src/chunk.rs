//! A few thousand values whose blocks are scaled and encoded together.
//!
//! ```text
//! stream   one run: blocks of `len` consecutive values, the last of which may be short      Tensor, Channel, Group, Flat
//! tile     several runs of `width` values, one below the other; block j is columns j*len .. (j+1)*len of all of them
//! ```

use lowbit_kernels::{Element, Kernels};

/// Runs of `width` values that share their blocks, each block `len` values of every run.
#[derive(Clone, Copy)]
pub(crate) struct Chunk<'a> {
    /// The values, from the first of the first run to the last of the last run.
    values: &'a [f32],
    /// Values in a run.
    pub(crate) width: usize,
    /// The distance between the starts of two runs, in values.
    stride: usize,
    /// Values of a block within one run.
    pub(crate) len: usize,
}

impl<'a> Chunk<'a> {
    /// A chunk of one run.
    pub(crate) fn run(values: &'a [f32], len: usize) -> Self {
        Self::rectangle(values, values.len(), values.len(), len)
    }

    /// A chunk of several runs of `width` values, `stride` values apart. The runs share blocks of
    /// `len` columns.
    pub(crate) fn rectangle(values: &'a [f32], width: usize, stride: usize, len: usize) -> Self {
        Self { values, width, stride, len }
    }

    /// The number of values in all runs.
    pub(crate) fn count(&self) -> usize {
        self.values.len().div_ceil(self.stride) * self.width
    }

    /// True if there is one run only.
    pub(crate) fn is_one_run(&self) -> bool {
        self.values.len() <= self.stride
    }

    pub(crate) fn blocks(&self) -> usize {
        self.width.div_ceil(self.len)
    }

    pub(crate) fn runs(&self) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let width = self.width;
        self.values.chunks(self.stride).map(move |run| &run[..width])
    }

    /// The largest magnitude of each block.
    pub(crate) fn absmax(&self, kernels: Kernels, out: &mut Vec<f32>) {
        out.resize(self.blocks(), 0.0);
        let mut runs = self.runs();
        if let Some(run) = runs.next() {
            kernels.absmax(run, self.len, out);
        }
        let mut of_run = Vec::new();
        for run in runs {
            of_run.resize(out.len(), 0.0);
            kernels.absmax(run, self.len, &mut of_run);
            // Compared as bits, so that infinity and NaN stay the largest.
            out.iter_mut().zip(&of_run).for_each(|(a, b)| *a = f32::from_bits(a.to_bits().max(b.to_bits())));
        }
    }

    /// The smallest and the largest value of each block in the total order of IEEE 754.
    pub(crate) fn min_max(&self, kernels: Kernels, lo: &mut Vec<f32>, hi: &mut Vec<f32>) {
        lo.resize(self.blocks(), 0.0);
        hi.resize(self.blocks(), 0.0);
        let mut runs = self.runs();
        if let Some(run) = runs.next() {
            kernels.min_max(run, self.len, lo, hi);
        }
        let (mut run_lo, mut run_hi) = (Vec::new(), Vec::new());
        for run in runs {
            run_lo.resize(lo.len(), 0.0);
            run_hi.resize(hi.len(), 0.0);
            kernels.min_max(run, self.len, &mut run_lo, &mut run_hi);
            // Compared in the total order, so that infinities and NaN stay the extremes.
            lo.iter_mut().zip(&run_lo).filter(|(a, b)| b.total_cmp(a).is_lt()).for_each(|(a, b)| *a = *b);
            hi.iter_mut().zip(&run_hi).filter(|(a, b)| b.total_cmp(a).is_gt()).for_each(|(a, b)| *a = *b);
        }
    }

    /// The number of bytes of the codes of one run.
    pub(crate) fn run_bytes(&self, element: Element) -> usize {
        element.packed_len(self.width)
    }

    /// The squared error of each block against `decoded`, whose values are in the order of the
    /// chunk.
    pub(crate) fn squared_errors(&self, decoded: &[f32], out: &mut [f64]) {
        out.fill(0.0);
        for (run, decoded) in self.runs().zip(decoded.chunks_exact(self.width)) {
            for ((x, y), out) in run.chunks(self.len).zip(decoded.chunks(self.len)).zip(out.iter_mut()) {
                *out += squared_error(x, y);
            }
        }
    }
}

/// The sum of (x - y)^2 in f64, in four partial sums so that the additions overlap. The order is
/// fixed.
fn squared_error(x: &[f32], y: &[f32]) -> f64 {
    let square = |(x, y): (&f32, &f32)| {
        let e = f64::from(*x) - f64::from(*y);
        e * e
    };
    let (x4, x_rest) = x.as_chunks::<4>();
    let (y4, y_rest) = y.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (x, y) in x4.iter().zip(y4) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += square((x, y));
        }
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(square).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}
