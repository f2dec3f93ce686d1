//! The algorithms of ModelOpt: their names in the configuration, the tensors of the weight, the
//! treatment of activations.

use super::super::{Holds, Linear, Packing, Part};
use lowbit_blocks::{
    Block, FP8, FP8_BLOCK, FP8_CHANNEL, Format, INT8, MXFP4, MXFP8, NVFP4, QLinear, ScaleKind, Shape,
};
use lowbit_calib::Activations;
use lowbit_container::safetensors::{Dtype, Entry};
use lowbit_kernels::Element;

/// The kind of a weight, which determines its tensors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Weight {
    Nvfp4,
    Mxfp4,
    Mxfp8,
    Fp8,
    Fp8Channel,
    Fp8Tiles,
    Int8,
    Int4,
}

/// The `num_bits` and `type` of weights or activations in `config_groups`, and whether a group size
/// or a strategy is included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Args {
    pub(super) bits: u8,
    pub(super) kind: &'static str,
    pub(super) grouped: bool,
    pub(super) channel: bool,
}

/// An algorithm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Algorithm {
    /// The `quant_algo`. The lower case of some is ModelOpt's.
    pub(super) name: &'static str,
    pub(super) weight: Weight,
    pub(super) activations: Activations,
    /// The treatment of activations if the file has no `input_scale`.
    pub(super) unscaled: Activations,
    /// The group size, if the algorithm fixes it.
    pub(super) group: Option<usize>,
    /// Whether configurations include the group size.
    pub(super) group_size: bool,
    /// Whether configurations include `has_zero_point` and `pre_quant_scale`.
    pub(super) smoothed: bool,
    /// Whether `config.json` has a group for the algorithm if it is the only one.
    pub(super) alone: bool,
    /// The `input_activations` and `weights` of the group, if it has any.
    pub(super) groups: (Option<Args>, Option<Args>),
}

const fn float(bits: u8) -> Option<Args> {
    Some(Args { bits, kind: "float", grouped: false, channel: false })
}

const fn float_groups(bits: u8) -> Option<Args> {
    Some(Args { bits, kind: "float", grouped: true, channel: false })
}

const fn int(bits: u8, grouped: bool, channel: bool) -> Option<Args> {
    Some(Args { bits, kind: "int", grouped, channel })
}

/// The base of the other rows: weights only.
const QUIET: Algorithm = Algorithm {
    name: "",
    weight: Weight::Nvfp4,
    activations: Activations::None,
    unscaled: Activations::None,
    group: None,
    group_size: false,
    smoothed: false,
    alone: false,
    groups: (None, None),
};

/// The base of rows with static activation scales.
const STATIC: Algorithm =
    Algorithm { activations: Activations::Static, unscaled: Activations::Static, ..QUIET };

/// E4M3 activations, with static scales from calibration or dynamic.
const W4A8_MXFP4: Algorithm = Algorithm {
    name: "W4A8_MXFP4_FP8",
    weight: Weight::Mxfp4,
    activations: Activations::Dynamic,
    unscaled: Activations::Dynamic,
    group_size: true,
    groups: (float(8), float_groups(4)),
    ..QUIET
};

