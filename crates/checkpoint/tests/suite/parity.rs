//! Byte parity with the files that other tools made of the same model: every tensor's name, dtype, shape and bytes, and the configurations.
//!
//! `testdata/parity/NAME.json` holds what the tool wrote: digests of its tensors, and its configuration files.

use crate::model;
use lowbit_blocks::Format;
use lowbit_checkpoint::{Checkpoint, Job, layout};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Name of the record, format, layout, and whether it takes the tool's own arithmetic to reproduce it.
const RECORDS: &[(&str, &str, &str, bool)] = &[
    ("modelopt-w4a16-nvfp4", "nvfp4", "modelopt", false),
    ("modelopt-mxfp8", "mxfp8", "modelopt", false),
    ("modelopt-int8-wo", "int8", "modelopt", false),
    ("modelopt-fp8-pcpt", "fp8-channel", "modelopt", false),
    ("modelopt-fp8-blk", "fp8-block", "modelopt", false),
    ("ct-nvfp4a16", "nvfp4", "compressed-tensors", false),
    ("ct-mxfp4a16", "mxfp4", "compressed-tensors", false),
    ("ct-mxfp8a16", "mxfp8", "compressed-tensors", false),
    ("modelopt-mxfp4", "mxfp4", "modelopt", true),
    ("ct-w4a16", "int4-g128", "compressed-tensors", true),
    ("ct-w4a16_asym", "int4-g128-asym", "compressed-tensors", true),
    ("ct-w8a16", "int8-g128", "compressed-tensors", true),
    ("ct-w8a8", "int8", "compressed-tensors", true),
    ("ct-fp8_dynamic", "fp8-channel", "compressed-tensors", true),
    ("ct-fp8_block", "fp8-block", "compressed-tensors", true),
];

#[test]
fn every_tensor_of_every_record_is_reproduced() {
    for &(name, format, layout, parity) in RECORDS {
        let out = tempfile::tempdir().unwrap();
        let mut job = Job::new(model::austen(), out.path());
        job.format = Format::named(format).unwrap();
        job.layout = layout::named(layout).unwrap();
        job.parity = parity;
        job.plan().unwrap().run(&()).unwrap();

        let record: Value =
            serde_json::from_slice(&std::fs::read(model::testdata(&format!("parity/{name}.json"))).unwrap())
                .unwrap();
        let got = Checkpoint::open(out.path()).unwrap();
        let want = record["tensors"].as_object().unwrap();
        let names =
            |checkpoint: &Checkpoint| checkpoint.tensors().map(|t| t.entry.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&got), want.keys().cloned().collect::<Vec<_>>(), "{name}");
        let mut wrong = Vec::new();
        for tensor in got.tensors() {
            let want = &want[&tensor.entry.name];
            assert_eq!(tensor.entry.dtype.to_string(), want["dtype"], "{name} {}", tensor.entry.name);
            assert_eq!(serde_json::json!(tensor.entry.shape), want["shape"], "{name} {}", tensor.entry.name);
            if hex(&Sha256::digest(tensor.read_all().unwrap())) != want["sha256"] {
                wrong.push(tensor.entry.name.as_str());
            }
        }
        assert!(wrong.is_empty(), "{name}: {} of {} tensors differ: {wrong:?}", wrong.len(), want.len());
        assert_eq!(got.config().unwrap()["quantization_config"], record["quantization_config"], "{name}");
        let side = std::fs::read(out.path().join("hf_quant_config.json")).ok();
        let side: Value = side.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
        assert_eq!(side, record["hf_quant_config"], "{name}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
