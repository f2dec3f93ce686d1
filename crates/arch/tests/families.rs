//! The columns of the table on configurations with public hyper-parameters: what they describe, what is linear, what fuses, what feeds what.

use lowbit_arch::{
    Act, Arch, Cache, Description, Error, FAMILIES, Family, Keys, NormKind, Placement, Producer, Role,
    RopePairs, RopeScaling, Routing, Setting, Slot, gguf_key,
};
use serde_json::{Map, Value, json};

fn config(name: &str) -> Map<String, Value> {
    let path = format!("{}/../../testdata/configs/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn describe(name: &str) -> Description {
    Description::read(&config(name)).unwrap()
}

/// Modules of a layer that are linears.
fn linears(d: &Description) -> Vec<&'static str> {
    d.family.linears().map(|name| name.module).collect()
}

/// What each norm of layer 0 feeds, by the names of the row: `norm > reader, reader + router`.
fn norms(name: &str) -> Vec<String> {
    let (map, d) = (config(name), describe(name));
    let arch = Arch::new(Some(&map));
    let layer = format!("{}{}.0", d.family.prefix, d.family.layers);
    let weights = d.family.names().filter(|name| name.slot.is_in_layer() && name.is_weight);
    let modules: Vec<String> =
        weights.map(|name| format!("{layer}.{}", name.module.replace('*', "5"))).collect();
    let feeds = arch.feeds(&layer, modules.iter().map(String::as_str));
    let short = |names: &[String]| {
        let names: Vec<&str> = names.iter().map(|name| &name[layer.len() + 1..]).collect();
        names.join(", ")
    };
    let of_norms = feeds.iter().filter(|feed| feed.producer == Producer::Norm);
    of_norms
        .map(|feed| {
            let routers =
                if feed.routers.is_empty() { String::new() } else { format!(" + {}", short(&feed.routers)) };
            format!("{} > {}{routers}", &feed.from[layer.len() + 1..], short(&feed.to))
        })
        .collect()
}

#[test]
fn gpt2() {
    let d = describe("gpt2");
    assert_eq!((d.hidden, d.layers, d.heads, d.kv_heads, d.head_dim), (768, 12, 12, 12, 64));
    assert_eq!((d.intermediate, d.vocab, d.learned_positions), (3072, 50_257, 1024));
    assert_eq!((d.norm, d.norm_eps, d.placement), (NormKind::Layer, 1e-5, Placement::Pre));
    assert!(d.rope.is_none() && !d.gated && d.tied && d.experts.is_none());
    assert_eq!((d.act, &d.biased[..]), (Act::GeluTanh, &["c_attn", "c_proj", "c_fc"][..]));
    assert_eq!(linears(&d), ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]);
    assert_eq!(norms("gpt2"), ["ln_1 > attn.c_attn", "ln_2 > mlp.c_fc"]);
    let arch = Arch::new(Some(&config("gpt2")));
    assert_eq!(arch.shares("transformer.h.0.attn.c_attn"), None);
    assert_eq!(d.family.tensor(d.family.name_of(Slot::Up).unwrap(), 3, 0), "transformer.h.3.mlp.c_fc.weight");
    assert_eq!(d.cache(0).values(), 2 * 768);
}

#[test]
fn gpt_neox() {
    let d = describe("gpt-neox");
    let rope = d.rope.as_ref().unwrap();
    assert_eq!(
        (d.norm, d.placement, d.gated, d.act),
        (NormKind::Layer, Placement::Parallel, false, Act::Gelu)
    );
    assert_eq!((rope.dims, rope.frequencies.len(), rope.theta), (16, 8, 10_000.0));
    assert_eq!(rope.pairs, RopePairs::Halves);
    assert_eq!(d.biased, ["dense_h_to_4h", "dense_4h_to_h", "query_key_value", "dense"]);
    assert_eq!(
        linears(&d),
        ["attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h"]
    );
    assert_eq!(
        norms("gpt-neox"),
        ["input_layernorm > attention.query_key_value", "post_attention_layernorm > mlp.dense_h_to_4h"]
    );
    let mut sequential = config("gpt-neox");
    sequential.insert("use_parallel_residual".into(), json!(false));
    assert_eq!(Description::read(&sequential).unwrap().placement, Placement::Pre);
}