/// All algorithms. If several carry the same, the first is written.
pub(super) const ALGORITHMS: &[Algorithm] = &[
    Algorithm {
        name: "W4A16_NVFP4",
        group_size: true,
        alone: true,
        groups: (None, float_groups(4)),
        ..QUIET
    },
    Algorithm {
        name: "NVFP4",
        group: Some(16),
        group_size: true,
        alone: true,
        groups: (float_groups(4), float_groups(4)),
        ..STATIC
    },
    // The fused form has its smoothing scales folded into the weights of the previous layer.
    Algorithm {
        name: "NVFP4_AWQ",
        group: Some(16),
        group_size: true,
        smoothed: true,
        unscaled: Activations::None,
        groups: (float_groups(8), float_groups(4)),
        ..STATIC
    },
    Algorithm {
        name: "NVFP4_SVD",
        group: Some(16),
        group_size: true,
        smoothed: true,
        alone: true,
        groups: (float_groups(4), float_groups(4)),
        ..STATIC
    },
    Algorithm {
        name: "W4A8_NVFP4_FP8",
        group: Some(32),
        group_size: true,
        groups: (float(8), float_groups(4)),
        ..STATIC
    },
    Algorithm { name: "mxfp4", weight: Weight::Mxfp4, ..QUIET },
    W4A8_MXFP4,
    Algorithm { activations: Activations::Static, ..W4A8_MXFP4 },
    Algorithm {
        name: "MXFP8",
        weight: Weight::Mxfp8,
        activations: Activations::Dynamic,
        unscaled: Activations::Dynamic,
        group_size: true,
        groups: (float_groups(8), float_groups(8)),
        ..QUIET
    },
    Algorithm { name: "FP8", weight: Weight::Fp8, alone: true, groups: (float(8), float(8)), ..STATIC },
    Algorithm {
        name: "FP8_PER_CHANNEL_PER_TOKEN",
        weight: Weight::Fp8Channel,
        activations: Activations::Dynamic,
        unscaled: Activations::Dynamic,
        groups: (float(8), Some(Args { bits: 8, kind: "float", grouped: false, channel: true })),
        ..QUIET
    },
    Algorithm { name: "fp8_pb_wo", weight: Weight::Fp8Tiles, ..QUIET },
    Algorithm { name: "W8A16", weight: Weight::Int8, groups: (None, int(8, false, false)), ..QUIET },
    Algorithm {
        name: "W8A8_SQ_PER_CHANNEL",
        weight: Weight::Int8,
        groups: (int(8, false, false), int(8, false, true)),
        ..STATIC
    },
    // Plain groups also have this name, without a `pre_quant_scale`.
    Algorithm {
        name: "W4A16_AWQ",
        weight: Weight::Int4,
        group_size: true,
        smoothed: true,
        groups: (None, int(4, true, false)),
        ..QUIET
    },
    Algorithm {
        name: "W4A8_AWQ",
        weight: Weight::Int4,
        group_size: true,
        smoothed: true,
        groups: (float_groups(8), float_groups(4)),
        ..STATIC
    },
];

impl Algorithm {
    /// The algorithm of this name, ignoring case.
    pub(super) fn named(name: &str) -> Option<Self> {
        ALGORITHMS.iter().find(|a| a.name.eq_ignore_ascii_case(name)).copied()
    }

    /// The algorithm that carries a format with these activations. `smoothed` is whether the input
    /// has a pre-quant scale.
    pub(super) fn of(format: &Format, activations: Activations, smoothed: bool) -> Option<Self> {
        let fits = |a: &&Self| a.activations == activations && a.carries(format);
        let first = ALGORITHMS.iter().find(fits).copied()?;
        let awq = smoothed && first.weight == Weight::Nvfp4 && first.group != Some(32);
        Some(if awq { Self::named("NVFP4_AWQ").unwrap_or(first) } else { first })
    }

    /// Whether the algorithm stores this format. The type of float scales is ignored; ModelOpt
    /// stores f32.
    pub(super) fn carries(&self, format: &Format) -> bool {
        let format = if format.scale.kind.is_float() { format.with_scale(ScaleKind::F32) } else { *format };
        let group = format.block.group().unwrap_or(0);
        self.weight.format(group) == format && self.group.is_none_or(|own| own == group)
    }
}

impl Weight {
    /// The kind of weight that tensors of these dtypes and shapes hold. `second` is whether there
    /// is a `weight_scale_2`.
    pub(super) fn of_tensors(weight: &Entry, scale: &Entry, second: bool) -> Option<Self> {
        let stacked = weight.shape.len().saturating_sub(2);
        Some(match (weight.dtype, scale.dtype) {
            (Dtype::U8, Dtype::F8_E4M3) if second => Self::Nvfp4,
            (Dtype::U8, Dtype::U8 | Dtype::F8_E8M0) => Self::Mxfp4,
            (Dtype::U8, Dtype::F32) => Self::Int4,
            (Dtype::I8, Dtype::F32) => Self::Int8,
            (Dtype::F8_E4M3, Dtype::U8 | Dtype::F8_E8M0) => Self::Mxfp8,
            (Dtype::F8_E4M3, Dtype::F32) => match scale.shape.len().saturating_sub(stacked) {
                0 => Self::Fp8,
                1 if scale.elements() == 1 => Self::Fp8,
                1 => Self::Fp8Channel,
                _ => Self::Fp8Tiles,
            },
            _ => return None,
        })
    }

