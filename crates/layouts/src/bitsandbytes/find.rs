//! Finds the quantized linears of a bitsandbytes checkpoint: parameters with a quant state, and
//! modules with an SCB tensor.

use super::super::{Extra, ExtraKind, Formula, Found, Holds, Linear, Packing, Part, Product, Stored, stored};
use super::state::{SUFFIXES, State};
use super::{STEP, nested, table};
use crate::{Checkpoint, Result, Tensor};
use lowbit_arch::module_of;
use lowbit_blocks::{Dtype as Float, INT8, Outer, Shape};
use lowbit_calib::{Activations, outliers::OUTLIER};
use lowbit_container::safetensors::Dtype;
use lowbit_kernels::Element;
use serde_json::{Map, Value};

pub(super) fn find(checkpoint: &Checkpoint) -> Result<Option<Found>> {
    let config = stored::any_quantization_config(checkpoint);
    let said = config.and_then(|config| {
        let method = config.get("quant_method").and_then(Value::as_str);
        let loads = ["load_in_4bit", "load_in_8bit"].iter().any(|key| config.get(*key) == Some(&true.into()));
        method.map(|method| method == "bitsandbytes").or(loads.then_some(true))
    });
    if said == Some(false) {
        return Ok(None);
    }
    let (four, eight) = products(config);
    let mut found = Vec::new();
    for tensor in checkpoint.tensors() {
        let name = &tensor.entry.name;
        let state = SUFFIXES.iter().find_map(|(end, element)| Some((name.strip_suffix(end)?, *element)));
        if let Some((weight, element)) = state {
            found.push(four_bits(checkpoint, tensor, weight, element).map(|s| Stored { product: four, ..s }));
        } else if let Some(module) = name.strip_suffix(".SCB") {
            found.push(eight_bits(checkpoint, tensor, module).map(|s| Stored { product: eight, ..s }));
        }
    }
    Ok((said.is_some() || !found.is_empty()).then_some(found))
}

/// How 4-bit and 8-bit weights are multiplied. Defaults: 4-bit weights take the dtype of their
/// input, 8-bit weights have an outlier threshold of 6. A threshold of 0 means that there are no
/// outliers.
fn products(config: Option<&Map<String, Value>>) -> (Product, Product) {
    let said = |key: &str| config.and_then(|config| config.get(key));
    let four = match said("bnb_4bit_compute_dtype").and_then(Value::as_str) {
        Some("float16") => Product::In(Float::F16),
        Some("bfloat16") => Product::In(Float::Bf16),
        _ => Product::Plain,
    };
    let threshold = said("llm_int8_threshold").and_then(Value::as_f64).map_or(OUTLIER, |t| t as f32);
    (four, if threshold > 0.0 { Product::Outliers(threshold) } else { Product::Plain })
}

/// A 4-bit linear: a parameter with a quant state.
fn four_bits(checkpoint: &Checkpoint, text: Tensor<'_>, weight: &str, element: Element) -> Result<Stored> {
    let state = State::read(text, element)?;
    let (format, shape) = (state.format, state.shape);
    let linear = Linear {
        module: module_of(weight).to_owned(),
        weight: weight.to_owned(),
        shape,
        dtype: state.dtype,
        stacked: state.stacked,
        ..Linear::default()
    };
    let codes = checkpoint.require(weight)?;
    if codes.entry.len() != format.codes_len(shape) as u64 {
        let (dtype, have, want) = (codes.entry.dtype, &codes.entry.shape, format.codes_len(shape));
        return Err(codes
            .error(format!("is {dtype} {have:?}, but {format} of {shape} has {want} bytes there"))
            .into());
    }
    let blocks = format.scales_len(shape) / format.scale.kind.bytes();
    let part = |suffix, dtype, shape, holds| Part::new(weight, suffix, dtype, shape, holds);
    let mut parts = vec![
        // `bnb_4bit_quant_storage` changes the dtype and not the bytes.
        Part {
            name: weight.to_owned(),
            dtype: codes.entry.dtype,
            shape: codes.entry.shape.clone(),
            holds: Holds::Codes(Some(Packing::HighFirst)),
        },
        part("quant_map", Dtype::F32, vec![16], Holds::Fixed(table(element))),
    ];
    match &state.nested {
        None => parts.push(part("absmax", Dtype::F32, vec![blocks], Holds::Scales(None))),
        Some(nested) => parts.extend(nested::parts(weight, blocks, nested.blocksize)),
    }
    let mut stored = Stored::new(checkpoint, linear, format, parts)?;
    let map = checkpoint.require(&format!("{weight}.quant_map"))?;
    if map.read_all()? != table(element) {
        return Err(map.error(format!("is not the table of {}", element.name())).into());
    }
    if element == Element::Fp4 {
        stored.formula = Formula::OneZero;
    }
    stored.assemble = state.nested.map(|_| nested::assemble as _);
    stored.extras.push(Extra { tensor: text.entry.name.clone(), kind: ExtraKind::Marker });
    Ok(stored)
}

/// An INT8 linear: a module with an SCB tensor.
fn eight_bits(checkpoint: &Checkpoint, scb: Tensor<'_>, module: &str) -> Result<Stored> {
    let weight = checkpoint.require(&format!("{module}.weight"))?;
    let [rows, cols] = weight.matrix()?;
    let format = INT8.with_outer(Outer::Matrix);
    let shape = Shape::matrix(rows, cols);
    format.check(shape).map_err(|e| scb.error(e.to_string()))?;
    let linear = stored::linear(checkpoint, &weight.entry.name, shape);
    let parts = super::int8_parts(&linear);
    let mut stored = Stored::new(checkpoint, linear, format, parts)?;
    (stored.implied_scale, stored.formula) = (Some(STEP), Formula::FactorLast);
    stored.activations = Activations::Dynamic;
    let marker = checkpoint.tensor(&format!("{module}.weight_format"));
    if let Some(marker) = marker {
        if marker.entry.len() != 1 || marker.read_all()? != [0] {
            return Err(marker
                .error("is not 0: rows in an order for tensor cores, of bitsandbytes before 0.44")
                .into());
        }
        stored.extras.push(Extra { tensor: marker.entry.name.clone(), kind: ExtraKind::Marker });
    }
    Ok(stored)
}
