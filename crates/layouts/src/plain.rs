//! Our own layout: any format, described by itself.
//!
//! ```text
//! NAME.codes          safetensors' dtype if the element has one and rows are whole bytes (F4, F6_*, F8_*, I8, U8), otherwise U8 [.., bytes of a row]
//! NAME.scales         F32, F16, BF16, F8_E4M3 or F8_E8M0, with the shape of the block grid
//!                     super-blocks: U8 [.., bytes of a row], each with its outer scale and the packed scales of its blocks
//! NAME.zeros          U8 (integer zero points) or the dtype of the scales, with the shape of the scales
//! NAME.tensor_scale   F32, one for each matrix
//! NAME.groups         I32, the group of each input column (`g_idx`), if columns are not in the order of their groups
//! MODULE.input_scale  F32: the static scale of the input
//! MODULE.pre_quant_scale  F32 for each input column: the input is multiplied by it
//! __metadata__        "lowbit.NAME": {"format": {the row}, "shape": [matrices, rows, cols], "dtype": "bf16", "tensor_scale": "divide",
//!                     "activations": "dynamic"}, the last two only if there is a tensor scale or quantized activations
//! ```
//!
//! NAME is the full name of the unquantized tensor (`model.layers.0.mlp.up_proj.weight`). A single
//! matrix omits the first dimension of its shapes; a stack of experts stays one tensor. A flat
//! format has one row of codes and one row of scales for each matrix. The metadata is in the file
//! that has NAME.codes, so each file can be read on its own. `config.json` has only
//! `{"quant_method": "lowbit"}` and the format's name.

use super::part::scale_dtype;
use super::stored::input_scale;
use super::{
    Carried, Companion, Found, Holds, Linear, Part, Quantized, ReadLayout, Scheme, Stored, WriteLayout,
};
use crate::{CONFIG, Checkpoint, Error, Result, json};
use lowbit_blocks::{Format, Shape, Zero};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use lowbit_kernels::Element;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Reader and writer of the plain layout.
#[derive(Debug)]
pub(super) struct Plain;

/// The metadata of one linear.
#[derive(Serialize, Deserialize)]
struct Note {
    format: Format,
    shape: [usize; 3],
    dtype: lowbit_blocks::Dtype,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tensor_scale: Option<Direction>,
    #[serde(default = "quiet", skip_serializing_if = "is_quiet")]
    activations: Activations,
}

const fn quiet() -> Activations {
    Activations::None
}

fn is_quiet(activations: &Activations) -> bool {
    *activations == quiet()
}

#[derive(Serialize, Deserialize, PartialEq, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Multiply,
    Divide,
}

/// Name suffixes of further tensors of a linear.
const GROUPS: &str = "groups";
const INPUT_SCALE: &str = "input_scale";
const PRE_QUANT_SCALE: &str = "pre_quant_scale";

/// The prefix of metadata keys, followed by the tensor's name.
const KEY: &str = "lowbit.";

impl ReadLayout for Plain {
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        let mut found = BTreeMap::new();
        for file in checkpoint.files() {
            for (key, text) in file.metadata().texts() {
                let Some(weight) = key.strip_prefix(KEY) else { continue };
                found.insert(weight.to_owned(), self.stored(checkpoint, file.path(), weight, text));
            }
        }
        Ok((!found.is_empty()).then(|| found.into_values().collect()))
    }
}

impl WriteLayout for Plain {
    fn carries(&self, format: &Format) -> Vec<Carried> {
        let carried = |activations| Carried { scheme: format.name(), activations };
        [Activations::None, Activations::Dynamic, Activations::Static].map(carried).into()
    }

    fn parts(&self, linear: &Linear, format: &Format, _: Activations) -> Result<Vec<Part>, String> {
        let shape = linear.shape;
        let stack =
            |tail: Vec<usize>| if shape.matrices == 1 { tail } else { [vec![shape.matrices], tail].concat() };
        let part = |suffix, dtype, shape, holds| Part::new(&linear.weight, suffix, dtype, shape, holds);
        let matrix = Shape { matrices: 1, ..shape };
        let (dtype, codes) = match dtype_of(format.element) {
            _ if format.block.is_flat() => (Dtype::U8, vec![format.codes_len(matrix)]),
            Some(dtype) if (shape.cols % 8 * dtype.bitsize()).is_multiple_of(8) => {
                (dtype, vec![shape.rows, shape.cols])
            }
            _ => (Dtype::U8, vec![shape.rows, format.row_bytes(shape.cols)]),
        };
        let (high, wide) = format.scale_grid(shape);
        let scales = if format.block.is_tensor() {
            vec![1]
        } else if format.block.is_flat() {
            vec![wide]
        } else {
            vec![high, wide]
        };
        let one_each = (scale_dtype(format.scale.kind), scales);
        // Super-blocks are stored as bytes, one row of super-blocks for each row.
        let (scale, scales) = if format.scale.outer.count().is_some() {
            let bytes = format.scales_len(matrix);
            let in_rows = |rows: usize| vec![rows, bytes / rows.max(1)];
            let shape = if format.block.is_flat() { vec![bytes] } else { in_rows(shape.rows) };
            (Dtype::U8, shape)
        } else {
            one_each.clone()
        };
        let (zero, zeros) =
            if format.zero == Zero::Int { (Dtype::U8, one_each.1) } else { (scale, scales.clone()) };
        let mut parts = vec![
            part("codes", dtype, stack(codes), Holds::Codes(None)),
            part("scales", scale, stack(scales), Holds::Scales(None)),
        ];
        if format.has_zeros() {
            parts.push(part("zeros", zero, stack(zeros), Holds::Zeros(None)));
        }
        if format.has_tensor_scale() {
            parts.push(part("tensor_scale", Dtype::F32, vec![shape.matrices], Holds::TensorScale));
        }
        if linear.permuted {
            linear.matrix("the permutation of the plain layout")?;
            parts.push(part(GROUPS, Dtype::I32, vec![shape.cols], Holds::Groups));
        }
        Ok(parts)
    }