    /// The format, with groups of this size if it has groups.
    pub(super) const fn format(self, group: usize) -> Format {
        match self {
            Self::Nvfp4 => NVFP4.with_block(Block::Group(group)),
            Self::Mxfp4 => MXFP4,
            Self::Mxfp8 => MXFP8,
            Self::Fp8 => FP8,
            Self::Fp8Channel => FP8_CHANNEL,
            Self::Fp8Tiles => FP8_BLOCK,
            Self::Int8 => INT8,
            Self::Int4 => Format::int(4, Block::Group(group)).with_scale(ScaleKind::F32),
        }
    }

    /// The shape of the weight, from the shape of its codes in the file.
    pub(super) fn shape(self, codes: Shape) -> Shape {
        match self {
            Self::Nvfp4 | Self::Mxfp4 => Shape { cols: codes.cols.saturating_mul(2), ..codes },
            Self::Int4 => Shape { rows: codes.rows.saturating_mul(2), ..codes },
            _ => codes,
        }
    }

    /// The tensors of a linear, or of a stack.
    pub(super) fn parts(self, linear: &Linear, format: &Format) -> Result<Vec<Part>, String> {
        let Shape { matrices, rows, cols } = linear.shape;
        let (high, wide) = format.scale_grid(linear.shape);
        let stacked = |dims: &[usize]| match matrices {
            1 => dims.to_vec(),
            _ => [&[matrices], dims].concat(),
        };
        let part = |suffix, dtype, dims: &[usize], holds| {
            Part::new(&linear.module, suffix, dtype, stacked(dims), holds)
        };
        let scale = |dtype, dims: &[usize]| part("weight_scale", dtype, dims, Holds::Scales(None));
        let weight = |dtype, cols| part("weight", dtype, &[rows, cols], Holds::Codes(None));
        Ok(match self {
            Self::Nvfp4 => vec![
                weight(Dtype::U8, cols / 2),
                scale(Dtype::F8_E4M3, &[high, wide]),
                part("weight_scale_2", Dtype::F32, &[], Holds::TensorScale),
            ],
            Self::Mxfp4 => vec![weight(Dtype::U8, cols / 2), scale(Dtype::U8, &[high, wide])],
            Self::Mxfp8 => vec![weight(Dtype::F8_E4M3, cols), scale(Dtype::U8, &[high, wide])],
            Self::Fp8 => vec![weight(Dtype::F8_E4M3, cols), scale(Dtype::F32, &[])],
            Self::Fp8Channel => vec![weight(Dtype::F8_E4M3, cols), scale(Dtype::F32, &[rows])],
            Self::Fp8Tiles => vec![weight(Dtype::F8_E4M3, cols), scale(Dtype::F32, &[high, 1, wide, 1])],
            Self::Int8 => vec![weight(Dtype::I8, cols), scale(Dtype::F32, &[rows])],
            Self::Int4 if rows % 2 != 0 || cols % 2 != 0 => {
                return Err(format!(
                    "{rows} rows of {cols}: INT4 in ModelOpt pairs rows, both numbers must be even"
                ));
            }
            Self::Int4 => {
                let pairs = Holds::Codes(Some(Packing::RowPairs));
                vec![part("weight", Dtype::U8, &[rows / 2, cols], pairs), scale(Dtype::F32, &[rows, wide])]
            }
        })
    }
}

/// The scale with which engines round INT4 weights to E4M3: amax becomes 448.
pub(super) fn second_stage(_: &Linear, linear: &QLinear<'_>, _: &Part) -> Vec<u8> {
    let shape = linear.weight.shape();
    let mut scales = Vec::new();
    let mut row = vec![0.0; shape.cols];
    for matrix in 0..shape.matrices {
        let mut amax = 0.0_f32;
        for at in 0..shape.rows {
            linear.weight.dequantize_rows(matrix, at..at + 1, &mut row);
            amax = row.iter().fold(amax, |amax, value| amax.max(value.abs()));
        }
        scales.extend((amax / Element::E4m3.max()).to_le_bytes());
    }
    scales
}
