//! Memory depends on the number of threads, not on tensors.

use crate::model::{llama_config, plan};
use lowbit_checkpoint::safetensors::{Dtype, header_bytes};
use lowbit_checkpoint::verify;
use lowbit_checkpoint::verify::VerifyOptions;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::Command;

/// 160 MB each, in BF16.
const SHAPE: [usize; 2] = [80_000, 1000];

/// Peak resident set of this process in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn a_tensor_of_160_mb_is_quantized_another_copied_and_both_verified_in_64_mb() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let len = 2 * (SHAPE[0] * SHAPE[1]) as u64;
    let names = ["model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight"];
    let (header, entries) =
        header_bytes(&BTreeMap::new(), names.map(|n| (n.to_owned(), Dtype::BF16, SHAPE.to_vec(), len)));
    // Zeros, most of which the file system never stores.
    let path = dir.path().join("model.safetensors");
    fs::write(&path, header).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(entries[1].end).unwrap();
    fs::write(dir.path().join("config.json"), llama_config().to_string()).unwrap();
    // In a process of its own: the other tests' memory is theirs.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["memory::child_that_measures", "--exact"])
        .envs([("LOWBIT_CHILD_SOURCE", dir.path()), ("LOWBIT_CHILD_OUT", out.path())])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && text.contains("1 passed"), "{text}");
}

/// Not a test of its own: what the child process runs.
#[test]
fn child_that_measures() {
    let (Some(source), Some(out)) =
        (std::env::var_os("LOWBIT_CHILD_SOURCE"), std::env::var_os("LOWBIT_CHILD_OUT"))
    else {
        return;
    };
    // Rows of 1000 values: whole channels, so that any format of blocks would do as well.
    plan(source.as_ref(), out.as_ref(), |job| {
        job.format = lowbit_blocks::Format::named("int4-channel-asym").unwrap()
    })
    .run(&())
    .unwrap();
    assert!(peak() < 64 << 20, "peak {} bytes", peak());
    let mut options = VerifyOptions::default();
    (options.jobs, options.against) = (2, Some(source.into()));
    let found = verify(out.as_ref(), &options, &()).unwrap();
    assert_eq!((found.findings, found.linears), (vec![], 1));
    assert!(peak() < 64 << 20, "peak {} bytes with verifying", peak());
}
