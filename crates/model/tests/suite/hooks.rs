//! Hooks see the inputs of every linear, projection by projection, and what they change is what the products use.

use crate::tiny::Tiny;
use lowbit_checkpoint::Checkpoint;
use lowbit_model::{Error, Hook, Model, ProjectionKind, Projections, Result};
use std::collections::BTreeMap;

/// Counts what it sees, and may zero the weights of a kind of projections.
#[derive(Default)]
struct Look {
    order: Vec<String>,
    tokens: BTreeMap<String, usize>,
    settled: Vec<String>,
    zero: Option<ProjectionKind>,
    after: Vec<f32>,
}

impl Hook for Look {
    fn observe(&mut self, projections: &Projections, rows: &[f32]) -> Result<()> {
        if !self.order.contains(&projections.name()) {
            self.order.push(projections.name());
        }
        *self.tokens.entry(projections.name()).or_default() += rows.len() / projections.inputs();
        if projections.kind == ProjectionKind::Down {
            self.after.extend_from_slice(rows);
        }
        Ok(())
    }

    fn replace_weights(&mut self, projections: &mut Projections) -> Result<()> {
        self.settled.push(projections.name());
        if self.zero == Some(projections.kind) {
            projections.linears[0].weight.fill(0.0);
        }
        Ok(())
    }
}

#[test]
fn stages_come_in_order_and_see_all_tokens() {
    let tiny = Tiny::read("llama");
    let dir = tiny.write();
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let model = Model::open(&checkpoint).unwrap();
    let (mut look, mut hidden) = (Look::default(), model.embed(&tiny.tokens).unwrap());
    model.forward(&mut hidden, &mut look).unwrap();
    let kinds = ["qkv", "attention_out", "gate_up", "down"];
    let want: Vec<_> = (0..2).flat_map(|l| kinds.map(|kind| format!("layers.{l}.{kind}"))).collect();
    assert_eq!((&look.order, &look.settled), (&want, &want));
    assert!(look.tokens.values().all(|&tokens| tokens == 48));
    let layer = model.layer(1).unwrap();
    let names: Vec<_> = layer.projections().iter().flat_map(|s| &s.linears).map(|l| l.name.clone()).collect();
    assert_eq!(names[0], "model.layers.1.self_attn.q_proj");
    assert_eq!((names.len(), &names[6][..]), (7, "model.layers.1.mlp.down_proj"));
    // Looking changes nothing.
    assert_eq!(model.hidden(&tiny.tokens).unwrap(), hidden);
}

#[test]
fn settled_weights_are_those_of_the_products() {
    let tiny = Tiny::read("llama");
    let dir = tiny.write();
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let model = Model::open(&checkpoint).unwrap();
    let mut look = Look { zero: Some(ProjectionKind::GateUp), ..Look::default() };
    let mut hidden = model.embed(&tiny.tokens).unwrap();
    let mut layer = model.layer(0).unwrap();
    layer.forward(&mut hidden, &mut look).unwrap();
    // Without gates nothing reaches down_proj: silu(0) up = 0.
    assert!(look.after.len() == 48 * 48 && look.after.iter().all(|&x| x == 0.0));
    // The layer keeps what was settled.
    assert!(layer.projections()[2].linears[0].weight.iter().all(|&w| w == 0.0));
    assert!(layer.projections()[2].linears[1].weight.iter().any(|&w| w != 0.0));
}

#[test]
fn experts_see_their_own_tokens() {
    for (name, chosen, sparse) in [("mixtral", 2, 2), ("qwen3-moe", 2, 1)] {
        let tiny = Tiny::read(name);
        let dir = tiny.write();
        let checkpoint = Checkpoint::open(dir.path()).unwrap();
        let model = Model::open(&checkpoint).unwrap();
        let (mut look, mut hidden) = (Look::default(), model.embed(&tiny.tokens).unwrap());
        model.forward(&mut hidden, &mut look).unwrap();
        let of_experts = |kind: &str| -> usize {
            look.tokens
                .iter()
                .filter(|(n, _)| n.contains("experts") && n.ends_with(kind))
                .map(|(_, t)| t)
                .sum()
        };
        assert_eq!((of_experts("gate_up"), of_experts("down")), (48 * chosen * sparse, 48 * chosen * sparse));
        let experts = model.description().experts.as_ref().unwrap().count;
        let settled = look.settled.iter().filter(|n| n.contains("experts")).count();
        assert_eq!(settled, experts * sparse * 2, "every expert settles, chosen or not");
    }
}

#[test]
fn a_hook_that_gives_up_stops_the_run() {
    struct Stop;
    impl Hook for Stop {
        fn replace_weights(&mut self, projections: &mut Projections) -> Result<()> {
            Err(Error::hook(format!("enough of {}", projections.name())))
        }
    }
    struct Cut;
    impl Hook for Cut {
        fn replace_weights(&mut self, projections: &mut Projections) -> Result<()> {
            projections.linears[0].weight.pop();
            Ok(())
        }
    }
    let tiny = Tiny::read("llama");
    let dir = tiny.write();
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    let model = Model::open(&checkpoint).unwrap();
    let run = |hook: &mut dyn Hook| {
        let mut hidden = model.embed(&tiny.tokens).unwrap();
        model.forward(&mut hidden, hook).unwrap_err().to_string()
    };
    assert_eq!(run(&mut Stop), "enough of layers.0.qkv");
    assert_eq!(run(&mut Cut), "model.layers.0.self_attn.q_proj: the weight has 1023 values, not 1024");
}
