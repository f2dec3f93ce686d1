//! The common part of GPTQ, AWQ and AutoRound: integers in `M.qweight`, zero points in `M.qzeros`,
//! scales in `M.scales`, and a configuration with the settings that the tensors do not determine.

mod contradictions;
mod settings;
mod zeros;

pub(super) use contradictions::contradictions;
pub(super) use settings::{Convention, Settings, is_auto_round};
pub use zeros::unpacked;
pub(super) use zeros::{Zeros, constant};

use super::part::{Linear, scale_kind};
use super::stored;
use crate::{Checkpoint, Result, Tensor};
use lowbit_blocks::{Block, Format, ScaleKind, Shape, Zero};
use lowbit_calib::Activations;

use super::{Carried, Found};

/// The linears of a checkpoint in this convention, unless AutoRound's configuration describes it.
pub(super) fn find(
    convention: Convention,
    checkpoint: &Checkpoint,
    linears: fn(&Checkpoint, &Settings) -> Found,
) -> Result<Option<Found>> {
    let settings = Settings::read(checkpoint)?;
    let settings = settings.filter(|settings| settings.convention == convention && !settings.auto_round);
    Ok(settings.map(|settings| linears(checkpoint, &settings)))
}

/// The modules that have a `qweight`, in name order.
pub(super) fn modules(checkpoint: &Checkpoint) -> impl Iterator<Item = &str> {
    checkpoint.tensors().filter_map(|tensor| tensor.entry.name.strip_suffix(".qweight"))
}

/// The shape of a tensor that has to be a matrix.
pub(super) fn matrix(tensor: Tensor<'_>) -> Result<[usize; 2]> {
    match tensor.entry.shape[..] {
        [rows, cols] if rows > 0 && cols > 0 => Ok([rows, cols]),
        _ => Err(tensor.error(format!("shape {:?} is not a matrix", tensor.entry.shape)).into()),
    }
}

/// A linear of this shape, with the dtype of the model's configuration.
pub(super) fn linear(checkpoint: &Checkpoint, module: &str, rows: usize, cols: usize) -> Linear {
    stored::linear(checkpoint, &format!("{module}.weight"), Shape::matrix(rows, cols))
}

/// The format with unsigned codes and zero points. If all zero points are in the middle,
/// [`symmetric`] replaces it.
pub(super) fn format(scheme: settings::Scheme, scales: Tensor<'_>, cols: usize) -> Result<Format> {
    let kind = scale_kind(scales.entry.dtype).filter(|kind| kind.is_float());
    let kind = kind.ok_or_else(|| scales.error(format!("is {}, not F16", scales.entry.dtype)))?;
    // A group longer than the row is the whole row. The last group may be short, which only tiles
    // can express.
    let block = match scheme.group {
        Some(group) if group <= cols && cols.is_multiple_of(group) => Block::Group(group),
        Some(group) if group <= cols => Block::Tile { rows: 1, cols: group },
        _ => Block::Channel,
    };
    Ok(Format::uint(scheme.bits, block).with_scale(kind))
}

/// The format with two's complement codes and without zero points.
pub(super) fn symmetric(format: &Format) -> Format {
    let bits = format.element.bits() as u8;
    Format::int(bits, format.block).with_scale(format.scale.kind)
}

/// The format as these conventions write it: scales are f16, whatever the dtype of the weights.
pub(super) fn stores(format: &Format) -> Format {
    if format.scale.kind.is_float() { format.with_scale(ScaleKind::F16) } else { *format }
}

/// The ways to carry integers of these widths: weights only.
pub(super) fn carries(format: &Format, widths: &[u32]) -> Vec<Carried> {
    let bits = format.element.bits();
    let element = match format.zero {
        Zero::None => format.element.is_int(),
        Zero::Int => format.element.is_uint(),
        _ => false,
    };
    let block = format.block.is_by_row();
    let fits = element
        && block
        && widths.contains(&bits)
        && format.scale.kind.is_float()
        && !format.has_tensor_scale();
    let carried = || Carried { scheme: format!("W{bits}A16"), activations: Activations::None };
    fits.then(carried).into_iter().collect()
}
