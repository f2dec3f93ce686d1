//! Families that the architecture table describes and the runtime does not run are refused by name.

use crate::tiny::{Tiny, testdata};
use lowbit_checkpoint::Checkpoint;
use lowbit_model::{Description, Error, Model};

#[test]
fn families_that_are_described_and_not_run_are_named() {
    for name in ["gpt2", "gpt-neox", "phi3", "gpt-oss", "deepseek-v3", "granite"] {
        let text = std::fs::read_to_string(testdata().join("configs").join(format!("{name}.json"))).unwrap();
        let config = serde_json::from_str(&text).unwrap();
        let described = Description::read(&config).unwrap();
        let tiny = Tiny { config, ..Tiny::read("llama") };
        let dir = tiny.write();
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        let error = Model::open(&checkpoint).unwrap_err();
        let want = format!("model_type {} is not run; models that are: llama, ", described.model_type);
        assert!(error.to_string().contains(&want), "{error}");
        assert!(matches!(error, Error::Unsupported { .. }));
    }
}
