//! Any config.json and any safetensors file in one directory: opened, detected, inspected, verified, every linear decoded, quantizing, converting and dequantizing planned.
//! Never a panic.
//!
//! The input is the text of config.json, a byte 0xFF (which no JSON text has), and the file. With `LOWBIT_FUZZ_LAYOUT` in the environment only the
//! reader of the layout of that name is run, and inputs that it does not take for its own are dropped.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::{env, fs, process};

use lowbit_blocks::Dtype;
use lowbit_checkpoint::layout::{Layout, Stored};
use lowbit_checkpoint::verify::{VerifyOptions, verify};
use lowbit_checkpoint::{Checkpoint, ConvertJob, DequantizeJob, Job, Plan, inspect, layout};

fn dir() -> &'static PathBuf {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = env::temp_dir().join(format!("lowbit-fuzz-layouts-{}", process::id()));
        fs::create_dir_all(&dir).expect("a directory for the inputs");
        dir
    })
}

/// The layout whose reader is to be run alone.
fn only() -> Option<&'static Layout> {
    static ONLY: OnceLock<Option<&'static Layout>> = OnceLock::new();
    *ONLY.get_or_init(|| {
        env::var("LOWBIT_FUZZ_LAYOUT").ok().map(|name| layout::named(&name).expect("the name of a layout"))
    })
}

/// What is read has the shape that was announced.
fn decode(checkpoint: &Checkpoint, stored: &Stored) {
    if let Ok(linear) = stored.read(checkpoint) {
        let shape = linear.weight.shape();
        assert_eq!(Some(linear.weight.to_f32_vec().len()), shape.len());
    }
}

/// False where a fuzzer should not keep the input.
pub fn check(data: &[u8]) -> bool {
    let Some(cut) = data.iter().position(|byte| *byte == 0xff) else { return false };
    let dir = dir();
    fs::write(dir.join("config.json"), &data[..cut]).expect("config.json");
    fs::write(dir.join("model.safetensors"), &data[cut + 1..]).expect("model.safetensors");

    let opened = Checkpoint::open(dir);
    if let Some(layout) = only() {
        let Ok(checkpoint) = opened else { return false };
        let Ok(found) = layout.find(&checkpoint) else { return true };
        let Some(linears) = found else { return false };
        linears.iter().flatten().for_each(|stored| decode(&checkpoint, stored));
        return true;
    }
    let Ok(checkpoint) = opened else { return true };
    if let Ok(Some(reading)) = layout::read(&checkpoint) {
        reading.linears.iter().for_each(|stored| decode(&checkpoint, stored));
    }
    let _ = inspect(dir);
    let mut options = VerifyOptions::default();
    options.jobs = 1;
    let _ = verify(dir, &options, &());
    let out = dir.join("out");
    let adds_up = |plan: Plan| {
        let summary = plan.summary();
        assert_eq!(summary.tensors.iter().map(|t| t.bytes).sum::<u64>(), summary.output_bytes);
    };
    let mut job = Job::new(dir, &out);
    for layout in layout::LAYOUTS {
        job.layout = *layout;
        let _ = job.plan().map(adds_up);
        let _ = ConvertJob::new(dir, &out, layout).plan().map(adds_up);
    }
    let _ = DequantizeJob::new(dir, &out, Dtype::Bf16).plan().map(adds_up);
    true
}
