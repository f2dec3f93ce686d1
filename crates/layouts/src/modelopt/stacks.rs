//! Stacks of experts in ModelOpt's exports of Llama 4 and gpt-oss: the matrices are transposed, as
//! in those models. Read only.
//!
//! ```text
//!          X                        X_weight_scale                  X_weight_scale_2    besides
//! NVFP4    U8 [E, K/2, N]           F8_E4M3 [E, K/16, N]            F32 []              X_input_scale F32 [], X_bias [E, N]
//! FP8      F8_E4M3 [E, K, N]        F32 [] for all experts, or [E], as FP8_PER_CHANNEL_PER_TOKEN writes it
//! ```
//!
//! X is `….experts.gate_up_proj` or `….experts.down_proj`. A byte has two consecutive codes along
//! the input dimension, of one output. Other algorithms give stacks blocks across the input
//! dimension; these are not read. Source: ModelOpt 0.47 `export/unified_export_hf.py`,
//! `export/quant_utils.py`.

use super::super::{Extra, ExtraKind, Holds, Linear, Packing, Part, Stored, read_floats, stored};
use crate::{Checkpoint, Result};
use lowbit_arch::Orientation;
use lowbit_blocks::{FP8, NVFP4, QTensor, ScaleKind, Shape, TensorScale};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;

/// The name suffix of a stack's scales.
const SCALE: &str = "_weight_scale";

/// The names of the stacks in a checkpoint.
pub(super) fn names(checkpoint: &Checkpoint) -> impl Iterator<Item = &str> {
    let names = checkpoint.tensors().filter_map(|tensor| tensor.entry.name.strip_suffix(SCALE));
    names.filter(|name| checkpoint.tensor(name).is_some_and(|stack| stack.entry.shape.len() == 3))
}

/// Reads a stack, recognised by the dtypes and shapes of its tensors. `unscaled` is the treatment
/// of activations without a static scale.
pub(super) fn read(checkpoint: &Checkpoint, name: &str, unscaled: Activations) -> Result<Stored> {
    let (codes, scale) = (checkpoint.require(name)?, checkpoint.require(&format!("{name}{SCALE}"))?);
    let second = checkpoint.tensor(&format!("{name}_weight_scale_2"));
    let [matrices, high, rows] = codes.entry.shape[..] else {
        return Err(codes.error(format!("shape {:?} is no stack", codes.entry.shape)).into());
    };
    let scales = scale.entry.elements();
    let format = match (codes.entry.dtype, scale.entry.dtype) {
        (Dtype::U8, Dtype::F8_E4M3) if second.is_some() => NVFP4,
        (Dtype::F8_E4M3, Dtype::F32) if scales == 1 || scales == matrices as u64 => FP8,
        (codes, scales) => {
            let reason = format!(
                "is {scales} {:?} beside {codes} codes, which is no stack of ModelOpt",
                scale.entry.shape
            );
            return Err(scale.error(reason).into());
        }
    };
    let cols = if format == NVFP4 { high.saturating_mul(2) } else { high };
    let shape = Shape { matrices, rows, cols };
    format.check(shape).map_err(|e| codes.error(e.to_string()))?;
    let linear =
        Linear { orientation: Orientation::InOut, stacked: true, ..stored::linear(checkpoint, name, shape) };
    // A single scale is shared by all experts, where the format has one for each.
    let scales = if scales == 1 { 4 } else { format.scales_len(shape) };
    let parts = vec![
        Part::found(codes, format.codes_len(shape), Holds::Codes(None)),
        Part::found(scale, scales, Holds::Scales(None)),
    ];
    let mut stored = Stored::new(checkpoint, linear, format, parts)?;
    stored.assemble = Some(assemble);
    if let Some(second) = second.filter(|_| format == NVFP4) {
        let [factor] = (if second.entry.elements() == 1 { read_floats(second)? } else { Vec::new() })[..]
        else {
            return Err(second.error(format!("holds {} values, not one", second.entry.elements())).into());
        };
        stored.implied_scale = Some(factor);
        stored.extras.push(Extra { tensor: second.entry.name.clone(), kind: ExtraKind::Marker });
    }
    let input = checkpoint.tensor(&format!("{name}_input_scale"));
    stored.input_scale = input.map(|tensor| (tensor.entry.name.clone(), false));
    stored.activations = if stored.input_scale.is_some() { Activations::Static } else { unscaled };
    stored.bias = checkpoint.tensor(&format!("{name}_bias")).map(|bias| bias.entry.name.clone());
    Ok(stored)
}

/// Assembles one matrix, arranged as in memory.
fn assemble(stored: &Stored, checkpoint: &Checkpoint, matrix: usize) -> Result<QTensor<'static>> {
    let Shape { matrices, rows, cols } = stored.linear.shape;
    let (format, one) = (&stored.format, Shape::matrix(rows, cols));
    let share = |part: &Part, transposed: bool| -> Result<Vec<u8>> {
        let tensor = checkpoint.require(&part.name)?;
        let len = usize::try_from(tensor.entry.len()).unwrap_or(usize::MAX) / matrices;
        let mut file = vec![0; len];
        tensor.read((matrix * len) as u64, &mut file)?;
        if !transposed {
            return Ok(file);
        }
        let mut memory = vec![0; len];
        Packing::Transposed { bytes: 1 }.unpack(rows, len / rows.max(1), &file, &mut memory);
        Ok(memory)
    };
    let [codes, scales] = &stored.parts[..] else {
        return Err(checkpoint.require(&stored.linear.weight)?.error("has no scales").into());
    };
    let scales = match scales.len() {
        4 => checkpoint.require(&scales.name)?.read_all()?,
        _ => share(scales, format.scale.kind == ScaleKind::E4m3)?,
    };
    let scale = stored.implied_scale.map_or(TensorScale::None, |scale| TensorScale::Multiply(vec![scale]));
    let tensor = QTensor::new(*format, one, share(codes, true)?, scales, None, scale);
    tensor.map_err(|e| crate::Error::tensor(checkpoint.dir(), &stored.linear.weight, e.to_string()))
}
