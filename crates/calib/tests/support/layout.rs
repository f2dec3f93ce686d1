//! File conventions of the tools: from a quantized tensor to the tensors of their files.

use lowbit_blocks::{Element, QTensor, TensorScale};
use lowbit_calib::recipes::Producer;

use super::{pack_words, unpack};

/// How a tool lays out what a tensor holds.
#[derive(Clone, Copy, PartialEq)]
pub enum Layout {
    /// Codes and scales as they are in memory; the names of the two, and of the tensor scale.
    Plain(&'static str, &'static str, &'static str),
    /// compressed-tensors pack-quantized.
    Words,
    /// ModelOpt INT4: two rows in a byte.
    RowPairs,
    /// bitsandbytes: the first code in the high nibble.
    HighFirst,
    /// MLX affine: codes, scales and biases as in memory.
    Affine,
}

const MODELOPT: Layout = Layout::Plain("weight", "weight_scale", "weight_scale_2");
const COMPRESSED: Layout = Layout::Plain("weight", "weight_scale", "");
const PACKED: Layout = Layout::Plain("weight_packed", "weight_scale", "weight_global_scale");

/// Checkpoint, whose, the format in it, and how.
pub const FILES: [(&str, Producer, &str, Layout); 31] = {
    use Layout::*;
    use Producer::*;
    [
        ("modelopt-w4a16-nvfp4", ModelOpt, "nvfp4", MODELOPT),
        ("modelopt-mxfp4", ModelOpt, "mxfp4", MODELOPT),
        ("modelopt-mxfp8", ModelOpt, "mxfp8", MODELOPT),
        ("modelopt-int8-wo", ModelOpt, "int8", MODELOPT),
        ("modelopt-fp8-pcpt", ModelOpt, "fp8-channel", MODELOPT),
        ("modelopt-fp8-blk", ModelOpt, "fp8-block", MODELOPT),
        ("modelopt-fp8", ModelOpt, "fp8", MODELOPT),
        ("modelopt-int4-blk", ModelOpt, "int4-g128", RowPairs),
        ("ct-nvfp4a16", CompressedTensors, "nvfp4", PACKED),
        ("ct-mxfp4a16", CompressedTensors, "mxfp4", PACKED),
        ("ct-mxfp8a16", CompressedTensors, "mxfp8", COMPRESSED),
        ("ct-w4a16", CompressedTensors, "int4-g128", Words),
        ("ct-w4a16_asym", CompressedTensors, "int4-g128-asym", Words),
        ("ct-w8a16", CompressedTensors, "int8-g128", Words),
        ("ct-w8a8", CompressedTensors, "int8", COMPRESSED),
        ("ct-fp8_dynamic", CompressedTensors, "fp8-channel", COMPRESSED),
        ("ct-fp8_block", CompressedTensors, "fp8-block", COMPRESSED),
        ("ct-fp8", CompressedTensors, "fp8", COMPRESSED),
        ("ct-w4a16-g32", CompressedTensors, "int4-g32", Words),
        ("ct-w4a16-g64", CompressedTensors, "int4-g64", Words),
        ("ct-w2a16", CompressedTensors, "int2-g128", Words),
        ("ct-w3a16", CompressedTensors, "int3-g128", Words),
        ("ct-w5a16", CompressedTensors, "int5-g128", Words),
        ("ct-w6a16", CompressedTensors, "int6-g128", Words),
        ("ct-w3a16-channel", CompressedTensors, "int3-channel", Words),
        ("ct-w8a16-channel", CompressedTensors, "int8-channel", Words),
        ("bnb-nf4", BitsAndBytes, "nf4", HighFirst),
        ("bnb-fp4", BitsAndBytes, "fp4", HighFirst),
        ("mlx-affine-w4-g64", Mlx, "uint4-g64-bias", Affine),
        ("mlx-affine-w3-g32", Mlx, "uint3-g32-bias", Affine),
        ("mlx-affine-w8-g128", Mlx, "uint8-g128-bias", Affine),
    ]
};

impl Layout {
    /// The tensors of the tool's file: name after the module, bytes.
    pub fn tensors(self, q: &QTensor<'_>) -> Vec<(&'static str, Vec<u8>)> {
        match self {
            Self::Plain(codes, scales, tensor_scale) => {
                let mut out = vec![(codes, q.codes().to_vec()), (scales, q.scales().to_vec())];
                if *q.tensor_scale() != TensorScale::None {
                    out.push((tensor_scale, q.tensor_scale().stored()[0].to_le_bytes().to_vec()));
                }
                out
            }
            Self::Words => words(q),
            Self::Affine => vec![
                ("weight", q.codes().to_vec()),
                ("scales", q.scales().to_vec()),
                ("biases", q.zeros().unwrap().to_vec()),
            ],
            Self::RowPairs => {
                let shape = q.shape();
                let codes = unpack(4, q.codes(), shape.rows * shape.cols);
                let pairs = codes.chunks_exact(2 * shape.cols).flat_map(|rows| {
                    let (even, odd) = rows.split_at(shape.cols);
                    even.iter().zip(odd).map(|(even, odd)| even | odd << 4)
                });
                vec![("weight", pairs.collect()), ("weight_scale", q.scales().to_vec())]
            }
            Self::HighFirst => {
                let mut codes = q.codes().to_vec();
                if q.shape().len().unwrap() % 2 == 1 {
                    // bitsandbytes pads with the code of the value 0.
                    *codes.last_mut().unwrap() |= q.format().element.encode_one(0.0) << 4;
                }
                codes.iter_mut().for_each(|byte| *byte = byte.rotate_left(4));
                vec![("weight", codes), ("weight.absmax", q.scales().to_vec())]
            }
        }
    }
}

/// Offset binary codes in words of 32 bits along the rows, zero points likewise along the columns.
fn words(q: &QTensor<'_>) -> Vec<(&'static str, Vec<u8>)> {
    let (shape, format) = (q.shape(), q.format());
    let bits = format.element.bits() as usize;
    let offset = if matches!(format.element, Element::Int { .. }) { 1 << (bits - 1) } else { 0 };
    let rows = q.codes().chunks_exact(format.row_bytes(shape.cols));
    let packed = rows.flat_map(|row| {
        pack_words(bits, unpack(bits, row, shape.cols).into_iter().map(|code| code ^ offset))
    });
    let mut out = vec![("weight_packed", packed.collect()), ("weight_scale", q.scales().to_vec())];
    if let Some(zeros) = q.zeros() {
        let groups = zeros.len() / shape.rows;
        let columns =
            (0..groups).map(|group| pack_words(bits, zeros.iter().skip(group).step_by(groups).copied()));
        let columns: Vec<Vec<u8>> = columns.collect();
        let words = (0..columns[0].len()).step_by(4);
        out.push((
            "weight_zero_point",
            words.flat_map(|at| columns.iter().flat_map(move |c| c[at..at + 4].to_vec())).collect(),
        ));
    }
    out
}
