//! Companions of quantized linears, carried over to the output: biases, input scales, smoothing
//! scales, scales of the key-value cache.
//!
//! Nothing is dropped silently. A companion that the new layout cannot store is named in a warning.
//! One without which the weight is wrong (a rotation, a low-rank correction) is an error.

use super::units::{Constant, Copied};
use super::{Linears, Placed, QuantizedUnit, Source, Unit};
use crate::layout::sparse::Sparse;
use crate::layout::{CacheNumber, CacheTensor, Companion, ExtraKind, Layout, Stored, read_floats};
use crate::safetensors::Dtype;
use crate::{CONFIG, Checkpoint, Error, Result};
use half::{bf16, f16};
use lowbit_calib::Activations;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The result of [`carry_over`].
#[derive(Debug, Default)]
pub(super) struct Carried {
    pub(super) units: Vec<Unit>,
    /// Source tensors that are accounted for, the linears' own parts included.
    pub(super) consumed: BTreeSet<String>,
    /// Modules that keep their smoothing scales as a pre-quant scale.
    pub(super) smoothed: BTreeSet<String>,
    /// Whether the key-value cache has scales.
    pub(super) cache: bool,
    /// Warnings about what is left out.
    pub(super) left: Vec<String>,
    /// The number of tensors that are left out.
    pub(super) lost: usize,
}

/// Carries over the companions of the linears of `units`.
pub(super) fn carry_over(
    checkpoint: &Checkpoint,
    to: &Layout,
    from: &Layout,
    linears: &Linears,
    caches: &[CacheTensor],
    units: &[Unit],
) -> Result<Carried> {
    let mut carried = Carried { consumed: consumed(linears), ..Carried::default() };
    let mut left: BTreeMap<&'static str, (usize, String)> = BTreeMap::new();
    let mut leave = |what: &'static str, module: &str| {
        left.entry(what).or_insert_with(|| (0, module.to_owned())).0 += 1;
    };
    for unit in units {
        let Unit::Quantized(q) = unit else { continue };
        let Source::Quantized(strips) = &q.source else { continue };
        let Some(stored) = strips.first().map(|strip| &linears.stored[strip.linear]) else { continue };
        biases(checkpoint, linears, q, &mut carried)?;
        if let Some((name, reciprocal)) = &stored.input_scale {
            match to.input_scale(&q.format).filter(|_| quantizes_input(to, q, stored)) {
                Some(place) => {
                    let scale = |x: f32| if place.reciprocal == *reciprocal { x } else { 1.0 / x };
                    let numbers = read_floats(checkpoint.require(name)?)?.into_iter().map(scale).collect();
                    carried.units.push(constant(&q.linear.module, place, q, numbers, name));
                }
                None => leave("scale of the input", &q.linear.module),
            }
        }
        if let Some(name) = &stored.pre_quant_scale {
            // A layout that cannot store smoothing scales has them multiplied into the weight,
            // which is requantized.
            if let Some(place) = to.pre_quant_scale().filter(|_| matches!(q.way, super::Way::Transcode(_))) {
                let numbers = read_floats(checkpoint.require(name)?)?;
                carried.units.push(constant(&q.linear.module, place, q, numbers, name));
                carried.smoothed.insert(q.linear.module.clone());
            }
        }
        for extra in &stored.extras {
            match extra.kind {
                ExtraKind::Marker => {}
                // Recomputed together with the parts.
                ExtraKind::SecondStage if to.name() == from.name() => {}
                _ if to.name() == from.name() => {
                    let entry = checkpoint.require(&extra.tensor)?.entry;
                    carried.units.push(Unit::Copied(Copied::new(entry, extra.kind.words())));
                }
                ExtraKind::Transform | ExtraKind::LowRank => {
                    let what = extra.kind.words();
                    let reason = format!(
                        "is a {what}, which layout {} cannot say, and the weight is wrong without it",
                        to.name()
                    );
                    return Err(checkpoint.require(&extra.tensor)?.error(reason).into());
                }
                _ => leave(extra.kind.words(), &q.linear.module),
            }
        }
    }
    for cache in caches {
        let source = checkpoint.require(&cache.tensor)?;
        match to.cache(&cache.attention, cache.number) {
            Some((name, place)) => {
                let numbers = read_floats(source)?;
                // Stored as bf16 where every value is exact in it, as tools that accept either do.
                let halved = numbers.iter().all(|x| bf16::from_f32(*x).to_f32().to_bits() == x.to_bits());
                let dtype = if halved { Dtype::BF16 } else { Dtype::F32 };
                let shape = source.entry.shape.clone();
                carried.units.push(placed(name, place, shape, numbers, dtype, &cache.tensor));
                carried.cache |= matches!(cache.number, CacheNumber::Scale(_));
            }
            None => {
                leave("number of the key-value cache", &cache.attention);
            }
        }
        carried.consumed.insert(cache.tensor.clone());
    }
    carried.lost = left.values().map(|(count, _)| count).sum();
    carried.left = left
        .into_iter()
        .map(|(what, (count, first))| {
            format!(
                "layout {} has no place for the {what}: {count} left out, that of {first} first",
                to.name()
            )
        })
        .collect();
    Ok(carried)
}

