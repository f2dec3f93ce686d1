//! MLX: its own files, per-module numbers, and files that lie.

use crate::digests::{assert_digests, decoded, folders};
use crate::model::{Tensor, austen, contents, plan, write_model};
use lowbit_blocks::{Block, Format, MXFP4, MXFP8, NVFP4, ScaleKind, Zero};
use lowbit_calib::Activations;
use lowbit_checkpoint::layout::{self, Quantized, QuantizedModule, Scheme};
use lowbit_checkpoint::safetensors::Dtype;
use lowbit_checkpoint::{Checkpoint, Mapped};
use serde_json::{Map, Value, json};

#[test]
fn what_mlx_writes_decodes_to_what_it_decodes() {
    let folders = folders("mlx-");
    for folder in &folders {
        let (checkpoint, reading) = assert_digests(folder);
        assert_eq!(reading.layout.name(), "mlx");
        for stored in &reading.linears {
            // The parts that the layout would write are those of the file.
            let parts = layout::MLX.parts(&stored.linear, &stored.format, Activations::None).unwrap();
            for part in &parts {
                let entry = checkpoint.tensor(&part.name).unwrap().entry;
                assert_eq!((part.dtype, &part.shape), (entry.dtype, &entry.shape), "{}", part.name);
            }
            assert_eq!(parts.len(), stored.parts.len());
            assert_eq!(layout::MLX.carries(&stored.format).len(), 1, "{}", stored.format);
        }
        #[allow(unsafe_code)]
        // SAFETY: nobody writes into the files of this repository.
        let mapped = unsafe { Mapped::open(folder) }.unwrap();
        let stored = &reading.linears[0];
        assert_eq!(mapped.linear(&stored.linear.module).unwrap(), stored.read(&checkpoint).unwrap());
    }
    assert!(folders.len() >= 12, "{folders:?}");
}

/// The configuration that mlx-lm writes for the same numbers comes out: all modules alike, and one that differs.
#[test]
fn configurations_are_those_of_mlx() {
    for folder in folders("mlx-") {
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let reading = layout::read(&checkpoint).unwrap().unwrap();
        let mut modules: Vec<_> = reading
            .linears
            .iter()
            .map(|stored| QuantizedModule {
                name: stored.linear.module.clone(),
                scheme: Scheme { format: stored.format, activations: Activations::None },
                permuted: false,
                smoothed: false,
            })
            .collect();
        modules.sort_by(|a, b| a.name.cmp(&b.name));
        let quantized = Quantized {
            modules: &modules,
            kept: &[],
            embeddings: &[],
            cache: false,
            dtype: lowbit_blocks::Dtype::Bf16,
            source: None,
        };
        let written = layout::MLX.configure(&quantized, &Map::new());
        let config: Value = serde_json::from_slice(&written[0].1).unwrap();
        for key in ["quantization", "quantization_config"] {
            assert_eq!(config[key], checkpoint.config().unwrap()[key], "{}", folder.display());
        }
    }
}

#[test]
fn files_say_that_they_are_of_mlx() {
    let out = tempfile::tempdir().unwrap();
    plan(&austen(), out.path(), |job| (job.format, job.layout) = (MXFP8, layout::MLX)).run(&()).unwrap();
    let written = Checkpoint::open(out.path()).unwrap();
    assert_eq!(written.files()[0].metadata().text("format"), Some("mlx"));
    let config =
        String::from_utf8(contents(out.path())[std::path::Path::new("config.json")].clone()).unwrap();
    assert!(
        config.contains("    \"quantization\": {\n        \"bits\": 8,\n        \"group_size\": 32,\n"),
        "{config}"
    );
}

fn floats(name: &str, shape: &[usize], values: &[f32]) -> Tensor {
    (name.into(), Dtype::F32, shape.to_vec(), values.iter().flat_map(|x| x.to_le_bytes()).collect())
}

