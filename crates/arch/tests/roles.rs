//! The architecture table on the tensor names of real models: what is quantized, what shares a scale, what stays.

use lowbit_arch::{Arch, Role};
use serde_json::{Value, json};

/// Checks the role of every name, given as `name rows x cols` with `x`-separated shapes.
fn roles(config: Value, cases: &[(&str, &[usize], Role)]) -> Arch {
    let arch = Arch::new(config.as_object());
    for (name, shape, role) in cases {
        assert_eq!(arch.role(name, shape), *role, "{name}");
    }
    arch
}

#[test]
fn llama() {
    let arch = roles(
        json!({"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32}),
        &[
            ("model.embed_tokens.weight", &[128_256, 4096], Role::Embedding),
            ("model.layers.0.self_attn.q_proj.weight", &[4096, 4096], Role::Linear),
            ("model.layers.0.self_attn.q_proj.bias", &[4096], Role::Other),
            ("model.layers.31.mlp.down_proj.weight", &[4096, 14_336], Role::Linear),
            ("model.layers.31.input_layernorm.weight", &[4096], Role::Norm),
            ("model.layers.31.post_attention_layernorm.weight", &[4096], Role::Norm),
            ("model.layers.0.self_attn.rotary_emb.inv_freq", &[64], Role::Other),
            ("model.norm.weight", &[4096], Role::Norm),
            ("lm_head.weight", &[128_256, 4096], Role::Head),
        ],
    );
    let share = |module: &str| arch.shares(&format!("model.layers.3.{module}"));
    assert!(share("self_attn.q_proj").is_some());
    assert_eq!(share("self_attn.q_proj"), share("self_attn.k_proj"));
    assert_eq!(share("self_attn.q_proj"), share("self_attn.v_proj"));
    assert_eq!(share("mlp.gate_proj"), share("mlp.up_proj"));
    assert_ne!(share("mlp.gate_proj"), share("self_attn.q_proj"));
    assert_eq!((share("self_attn.o_proj"), share("mlp.down_proj")), (None, None));
}

#[test]
fn qwen3_moe() {
    let arch = roles(
        json!({"model_type": "qwen3_moe", "hidden_size": 2048, "moe_intermediate_size": 768}),
        &[
            ("model.layers.0.mlp.gate.weight", &[128, 2048], Role::Router),
            ("model.layers.0.mlp.experts.0.gate_proj.weight", &[768, 2048], Role::Linear),
            ("model.layers.0.mlp.experts.127.down_proj.weight", &[2048, 768], Role::Linear),
            ("model.layers.0.self_attn.q_norm.weight", &[128], Role::Norm),
            ("model.layers.0.mlp.shared_expert_gate.weight", &[1, 2048], Role::Router),
            ("model.layers.0.mlp.shared_expert.up_proj.weight", &[768, 2048], Role::Linear),
            // Saved with all experts in one tensor.
            ("model.layers.0.mlp.experts.gate_up_proj", &[128, 1536, 2048], Role::Experts),
            ("model.layers.0.mlp.experts.down_proj", &[128, 2048, 768], Role::Experts),
            // The same the other way round: shapes tell.
            ("model.layers.1.mlp.experts.gate_up_proj", &[128, 2048, 1536], Role::Transposed),
            ("model.layers.1.mlp.experts.down_proj", &[128, 768, 2048], Role::Transposed),
        ],
    );
    let expert = |n: usize, part: &str| arch.shares(&format!("model.layers.0.mlp.experts.{n}.{part}"));
    assert_eq!(expert(7, "gate_proj"), expert(7, "up_proj"));
    assert_ne!(expert(7, "gate_proj"), expert(8, "gate_proj"));
    let cut = arch.split_experts("model.layers.0.mlp.experts.gate_up_proj", &[128, 1536, 2048]).unwrap();
    assert_eq!(cut.len(), 256);
    assert_eq!(cut[3].module, "model.layers.0.mlp.experts.1.up_proj");
    assert_eq!((cut[3].matrix, cut[3].first_row, cut[3].rows), (1, 768, 768));
}

#[test]
fn mixtral() {
    let arch = roles(
        json!({"model_type": "mixtral"}),
        &[
            ("model.layers.0.block_sparse_moe.gate.weight", &[8, 4096], Role::Router),
            ("model.layers.0.block_sparse_moe.experts.7.w1.weight", &[14_336, 4096], Role::Linear),
            ("model.layers.0.block_sparse_moe.experts.7.w2.weight", &[4096, 14_336], Role::Linear),
        ],
    );
    let share = |w: &str| arch.shares(&format!("model.layers.0.block_sparse_moe.experts.7.{w}"));
    assert_eq!(share("w1"), share("w3"));
    assert_eq!(share("w2"), None);
}

#[test]
fn deepseek_v3() {
    let arch = roles(
        json!({"model_type": "deepseek_v3", "num_hidden_layers": 61, "num_nextn_predict_layers": 1}),
        &[
            ("model.layers.0.self_attn.q_a_proj.weight", &[1536, 7168], Role::Linear),
            ("model.layers.0.self_attn.q_a_layernorm.weight", &[1536], Role::Norm),
            ("model.layers.0.self_attn.kv_a_proj_with_mqa.weight", &[576, 7168], Role::Linear),
            ("model.layers.0.self_attn.kv_b_proj.weight", &[32_768, 512], Role::Linear),
            ("model.layers.3.mlp.gate.weight", &[256, 7168], Role::Router),
            ("model.layers.3.mlp.gate.e_score_correction_bias", &[256], Role::Router),
            ("model.layers.3.mlp.experts.255.up_proj.weight", &[2048, 7168], Role::Linear),
            ("model.layers.3.mlp.shared_experts.up_proj.weight", &[2048, 7168], Role::Linear),
            ("model.layers.60.self_attn.o_proj.weight", &[7168, 16_384], Role::Linear),
            ("model.layers.61.self_attn.o_proj.weight", &[7168, 16_384], Role::Mtp),
            ("model.layers.61.eh_proj.weight", &[7168, 14_336], Role::Mtp),
        ],
    );
    let share = |m: &str| arch.shares(&format!("model.layers.0.self_attn.{m}"));
    assert_eq!(share("q_a_proj"), share("kv_a_proj_with_mqa"));
    assert_eq!(share("q_b_proj"), None);
}

#[test]
fn gpt_oss() {
    let arch = roles(
        json!({"model_type": "gpt_oss", "hidden_size": 2880, "intermediate_size": 2880}),
        &[
            ("model.layers.0.self_attn.q_proj.weight", &[4096, 2880], Role::Linear),
            ("model.layers.0.self_attn.sinks", &[64], Role::Other),
            ("model.layers.0.mlp.router.weight", &[32, 2880], Role::Router),
            ("model.layers.0.mlp.experts.gate_up_proj", &[32, 2880, 5760], Role::Transposed),
            ("model.layers.0.mlp.experts.gate_up_proj_bias", &[32, 5760], Role::Other),
            ("model.layers.0.mlp.experts.down_proj", &[32, 2880, 2880], Role::Transposed),
        ],
    );
    assert_eq!(arch.family(), "gpt-oss");
}

#[test]
fn gemma3_with_vision() {
    roles(
        json!({"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "hidden_size": 2560}}),
        &[
            ("language_model.model.embed_tokens.weight", &[262_208, 2560], Role::Embedding),
            ("language_model.model.layers.0.mlp.gate_proj.weight", &[10_240, 2560], Role::Linear),
            ("language_model.model.layers.0.pre_feedforward_layernorm.weight", &[2560], Role::Norm),
            ("vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight", &[4304, 1152], Role::Vision),
            ("vision_tower.vision_model.embeddings.patch_embedding.weight", &[1152, 3, 14, 14], Role::Vision),
            ("multi_modal_projector.mm_input_projection_weight", &[1152, 2560], Role::Vision),
        ],
    );
}

#[test]
fn bert() {
    let arch = roles(
        json!({"model_type": "bert"}),
        &[
            ("bert.embeddings.word_embeddings.weight", &[30_522, 768], Role::Embedding),
            ("bert.embeddings.position_embeddings.weight", &[512, 768], Role::Embedding),
            ("bert.embeddings.LayerNorm.weight", &[768], Role::Embedding),
            ("bert.encoder.layer.0.attention.self.query.weight", &[768, 768], Role::Linear),
            ("bert.encoder.layer.0.attention.output.dense.weight", &[768, 768], Role::Linear),
            ("bert.encoder.layer.0.attention.output.LayerNorm.weight", &[768], Role::Norm),
            ("bert.encoder.layer.0.intermediate.dense.weight", &[3072, 768], Role::Linear),
            ("bert.encoder.layer.0.output.dense.weight", &[768, 3072], Role::Linear),
            ("bert.pooler.dense.weight", &[768, 768], Role::Linear),
            ("cls.predictions.decoder.weight", &[30_522, 768], Role::Head),
            ("classifier.weight", &[2, 768], Role::Head),
        ],
    );
    for part in ["query", "key", "value"] {
        assert_eq!(arch.shares(&format!("bert.encoder.layer.0.attention.self.{part}")), None);
    }
}

#[test]
fn gpt2() {
    roles(
        json!({"model_type": "gpt2"}),
        &[
            ("wte.weight", &[50_257, 768], Role::Embedding),
            ("transformer.wpe.weight", &[1024, 768], Role::Embedding),
            ("h.0.attn.c_attn.weight", &[768, 2304], Role::Transposed),
            ("h.0.attn.bias", &[1, 1, 1024, 1024], Role::Other),
            ("h.0.mlp.c_fc.weight", &[768, 3072], Role::Transposed),
            ("h.0.ln_1.weight", &[768], Role::Norm),
            ("ln_f.weight", &[768], Role::Norm),
        ],
    );
}

#[test]
fn phi() {
    roles(
        json!({"model_type": "phi3"}),
        &[
            ("model.layers.0.self_attn.qkv_proj.weight", &[9216, 3072], Role::Linear),
            ("model.layers.0.mlp.gate_up_proj.weight", &[16_384, 3072], Role::Linear),
            ("model.layers.0.mlp.fc1.weight", &[10_240, 2560], Role::Linear),
            ("model.layers.0.self_attn.dense.weight", &[2560, 2560], Role::Linear),
            ("model.final_layernorm.weight", &[2560], Role::Norm),
        ],
    );
}

#[test]
fn mamba() {
    roles(
        json!({"model_type": "mamba"}),
        &[
            ("backbone.embeddings.weight", &[50_280, 768], Role::Embedding),
            ("backbone.layers.0.mixer.conv1d.weight", &[1536, 1, 4], Role::Conv),
            ("backbone.layers.0.mixer.dt_proj.weight", &[1536, 48], Role::Router),
            ("backbone.layers.0.mixer.in_proj.weight", &[3072, 768], Role::Linear),
            ("backbone.layers.0.mixer.A_log", &[1536, 16], Role::Other),
        ],
    );
}

#[test]
fn linears_with_embed_in_their_names() {
    roles(
        json!({"model_type": "gpt_neox"}),
        &[
            ("gpt_neox.embed_in.weight", &[50_432, 512], Role::Embedding),
            ("embed_out.weight", &[50_432, 512], Role::Head),
            ("albert.encoder.embedding_hidden_mapping_in.weight", &[768, 128], Role::Projection),
            ("electra.embeddings_project.weight", &[256, 128], Role::Projection),
            ("albert.embeddings.word_embeddings.weight", &[30_000, 128], Role::Embedding),
        ],
    );
}

#[test]
fn whisper() {
    roles(
        json!({"model_type": "whisper", "num_hidden_layers": 4}),
        &[
            ("model.encoder.conv1.weight", &[384, 80, 3], Role::Conv),
            ("model.encoder.embed_positions.weight", &[1500, 384], Role::Embedding),
            ("model.encoder.layers.0.self_attn.k_proj.weight", &[384, 384], Role::Linear),
            ("model.decoder.layers.0.encoder_attn.q_proj.weight", &[384, 384], Role::Linear),
            ("model.decoder.layers.0.fc1.weight", &[1536, 384], Role::Linear),
            ("model.decoder.embed_tokens.weight", &[51_865, 384], Role::Embedding),
            ("proj_out.weight", &[51_865, 384], Role::Head),
        ],
    );
}

#[test]
fn qwen3_next_and_lfm2() {
    roles(
        json!({"model_type": "qwen3_next"}),
        &[
            ("model.layers.0.linear_attn.in_proj_ba.weight", &[64, 2048], Role::Router),
            ("model.layers.0.linear_attn.in_proj_qkvz.weight", &[12_288, 2048], Role::Linear),
            ("model.layers.0.linear_attn.conv1d.weight", &[8192, 1, 4], Role::Conv),
            ("model.layers.0.linear_attn.A_log", &[32], Role::Other),
            ("mtp.layers.0.mlp.experts.0.up_proj.weight", &[512, 2048], Role::Mtp),
        ],
    );
    roles(
        json!({"model_type": "lfm2"}),
        &[
            ("model.layers.0.conv.conv.weight", &[2048, 1, 3], Role::Conv),
            ("model.layers.0.conv.in_proj.weight", &[6144, 2048], Role::Linear),
        ],
    );
}
