//! What is timed of a case.

use std::hint::black_box;

use lowbit_blocks::{Block, Dtype, Values};
use lowbit_calib::Out;
use lowbit_kernels::Kernels;

use crate::{Case, Coverage, Subject};

/// One thing that is done with a case.
pub struct Operation {
    /// As tables and the command line say it.
    pub name: &'static str,
    /// Which formats it is timed for.
    only: Only,
    /// Does it once.
    pub run: fn(&mut Case, Kernels),
    /// The type of the values that are quantized.
    dtype: Dtype,
}

#[derive(PartialEq)]
enum Only {
    /// Those that are one stream of equal blocks.
    Stream,
    /// All.
    All,
    /// The hot ones.
    Hot,
    /// The hot ones, and only at the best level, since no other can be asked for.
    HotBest,
    /// The hot ones that have one scale for the whole tensor, at the best level.
    Observed,
}

impl Operation {
    /// Whether this is timed for that format at that level.
    pub fn applies(&self, subject: &Subject, kernels: Kernels) -> bool {
        let hot = subject.coverage == Coverage::Hot;
        match self.only {
            Only::Stream => subject.block(1).is_some(),
            Only::All => true,
            Only::Hot => hot,
            Only::HotBest => hot && kernels == Kernels::best(),
            Only::Observed => {
                let whole = subject.format.has_tensor_scale() || subject.format.block == Block::Tensor;
                hot && whole && kernels == Kernels::best()
            }
        }
    }

    /// Makes a case ready for [`run`](Self::run) at a level.
    pub fn prepare(&self, case: &mut Case, kernels: Kernels) {
        if self.name.starts_with("quantize") {
            case.set_quantizer(self.dtype, kernels);
        }
    }
}

const fn operation(name: &'static str, only: Only, run: fn(&mut Case, Kernels)) -> Operation {
    Operation { name, only, run, dtype: Dtype::F32 }
}

/// What is timed:
///
/// - `absmax`, `encode`, `decode`: kernels over one slice; scales are given
/// - `quantize`: block maxima, scales and codes by a `Quantizer`; the tensor scale, where there is one, is known
/// - `tensor`: `Recipe::quantize`, which looks at all values first where there is a tensor scale, and allocates
/// - `dequantize`: a `QTensor`, with the scales as they are stored
/// - `observe`: the pass over a tensor before its first row
pub const OPERATIONS: &[Operation] = &[
    operation("absmax", Only::Stream, Case::kernel_absmax),
    operation("encode", Only::Stream, Case::kernel_encode),
    operation("quantize", Only::All, |case, _| quantize(case, Dtype::F32)),
    Operation {
        dtype: Dtype::Bf16,
        ..operation("quantize-bf16", Only::Hot, |case, _| quantize(case, Dtype::Bf16))
    },
    Operation {
        dtype: Dtype::F16,
        ..operation("quantize-f16", Only::Hot, |case, _| quantize(case, Dtype::F16))
    },
    operation("tensor", Only::Hot, |case, _| {
        black_box(case.recipe.quantize(case.shape, &case.x[..]).expect("finite values"));
    }),
    operation("decode", Only::Stream, Case::kernel_decode),
    operation("dequantize", Only::All, |case, kernels| {
        black_box(&case.tensor).dequantize_with(kernels, &mut case.out);
    }),
    operation("dequantize-bf16", Only::HotBest, |case, _| {
        black_box(&case.tensor).dequantize_bf16(&mut case.out_bf16);
    }),
    operation("dequantize-f16", Only::HotBest, |case, _| {
        black_box(&case.tensor).dequantize_f16(&mut case.out_f16);
    }),
    operation("observe", Only::Observed, |case, _| {
        let mut stats = case.stats.clone();
        let stats = stats.iter_mut().map(|stats| stats.observe(black_box(&case.x[..])));
        stats.for_each(|seen| seen.expect("finite values"));
    }),
];

fn quantize(case: &mut Case, dtype: Dtype) {
    let values: Values<'_> = match dtype {
        Dtype::F32 => (&case.x[..]).into(),
        Dtype::Bf16 => (&case.x_bf16[..]).into(),
        Dtype::F16 => (&case.x_f16[..]).into(),
    };
    let out = Out { codes: &mut case.codes, scales: &mut case.scale_bytes, zeros: &mut case.zero_bytes };
    black_box(&case.quantizer).quantize_rows(0, 0, black_box(values), out).expect("finite values");
}
