//! Which tensors are quantized: the table, patterns, tied weights, values that are no numbers; and what the configuration says of the rest.

use crate::model::{austen, error, llama, llama_config, plan, weights, with_value, write_llama, write_model};
use lowbit_checkpoint::{Checkpoint, Job, OnNonFinite, layout};
use serde_json::{Value, json};
use std::path::Path;

/// The modules that a job quantizes, without their common beginning, and the `ignore` list that it writes.
fn quantized(source: &Path, change: impl FnOnce(&mut Job)) -> (Vec<String>, Value, Vec<String>) {
    let out = tempfile::tempdir().unwrap();
    let report = plan(source, out.path(), change).run(&()).unwrap();
    let written = Checkpoint::open(out.path()).unwrap();
    let reading = layout::read(&written).unwrap().unwrap();
    let names = reading.linears.iter().map(|l| l.linear.module.replace("model.layers.0.", ""));
    (names.collect(), written.config().unwrap()["quantization_config"]["ignore"].clone(), report.warnings)
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

#[test]
fn patterns_take_and_leave() {
    let dir = tempfile::tempdir().unwrap();
    write_llama(dir.path());
    let of = |include: &[&str], exclude: &[&str]| {
        let (names, ignore, _) =
            quantized(dir.path(), |job| (job.include, job.exclude) = (texts(include), texts(exclude)));
        (names.join(" "), ignore)
    };
    let all = "mlp.down_proj self_attn.k_proj self_attn.q_proj";
    assert_eq!(of(&[], &[]), (all.into(), json!(["lm_head"])));
    assert_eq!(of(&["*.mlp.*"], &[]).0, "mlp.down_proj");
    let kept = json!(["lm_head", "model.layers.0.self_attn.k_proj", "model.layers.0.self_attn.q_proj"]);
    assert_eq!(of(&[], &["*attn*"]), ("mlp.down_proj".into(), kept));
    assert_eq!(of(&["re:.*(q|k)_proj"], &["*.k_proj"]).0, "self_attn.q_proj");
    assert_eq!(of(&["*"], &["model.layers.0.mlp.down_proj.weight"]).0, "self_attn.k_proj self_attn.q_proj");
    // A wildcard does not take what the table leaves out; a name does.
    assert_eq!(of(&["*"], &[]).0, all);
    assert_eq!(of(&["*", "lm_head"], &[]), (format!("lm_head {all}"), json!([])));
}

#[test]
fn patterns_that_are_wrong_or_match_nothing_are_told() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(dir.path());
    let say = |include: &[&str]| error(dir.path(), out.path(), |job| job.include = texts(include));
    assert!(
        say(&["nothing"])
            .ends_with(": no tensor to quantize (1 embedding, 2 norm, 3 not included, 1 output head)")
    );
    assert!(say(&["re:(a"]).starts_with("pattern `re:(a`: unclosed group"), "{}", say(&["re:(a"]));
    assert!(say(&["[a"]).starts_with("pattern `[a`: "), "{}", say(&["[a"]));
    let (_, _, warnings) = quantized(dir.path(), |job| job.exclude = texts(&["*.z_proj"]));
    assert_eq!(warnings, ["--exclude *.z_proj matches no tensor"]);
}

#[test]
fn a_tied_head_is_named_and_a_quantized_head_is_untied() {
    let (_, ignore, _) = quantized(&austen(), |_| {});
    assert_eq!(ignore, json!(["lm_head"]), "the head is not in the file, but engines have the module");
    let out = tempfile::tempdir().unwrap();
    let message = error(&austen(), out.path(), |job| job.include = texts(&["*", "model.embed_tokens"]));
    assert!(
        message.contains("`model.embed_tokens.weight`: is an embedding that is tied to the output head"),
        "{message}"
    );

    let dir = tempfile::tempdir().unwrap();
    let mut config = llama_config();
    config["tie_word_embeddings"] = json!(true);
    write_model(dir.path(), config, llama());
    plan(dir.path(), out.path(), |job| job.include = texts(&["lm_head"])).run(&()).unwrap();
    let written = Checkpoint::open(out.path()).unwrap();
    assert_eq!(written.config().unwrap()["tie_word_embeddings"], json!(false));
    assert!(written.tensor("lm_head.weight_packed").is_some());
}