/// One row of 32 codes of 4 bits, 0 to 15 and again.
fn words() -> Tensor {
    let bytes: Vec<u8> = (0..16).map(|i| (2 * i % 16) | ((2 * i + 1) % 16) << 4).collect();
    ("m.weight".into(), Dtype::U32, vec![1, 4], bytes)
}

#[test]
fn values_are_a_product_and_a_sum() {
    let dir = tempfile::tempdir().unwrap();
    let config = json!({"quantization": {"group_size": 32, "bits": 4}});
    let tensors = vec![words(), floats("m.scales", &[1, 1], &[0.5]), floats("m.biases", &[1, 1], &[-4.0])];
    write_model(dir.path(), config, tensors);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let want: Vec<f32> = (0..32).map(|i| 0.5 * (i % 16) as f32 - 4.0).collect();
    assert_eq!(decoded(&checkpoint, &reading.linears[0]), want);
    assert_eq!(reading.linears[0].format.zero, Zero::Bias);
}

#[test]
fn a_global_scale_is_the_largest_magnitude() {
    let dir = tempfile::tempdir().unwrap();
    let config = json!({"quantization": {"group_size": 16, "bits": 4, "mode": "nvfp4"}});
    let scales = ("m.scales".into(), Dtype::U8, vec![1, 2], vec![0x38, 0x40]);
    write_model(dir.path(), config, vec![words(), scales, floats("m.global_scale", &[], &[5376.0])]);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let values = decoded(&checkpoint, &reading.linears[0]);
    assert_eq!(reading.linears[0].format, NVFP4);
    // Code 1 is 0.5; block scales are 1 and 2, the tensor's 5376 / 2688 = 2.
    assert_eq!((values[1], values[17]), (1.0, 2.0));
}

#[test]
fn numbers_that_lie_are_refused() {
    let affine = |bits: u64, group: u64| json!({"quantization": {"group_size": group, "bits": bits}});
    let scales = || floats("m.scales", &[1, 1], &[0.5]);
    let biases = || floats("m.biases", &[1, 1], &[0.5]);
    for (config, tensors, want) in [
        (affine(7, 32), vec![words(), scales(), biases()], "MLX has no affine of 7 bits in groups of 32"),
        (affine(4, 48), vec![words(), scales(), biases()], "MLX has no affine of 4 bits in groups of 48"),
        (affine(4, 64), vec![words(), scales(), biases()], "m.weight"),
        (affine(300, 64), vec![words(), scales(), biases()], "impossible numbers"),
        (affine(4, 32), vec![words(), scales()], "m.biases"),
        (affine(4, 32), vec![words(), floats("m.scales", &[1], &[1.0]), biases()], "is no matrix"),
        (
            json!({"quantization": {"group_size": 32, "bits": 4, "mode": "mxfp4"}}),
            vec![words(), scales()],
            "is F32, and MLX has no mxfp4",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        write_model(dir.path(), config, tensors);
        let error = layout::read(&Checkpoint::open(dir.path()).unwrap()).unwrap_err().to_string();
        assert!(error.contains(want), "{error}, not {want}");
    }
}

#[test]
fn formats_are_carried_whatever_float_their_scales_are() {
    for bits in [2, 3, 4, 5, 6, 8] {
        for group in [32, 64, 128] {
            let affine = Format::uint(bits, Block::Group(group)).with_zero(Zero::Bias);
            for scale in [ScaleKind::F32, ScaleKind::F16, ScaleKind::Bf16] {
                assert_eq!(layout::MLX.carries(&affine.with_scale(scale)).len(), 1);
            }
        }
    }
    let no = [
        Format::uint(7, Block::Group(64)),
        Format::uint(4, Block::Group(64)),
        NVFP4,
        Format::int(4, Block::Group(64)),
    ];
    assert!(no.iter().all(|format| layout::MLX.carries(format).is_empty()));
    assert_eq!(layout::MLX.carries(&MXFP4).len(), 1);
}