#[test]
fn phi3() {
    let d = describe("phi3");
    let rope = d.rope.as_ref().unwrap();
    assert_eq!((d.head_dim, rope.dims, rope.scaling), (96, 96, RopeScaling::None));
    assert_eq!((d.norm, d.gated, d.act, d.windows[31]), (NormKind::Rms, true, Act::Silu, Some(2047)));
    assert_eq!(linears(&d), ["self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj"]);
    assert_eq!(
        norms("phi3"),
        ["input_layernorm > self_attn.qkv_proj", "post_attention_layernorm > mlp.gate_up_proj"]
    );
    // Fused already: nothing shares a scale with another tensor.
    let arch = Arch::new(Some(&config("phi3")));
    assert!(linears(&d).iter().all(|module| arch.shares(&format!("model.layers.0.{module}")).is_none()));
    // Longer sequences: a list of divisors for short ones and for long ones, and three quarters of a head that rotate.
    let mut long = config("phi3");
    long.insert("partial_rotary_factor".into(), json!(0.75));
    long.insert("max_position_embeddings".into(), json!(131_072));
    let (ones, twos) = (vec![1.0; 36], vec![2.0; 36]);
    let scaling = json!({"type": "longrope", "short_factor": ones, "long_factor": twos});
    long.insert("rope_scaling".into(), scaling.clone());
    let rope = Description::read(&long).unwrap().rope.unwrap();
    assert_eq!((rope.dims, rope.scaling), (72, RopeScaling::LongRope));
    assert_eq!((rope.frequencies[0], rope.long_frequencies[0]), (1.0, 0.5));
    // ln(32) / ln(4096) = 5 / 12
    assert!((f64::from(rope.amplitude) - (1.0_f64 + 5.0 / 12.0).sqrt()).abs() < 1e-6);
    long.insert("partial_rotary_factor".into(), json!(1.0));
    assert_eq!(
        Description::read(&long).unwrap_err().to_string(),
        "`short_factor` has 36 numbers for 48 pairs"
    );
    // No other family has it.
    let mut llama = config("llama");
    llama.insert("rope_scaling".into(), scaling);
    assert!(matches!(Description::read(&llama), Err(Error::Unsupported { .. })));
}

#[test]
fn gpt_oss() {
    let d = describe("gpt-oss");
    let (rope, experts) = (d.rope.as_ref().unwrap(), d.experts.as_ref().unwrap());
    assert_eq!((d.heads, d.kv_heads, d.head_dim, d.sinks), (64, 8, 64, true));
    assert_eq!((rope.theta, rope.scaling), (150_000.0, RopeScaling::Yarn));
    // 0.1 ln(32) + 1
    assert!((rope.amplitude - 1.346_573_6).abs() < 1e-6);
    assert_eq!((d.windows[0], d.windows[1]), (Some(128), None));
    assert_eq!((d.act, d.act_limit), (Act::SwigluClamped, Some(7.0)));
    assert_eq!((experts.count, experts.chosen, experts.intermediate), (32, 4, 2880));
    assert_eq!((experts.routing, experts.normed), (Routing::SoftmaxOfChosen, true));
    assert!(experts.sparse.iter().all(|sparse| *sparse));
    assert!(d.biased.contains(&"q_proj") && d.biased.contains(&"o_proj") && d.biased.contains(&"router"));
    assert_eq!(d.cache(0), d.cache(2));
    assert!(matches!(d.cache(0), Cache::KeysAndValues { keys: 512, values: 512, window: Some(128), .. }));
    assert_eq!(norms("gpt-oss"), ["input_layernorm > self_attn.k_proj, self_attn.q_proj, self_attn.v_proj"]);
    let arch = Arch::new(Some(&config("gpt-oss")));
    assert_eq!(arch.role("model.layers.0.self_attn.sinks", &[64]), Role::Other);
    let share = |module: &str| arch.shares(&format!("model.layers.0.self_attn.{module}"));
    assert!(share("q_proj").is_some() && share("q_proj") == share("v_proj") && share("o_proj").is_none());
    let stack = d.family.name_of(Slot::ExpertsGateUp).unwrap();
    assert_eq!(stack.gguf, ["ffn_gate_exps", "ffn_up_exps"]);
    assert_eq!(d.family.tensor(stack, 2, 0), "model.layers.2.mlp.experts.gate_up_proj");
}