/// Whether engines quantize the input, so that its scale is of use.
fn quantizes_input(to: &Layout, q: &QuantizedUnit, stored: &Stored) -> bool {
    let ways = to.carries(&q.format);
    stored.activations != Activations::None && ways.iter().any(|way| way.activations == stored.activations)
}

/// Units for sparse float weights, written dense: no layout writes the sparse form.
pub(super) fn restored(
    checkpoint: &Checkpoint,
    sparse: Vec<Sparse>,
    consumed: &mut BTreeSet<String>,
) -> Result<Vec<Unit>> {
    let mut units = Vec::new();
    for matrix in sparse {
        consumed.extend(matrix.tensors().map(ToOwned::to_owned));
        let dtype = checkpoint.require(&matrix.compressed)?.entry.dtype;
        units.push(Unit::Copied(Copied::restored(matrix, dtype)));
    }
    Ok(units)
}

/// The names of all tensors that belong to linears: parts and companions.
pub(super) fn consumed(linears: &Linears) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for stored in &linears.stored {
        names.extend(stored.parts.iter().map(|part| part.name.clone()));
        names.extend(stored.companions().map(ToOwned::to_owned));
    }
    names
}

/// The bias of a linear whose stored bias does not have the name that its module implies, for
/// example a slice of the bias of a stack.
fn biases(
    checkpoint: &Checkpoint,
    linears: &Linears,
    q: &QuantizedUnit,
    carried: &mut Carried,
) -> Result<()> {
    let Source::Quantized(strips) = &q.source else { return Ok(()) };
    let own = format!("{}.bias", q.linear.module);
    let names: Vec<_> = strips.iter().map(|s| linears.stored[s.linear].bias.as_ref()).collect();
    if names.iter().flatten().all(|name| **name == own) {
        return Ok(());
    }
    let shape = q.linear.shape;
    let mut bias = vec![0.0; shape.matrices * shape.rows];
    let (mut dtype, mut source) = (Dtype::F32, String::new());
    for (strip, name) in strips.iter().zip(names) {
        let Some(name) = name else { continue };
        let tensor = checkpoint.require(name)?;
        let values = read_floats(tensor)?;
        let high = linears.stored[strip.linear].shape().rows;
        for at in 0..strip.rows {
            let from = strip.from.matrix * high + strip.from.first + at * strip.from.step;
            let to = strip.to.matrix * shape.rows + strip.to.first + at * strip.to.step;
            let value = values.get(from).ok_or_else(|| {
                tensor.error(format!("has {} values, row {from} is beyond them", values.len()))
            })?;
            bias[to] = *value;
        }
        (dtype, source) = (tensor.entry.dtype, name.clone());
        carried.consumed.insert(name.clone());
    }
    let dims = if q.linear.is_stack() { vec![shape.matrices, shape.rows] } else { vec![shape.rows] };
    let name = if q.linear.stacked { format!("{}_bias", q.linear.module) } else { own };
    carried.units.push(number(name, dtype, dims, &bias, source));
    Ok(())
}

/// Numbers of a module, as a tensor of the layout.
fn constant(module: &str, place: Companion, q: &QuantizedUnit, numbers: Vec<f32>, source: &str) -> Unit {
    let shape = if numbers.len() == 1 && !place.listed { vec![] } else { vec![numbers.len()] };
    let dtype = super::files::dtype_of(q.linear.dtype);
    placed(format!("{module}.{}", place.suffix), place, shape, numbers, dtype, source)
}

fn placed(
    name: String,
    place: Companion,
    shape: Vec<usize>,
    numbers: Vec<f32>,
    dtype: Dtype,
    source: &str,
) -> Unit {
    let shape = match (numbers.len(), place.listed) {
        (1, true) => vec![1],
        (1, false) => vec![],
        _ => shape,
    };
    number(name, place.dtype.unwrap_or(dtype), shape, &numbers, source.to_owned())
}

fn number(name: String, dtype: Dtype, shape: Vec<usize>, numbers: &[f32], source: String) -> Unit {
    let bytes = match dtype {
        Dtype::F16 => numbers.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect(),
        Dtype::BF16 => numbers.iter().flat_map(|x| bf16::from_f32(*x).to_le_bytes()).collect(),
        _ => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
    };
    let dtype = if matches!(dtype, Dtype::F16 | Dtype::BF16) { dtype } else { Dtype::F32 };
    Unit::Constant(Constant { name, dtype, shape, bytes, source, place: Placed::default() })
}

/// The contents of `config.json` without its quantization entries.
pub(super) fn plain_config(checkpoint: &Checkpoint) -> Result<Map<String, Value>> {
    const KEYS: &[&str] = &["quantization_config", "compression_config", "quantization"];
    let missing = || Error::file(checkpoint.dir(), format!("there is no {CONFIG}"));
    let mut config = checkpoint.config().cloned().ok_or_else(missing)?;
    // The text model of a composite model has its own configuration.
    if let Some(text) = config.get_mut("text_config").and_then(Value::as_object_mut) {
        KEYS.iter().for_each(|key| _ = text.remove(*key));
    }
    KEYS.iter().for_each(|key| _ = config.remove(*key));
    Ok(config)
}
