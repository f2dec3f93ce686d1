//! The formats that are timed.

use lowbit_blocks::{
    Block, FP8, FP8_BLOCK, FP8_CHANNEL, FP8_E5M2, FP8_E5M2_BLOCK, FP8_E5M2_CHANNEL, Format, INT8, MXFP4,
    MXFP6_E2M3, MXFP6_E3M2, MXFP8, NF4, NVFP4,
};

/// How much of a format is timed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// Kernels and whole tensors, every type of values.
    Hot,
    /// Kernels and whole tensors of f32.
    Full,
}

/// A format under the name that rows have.
pub struct Subject {
    /// Its name.
    pub name: &'static str,
    /// How its numbers are stored.
    pub format: Format,
    /// Which operations are timed.
    pub coverage: Coverage,
}

impl Subject {
    /// Values that share a scale in one dense stream of `cols` columns; `None` where that is no stream of equal blocks.
    pub fn block(&self, cols: usize) -> Option<usize> {
        match self.format.block {
            Block::Tensor => Some(usize::MAX),
            Block::Channel => Some(cols),
            Block::Group(len) | Block::Flat(len) => Some(len),
            Block::Tile { .. } => None,
        }
    }
}

const fn hot(name: &'static str, format: Format) -> Subject {
    Subject { name, format, coverage: Coverage::Hot }
}

const fn full(name: &'static str, format: Format) -> Subject {
    Subject { name, format, coverage: Coverage::Full }
}

/// Every format that is timed, in the order of the table.
pub const FORMATS: &[Subject] = &[
    hot("nvfp4", NVFP4),
    hot("mxfp4", MXFP4),
    hot("fp8", FP8),
    full("fp8-channel", FP8_CHANNEL),
    full("fp8-block", FP8_BLOCK),
    full("fp8-e5m2", FP8_E5M2),
    full("fp8-e5m2-channel", FP8_E5M2_CHANNEL),
    full("fp8-e5m2-block", FP8_E5M2_BLOCK),
    full("mxfp8", MXFP8),
    hot("int4-g128", Format::int(4, Block::Group(128))),
    full("int4-g128-asym", Format::uint(4, Block::Group(128))),
    full("int4-g32", Format::int(4, Block::Group(32))),
    full("int8", INT8),
    full("int8-g32", Format::int(8, Block::Group(32))),
    full("mxfp6-e2m3", MXFP6_E2M3),
    full("mxfp6-e3m2", MXFP6_E3M2),
    full("nf4", NF4),
];
