//! Random checkpoints, there and back: from each layout into every other that has an image of all their numbers, and back to the same bytes.
//!
//! `LOWBIT_CASES` is how many; a few in the tests that always run.

use crate::matrix::{back_is_exact, convert, is_static, written};
use crate::model::{in_dtype, plan, weights, with_value, write_model};
use lowbit_blocks::{Block, Dtype, FORMATS, Format, Zero};
use lowbit_checkpoint::layout::{Layout, Verdict, conversion};
use lowbit_checkpoint::{Error, container, safetensors};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use std::path::Path;
use tempfile::{TempDir, tempdir};

/// A checkpoint that a layout can hold.
#[derive(Clone, Debug)]
struct Case {
    from: &'static Layout,
    format: Format,
    dtype: Dtype,
    /// Rows and columns of two linears.
    shapes: [[usize; 2]; 2],
    name: String,
    /// A value that stands out, and where.
    outlier: (f32, usize),
}

/// Presets, and integers of every width in groups of many sizes.
fn formats() -> Vec<Format> {
    // Super-blocks of 256 values do not fit rows of 128; they have a test of their own.
    let presets = FORMATS.iter().map(|(_, format)| *format).filter(|f| f.scale.outer.count().is_none());
    let blocks = [Block::Channel, Block::Group(16), Block::Group(32), Block::Group(64), Block::Group(128)];
    let integers = blocks.into_iter().flat_map(|block| {
        (1..=8).flat_map(move |bits| {
            let unsigned = Format::uint(bits, block);
            [Format::int(bits, block), unsigned, unsigned.with_zero(Zero::Bias)]
        })
    });
    presets.chain(integers).collect()
}

/// Layouts with each format that they hold without static scales of inputs.
fn held() -> Vec<(&'static Layout, Format)> {
    let of = |layout: &'static Layout| {
        let holds = move |format: &Format| {
            let ways = layout.carries(format);
            !ways.is_empty() && !is_static(&ways)
        };
        formats().into_iter().filter(holds).map(move |format| (layout, format))
    };
    written().filter(|layout| layout.name() != "gpt-oss").flat_map(of).collect()
}

fn case() -> impl Strategy<Value = Case> {
    let shape = || [select(vec![32usize, 64, 96, 128, 256]), select(vec![128usize, 256, 384])];
    let held = select(held());
    let dtype = select(vec![Dtype::Bf16, Dtype::F16, Dtype::F32]);
    let outlier = (select(vec![0.0f32, 0.5, -0.75, 6.0]), 0..4096usize);
    (held, dtype, shape(), shape(), "[a-z]{3,9}", outlier).prop_map(
        |((from, format), dtype, a, b, name, outlier)| Case {
            from,
            format,
            dtype,
            shapes: [a, b],
            name,
            outlier,
        },
    )
}

fn source(case: &Case) -> TempDir {
    let dir = tempdir().unwrap();
    let dtype = match case.dtype {
        Dtype::Bf16 => safetensors::Dtype::BF16,
        Dtype::F16 => safetensors::Dtype::F16,
        Dtype::F32 => safetensors::Dtype::F32,
    };
    // Names are what the values follow from.
    let [a, b] = ["self_attn.q_proj", "mlp.down_proj"]
        .map(|linear| format!("model.{}.layers.0.{linear}.weight", case.name));
    let all = vec![
        weights("model.embed_tokens.weight", &[32, 128]),
        with_value(weights(&a, &case.shapes[0]), case.outlier.1, case.outlier.0),
        weights(&b, &case.shapes[1]),
    ];
    let all = all.into_iter().map(|tensor| match dtype {
        safetensors::Dtype::BF16 => tensor,
        other => in_dtype(tensor, other),
    });
    let named = match case.dtype {
        Dtype::Bf16 => "bfloat16",
        Dtype::F16 => "float16",
        Dtype::F32 => "float32",
    };
    let config = json!({"model_type": "llama", "hidden_size": 128, "dtype": named, "architectures": ["LlamaForCausalLM"]});
    write_model(dir.path(), config, all.collect());
    dir
}

/// Whether version 1 of GPTQ says that it cannot say a zero point of 0.
fn has_no_place_for_a_zero(error: &Error) -> bool {
    matches!(error, Error::Container(container::Error::Tensor { .. }))
        && error.to_string().contains("zero points are 0")
}

/// How many layouts it goes to and comes back from.
fn go(case: &Case) -> usize {
    let (source, first) = (source(case), tempdir().unwrap());
    let ways = case.from.carries(&case.format);
    let done = plan(source.path(), first.path(), |job| {
        (job.format, job.layout, job.activations, job.settings.jobs) =
            (case.format, case.from, Some(ways[0].activations), 1);
    })
    .run(&());
    match done {
        Err(error) if has_no_place_for_a_zero(&error) => return 0,
        done => _ = done.unwrap(),
    }
    let bytes = |dir: &Path| std::fs::read(dir.join("model.safetensors")).unwrap();
    let mut pairs = 0;
    for to in written().filter(|to| to.name() != case.from.name() && to.name() != "gpt-oss") {
        let verdict = conversion(case.from, &case.format, to, case.dtype);
        if !matches!(verdict, Verdict::Exact | Verdict::Scales) || is_static(&to.carries(&case.format)) {
            continue;
        }
        let context = format!("{case:?} to {}", to.name());
        // Numbers that have no image need not have a recipe in their place.
        let (second, how) = match convert(first.path(), to) {
            Ok(done) => done,
            Err(error) if verdict == Verdict::Scales && error.to_string().contains("has no recipe for") => {
                continue;
            }
            Err(error) if verdict == Verdict::Scales && has_no_place_for_a_zero(&error) => continue,
            Err(error) => panic!("{context}: {error}"),
        };
        let exact = how.iter().all(|how| how == "exact");
        assert!(exact || verdict == Verdict::Scales, "{context}: {how:?}");
        let keeps_activations =
            to.carries(&case.format).iter().any(|way| way.activations == ways[0].activations);
        if exact && keeps_activations && back_is_exact(case.from, &case.format, to, case.dtype) {
            let (third, how) = convert(second.path(), case.from).unwrap();
            assert!(how.iter().all(|how| how == "exact"), "{context} and back: {how:?}");
            assert!(bytes(first.path()) == bytes(third.path()), "{context} and back: other bytes");
            pairs += 1;
        }
    }
    pairs
}

#[test]
fn random_checkpoints_go_there_and_come_back_to_the_same_bytes() {
    let cases = std::env::var("LOWBIT_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(24);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    // The same cases in every run, unless there are more of them.
    let rng = proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mut runner = proptest::test_runner::TestRunner::new_with_rng(config, rng);
    let pairs = std::cell::Cell::new(0);
    let run = |case: Case| {
        pairs.set(pairs.get() + go(&case));
        Ok(())
    };
    runner.run(&case(), run).unwrap();
    // `plain` alone takes everything.
    assert!(pairs.get() as u32 > cases, "{} pairs of {cases} cases", pairs.get());
}
