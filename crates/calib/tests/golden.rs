//! Byte for byte what the tools themselves wrote for the golden inputs: ties, zeros of both signs, zero blocks, subnormals, extreme ranges.

mod support;

use lowbit_blocks::{Dtype, Format, MXFP4, MXFP6_E2M3, MXFP6_E3M2, MXFP8, MXFP8_E5M2, Shape};
use lowbit_calib::Recipe;
use lowbit_calib::recipes::{Producer, recipe};
use safetensors::SafeTensors;
use support::layout::{FILES, Layout};
use support::{matrix, read};

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
    assert_eq!(total, 2312, "tensors");
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
                    let q = recipe.quantize(Shape::matrix(1, 32), &block[..]).unwrap();
                    assert_eq!(q.scales(), [want], "{element} {rule} {amax:e}");
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 8560, "blocks");
}
