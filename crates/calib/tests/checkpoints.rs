//! Every linear of a real model, quantized as each tool did: SHA-256 of each tensor against `testdata/parity`.

mod support;

use std::collections::BTreeMap;

use lowbit_blocks::{Format, Shape};
use lowbit_calib::TensorStats;
use lowbit_calib::recipes::recipe;
use lowbit_calib::{Out, Recipe};
use lowbit_kernels::Kernels;
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};
use support::layout::FILES;
use support::{Matrix, matrix, read};

/// Checkpoints whose bytes the default recipe gives.
const WITHOUT_OPTION: [&str; 8] = [
    "modelopt-w4a16-nvfp4",
    "modelopt-mxfp8",
    "modelopt-int8-wo",
    "modelopt-fp8-pcpt",
    "modelopt-fp8-blk",
    "ct-nvfp4a16",
    "ct-mxfp4a16",
    "ct-mxfp8a16",
];
/// Checkpoints that take `--parity`.
const WITH_PARITY: [&str; 7] =
    ["modelopt-mxfp4", "ct-w4a16", "ct-w4a16_asym", "ct-w8a16", "ct-w8a8", "ct-fp8_dynamic", "ct-fp8_block"];

/// Linears of one parent that share the tensor scale.
const SHARED: [&[&str]; 2] = [&["q_proj", "k_proj", "v_proj"], &["gate_proj", "up_proj"]];

type Linears = BTreeMap<String, (Shape, Matrix)>;

/// Statistics of a linear and of those that share its scale.
fn stats(recipe: &Recipe, linears: &Linears, module: &str) -> Vec<TensorStats> {
    let Some(mut stats) = recipe.stats() else { return Vec::new() };
    let (parent, leaf) = module.rsplit_once('.').unwrap();
    let own = [leaf];
    for leaf in SHARED.into_iter().find(|group| group.contains(&leaf)).unwrap_or(&own) {
        stats.observe(linears[&format!("{parent}.{leaf}")].1.values()).unwrap();
    }
    vec![stats]
}

/// Quantizes with given statistics, in two calls.
fn quantize(
    recipe: &Recipe,
    shape: Shape,
    input: &Matrix,
    stats: &[TensorStats],
) -> lowbit_blocks::QTensor<'static> {
    let format = recipe.format;
    let values = input.values();
    let quantizer = recipe.quantizer(shape, values.dtype(), stats, Kernels::best()).unwrap();
    let mut codes = vec![0; format.codes_len(shape)];
    let mut scales = vec![0; format.scales_len(shape)];
    let mut zeros = vec![0; format.zeros_len(shape)];
    let middle = (shape.rows / 2).next_multiple_of(quantizer.row_quantum()).min(shape.rows);
    for rows in [0..middle, middle..shape.rows] {
        let out = Out {
            codes: &mut codes[format.codes_range(shape, 0, rows.clone())],
            scales: &mut scales[format.scales_range(shape, 0, rows.clone())],
            zeros: &mut zeros[format.zeros_range(shape, 0, rows.clone())],
        };
        let values = values.slice(rows.start * shape.cols..rows.end * shape.cols);
        quantizer.quantize_rows(0, rows.start, values, out).unwrap();
    }
    let zeros = format.has_zeros().then(|| zeros.into());
    lowbit_blocks::QTensor::new(format, shape, codes, scales, zeros, quantizer.tensor_scale()).unwrap()
}

fn linears() -> Linears {
    let file = read("austen-2m/model.safetensors");
    let file = SafeTensors::deserialize(&file).unwrap();
    let modules = file.names().into_iter().filter_map(|name| name.strip_suffix(".weight"));
    let modules = modules.filter(|module| module.ends_with("_proj"));
    modules.map(|module| (module.to_owned(), matrix(&file, &format!("{module}.weight")))).collect()
}

fn check(checkpoints: &[&str], parity: bool) {
    let linears = linears();
    assert_eq!(linears.len(), 21);
    for &name in checkpoints {
        let &(_, producer, format, layout) = FILES.iter().find(|row| row.0 == name).unwrap();
        let format = Format::named(format).unwrap();
        let digests: serde_json::Value =
            serde_json::from_slice(&read(&format!("parity/{name}.json"))).unwrap();
        for (module, (shape, input)) in &linears {
            let recipe = recipe(producer, &format, input.values().dtype(), parity).unwrap();
            let q = quantize(&recipe, *shape, input, &stats(&recipe, &linears, module));
            for (suffix, bytes) in layout.tensors(&q) {
                let got: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(
                    digests["tensors"][format!("{module}.{suffix}")]["sha256"],
                    got,
                    "{name}: {module}.{suffix}"
                );
            }
        }
    }
}

#[test]
fn defaults_reproduce_checkpoints_of_the_tools() {
    check(&WITHOUT_OPTION, false);
}

#[test]
fn parity_reproduces_checkpoints_of_the_tools() {
    check(&WITH_PARITY, true);
    check(&WITHOUT_OPTION, true);
}
