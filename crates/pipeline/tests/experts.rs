//! Mixtures of experts, calibrated: each expert on its own tokens, one without any by rounding.

use lowbit_blocks::NVFP4;
use lowbit_checkpoint::{Checkpoint, Job};
use lowbit_model::Model;
use lowbit_pipeline::{CalibratedJob, Method};
use tiny::Tiny;

#[path = "../../model/tests/suite/tiny.rs"]
#[allow(dead_code)] // the model's tests use all of it
mod tiny;

#[test]
fn experts_are_quantized_for_the_tokens_that_they_get() {
    for name in ["mixtral", "qwen3-moe"] {
        let tiny = Tiny::read(name);
        let dir = tiny.write();
        let elsewhere = tempfile::tempdir().unwrap();
        let out = elsewhere.path().join("out");
        let mut job = Job::new(dir.path(), &out);
        job.format = NVFP4;
        let report = CalibratedJob::new(job, Method::default()).run(&tiny.tokens, &()).unwrap();
        let experts: Vec<_> = report.linears.iter().filter(|l| l.module.contains(".experts.")).collect();
        let wanted = tiny.shapes.keys().filter(|name| name.contains(".experts.")).count();
        assert!(wanted > 0 && experts.len() == wanted, "{name}: {} of {wanted}", experts.len());
        // Every token chooses the same number of experts, and not each expert gets as many.
        let layers = experts.iter().filter(|l| l.module.contains(".experts.0.")).count() as u64 / 3;
        let chosen = tiny.config["num_experts_per_tok"].as_u64().unwrap();
        let tokens: usize = tiny.tokens.iter().map(Vec::len).sum();
        let seen: u64 = experts.iter().map(|l| l.tokens).sum();
        assert_eq!(seen, 3 * layers * chosen * tokens as u64, "{name}");
        assert!(experts.iter().any(|l| l.tokens != experts[0].tokens), "{name}");
        assert!(report.linears.iter().all(|l| l.loss <= l.rtn * (1.0 + 1e-9)), "{name}");

        let (original, quantized) = (Checkpoint::open(dir.path()).unwrap(), Checkpoint::open(&out).unwrap());
        let (original, quantized) = (Model::open(&original).unwrap(), Model::open(&quantized).unwrap());
        let both = quantized.evaluate(&original, &tiny.tokens, tiny.tokens.len()).unwrap();
        assert!(both.divergence.mean() > 0.0 && both.divergence.mean() < 0.5, "{:?}", both.divergence);
    }
}