#[test]
fn deepseek_v3() {
    let d = describe("deepseek-v3");
    let (rope, latent, experts) = (d.rope.as_ref().unwrap(), d.latent.unwrap(), d.experts.as_ref().unwrap());
    assert_eq!((d.head_dim, d.value_dim, latent.query_rank, latent.rank), (192, 128, Some(1536), 512));
    assert_eq!((latent.plain_dim, latent.rope_dim), (128, 64));
    assert_eq!((rope.dims, rope.pairs, rope.scaling), (64, RopePairs::Adjacent, RopeScaling::Yarn));
    // mscale and mscale_all_dim are equal: cosines stay, and scores are multiplied with (0.1 ln 40 + 1)^2 / sqrt(192).
    assert_eq!(rope.amplitude, 1.0);
    assert!((f64::from(d.attention_scale) - 0.135_234).abs() < 1e-5, "{}", d.attention_scale);
    assert_eq!((experts.count, experts.chosen, experts.intermediate), (256, 8, 2048));
    assert_eq!((experts.routing, experts.groups, experts.chosen_groups), (Routing::Sigmoid, 8, 4));
    assert_eq!((experts.normed, experts.scale, experts.shared), (true, 2.5, 1));
    assert_eq!((d.is_sparse(2), d.is_sparse(3), d.is_sparse(60)), (false, true, true));
    // 576 numbers for each token, not 32,768.
    assert_eq!(d.cache(0), Cache::Latent { rank: 512, rope: 64 });
    assert_eq!(d.cache(0).values(), 576);
    let arch = Arch::new(Some(&config("deepseek-v3")));
    assert_eq!(arch.role("model.layers.3.mlp.gate.e_score_correction_bias", &[256]), Role::Router);
    assert_eq!(arch.role("model.layers.61.eh_proj.weight", &[7168, 14_336]), Role::Mtp);
    let share = |module: &str| arch.shares(&format!("model.layers.0.{module}"));
    assert!(share("self_attn.q_a_proj").is_some());
    assert_eq!(share("self_attn.q_a_proj"), share("self_attn.kv_a_proj_with_mqa"));
    assert_eq!(share("mlp.shared_experts.gate_proj"), share("mlp.shared_experts.up_proj"));
    assert_eq!(
        norms("deepseek-v3"),
        [
            "input_layernorm > self_attn.kv_a_proj_with_mqa, self_attn.q_a_proj",
            "post_attention_layernorm > mlp.experts.5.gate_proj, mlp.experts.5.up_proj, mlp.gate_proj, \
             mlp.shared_experts.gate_proj, mlp.shared_experts.up_proj, mlp.up_proj + mlp.gate",
            "self_attn.kv_a_layernorm > self_attn.kv_b_proj",
            "self_attn.q_a_layernorm > self_attn.q_b_proj",
        ]
    );
}

#[test]
fn granite() {
    let d = describe("granite");
    assert_eq!((d.embedding_scale, d.residual_scale), (12.0, 0.22));
    assert_eq!((d.attention_scale, d.logit_divisor), (0.015_625, 8.0));
    assert_eq!((d.head_dim, d.tied, d.rope.unwrap().theta), (64, true, 5_000_000.0));
    assert_eq!(
        norms("granite"),
        [
            "input_layernorm > self_attn.k_proj, self_attn.q_proj, self_attn.v_proj",
            "post_attention_layernorm > mlp.gate_proj, mlp.up_proj"
        ]
    );
    // Another family does not have the multipliers, and says so.
    let mut llama = config("llama");
    llama.insert("residual_multiplier".into(), json!(0.22));
    assert_eq!(
        Description::read(&llama).unwrap_err().to_string(),
        "setting residual_multiplier of a llama model is not described; models without it are"
    );
}