#[test]
fn linears_that_share_a_scale_share_the_largest() {
    let dir = tempfile::tempdir().unwrap();
    let tensors = llama().into_iter().map(|t| if t.0.contains("k_proj") { with_value(t, 5, 3.0) } else { t });
    write_model(dir.path(), llama_config(), tensors.collect());
    let out = tempfile::tempdir().unwrap();
    plan(dir.path(), out.path(), |_| {}).run(&()).unwrap();
    let written = Checkpoint::open(out.path()).unwrap();
    let scale = |name: &str| {
        let bytes = written
            .require(&format!("model.layers.0.{name}.weight_global_scale"))
            .unwrap()
            .read_all()
            .unwrap();
        f32::from_le_bytes(bytes.try_into().unwrap())
    };
    // 2688 / 3 in bf16.
    assert_eq!((scale("self_attn.q_proj"), scale("self_attn.k_proj")), (896.0, 896.0));
    assert!(scale("mlp.down_proj") > 896.0);
}

#[test]
fn values_that_are_no_numbers_stop_the_job_or_keep_their_tensor() {
    for (value, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let dir = tempfile::tempdir().unwrap();
        let spoiled =
            with_value(weights("model.layers.0.mlp.up_proj.weight", &[64, 128]), 128 * 7 + 5, value);
        write_model(dir.path(), llama_config(), llama().into_iter().chain([spoiled.clone()]).collect());
        for format in ["nvfp4", "mxfp8", "fp8-block", "int4-g32-asym"] {
            let out = tempfile::tempdir().unwrap();
            let message = error(dir.path(), out.path(), |job| {
                job.format = lowbit_blocks::Format::named(format).unwrap()
            });
            let want = format!(
                "tensor `model.layers.0.mlp.up_proj.weight`: value 901 (row 7, column 5) is {shown}; leave such tensors unquantized"
            );
            assert!(
                message.contains("model.safetensors: ") && message.contains(&want),
                "{format}: {message}"
            );
            assert!(
                !out.path().join("config.json").exists() && !out.path().join("model.safetensors").exists()
            );
        }
        let out = tempfile::tempdir().unwrap();
        let report =
            plan(dir.path(), out.path(), |job| job.on_nonfinite = OnNonFinite::Keep).run(&()).unwrap();
        assert_eq!(
            report.warnings,
            ["model.layers.0.mlp.up_proj.weight holds NaN or infinity and stays unquantized"]
        );
        let written = Checkpoint::open(out.path()).unwrap();
        assert_eq!(written.require(&spoiled.0).unwrap().read_all().unwrap(), spoiled.3);
        let ignore = &written.config().unwrap()["quantization_config"]["ignore"];
        assert_eq!(*ignore, json!(["lm_head", "model.layers.0.mlp.up_proj"]));
        assert!(written.tensor("model.layers.0.mlp.down_proj.weight_packed").is_some());
    }
    // Values of tensors that are only copied are nobody's business.
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tensors =
        llama().into_iter().map(|t| if t.0.contains("embed") { with_value(t, 0, f32::NAN) } else { t });
    write_model(dir.path(), llama_config(), tensors.collect());
    plan(dir.path(), out.path(), |_| {}).run(&()).unwrap();
}

#[test]
fn rows_that_do_not_divide_are_refused_by_name() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ragged = weights("model.layers.0.mlp.up_proj.weight", &[64, 1000]);
    write_model(dir.path(), llama_config(), llama().into_iter().chain([ragged]).collect());
    let message = error(dir.path(), out.path(), |_| {});
    let want = "model.safetensors: tensor `model.layers.0.mlp.up_proj.weight`: row of 1000 values does not divide into blocks of 16; leave it out with --exclude model.layers.0.mlp.up_proj";
    assert!(message.ends_with(want), "{message}");
    assert!(!out.path().join(".lowbit-journal").exists());
    plan(dir.path(), out.path(), |job| job.exclude = texts(&["model.layers.0.mlp.up_proj"]))
        .run(&())
        .unwrap();

    let odd = weights("model.layers.0.mlp.up_proj.weight", &[63, 128]);
    write_model(dir.path(), llama_config(), llama().into_iter().chain([odd]).collect());
    let out = tempfile::tempdir().unwrap();
    let message = error(dir.path(), out.path(), |job| {
        (job.format, job.layout) = (lowbit_blocks::Format::named("int4-g128").unwrap(), layout::MODELOPT);
    });
    assert!(
        message.contains("63 rows of 128: INT4 in ModelOpt pairs rows, both numbers must be even"),
        "{message}"
    );
}