    fn configure(&self, quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
        let mut config = config.clone();
        let about = json!({"quant_method": "lowbit", "version": 1, "format": quantized.main().format.name()});
        config.insert("quantization_config".into(), about);
        vec![(CONFIG.into(), json::dumps(&Value::Object(config), 2))]
    }

    fn input_scale(&self, _: &Format) -> Option<Companion> {
        Some(Companion { suffix: INPUT_SCALE, dtype: Some(Dtype::F32), listed: false, reciprocal: false })
    }

    fn pre_quant_scale(&self) -> Option<Companion> {
        Some(Companion { suffix: PRE_QUANT_SCALE, dtype: Some(Dtype::F32), listed: true, reciprocal: false })
    }

    fn note(&self, linear: &Linear, scheme: &Scheme, divides: bool) -> Option<(String, String)> {
        let Scheme { format, activations } = *scheme;
        let Shape { matrices, rows, cols } = linear.shape;
        let direction = if divides { Direction::Divide } else { Direction::Multiply };
        let tensor_scale = format.has_tensor_scale().then_some(direction);
        let shape = [matrices, rows, cols];
        let note = Note { format, shape, dtype: linear.dtype, tensor_scale, activations };
        Some((format!("{KEY}{}", linear.weight), json!(note).to_string()))
    }
}

impl Plain {
    /// The linear that a note in the header of `file` describes.
    fn stored(&self, checkpoint: &Checkpoint, file: &Path, weight: &str, text: &str) -> Result<Stored> {
        let wrong = |reason: String| Error::tensor(file, weight, reason);
        let note: Note =
            serde_json::from_str(text).map_err(|e| wrong(format!("its metadata is not read: {e}")))?;
        let [matrices, rows, cols] = note.shape;
        let shape = Shape { matrices, rows, cols };
        let module = lowbit_arch::module_of(weight).to_owned();
        let stacked = matrices > 1 || module == weight;
        let companion = |owner: &str, suffix: &str| {
            checkpoint.tensor(&format!("{owner}.{suffix}")).map(|tensor| tensor.entry.name.clone())
        };
        let groups = companion(weight, GROUPS);
        let linear = Linear {
            module,
            weight: weight.to_owned(),
            shape,
            dtype: note.dtype,
            stacked,
            permuted: groups.is_some(),
            ..Linear::default()
        };
        note.format.check(shape).map_err(|e| wrong(e.to_string()))?;
        let parts = self.parts(&linear, &note.format, Activations::None).map_err(wrong)?;
        let mut stored = Stored::new(checkpoint, linear, note.format, parts)?;
        stored.divides = note.tensor_scale == Some(Direction::Divide);
        stored.activations = note.activations;
        stored.groups = groups;
        stored.input_scale = input_scale(checkpoint, &stored.linear.module, INPUT_SCALE, false);
        stored.pre_quant_scale = companion(&stored.linear.module, PRE_QUANT_SCALE);
        Ok(stored)
    }
}

/// Elements that have a dtype in safetensors.
const DTYPES: [(Element, Dtype); 10] = [
    (Element::E2m1, Dtype::F4),
    (Element::E3m2, Dtype::F6_E3M2),
    (Element::E2m3, Dtype::F6_E2M3),
    (Element::E4m3, Dtype::F8_E4M3),
    (Element::E5m2, Dtype::F8_E5M2),
    (Element::E4m3Fnuz, Dtype::F8_E4M3FNUZ),
    (Element::E5m2Fnuz, Dtype::F8_E5M2FNUZ),
    (Element::Int { bits: 8 }, Dtype::I8),
    (Element::MxInt8, Dtype::I8),
    (Element::Uint { bits: 8 }, Dtype::U8),
];

/// The safetensors dtype of an element, if there is one.
fn dtype_of(element: Element) -> Option<Dtype> {
    DTYPES.iter().find(|(of, _)| *of == element).map(|(_, dtype)| *dtype)
}
