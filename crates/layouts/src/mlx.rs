//! MLX, as mlx-lm saves it: affine codes of 1 to 8 bits, MXFP4, MXFP8 and NVFP4 in u32 words.
//!
//! ```text
//! mode      M.weight U32 [N, K b / 32]    M.scales                    M.biases
//! affine    1, 2, 3, 4, 5, 6, 8 bits      F32|F16|BF16 [N, K/g]       the same      value = RN(RN(code * scale) + bias), in the type of the scales
//! mxfp4     E2M1                          U8 (E8M0)    [N, K/32]
//! mxfp8     E4M3                          U8 (E8M0)    [N, K/32]
//! nvfp4     E2M1                          U8 (E4M3)    [N, K/16]      M.global_scale F32 []: scale * (global / 2688), see below
//! ```
//!
//! A row is a dense stream of unsigned codes, least significant bit first, that fills whole words,
//! as in memory. Embeddings are quantized too. Experts are stacks, [E, N, ..].
//!
//! The configuration has `quantization`, and a copy of it as `quantization_config`, without
//! `quant_method`: `{"group_size": 64, "bits": 4, "mode": "affine", "MODULE": {...} or false}`. A
//! module is quantized if it has `scales`. transformers' `metal` is the affine mode with `qbiases`.
//!
//! The tensor scale of NVFP4 is an argument of `mx.quantize` and `mx.dequantize`, `global_scale`:
//! the amax, a float or a list with one float. No module of MLX or mlx-lm has a parameter for it,
//! so their files do not have it and their loaders refuse it. A tensor with the name of the
//! argument is read. Sources: mlx 0.32 `ops.cpp`, `backend/cpu/quantized.cpp`; mlx-lm `utils.py`.

mod config;
mod find;

use super::part::scale_dtype;
use super::{Carried, Found, Holds, Linear, Part, Quantized, ReadLayout, WriteLayout};
use crate::{Checkpoint, Result};
use lowbit_blocks::{Block, Format, MXFP4, MXFP8, NVFP4, Outer, ScaleKind, Zero};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use lowbit_kernels::Element;
use serde_json::{Map, Value};

/// Reader and writer of MLX.
#[derive(Debug)]
pub(super) struct Mlx;

/// NVFP4 without a tensor scale.
const NVFP4_ONE_LEVEL: Format = NVFP4.with_outer(Outer::None);

/// The modes with one format each. The affine mode has many, see [`affine`].
const MODES: &[(&str, Format)] = &[("mxfp4", MXFP4), ("mxfp8", MXFP8), ("nvfp4", NVFP4_ONE_LEVEL)];

const AFFINE: &str = "affine";

/// Group sizes and bits of the affine mode.
const GROUPS: [usize; 3] = [32, 64, 128];
const BITS: [u8; 7] = [1, 2, 3, 4, 5, 6, 8];

/// Affine codes of this width in groups of this size, with scales and biases of this type. `None`
/// if MLX does not have it.
fn affine(bits: u8, group: usize, scale: ScaleKind) -> Option<Format> {
    let known = BITS.contains(&bits) && GROUPS.contains(&group) && scale.is_float();
    let (element, block) = (Element::Uint { bits }, Block::Group(group));
    known.then_some(Format::new(element, block, scale).with_zero(Zero::Bias))
}

/// The mode of a format, its bits and its group size.
fn mode(format: &Format) -> Option<(&'static str, u32, usize)> {
    let group = format.block.group()?;
    let bits = format.element.bits();
    let name = match MODES.iter().find(|(_, row)| row == format) {
        Some((name, _)) => name,
        None if affine(bits as u8, group, format.scale.kind).as_ref() == Some(format) => AFFINE,
        None => return None,
    };
    Some((name, bits, group))
}

impl ReadLayout for Mlx {
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        find::find(checkpoint)
    }
}

impl WriteLayout for Mlx {
    fn carries(&self, format: &Format) -> Vec<Carried> {
        let way = |(mode, bits, group)| Carried {
            scheme: format!("{mode} {bits} bits, groups of {group}"),
            activations: Activations::None,
        };
        mode(format).map(way).into_iter().collect()
    }

    fn parts(&self, linear: &Linear, format: &Format, _: Activations) -> Result<Vec<Part>, String> {
        // The global scale of NVFP4 is not written.
        let (_, bits, group) = mode(format).ok_or_else(|| format!("MLX has no {format}"))?;
        let (shape, bits) = (linear.shape, bits as usize);
        let stack = |cols| {
            let above = (shape.matrices != 1).then_some(shape.matrices);
            above.into_iter().chain([shape.rows, cols]).collect::<Vec<_>>()
        };
        let part = |suffix, dtype, cols, holds| Part::new(&linear.module, suffix, dtype, stack(cols), holds);
        // Groups fill whole words, and therefore rows do. Divide before multiplying numbers from a
        // file.
        let words = shape.cols / group * (group * bits / 32);
        let dtype = if format.scale.kind.is_float() { scale_dtype(format.scale.kind) } else { Dtype::U8 };
        let groups = shape.cols / group;
        let mut parts = vec![
            part("weight", Dtype::U32, words, Holds::Codes(None)),
            part("scales", dtype, groups, Holds::Scales(None)),
        ];
        if format.zero == Zero::Bias {
            parts.push(part("biases", dtype, groups, Holds::Zeros(None)));
        }
        Ok(parts)
    }

    fn configure(&self, quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
        config::write(quantized, config)
    }

    fn stores(&self, format: &Format, weight: lowbit_blocks::Dtype) -> Format {
        if format.scale.kind.is_float() { format.with_scale(ScaleKind::of(weight)) } else { *format }
    }
}