#[test]
fn weights_of_other_types_and_transposed_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let mut eight = weights("model.layers.0.mlp.up_proj.weight", &[64, 64]);
    (eight.1, eight.2) = (lowbit_checkpoint::safetensors::Dtype::F8_E4M3, vec![128, 64]);
    write_model(dir.path(), llama_config(), llama().into_iter().chain([eight]).collect());
    let (names, ignore, warnings) = quantized(dir.path(), |_| {});
    assert_eq!(names.len(), 3);
    assert_eq!(ignore, json!(["lm_head", "model.layers.0.mlp.up_proj"]));
    assert_eq!(warnings, ["model.layers.0.mlp.up_proj.weight is F8_E4M3 and stays as it is"]);

    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_model(
        dir.path(),
        json!({"model_type": "gpt2"}),
        vec![weights("h.0.attn.c_attn.weight", &[64, 192])],
    );
    let message = error(dir.path(), out.path(), |_| {});
    assert!(
        message.contains("no tensor to quantize (") && message.contains(" stored [in, out]"),
        "{message}"
    );
}

#[test]
fn a_head_that_no_tensor_and_no_flag_tells_of_is_tied() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ignored = |config: Value| {
        write_model(dir.path(), config, llama().into_iter().filter(|t| t.0 != "lm_head.weight").collect());
        quantized(dir.path(), |_| {}).1
    };
    assert_eq!(
        ignored(json!({"model_type": "gemma2", "architectures": ["Gemma2ForCausalLM"]})),
        json!(["lm_head"])
    );
    let message = error(dir.path(), out.path(), |job| job.include = texts(&["*", "model.embed_tokens"]));
    assert!(message.contains("is an embedding that is tied to the output head"), "{message}");
    let nested = json!({"architectures": ["Gemma3ForConditionalGeneration"], "tie_word_embeddings": false,
        "text_config": {"tie_word_embeddings": true}});
    assert_eq!(ignored(nested), json!(["lm_head"]));
    let whisper = json!({"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"]});
    assert_eq!(ignored(whisper), json!(["proj_out"]));
    assert_eq!(ignored(json!({"model_type": "bert", "architectures": ["BertModel"]})), json!([]));
    let masked = json!({"model_type": "bert", "architectures": ["BertForMaskedLM"]});
    assert_eq!(ignored(masked), json!(["cls.predictions.decoder"]));

    // Silence means tied to some loaders, so a quantized head breaks it.
    write_model(dir.path(), json!({"text_config": {"tie_word_embeddings": true}}), llama());
    plan(dir.path(), out.path(), |job| job.include = texts(&["lm_head"])).run(&()).unwrap();
    let written = Checkpoint::open(out.path()).unwrap();
    let config = written.config().unwrap();
    assert_eq!(config["tie_word_embeddings"], json!(false));
    assert_eq!(config["text_config"]["tie_word_embeddings"], json!(false));
}

#[test]
fn linears_among_the_embeddings_are_named_as_not_quantized() {
    let dir = tempfile::tempdir().unwrap();
    let names = ["embed_in", "embed_out", "encoder.embedding_hidden_mapping_in", "h.0.attention.dense"];
    let tensors = names.map(|name| weights(&format!("{name}.weight"), &[64, 128]));
    write_model(dir.path(), json!({"architectures": ["GPTNeoXForCausalLM"]}), tensors.into());
    let (_, ignore, _) = quantized(dir.path(), |_| {});
    // transformers has renamed the head since.
    assert_eq!(ignore, json!(["embed_out", "encoder.embedding_hidden_mapping_in", "lm_head"]));
}

#[test]
fn what_engines_may_refuse_or_nobody_expects_is_a_warning() {
    let dir = tempfile::tempdir().unwrap();
    write_llama(dir.path());
    let (_, _, warnings) = quantized(dir.path(), |job| job.exclude = texts(&["*.q_proj"]));
    let (attention, other) = ("model.layers.0.self_attn", "1 linears are kept alone like this");
    assert_eq!(
        warnings,
        [format!(
            "engines fuse {attention}.q_proj (not quantized) with {attention}.k_proj (quantized) and may refuse that; {other}"
        )]
    );
    let (_, _, warnings) = quantized(dir.path(), |job| job.format = lowbit_blocks::FP8_BLOCK);
    assert_eq!(
        warnings,
        [format!(
            "1 linears do not divide into tiles of 128 x 128, {attention}.k_proj (64x128) first: some engines refuse them"
        )]
    );
    let mut tensors = llama();
    tensors.push(weights("model.layers.0.mlp.experts.down_proj", &[2, 32, 128]));
    write_model(dir.path(), json!({"model_type": "gpt_oss"}), tensors);
    let (_, _, warnings) = quantized(dir.path(), |_| {});
    assert_eq!(
        warnings,
        [
            "1 tensors with 8192 weights stay unquantized, `model.layers.0.mlp.experts.down_proj` first: stored [in, out], or experts without names"
        ]
    );
}
