//! Quantized activations: what is read from a checkpoint, and what it does to the input of a linear.

use crate::tiny::Tiny;
use lowbit_blocks::{FP8_CHANNEL, NVFP4};
use lowbit_calib::{Recipe, ScaleRule};
use lowbit_checkpoint::{Checkpoint, Job, layout};
use lowbit_model::{Activations, Input, Model};

/// A tiny Llama in FP8, with activations quantized at run time.
fn fp8(run: impl FnOnce(&Checkpoint, &Tiny)) {
    let (tiny, out) = (Tiny::read("llama"), tempfile::tempdir().unwrap());
    let source = tiny.write();
    let mut job = Job::new(source.path(), out.path().join("fp8"));
    job.format = FP8_CHANNEL;
    job.layout = layout::COMPRESSED_TENSORS;
    job.plan().unwrap().run(&()).unwrap();
    run(&Checkpoint::open(out.path().join("fp8")).unwrap(), &tiny);
}

#[test]
fn configured_activations_change_the_result_and_little() {
    fp8(|checkpoint, tiny| {
        let plain = Model::open(checkpoint).unwrap();
        let simulated = Model::open(checkpoint).unwrap().with_activations(Activations::AsConfigured);
        let input = |model: &Model<'_>| model.layer(0).unwrap().stages()[0].linears[0].input;
        assert_eq!(input(&plain), Input::Plain);
        assert!(
            matches!(input(&simulated), Input::Tokens { recipe, .. } if recipe.format.block == FP8_CHANNEL.block)
        );
        // The head is not quantized.
        assert_eq!(simulated.head().unwrap().stage().linears[0].input, Input::Plain);
        let e = simulated.evaluate(&plain, &tiny.tokens, 2).unwrap();
        assert!(e.divergence.mean() > 1e-6 && e.divergence.mean() < 0.02, "{}", e.divergence.mean());
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
        let model = Model::open(&checkpoint).unwrap().with_activations(Activations::All(recipe));
        model.evaluate(&plain, &tiny.tokens, 2).unwrap().divergence.mean()
    };
    let [eight, four, adaptive] =
        [Recipe::new(FP8_CHANNEL).unwrap(), amax, amax.with_scale_rule(ScaleRule::FourOverSix).unwrap()]
            .map(divergence);
    assert!(eight > 0.0 && four > 4.0 * eight, "NVFP4 {four}, FP8 {eight}");
    assert!(adaptive != four && adaptive < 2.0 * four, "four-over-six {adaptive}, amax {four}");
}
