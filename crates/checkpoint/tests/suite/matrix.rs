//! The matrix of conversions in docs/checkpoints.md is what the code says, and what the code says is what happens. `LOWBIT_BLESS=1` rewrites it.

use crate::model::{contents, plan, weights, write_model};
use lowbit_blocks::{Dtype, Format};
use lowbit_calib::Activations;
use lowbit_checkpoint::layout::{self, Carried, LAYOUTS, Layout, PLAIN, Verdict, carried, conversion};
use lowbit_checkpoint::{ConvertJob, Error};
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};
use tempfile::{TempDir, tempdir};

const DOC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/checkpoints.md");
const BEGIN: &str = "<!-- BEGIN conversions (generated) -->\n";
const END: &str = "<!-- END conversions -->";

/// Layouts that are written.
pub(crate) fn written() -> impl Iterator<Item = &'static Layout> {
    LAYOUTS.iter().copied().filter(|layout| carried(layout).next().is_some())
}

/// One row for each layout and format, one column for each layout. `plain` takes everything, and is left out of the rows.
fn matrix() -> String {
    let mut text = String::from("| from | format |");
    written().for_each(|to| write!(text, " {} |", to.name()).unwrap());
    text.push_str("\n|---|---|");
    written().for_each(|_| text.push_str("---|"));
    text.push('\n');
    for from in written().filter(|layout| layout.name() != PLAIN.name()) {
        for (name, format, _) in carried(from) {
            write!(text, "| {} | `{name}` |", from.name()).unwrap();
            for to in written() {
                write!(text, " {} |", conversion(from, &format, to, Dtype::Bf16)).unwrap();
            }
            text.push('\n');
        }
    }
    text
}

#[test]
fn the_matrix_of_the_docs_is_what_the_code_says() {
    let doc = fs::read_to_string(DOC).unwrap();
    let (before, rest) = doc.split_once(BEGIN).expect("the beginning of the matrix");
    let (_, after) = rest.split_once(END).expect("the end of the matrix");
    let want = format!("{before}{BEGIN}{}{END}{after}", matrix());
    if env::var_os("LOWBIT_BLESS").is_some() {
        fs::write(DOC, &want).unwrap();
    }
    assert!(
        fs::read_to_string(DOC).unwrap() == want,
        "docs/checkpoints.md is stale; refresh it with\n  LOWBIT_BLESS=1 cargo test -p lowbit-checkpoint --test suite matrix"
    );
}

/// A model of two small linears that every format can take.
fn source() -> TempDir {
    let dir = tempdir().unwrap();
    let config = json!({"model_type": "llama", "hidden_size": 256, "dtype": "bfloat16", "architectures": ["LlamaForCausalLM"]});
    let tensors = vec![
        weights("model.embed_tokens.weight", &[32, 256]),
        weights("model.layers.0.self_attn.q_proj.weight", &[128, 256]),
        weights("model.layers.0.mlp.down_proj.weight", &[256, 128]),
    ];
    write_model(dir.path(), config, tensors);
    dir
}

/// Converts with one worker; what became of each linear.
pub(crate) fn convert(from: &Path, to: &'static Layout) -> Result<(TempDir, Vec<String>), Error> {
    let out = tempdir().unwrap();
    let mut job = ConvertJob::new(from, out.path(), to);
    job.settings.jobs = 1;
    let report = job.plan()?.run(&())?;
    Ok((out, report.conversions.into_iter().map(|line| line.how).collect()))
}

/// What is exact both ways comes back to the same bytes; what is refused is refused; the rest says what it is.
#[test]
fn the_matrix_is_what_happens() {
    let source = source();
    let weights = Path::new("model.safetensors");
    let mut there_and_back = 0;
    // gpt-oss has stacks of experts and no other linear: layout_gpt_oss.rs has them go there and back.
    let written = || written().filter(|layout| layout.name() != "gpt-oss");
    for from in written() {
        for (name, format, ways) in
            carried(from).filter(|(name, ..)| from.name() != PLAIN.name() || *name == "nvfp4")
        {
            if is_static(&ways) {
                continue;
            }
            // Formats that are taken as one kind are tried once for each kind.
            let first = tempdir().unwrap();
            plan(source.path(), first.path(), |job| {
                (job.format, job.layout, job.activations) = (format, from, Some(ways[0].activations));
            })
            .run(&())
            .unwrap();
            for to in written().filter(|to| to.name() != from.name()) {
                let context = format!("{name} from {} to {}", from.name(), to.name());
                let verdict = conversion(from, &format, to, Dtype::Bf16);
                let (second, how) = match (convert(first.path(), to), verdict) {
                    (Err(Error::Layout(layout::Error::CannotCarry { .. })), Verdict::Refused) => continue,
                    // Numbers that have no image cannot be chosen anew for it either.
                    (Err(Error::Job(why)), Verdict::Refused | Verdict::Scales)
                        if why.contains("has no recipe for") =>
                    {
                        continue;
                    }
                    (Err(Error::Layout(layout::Error::CannotCarry { .. })), _)
                        if is_static(&to.carries(&format)) =>
                    {
                        continue;
                    }
                    (Ok(done), v) if v != Verdict::Refused => done,
                    (other, _) => panic!("{context} is {verdict}: {other:?}"),
                };
                match verdict {
                    Verdict::Exact => assert!(how.iter().all(|how| how == "exact"), "{context}: {how:?}"),
                    Verdict::Reciprocal => {
                        assert!(how.iter().all(|how| how.starts_with("exact")), "{context}: {how:?}");
                    }
                    Verdict::Requantized => {
                        assert!(how.iter().all(|how| how.starts_with("requantized: ")), "{context}: {how:?}");
                    }
                    Verdict::Scales | Verdict::Refused => {}
                }
                let keeps_activations =
                    to.carries(&format).iter().any(|way| way.activations == ways[0].activations);
                if how.iter().all(|how| how == "exact")
                    && keeps_activations
                    && back_is_exact(from, &format, to, Dtype::Bf16)
                {
                    let (third, how) = convert(second.path(), from).unwrap();
                    assert!(how.iter().all(|how| how == "exact"), "{context} and back: {how:?}");
                    let (was, is) = (contents(first.path()), contents(third.path()));
                    assert!(was[weights] == is[weights], "{context} and back: other bytes");
                    there_and_back += 1;
                }
            }
        }
    }
    assert!(there_and_back >= 20, "{there_and_back}");
}

/// Whether it needs static scales of inputs, which come with calibration.
pub(crate) fn is_static(ways: &[Carried]) -> bool {
    ways.first().is_some_and(|way| way.activations == Activations::Static)
}

/// Whether the layout that was come from has an image of everything that the other one holds now, of weights of this type.
pub(crate) fn back_is_exact(from: &Layout, format: &Format, to: &Layout, dtype: Dtype) -> bool {
    let there = layout::counterpart(to, &from.stores(format, dtype));
    let back = layout::counterpart(from, &to.stores(&there, dtype));
    // The types of scales among them: our own layout keeps whatever they are.
    from.stores(&back, dtype) == from.stores(format, dtype)
        && matches!(conversion(to, &there, from, dtype), Verdict::Exact | Verdict::Scales)
}
