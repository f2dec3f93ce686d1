//! Quantized activations: what is read from a checkpoint, and what it does to the input of a linear.

use crate::tiny::Tiny;
use lowbit_blocks::{Dtype, FP8_CHANNEL, Format, INT8, Kernels, NF4, NVFP4};
use lowbit_calib::{Recipe, ScaleRule, round_slice};
use lowbit_checkpoint::{Checkpoint, Job, layout};
use lowbit_model::{ActivationQuantization, InputQuantization, Model};

/// A tiny Llama in a format and layout, with a setting of its quantization changed.
fn quantized(
    format: Format,
    layout: &'static layout::Layout,
    setting: Option<(&str, serde_json::Value)>,
    run: impl FnOnce(&Checkpoint, &Tiny),
) {
    let (tiny, out) = (Tiny::read("llama"), tempfile::tempdir().unwrap());
    let source = tiny.write();
    let dir = out.path().join("quantized");
    let mut job = Job::new(source.path(), &dir);
    (job.format, job.layout) = (format, layout);
    job.plan().unwrap().run(&()).unwrap();
    if let Some((key, value)) = setting {
        let path = dir.join("config.json");
        let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        config["quantization_config"][key] = value;
        std::fs::write(path, config.to_string()).unwrap();
    }
    run(&Checkpoint::open(&dir).unwrap(), &tiny);
}

/// How the first query reads its input.
fn first(model: &Model<'_>) -> InputQuantization {
    model.layer(0).unwrap().projections()[0].linears[0].input
}

/// A tiny Llama in FP8, with activations quantized at run time.
fn fp8(run: impl FnOnce(&Checkpoint, &Tiny)) {
    quantized(FP8_CHANNEL, layout::COMPRESSED_TENSORS, None, run);
}

#[test]
fn bitsandbytes_multiplies_in_the_type_that_its_configuration_names() {
    for (said, dtype) in [("bfloat16", Dtype::Bf16), ("float16", Dtype::F16)] {
        let setting = Some(("bnb_4bit_compute_dtype", said.into()));
        quantized(NF4, layout::BITSANDBYTES, setting, |checkpoint, tiny| {
            let plain = Model::open(checkpoint).unwrap();
            let simulated =
                Model::open(checkpoint).unwrap().with_activations(ActivationQuantization::AsConfigured);
            assert_eq!(
                (first(&plain), first(&simulated)),
                (InputQuantization::Plain, InputQuantization::Float(dtype))
            );
            let weight =
                |model: &Model<'_>| model.layer(0).unwrap().projections()[0].linears[0].weight.clone();
            let mut rounded = weight(&plain);
            round_slice(Kernels::best(), dtype, &mut rounded);
            assert!(weight(&simulated) == rounded && weight(&plain) != rounded);
            let e = simulated.evaluate(&plain, &tiny.tokens, 2).unwrap().divergence.mean();
            assert!(e > 0.0 && e < 1e-3, "{e}");
        });
    }
    let setting = Some(("bnb_4bit_compute_dtype", "float32".into()));
    quantized(NF4, layout::BITSANDBYTES, setting, |checkpoint, _| {
        let model = Model::open(checkpoint).unwrap().with_activations(ActivationQuantization::AsConfigured);
        assert_eq!(first(&model), InputQuantization::Plain);
    });
}

#[test]
fn eight_bits_of_bitsandbytes_keep_outliers() {
    let divergence = |threshold: f64, want: fn(InputQuantization) -> bool| {
        let mut mean = 0.0;
        let setting = Some(("llm_int8_threshold", threshold.into()));
        quantized(INT8, layout::BITSANDBYTES, setting, |checkpoint, tiny| {
            let plain = Model::open(checkpoint).unwrap();
            let simulated =
                Model::open(checkpoint).unwrap().with_activations(ActivationQuantization::AsConfigured);
            assert!(want(first(&simulated)), "{:?}", first(&simulated));
            mean = simulated.evaluate(&plain, &tiny.tokens, 2).unwrap().divergence.mean();
        });
        mean
    };
    let none = divergence(0.0, |input| matches!(input, InputQuantization::Tokens { .. }));
    let six = divergence(6.0, |input| input == InputQuantization::Outliers { threshold: 6.0 });
    let all = divergence(1e-9, |input| matches!(input, InputQuantization::Outliers { .. }));
    assert!(none > 0.0 && six > 0.0, "{none} {six}");
    assert!(all < 1e-9, "everything is an outlier, and nothing is rounded: {all}");
}

#[test]
fn configured_activations_change_the_result_and_little() {
    fp8(|checkpoint, tiny| {
        let plain = Model::open(checkpoint).unwrap();
        let simulated =
            Model::open(checkpoint).unwrap().with_activations(ActivationQuantization::AsConfigured);
        assert_eq!(first(&plain), InputQuantization::Plain);
        assert!(
            matches!(first(&simulated), InputQuantization::Tokens { recipe, .. } if recipe.format.block == FP8_CHANNEL.block)
        );
        // The head is not quantized.
        assert_eq!(simulated.head().unwrap().projections().linears[0].input, InputQuantization::Plain);
        let e = simulated.evaluate(&plain, &tiny.tokens, 2).unwrap();
        assert!(e.divergence.mean() > 1e-6 && e.divergence.mean() < 0.1, "{}", e.divergence.mean());
    });
}

#[test]
fn any_model_can_quantize_its_activations() {
    let tiny = Tiny::read("llama");
    let dir = tiny.write();
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let plain = Model::open(&checkpoint).unwrap();
    let amax = Recipe::new(NVFP4).unwrap();
    let divergence = |recipe: Recipe| {
        let model = Model::open(&checkpoint).unwrap().with_activations(ActivationQuantization::All(recipe));
        model.evaluate(&plain, &tiny.tokens, 2).unwrap().divergence.mean()
    };
    let [eight, four, adaptive] =
        [Recipe::new(FP8_CHANNEL).unwrap(), amax, amax.with_scale_rule(ScaleRule::FourOverSix).unwrap()]
            .map(divergence);
    assert!(eight > 0.0 && four > 4.0 * eight, "NVFP4 {four}, FP8 {eight}");
    assert!(adaptive != four && adaptive < 2.0 * four, "four-over-six {adaptive}, amax {four}");
}
