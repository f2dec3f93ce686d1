//! The `CompressionFormat` of a linear: its choice for a format, and its tensors.

use super::super::part::scale_dtype;
use super::super::{Holds, Linear, Packing, Part};
use lowbit_blocks::{Format, MXFP4, MXFP8, NVFP4, Zero};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use lowbit_kernels::Element;

/// The `CompressionFormat`, which determines the tensors of a linear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Compression {
    Nvfp4,
    Mxfp4,
    Mxfp8,
    Float,
    Naive,
    Int,
    Pack,
    /// `pack-quantized` of version 0.17. Read only.
    Padded,
}

impl Compression {
    /// The compression of a format, as `compressors/format.py` infers it. `None` if
    /// compressed-tensors has none.
    pub(super) fn of(format: &Format, activations: Activations) -> Option<Self> {
        use Activations::{Dynamic, None as Quiet, Static};
        let float_scale = format.scale.kind.is_float() && !format.has_tensor_scale();
        let e4m3 = format.element == Element::E4m3;
        let integer = match format.zero {
            Zero::None => format.element.is_int(),
            Zero::Int => format.element.is_uint(),
            _ => false,
        };
        let block = format.block;
        let (whole, tile) = (block.is_tensor() || block.is_channel(), block.is_tile());
        Some(match format.zero {
            // Activations in blocks have a static tensor scale, or none.
            _ if *format == NVFP4 && activations != Dynamic => Self::Nvfp4,
            _ if *format == MXFP4 && activations != Static => Self::Mxfp4,
            _ if *format == MXFP8 && activations != Static => Self::Mxfp8,
            Zero::None if (whole || tile) && e4m3 && float_scale && activations == Quiet => Self::Naive,
            Zero::None if whole && e4m3 && float_scale => Self::Float,
            Zero::None if tile && e4m3 && float_scale && activations == Dynamic => Self::Float,
            _ if (whole || block.is_group()) && integer && float_scale => {
                if activations == Quiet {
                    Self::Pack
                } else {
                    Self::Int
                }
            }
            _ => return None,
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Nvfp4 => "nvfp4-pack-quantized",
            Self::Mxfp4 => "mxfp4-pack-quantized",
            Self::Mxfp8 => "mxfp8-quantized",
            Self::Float => "float-quantized",
            Self::Naive => "naive-quantized",
            Self::Int => "int-quantized",
            Self::Pack | Self::Padded => "pack-quantized",
        }
    }

    /// The tensors of a linear, or of a stack.
    pub(super) fn parts(self, linear: &Linear, format: &Format) -> Vec<Part> {
        let (rows, cols) = (linear.shape.rows, linear.shape.cols);
        let (high, wide) = format.scale_grid(linear.shape);
        let (bits, signed) = (format.element.bits(), format.zero == Zero::None);
        let stacked = |dims: [usize; 2]| match linear.shape.matrices {
            1 => dims.to_vec(),
            matrices => [&[matrices], &dims[..]].concat(),
        };
        let part = |suffix, dtype, shape, holds| Part::new(&linear.module, suffix, dtype, shape, holds);
        let codes =
            |suffix, dtype, cols, packing| part(suffix, dtype, stacked([rows, cols]), Holds::Codes(packing));
        let grid = || {
            if format.block.is_tensor() { vec![linear.shape.matrices] } else { stacked([high, wide]) }
        };
        let scale = |dtype| part("weight_scale", dtype, grid(), Holds::Scales(None));
        let float_scale = || scale(scale_dtype(format.scale.kind));
        let zeros =
            |dtype, shape, packing| part("weight_zero_point", dtype, shape, Holds::Zeros(Some(packing)));
        let lowered = || zeros(Dtype::I8, grid(), Packing::Lowered { bits });
        let mut parts = match self {
            Self::Nvfp4 => vec![
                codes("weight_packed", Dtype::U8, cols / 2, None),
                scale(Dtype::F8_E4M3),
                part("weight_global_scale", Dtype::F32, vec![linear.shape.matrices], Holds::TensorScale),
            ],
            Self::Mxfp4 => vec![codes("weight_packed", Dtype::U8, cols / 2, None), scale(Dtype::U8)],
            Self::Mxfp8 => vec![codes("weight", Dtype::F8_E4M3, cols, None), scale(Dtype::U8)],
            Self::Float | Self::Naive => vec![codes("weight", Dtype::F8_E4M3, cols, None), float_scale()],
            Self::Int => {
                let packing = (bits < 8 || !signed).then_some(Packing::Wide { bits, signed });
                vec![codes("weight", Dtype::I8, cols, packing), float_scale()]
            }
            Self::Pack | Self::Padded => {
                let packing = match self {
                    Self::Pack => Packing::Words { bits, signed },
                    _ => Packing::Padded { bits, signed },
                };
                let numbers = [linear.shape.matrices, rows, cols];
                let numbers = if linear.shape.matrices == 1 { &numbers[1..] } else { &numbers };
                let bytes = numbers.iter().flat_map(|&n| (n as u64).to_le_bytes()).collect();
                vec![
                    codes("weight_packed", Dtype::I32, self.words(bits, cols), Some(packing)),
                    float_scale(),
                    part("weight_shape", Dtype::I64, vec![numbers.len()], Holds::Fixed(bytes)),
                ]
            }
        };
        match self {
            _ if signed => {}
            Self::Int => parts.push(lowered()),
            _ if format.block.is_tensor() => parts.push(lowered()),
            _ => {
                let down = match self {
                    Self::Padded => Packing::PaddedDown { bits },
                    _ => Packing::Down { bits },
                };
                parts.push(zeros(Dtype::I32, stacked([self.words(bits, rows), wide]), down));
            }
        }
        if linear.permuted {
            parts.push(part("weight_g_idx", Dtype::I32, vec![cols], Holds::Groups));
        }
        parts
    }

    /// The words of `n` codes. `n` may come from a file: divide before multiplying.
    pub(super) const fn words(self, bits: u32, n: usize) -> usize {
        match self {
            Self::Padded => n.div_ceil((32 / bits) as usize),
            _ => n / 32 * bits as usize + (n % 32 * bits as usize).div_ceil(32),
        }
    }
}