/// Every name of every row is what its place says, by the rules that hold for all names.
#[test]
fn names_have_the_roles_of_their_places() {
    for family in FAMILIES {
        let config = json!({"model_type": family.model_types[0], "hidden_size": 64});
        let arch = Arch::new(config.as_object());
        assert_eq!(arch.family(), family.name);
        for name in family.names() {
            let shape: &[usize] = match name.slot.role() {
                Role::Norm | Role::Other => &[64],
                Role::Router if !name.is_weight => &[8],
                Role::Experts => &[8, 128, 64],
                _ => &[128, 64],
            };
            let want = match name.slot.role() {
                Role::Linear if family.name == "gpt2" => Role::Transposed,
                Role::Experts if family.name == "gpt-oss" => Role::Transposed,
                role => role,
            };
            assert_eq!(arch.role(&family.tensor(name, 1, 7), shape), want, "{} {name:?}", family.name);
        }
        let mut slots: Vec<_> = family.names().map(|name| name.slot).collect();
        let all = slots.len();
        slots.sort_by_key(|slot| format!("{slot:?}"));
        slots.dedup();
        assert_eq!(slots.len(), all, "{}: two names for one place", family.name);
        assert!(family.decoder.is_none() || !family.names.is_empty(), "{}", family.name);
    }
}

#[test]
fn a_model_type_is_in_one_row() {
    let mut types: Vec<&str> = FAMILIES.iter().flat_map(|family| family.model_types).copied().collect();
    let all = types.len();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), all);
    assert!(Family::of_model_type("nobody's").is_none());
    let unknown = Arch::new(json!({"model_type": "nobody's"}).as_object());
    assert_eq!((unknown.family(), unknown.head()), ("generic", "lm_head"));
    let error = Description::read(json!({"model_type": "bert"}).as_object().unwrap()).unwrap_err();
    assert!(error.to_string().starts_with("model_type bert is not described; models that are: llama, "));
}

/// Metadata of a GGUF file, as far as a description needs it.
struct Gguf(Vec<(&'static str, Setting<'static>)>);

impl Keys for Gguf {
    fn get(&self, key: &str) -> Option<Setting<'_>> {
        let find = |key: &str| Some(self.0.iter().find(|row| row.0 == key)?.1.clone());
        let Some(Setting::Text(architecture)) = find("general.architecture") else { return None };
        match key {
            "model_type" => Some(Setting::Text(Family::of_gguf(architecture)?.model_types[0])),
            _ => find(&format!("{architecture}.{}", gguf_key(key)?)),
        }
    }

    fn has_group(&self, key: &str) -> bool {
        self.get(&format!("{key}.rope_type")).is_some()
    }
}

#[test]
fn the_same_description_comes_from_gguf_keys() {
    use Setting::{Number, Text, Whole};
    let gguf = Gguf(vec![
        ("general.architecture", Text("granite")),
        ("granite.block_count", Whole(40)),
        ("granite.embedding_length", Whole(2048)),
        ("granite.feed_forward_length", Whole(8192)),
        ("granite.attention.head_count", Whole(32)),
        ("granite.attention.head_count_kv", Whole(8)),
        ("granite.attention.layer_norm_rms_epsilon", Number(1e-5)),
        ("granite.attention.scale", Number(0.015_625)),
        ("granite.embedding_scale", Number(12.0)),
        ("granite.residual_scale", Number(0.22)),
        ("granite.logit_scale", Number(8.0)),
        ("granite.rope.freq_base", Number(5e6)),
        ("granite.vocab_size", Whole(49_155)),
    ]);
    let (d, mut want) = (Description::read(&gguf).unwrap(), describe("granite"));
    // GGUF says of no model that its head is the embedding: the tensor is there or it is not.
    want.tied = false;
    assert_eq!(format!("{d:?}"), format!("{want:?}"));
    let linear = Gguf(
        [
            gguf.0,
            vec![("granite.rope.scaling.type", Text("linear")), ("granite.rope.scaling.factor", Number(2.0))],
        ]
        .concat(),
    );
    assert_eq!(Description::read(&linear).unwrap().rope.unwrap().frequencies[0], 0.5);
}
