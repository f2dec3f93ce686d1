//! Plain weights of a quantized checkpoint, quantized again with the same format: which formats find their codes again. The table of docs/checkpoints.md is
//! what happens; `LOWBIT_BLESS=1` rewrites it.
//!
//! A rule that divides the largest magnitude of a block finds the same scale again if the code of that magnitude stands for what it was divided by. `LOWBIT_CASES`
//! is the number of models, each of other weights; what holds of all of them is in the table.

use crate::digests::decoded;
use crate::matrix::{is_static, written};
use crate::model::{in_dtype, plan, weights, with_value, write_model};
use lowbit_blocks::{Dtype, Format};
use lowbit_checkpoint::layout::{self, Holds, Layout, carried};
use lowbit_checkpoint::{Checkpoint, DequantizeJob, Error, container, safetensors};
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};
use tempfile::{TempDir, tempdir};

const DOC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/checkpoints.md");
const BEGIN: &str = "<!-- BEGIN again (generated) -->\n";
const END: &str = "<!-- END again -->";

/// What becomes of codes and scales.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Again {
    /// All bytes are the same.
    Bytes,
    /// Codes are; scales differ.
    Codes,
    /// Codes differ, and mean the same: of a scale half as large, say.
    Values,
    /// Some values differ.
    Other,
}

/// Two linears in f32, which holds every decoded value; one has zeros of both signs, a zero row, and something that stands out.
fn source(case: usize) -> TempDir {
    let dir = tempdir().unwrap();
    // Values follow from names.
    let named = |linear: &str| format!("model.layers.{case}.{linear}.weight");
    let mut odd = weights(&named("mlp.down_proj"), &[128, 256]);
    for at in 0..256 {
        odd = with_value(odd, 512 + at, if at % 2 == 0 { 0.0 } else { -0.0 });
    }
    let odd = with_value(odd, 5, -1.5);
    let plain = [
        weights("model.embed_tokens.weight", &[32, 256]),
        weights(&named("self_attn.q_proj"), &[128, 256]),
        odd,
    ];
    let tensors = plain.map(|tensor| in_dtype(tensor, safetensors::Dtype::F32)).to_vec();
    let config = json!({"model_type": "llama", "hidden_size": 256, "dtype": "float32", "architectures": ["LlamaForCausalLM"]});
    write_model(dir.path(), config, tensors);
    dir
}

/// Quantized weights; `None` of weights that the layout refuses, as version 1 of GPTQ does zero points of 0.
fn quantize(from: &Path, layout: &'static Layout, format: Format) -> Option<TempDir> {
    let out = tempdir().unwrap();
    let plan =
        plan(from, out.path(), |job| (job.format, job.layout, job.settings.jobs) = (format, layout, 1));
    match plan.run(&()) {
        Err(Error::Container(container::Error::Tensor { .. })) => None,
        done => done.map(|_| out).ok(),
    }
}

/// Codes and values of every linear, and all bytes.
fn contents(dir: &Path) -> (Vec<Vec<u8>>, Vec<f32>, Vec<u8>) {
    let checkpoint = Checkpoint::open(dir).unwrap();
    let reading = layout::read(&checkpoint).unwrap().unwrap();
    let parts = reading.linears.iter().flat_map(|linear| &linear.parts);
    let codes = parts.filter(|part| matches!(part.holds, Holds::Codes(_)));
    let codes = codes.map(|part| checkpoint.tensor(&part.name).unwrap().read_all().unwrap()).collect();
    let values = reading.linears.iter().flat_map(|linear| decoded(&checkpoint, linear)).collect();
    (codes, values, fs::read(dir.join("model.safetensors")).unwrap())
}

fn again(source: &Path, layout: &'static Layout, format: Format) -> Option<Again> {
    let (first, plain) = (quantize(source, layout, format)?, tempdir().unwrap());
    let mut job = DequantizeJob::new(first.path(), plain.path(), Dtype::F32);
    job.settings.jobs = 1;
    job.plan().unwrap().run(&()).unwrap();
    let second = quantize(plain.path(), layout, format)?;
    let (was, is) = (contents(first.path()), contents(second.path()));
    Some(match (was.2 == is.2, was.0 == is.0, was.1 == is.1) {
        (true, ..) => Again::Bytes,
        (_, true, _) => Again::Codes,
        (.., true) => Again::Values,
        _ => Again::Other,
    })
}

/// Every format of every layout that is written from weights alone.
fn rows() -> Vec<(&'static Layout, &'static str, Format)> {
    let layouts = written().filter(|layout| !["gpt-oss", "plain"].contains(&layout.name()));
    let of = |layout| {
        carried(layout)
            .filter(|(.., ways)| !is_static(ways))
            .map(move |(name, format, _)| (layout, name, format))
    };
    layouts.flat_map(of).collect()
}

#[test]
fn formats_find_their_codes_again_as_the_docs_say() {
    let cases = env::var("LOWBIT_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let sources: Vec<TempDir> = (0..cases).map(source).collect();
    let worst = |(layout, name, format): (&'static Layout, &'static str, Format)| {
        let of = sources.iter().filter_map(|source| again(source.path(), layout, format));
        Some((layout.name(), name, of.max()?))
    };
    let all: Vec<_> = rows().into_iter().filter_map(worst).collect();
    let mut text = String::from(
        "| layout | the same bytes | the same codes | the same values | other values |\n|---|---|---|---|---|\n",
    );
    for layout in written().map(Layout::name).filter(|layout| all.iter().any(|(own, ..)| own == layout)) {
        write!(text, "| {layout} |").unwrap();
        for want in [Again::Bytes, Again::Codes, Again::Values, Again::Other] {
            let of = all.iter().filter(|(own, _, again)| *own == layout && *again == want);
            let names: Vec<_> = of.map(|(_, name, _)| format!("`{name}`")).collect();
            write!(text, " {} |", if names.is_empty() { "-".to_owned() } else { names.join(", ") }).unwrap();
        }
        text.push('\n');
    }
    let doc = fs::read_to_string(DOC).unwrap();
    let (before, rest) = doc.split_once(BEGIN).expect("the beginning of the table");
    let (_, after) = rest.split_once(END).expect("the end of the table");
    let want = format!("{before}{BEGIN}{text}{END}{after}");
    if env::var_os("LOWBIT_BLESS").is_some() {
        fs::write(DOC, &want).unwrap();
    }
    assert!(fs::read_to_string(DOC).unwrap() == want, "docs/checkpoints.md is stale:\n{text}");
}
