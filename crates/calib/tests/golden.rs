//! Byte for byte what the tools themselves wrote for the golden inputs: ties, zeros of both signs, zero blocks, subnormals, extreme ranges.

mod support;

use lowbit_blocks::{
    Dtype, Element, Format, MXFP4, MXFP6_E2M3, MXFP6_E3M2, MXFP8, MXFP8_E5M2, QTensor, Shape, TensorScale,
};
use lowbit_calib::Recipe;
use lowbit_calib::recipes::{Producer, recipe};
use safetensors::SafeTensors;
use support::{matrix, pack_words, read, unpack};

/// How a tool lays out what a tensor holds.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    /// Codes and scales as they are in memory; the names of the two, and of the tensor scale.
    Plain(&'static str, &'static str, &'static str),
    /// compressed-tensors pack-quantized.
    Words,
    /// ModelOpt INT4: two rows in a byte.
    RowPairs,
    /// bitsandbytes: the first code in the high nibble.
    HighFirst,
}

const MODELOPT: Layout = Layout::Plain("weight", "weight_scale", "weight_scale_2");
const COMPRESSED: Layout = Layout::Plain("weight", "weight_scale", "");
const PACKED: Layout = Layout::Plain("weight_packed", "weight_scale", "weight_global_scale");

const FILES: [(&str, Producer, &str, Layout); 28] = {
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
    ]
};

/// Files of which the default recipe, without parity, gives the same bytes for every case in bf16 and f32.
const DEFAULT_IS_PARITY: [&str; 10] = [
    "modelopt-w4a16-nvfp4",
    "modelopt-mxfp8",
    "modelopt-int8-wo",
    "modelopt-fp8-pcpt",
    "modelopt-fp8-blk",
    "modelopt-int4-blk",
    "ct-nvfp4a16",
    "ct-mxfp4a16",
    "ct-mxfp8a16",
    "bnb-nf4",
];

impl Layout {
    /// The tensors of the tool's file: name after the module, bytes.
    fn tensors(self, q: &QTensor<'_>) -> Vec<(&'static str, Vec<u8>)> {
        match self {
            Self::Plain(codes, scales, tensor_scale) => {
                let mut out = vec![(codes, q.codes().to_vec()), (scales, q.scales().to_vec())];
                if *q.tensor_scale() != TensorScale::None {
                    out.push((tensor_scale, q.tensor_scale().stored()[0].to_le_bytes().to_vec()));
                }
                out
            }
            Self::Words => words(q),
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

/// Compares a file with what its recipe gives; returns the number of tensors and the names of those that differ.
fn compare(
    file: &str,
    producer: Producer,
    format: &str,
    layout: Layout,
    parity: bool,
    dtypes: &[Dtype],
) -> (usize, Vec<String>) {
    let (inputs, golden) = (read("golden/inputs.safetensors"), read(&format!("golden/{file}.safetensors")));
    let (inputs, golden) =
        (SafeTensors::deserialize(&inputs).unwrap(), SafeTensors::deserialize(&golden).unwrap());
    let format = Format::named(format).unwrap();
    let (mut compared, mut different) = (0, Vec::new());
    let mut cases: Vec<&str> =
        golden.names().into_iter().map(|name| name.split_once('.').unwrap().0).collect();
    cases.sort_unstable();
    cases.dedup();
    for case in cases {
        let (shape, input) = matrix(&inputs, case);
        let values = input.values();
        if !dtypes.contains(&values.dtype()) {
            continue;
        }
        let recipe = recipe(producer, &format, values.dtype(), parity).unwrap();
        let q = recipe.quantize(shape, values).unwrap();
        for (suffix, got) in layout.tensors(&q) {
            let name = format!("{case}.{suffix}");
            compared += 1;
            if golden.tensor(&name).unwrap().data() != got {
                different.push(name);
            }
        }
    }
    (compared, different)
}

#[test]
fn parity_recipes_give_the_bytes_of_the_tools() {
    let mut total = 0;
    for (file, producer, format, layout) in FILES {
        let (compared, different) =
            compare(file, producer, format, layout, true, &[Dtype::F32, Dtype::F16, Dtype::Bf16]);
        assert_eq!(different, [""; 0], "{file}");
        total += compared;
    }
    assert_eq!(total, 2024, "tensors");
}

#[test]
fn defaults_give_the_bytes_of_the_tools_where_that_costs_nothing() {
    for (file, producer, format, layout) in FILES.into_iter().filter(|row| DEFAULT_IS_PARITY.contains(&row.0))
    {
        let (_, different) = compare(file, producer, format, layout, false, &[Dtype::F32, Dtype::Bf16]);
        assert_eq!(different, [""; 0], "{file}");
    }
}

/// The scale of a default recipe is the tool's even where its codes are not.
#[test]
fn defaults_store_the_scales_of_the_tools() {
    for (file, producer, format, layout) in FILES {
        let (_, different) = compare(file, producer, format, layout, false, &[Dtype::F32, Dtype::Bf16]);
        let different: Vec<_> = different
            .iter()
            .filter(|name| !name.ends_with(".weight") && !name.ends_with("_packed"))
            .collect();
        assert!(different.is_empty(), "{file}: {different:?}");
    }
}

/// The E8M0 bytes of torchao for block maxima at every edge that its four rules have, and one block of each maximum.
#[test]
fn power_of_two_rules_give_the_bytes_of_torchao() {
    let table: serde_json::Value = serde_json::from_slice(&read("golden/torchao-mx-scales.json")).unwrap();
    let amax = table["amax_f32_bits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bits| f32::from_bits(u32::from_str_radix(bits.as_str().unwrap(), 16).unwrap()));
    let amax: Vec<f32> = amax.collect();
    let elements = [
        ("float4_e2m1fn_x2", MXFP4),
        ("float8_e4m3fn", MXFP8),
        ("float8_e5m2", MXFP8_E5M2),
        ("fp6_e2m3", MXFP6_E2M3),
        ("fp6_e3m2", MXFP6_E3M2),
    ];
    let mut compared = 0;
    for (element, format) in elements {
        for (rule, bytes) in table["scale_bytes"][element].as_object().unwrap() {
            // torchao computes its RCEIL with a logarithm in f32; `rceil` here is exact.
            let name = if rule == "rceil" { "ceil-log2" } else { rule };
            let recipe = Recipe::new(format).unwrap().with_scale_rule(name.parse().unwrap()).unwrap();
            for (amax, byte) in amax.iter().zip(bytes.as_array().unwrap()) {
                // torchao answers infinity and NaN with bytes; here they are errors, and byte 255 is never written.
                let want = byte.as_u64().unwrap().min(254) as u8;
                if amax.is_finite() {
                    let block = [&[*amax][..], &[0.0; 31]].concat();
                    let q = recipe.quantize(Shape::matrix(1, 32), (&block[..]).into()).unwrap();
                    assert_eq!(q.scales(), [want], "{element} {rule} {amax:e}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 8560, "blocks");
}
