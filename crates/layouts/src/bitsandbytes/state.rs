//! The quant state of a 4-bit weight: a JSON text in a tensor.
//!
//! ```json
//! {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": [256, 512],
//!  "nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.16088080406188965}
//! ```

use super::super::Linear;
use crate::{Result, Tensor, json};
use lowbit_blocks::{Block, Dtype, Format, NF4, Shape};
use lowbit_kernels::Element;
use serde::Deserialize;

/// Name suffixes of the tensor with the text, and the element of each.
pub(super) const SUFFIXES: &[(&str, Element)] =
    &[(".quant_state.bitsandbytes__nf4", Element::Nf4), (".quant_state.bitsandbytes__fp4", Element::Fp4)];

/// The number of absmax values that share a second-level scale.
pub(super) const NESTED_BLOCKSIZE: usize = 256;

/// The longest text that is read, in bytes. bitsandbytes writes less than 200 bytes.
const LIMIT: u64 = 1 << 16;

/// The keys that are read.
#[derive(Deserialize)]
struct Text {
    quant_type: String,
    blocksize: usize,
    dtype: String,
    shape: Vec<usize>,
    nested_blocksize: Option<usize>,
    nested_dtype: Option<String>,
    nested_offset: Option<f64>,
}

/// The parsed text.
pub(super) struct State {
    pub(super) format: Format,
    pub(super) shape: Shape,
    /// Whether the weight is a stack, even of one matrix.
    pub(super) stacked: bool,
    pub(super) dtype: Dtype,
    pub(super) nested: Option<Nested>,
}

/// The parameters of double quantization.
pub(super) struct Nested {
    pub(super) blocksize: usize,
    pub(super) offset: f32,
}

impl State {
    /// Reads the text of a weight with this element.
    pub(super) fn read(tensor: Tensor<'_>, element: Element) -> Result<Self> {
        let wrong = |reason: String| tensor.error(reason);
        if tensor.entry.len() > LIMIT {
            return Err(wrong(format!(
                "is {} bytes long; a quant state is at most {LIMIT}",
                tensor.entry.len()
            ))
            .into());
        }
        let text: Text = serde_json::from_slice(&tensor.read_all()?)
            .map_err(|e| wrong(format!("is not the JSON of a quant state: {e}")))?;
        if text.quant_type != element.name() {
            return Err(wrong(format!(
                "says quant_type {}, its name says {}",
                text.quant_type,
                element.name()
            ))
            .into());
        }
        let format = NF4.with_element(element).with_block(Block::Flat(text.blocksize));
        let shape = match text.shape[..] {
            [rows, cols] => Shape::matrix(rows, cols),
            [matrices, rows, cols] => Shape { matrices, rows, cols },
            _ => {
                return Err(
                    wrong(format!("shape {:?} is neither a matrix nor a stack of them", text.shape)).into()
                );
            }
        };
        format.check(shape).map_err(|e| wrong(e.to_string()))?;
        // Blocks run over the whole stack. To read a matrix on its own, it has to start with a
        // block, and on a byte.
        let matrix = shape.rows * shape.cols;
        if shape.matrices > 1 && !(matrix.is_multiple_of(text.blocksize) && matrix.is_multiple_of(2)) {
            return Err(wrong(format!(
                "{matrix} values of a matrix do not divide into blocks of {}",
                text.blocksize
            ))
            .into());
        }
        let dtype = match text.dtype.as_str() {
            "float32" => Dtype::F32,
            "float16" => Dtype::F16,
            "bfloat16" => Dtype::Bf16,
            other => return Err(wrong(format!("dtype {other} is not float32, float16 or bfloat16")).into()),
        };
        let nested = match (text.nested_blocksize, text.nested_offset) {
            (None, None) => None,
            (Some(blocksize @ 1..), Some(offset)) => Some(Nested { blocksize, offset: offset as f32 }),
            (blocksize, offset) => {
                return Err(
                    wrong(format!("nested_blocksize {blocksize:?} with nested_offset {offset:?}")).into()
                );
            }
        };
        if let (Some(_), Some(dtype)) = (&nested, text.nested_dtype.filter(|dtype| dtype != "float32")) {
            return Err(wrong(format!("nested_dtype {dtype} is not float32")).into());
        }
        Ok(Self { format, shape, stacked: text.shape.len() == 3, dtype, nested })
    }
}

/// Space for the offset: the longest f32 in Python's spelling.
const OFFSET_WIDTH: usize = 24;

/// The text of a linear in this format. Its length does not depend on the offset: it is padded with
/// spaces before the last brace.
pub(super) fn text(linear: &Linear, format: &Format, offset: Option<f32>) -> String {
    let Some(blocksize) = format.block.flat() else { return String::new() };
    let dtype = match linear.dtype {
        Dtype::F32 => "float32",
        Dtype::F16 => "float16",
        Dtype::Bf16 => "bfloat16",
    };
    let (element, Shape { rows, cols, .. }) = (format.element.name(), linear.shape);
    let nested = offset.map(|offset| {
        let offset = String::from_utf8(json::dumps(&f64::from(offset).into(), 0)).unwrap_or_default();
        let (own, dtype) = (NESTED_BLOCKSIZE, "float32");
        format!(
            r#", "nested_blocksize": {own}, "nested_dtype": "{dtype}", "nested_offset": {offset:<OFFSET_WIDTH$}"#
        )
    });
    let nested = nested.unwrap_or_default();
    format!(
        r#"{{"quant_type": "{element}", "blocksize": {blocksize}, "dtype": "{dtype}", "shape": [{rows}, {cols}]{nested}}}"#
    )
}
