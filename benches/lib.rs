//! What the benches of the kernels share: inputs, sizes, and the operations that are timed.
//!
//! Throughput always counts the f32 side, 4 bytes a value, so that kernels compare with each other and with a memcpy of
//! the same values, which reads and writes as much and computes nothing.

use lowbit_kernels::{Blocks, Element, Kernels};

/// Values per run: a quarter MiB of f32, which fits any L2 cache, and 64 MiB, which fits none.
pub const SIZES: [(&str, usize); 2] = [("L2", 1 << 16), ("DRAM", 1 << 24)];

/// The formats that are timed: a name, the element, the values that share a scale.
pub const FORMATS: [(&str, Element, usize); 6] = [
    ("nvfp4", Element::E2m1, 16),
    ("mxfp4", Element::E2m1, 32),
    ("fp8", Element::E4m3, usize::MAX),
    ("int8", Element::Int { bits: 8 }, usize::MAX),
    ("int4", Element::Int { bits: 4 }, 128),
    ("nf4", Element::Nf4, 64),
];

/// Sums of four uniform numbers, close to N(0, 1), the same in every run.
pub fn values(n: usize) -> Vec<f32> {
    let mut state = 1u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u32 << 24) as f32 - 0.5
    };
    (0..n).map(|_| (0..4).map(|_| uniform()).sum::<f32>() * 3f32.sqrt()).collect()
}

/// A slice of values, its scales and its codes in one format.
pub struct Case {
    element: Element,
    block: usize,
    x: Vec<f32>,
    scales: Vec<f32>,
    codes: Vec<u8>,
    out: Vec<f32>,
}

impl Case {
    /// `n` values with the scale that brings each block's largest magnitude to the element's.
    pub fn new(element: Element, block: usize, n: usize) -> Self {
        let x = values(n);
        let mut scales = vec![0.0; n.div_ceil(block)];
        Kernels::best().absmax(&x, block, &mut scales);
        scales.iter_mut().for_each(|amax| *amax /= element.max());
        let codes = vec![0; element.packed_len(n)];
        let mut case = Self { element, block, x, scales, codes, out: vec![0.0; n] };
        case.encode(Kernels::best());
        case
    }

    /// Copies the values.
    pub fn memcpy(&mut self) {
        self.out.copy_from_slice(std::hint::black_box(&self.x));
    }

    /// The largest magnitude of each block.
    pub fn absmax(&mut self, kernels: Kernels) {
        kernels.absmax(std::hint::black_box(&self.x), self.block, &mut self.scales);
    }

    /// Values to codes.
    pub fn encode(&mut self, kernels: Kernels) {
        let blocks = Blocks { len: self.block, scales: &self.scales, zeros: None };
        kernels.encode(self.element, std::hint::black_box(&self.x), blocks, &mut self.codes);
    }

    /// Codes to values.
    pub fn decode(&mut self, kernels: Kernels) {
        let blocks = Blocks { len: self.block, scales: &self.scales, zeros: None };
        kernels.decode(self.element, std::hint::black_box(&self.codes), blocks, &mut self.out);
    }
}

/// An operation of [`Case`] on one level.
pub type Operation = fn(&mut Case, Kernels);

/// The operations that are timed.
pub const OPERATIONS: [(&str, Operation); 3] =
    [("absmax", Case::absmax), ("encode", Case::encode), ("decode", Case::decode)];
