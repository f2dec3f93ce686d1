//! Looking at checkpoints: what is in one, what one tensor holds, and how far apart two are.

use crate::model::{austen, llama, llama_config, plan, weights, with_value, write_llama, write_model};
use lowbit_blocks::Format;
use lowbit_checkpoint::{CompareOptions, compare, inspect, inspect_tensor, layout};
use serde_json::json;

#[test]
fn an_original_is_described() {
    let about = inspect(&austen()).unwrap();
    assert_eq!((about.layout, about.model_type.as_deref()), (None, Some("llama")));
    assert_eq!((about.parameters, about.quantized, about.bytes), (2_033_408, 0, 4_066_816));
    assert_eq!(about.bits_per_parameter, 16.0);
    let role = |name: &str| about.tensors.iter().find(|t| t.name == name).unwrap().role.clone();
    assert_eq!(role("model.embed_tokens.weight"), "embedding");
    assert_eq!(role("model.layers.2.mlp.up_proj.weight"), "linear");
    assert_eq!(about.dtypes["BF16"], (29, 4_066_816));
}

#[test]
fn a_quantized_checkpoint_is_described() {
    let out = tempfile::tempdir().unwrap();
    plan(&austen(), out.path(), |_| {}).run(&()).unwrap();
    let about = inspect(out.path()).unwrap();
    assert_eq!(about.layout, Some("compressed-tensors"));
    assert_eq!(about.formats, [("nvfp4".to_owned(), 21)].into());
    assert_eq!((about.parameters, about.quantized), (2_033_408, 1_769_472));
    assert_eq!(about.bits_per_weight, 4.5 + 32.0 * 21.0 / 1_769_472.0);
    assert_eq!(
        (about.linears[0].module.as_str(), about.linears[0].shape),
        ("model.layers.0.mlp.down_proj", [1, 256, 512])
    );
    let role = |name: &str| about.tensors.iter().find(|t| t.name == name).unwrap().role.clone();
    assert_eq!(role("model.layers.0.mlp.down_proj.weight_packed"), "codes");
    assert_eq!(role("model.layers.0.mlp.down_proj.weight_global_scale"), "tensor scale");
    assert!(serde_json::to_string(&about).unwrap().contains("\"bits_per_weight\":4.500"));
}

#[test]
fn one_tensor_is_told_in_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let mut tensor =
        ("a.proj.weight".to_owned(), lowbit_checkpoint::safetensors::Dtype::BF16, vec![2, 32], vec![0; 128]);
    for (at, value) in [(0, 6.0), (1, -3.0), (2, 1.0), (40, f32::NAN)] {
        tensor = with_value(tensor, at, value);
    }
    write_model(dir.path(), llama_config(), vec![tensor, weights("b.proj.weight", &[2, 32])]);
    for name in ["a.proj", "a.proj.weight"] {
        let told = inspect_tensor(dir.path(), name).unwrap();
        assert_eq!((told.min, told.max, told.zeros, told.non_finite), (-3.0, 6.0, 60, 1));
        assert_eq!((told.mean, told.rms), (4.0 / 63.0, (46.0f64 / 63.0).sqrt()));
    }
    let error = inspect_tensor(dir.path(), "c").unwrap_err().to_string();
    assert!(error.ends_with("there is no weight `c`"), "{error}");

    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(dir.path());
    plan(dir.path(), out.path(), |_| {}).run(&()).unwrap();
    for name in [
        "model.layers.0.mlp.down_proj",
        "model.layers.0.mlp.down_proj.weight",
        "model.layers.0.mlp.down_proj.weight_scale",
    ] {
        let told = inspect_tensor(out.path(), name).unwrap();
        assert_eq!((told.format.as_str(), told.shape, told.tensors.len()), ("nvfp4", [1, 128, 256], 3));
        assert!(told.max > 0.04 && told.rms > 0.01 && told.non_finite == 0);
    }
}

#[test]
fn a_comparison_is_worst_first_and_exact_where_nothing_changed() {
    let out = tempfile::tempdir().unwrap();
    plan(&austen(), out.path(), |_| {}).run(&()).unwrap();
    let result = compare(&austen(), out.path(), &CompareOptions::default(), &()).unwrap();
    assert_eq!(result.rows.len(), 29);
    assert!(result.only_first.is_empty() && result.only_second.is_empty());
    assert!(result.rows.is_sorted_by(|a, b| a.figures.sqnr_db <= b.figures.sqnr_db));
    for row in &result.rows {
        let kept = row.second == "BF16";
        assert_eq!(row.figures.sqnr_db == f64::INFINITY, kept, "{}", row.name);
        // NVFP4 has about 20 dB on anything near a normal distribution.
        assert!(kept || (row.second == "nvfp4" && (19.0..22.0).contains(&row.figures.sqnr_db)), "{row:?}");
    }
    let mut options = CompareOptions::default();
    (options.include, options.jobs) = (vec!["*.k_proj".into()], 1);
    let some = compare(&austen(), out.path(), &options, &()).unwrap();
    assert_eq!(some.rows.len(), 3);
    let same = |row: &lowbit_checkpoint::ComparedTensor| {
        result.rows.iter().any(|r| r.name == row.name && r.figures == row.figures)
    };
    assert!(some.rows.iter().all(same), "figures do not depend on threads");
    let quantized = compare(out.path(), out.path(), &CompareOptions::default(), &()).unwrap();
    assert!(quantized.rows.iter().all(|row| row.figures.mse == 0.0));
}

#[test]
fn layouts_of_one_format_compare_and_experts_meet_their_stack() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = llama_config();
    config["hidden_size"] = json!(32);
    let stack = weights("model.layers.0.mlp.experts.gate_up_proj", &[3, 256, 128]);
    config["hidden_size"] = json!(128);
    write_model(dir.path(), config, vec![stack, weights("model.norm.weight", &[128])]);
    let (whole, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (out, layout) in [(&whole, layout::PLAIN), (&cut, layout::MODELOPT)] {
        let format = Format::named("int4-g64").unwrap();
        plan(dir.path(), out.path(), |job| (job.format, job.layout) = (format, layout)).run(&()).unwrap();
    }
    let options = CompareOptions::default();
    let stacked = compare(dir.path(), whole.path(), &options, &()).unwrap();
    assert_eq!((stacked.rows.len(), stacked.rows[0].shape), (2, [3, 256, 128]));
    for (a, b) in [(&dir, &cut), (&cut, &dir), (&whole, &cut)] {
        let apart = compare(a.path(), b.path(), &options, &()).unwrap();
        assert_eq!(apart.rows.len(), 7, "{:?} {:?}", apart.only_first, apart.only_second);
        assert!(apart.only_first.is_empty() && apart.only_second.is_empty());
        assert!(apart.rows.iter().all(|row| row.figures.sqnr_db > 17.0));
    }
}

#[test]
fn checkpoints_that_do_not_belong_together_are_told() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_llama(dir.path());
    write_model(other.path(), llama_config(), vec![weights("x.weight", &[2, 16])]);
    let options = CompareOptions::default();
    let error = compare(dir.path(), other.path(), &options, &()).unwrap_err().to_string();
    assert!(error.ends_with("have no weight in common"), "{error}");
    let changed =
        llama().into_iter().map(|t| if t.0 == "lm_head.weight" { weights(&t.0, &[32, 128]) } else { t });
    write_model(other.path(), llama_config(), changed.collect());
    let error = compare(dir.path(), other.path(), &options, &()).unwrap_err().to_string();
    assert!(error.contains("tensor `lm_head.weight`: is 64x128 here and 32x128 in "), "{error}");
}
