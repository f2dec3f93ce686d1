//! Faults, one row each: in which good checkpoint, what is broken in it, and the one code that must be found.

use crate::model::{Tensor, weights};
use crate::verify::{Base, config, edit, edit_in, index, shard_of, side, tensor};
use lowbit_checkpoint::index::INDEX;
use lowbit_checkpoint::safetensors::Dtype;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// One fault.
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) what: &'static str,
    pub(crate) base: Base,
    pub(crate) plant: fn(&Path),
}

macro_rules! faults {
    ($($code:literal $base:ident $what:literal: $plant:expr;)*) => {
        &[$(Fault { code: $code, what: $what, base: Base::$base, plant: $plant },)*]
    };
}

const Q: &str = "model.layers.0.self_attn.q_proj";
const K: &str = "model.layers.0.self_attn.k_proj";
const O: &str = "model.layers.0.self_attn.o_proj";
const EXPERT: &str = "model.layers.1.mlp.experts.1";

pub(crate) const FAULTS: &[Fault] = faults! {
    "LB-F01" Plain "no config.json": |dir| fs::remove_file(dir.join("config.json")).unwrap();
    "LB-F02" Plain "config.json cut": |dir| fs::write(dir.join("config.json"), "{\"model_type\": ").unwrap();
    "LB-F02" ModelOptNvfp4 "hf_quant_config.json is a list": |dir| fs::write(dir.join("hf_quant_config.json"), "[]").unwrap();
    "LB-F03" Nvfp4 "no weights": |dir| fs::remove_file(dir.join("model.safetensors")).unwrap();
    "LB-F04" Sharded "no index": |dir| fs::remove_file(dir.join(INDEX)).unwrap();
    "LB-F05" Sharded "garbage for an index": |dir| fs::write(dir.join(INDEX), b"\xff\x00").unwrap();
    "LB-F05" Sharded "an index that leaves the directory": |dir| index(dir, |map| {
        map.insert("x".into(), "../x.safetensors".into());
    });
    "LB-F06" Sharded "a shard is gone": |dir| fs::remove_file(shard_of(dir, "model.embed_tokens.weight")).unwrap();
    "LB-F07" Sharded "a shard is cut": |dir| {
        let path = shard_of(dir, "model.embed_tokens.weight");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    };
    "LB-F07" Nvfp4 "a file of nothing": |dir| fs::write(dir.join("model.safetensors"), "").unwrap();
    "LB-F08" Sharded "the index names a tensor more": |dir| index(dir, |map| {
        let shard = map["lm_head.weight"].clone();
        map.insert("lm_head.bias".into(), shard);
    });
    "LB-F09" Sharded "the index names the wrong shard": |dir| index(dir, |map| {
        let shard = map["model.embed_tokens.weight"].clone();
        map.insert(format!("{Q}.weight_scale"), shard);
    });
    "LB-F10" Sharded "the index forgets a tensor": |dir| index(dir, |map| {
        map.remove(&format!("{Q}.weight_scale"));
    });
    "LB-F11" Sharded "a shard too many": |dir| {
        fs::copy(shard_of(dir, "lm_head.weight"), dir.join("model-00099-of-00099.safetensors")).unwrap();
    };
    "LB-F11" Nvfp4 "a shard beside the only file": |dir| {
        fs::copy(dir.join("model.safetensors"), dir.join("model-00001-of-00002.safetensors")).unwrap();
    };
    "LB-F12" Nvfp4 "another file": |dir| {
        fs::copy(dir.join("model.safetensors"), dir.join("consolidated.safetensors")).unwrap();
    };
    "LB-F13" Sharded "a tensor in two shards": |dir| {
        let (from, to) = (shard_of(dir, "lm_head.weight"), shard_of(dir, "model.embed_tokens.weight"));
        let mut copied = None;
        edit_in(&from, |tensors| copied = tensors.iter().find(|t| t.0 == "lm_head.weight").cloned());
        edit_in(&to, |tensors| tensors.extend(copied));
    };
    "LB-F14" Sharded "total_size of another version": |dir| {
        let text = fs::read_to_string(dir.join(INDEX)).unwrap();
        let mut index: Value = serde_json::from_str(&text).unwrap();
        index["metadata"]["total_size"] = json!(1);
        fs::write(dir.join(INDEX), index.to_string()).unwrap();
    };

    "LB-T01" Nvfp4 "block scales lost": |dir| remove(dir, &format!("{O}.weight_scale"));
    "LB-T01" Fp8Block "scales lost where the codes look like a weight": |dir| remove(dir, &format!("{O}.weight_scale"));
    "LB-T01" ModelOptNvfp4 "block scales lost": |dir| remove_all(dir, &format!("{O}.weight_scale"));
    "LB-T02" Nvfp4 "tensor scale lost": |dir| remove(dir, &format!("{O}.weight_global_scale"));
    "LB-T02" ModelOptNvfp4 "tensor scale lost": |dir| remove(dir, &format!("{O}.weight_scale_2"));
    "LB-T02" Plain4 "tensor scale lost": |dir| remove(dir, &format!("{O}.weight.tensor_scale"));
    "LB-T03" Nvfp4 "codes lost": |dir| remove(dir, &format!("{O}.weight_packed"));
    "LB-T03" Fp8Block "codes lost": |dir| remove(dir, &format!("{O}.weight"));
    "LB-T04" Int4Asym "zero points of one layer lost": |dir| remove(dir, &format!("{O}.weight_zero_point"));
    "LB-T05" Nvfp4 "half of the scales": |dir| tensor(dir, &format!("{O}.weight_scale"), halve);
    "LB-T05" Plain "half of the scales": |dir| tensor(dir, &format!("{O}.weight.scales"), halve);
    "LB-T06" Nvfp4 "scales widened to f32": |dir| tensor(dir, &format!("{O}.weight_scale"), |t| {
        t.3 = t.3.iter().flat_map(|&b| lowbit_blocks_e4m3(b).to_le_bytes()).collect();
        t.1 = Dtype::F32;
    });
    "LB-T05" Nvfp4 "scales in another shape of the same size": |dir| tensor(dir, &format!("{O}.weight_scale"), |t| {
        t.2[0] /= 2;
        t.2[1] *= 2;
    });
    "LB-T07" Int4 "half of the codes": |dir| tensor(dir, &format!("{O}.weight_packed"), halve);
    "LB-T08" Int4 "a shape that is not two numbers": |dir| tensor(dir, &format!("{O}.weight_shape"), halve);
    "LB-T09" Nvfp4 "a plain weight besides": |dir| add(dir, weights(&format!("{O}.weight"), &[128, 128]));

    "LB-S01" Nvfp4 "E4M3 NaN": |dir| byte(dir, &format!("{O}.weight_scale"), 5, 0x7f);
    "LB-S01" Mxfp8 "E8M0 NaN": |dir| byte(dir, &format!("{O}.weight_scale"), 5, 0xff);
    "LB-S01" Fp8Block "bf16 NaN": |dir| half(dir, &format!("{O}.weight_scale"), 0, f32::NAN);
    "LB-S01" Nvfp4 "tensor scale NaN": |dir| single(dir, &format!("{O}.weight_global_scale"), |_| f32::NAN);
    "LB-S02" Fp8Block "bf16 infinity": |dir| half(dir, &format!("{O}.weight_scale"), 0, f32::INFINITY);
    "LB-S02" ModelOptNvfp4 "tensor scale infinite": |dir| single(dir, &format!("{O}.weight_scale_2"), |_| f32::INFINITY);
    "LB-S03" Nvfp4 "one block scale zero": |dir| byte(dir, &format!("{O}.weight_scale"), 70, 0);
    "LB-S03" Fp8Block "a tile's scale zero": |dir| half(dir, &format!("{O}.weight_scale"), 0, 0.0);
    "LB-S03" Int4Asym "a group's scale zero": |dir| half(dir, &format!("{O}.weight_scale"), 3, 0.0);
    "LB-S03" ModelOptNvfp4 "tensor scale zero": |dir| single(dir, &format!("{O}.weight_scale_2"), |_| 0.0);
    "LB-S04" Nvfp4 "one block scale negative": |dir| byte(dir, &format!("{O}.weight_scale"), 5, 0xb8);
    "LB-S04" Fp8Block "a tile's scale negative": |dir| half(dir, &format!("{O}.weight_scale"), 0, -0.001);
    "LB-S04" Nvfp4 "tensor scale negative": |dir| single(dir, &format!("{O}.weight_global_scale"), |s| -s);
    "LB-S05" Mxfp8 "exponent bytes as bf16": |dir| tensor(dir, &format!("{O}.weight_scale"), |t| {
        t.3 = t.3.iter().flat_map(|&b| half::bf16::from_f32(b.into()).to_le_bytes()).collect();
        t.1 = Dtype::BF16;
    });
    "LB-S05" Fp8Block "an exponent as a scale": |dir| half(dir, &format!("{O}.weight_scale"), 0, 118.0);
    "LB-S06" Mxfp8 "bytes of something else": |dir| byte(dir, &format!("{O}.weight_scale"), 5, 250);
    "LB-S06" Mxfp8 "scales rounded to integers": |dir| tensor(dir, &format!("{O}.weight_scale"), |t| t.3.fill(0));
    "LB-S06" Nvfp4 "tensor scale multiplies": |dir| single(dir, &format!("{O}.weight_global_scale"), f32::recip);
    "LB-S06" ModelOptNvfp4 "tensor scale divides": |dir| single(dir, &format!("{O}.weight_scale_2"), f32::recip);

    "LB-Z01" Plain "a zero point of 4 bits that is 200": |dir| byte(dir, &format!("{O}.weight.zeros"), 3, 200);
    "LB-Z02" Gptq "v2 zeros under the name of v1": |dir| edit(dir, |tensors| zeros(tensors, 0x88));
    "LB-Z03" Gptq "v1 zeros under the name of v2": |dir| config(dir, |c| c["quantization_config"]["checkpoint_format"] = json!("gptq_v2"));
    "LB-Z04" Gptq "a group that is not there": |dir| byte(dir, &format!("{O}.g_idx"), 9, 1);

    "LB-I01" Calibrated "an expert that saw nothing": |dir| single(dir, &format!("{EXPERT}.down_proj.input_scale"), |_| 0.0);
    "LB-I01" Calibrated "NaN in calibration": |dir| single(dir, &format!("{O}.input_scale"), |_| f32::NAN);
    "LB-I02" Calibrated "a scale of the cache is NaN": |dir| single(dir, &format!("{K}.k_scale"), |_| f32::NAN);
    "LB-I02" Calibrated "a scale of the cache is zero": |dir| single(dir, "model.layers.0.self_attn.v_proj.v_scale", |_| 0.0);
    "LB-I03" Calibrated "a column that was never seen": |dir| half(dir, &format!("{O}.pre_quant_scale"), 7, 0.0);

    "LB-V01" Nvfp4 "NaN in a norm": |dir| half(dir, "model.norm.weight", 9, f32::NAN);
    "LB-V01" Nvfp4 "infinity in the embedding": |dir| half(dir, "model.embed_tokens.weight", 1000, f32::INFINITY);
    "LB-V02" Fp8Block "an FP8 code is NaN": |dir| byte(dir, &format!("{O}.weight"), 1000, 0xff);
    "LB-V02" Mxfp8 "an MXFP8 code is NaN": |dir| byte(dir, &format!("{O}.weight"), 77, 0x7f);

    "LB-C01" Nvfp4 "no groups": |dir| config(dir, |c| _ = c["quantization_config"].as_object_mut().unwrap().remove("config_groups"));
    "LB-C02" Int4 "8 bits are said": |dir| arguments(dir, |w| w["num_bits"] = json!(8));
    "LB-C02" Gptq "8 bits are said": |dir| config(dir, |c| c["quantization_config"]["bits"] = json!(8));
    "LB-C03" Int4 "groups of 64 are said": |dir| arguments(dir, |w| w["group_size"] = json!(64));
    "LB-C03" ModelOptInt4 "groups of 64 are said": |dir| side(dir, |q| q["group_size"] = json!(64));
    "LB-C03" Gptq "groups of 32 are said": |dir| config(dir, |c| c["quantization_config"]["group_size"] = json!(32));
    "LB-C04" Int4Asym "symmetric is said": |dir| arguments(dir, |w| w["symmetric"] = json!(true));
    "LB-C04" Int4 "asymmetric is said": |dir| arguments(dir, |w| w["symmetric"] = json!(false));
    "LB-C04" Gptq "zero points that are not the middle": |dir| edit(dir, |tensors| zeros(tensors, 0x57));
    "LB-C05" ModelOptNvfp4 "two algorithms": |dir| config(dir, |c| c["quantization_config"]["quant_algo"] = json!("FP8"));
    "LB-C06" Nvfp4 "a quantized layer is ignored": |dir| config(dir, |c| {
        c["quantization_config"]["ignore"].as_array_mut().unwrap().push(json!("re:.*o_proj$"));
    });
    "LB-C06" ModelOptNvfp4 "a quantized layer is excluded": |dir| config(dir, |c| {
        c["quantization_config"]["ignore"].as_array_mut().unwrap().push(json!("model.layers.0.self_attn.o*"));
    });
    "LB-C07" Nvfp4 "the head is not ignored": |dir| config(dir, |c| {
        c["quantization_config"]["ignore"].as_array_mut().unwrap().retain(|name| name != "lm_head");
    });
    "LB-C07" Fp8Block "a layer stayed plain": |dir| {
        remove_all(dir, O);
        add(dir, weights(&format!("{O}.weight"), &[128, 128]));
    };
    "LB-C08" Nvfp4 "config.json of the original": |dir| config(dir, |c| _ = c.as_object_mut().unwrap().remove("quantization_config"));
    "LB-C08" Fp8Block "config.json of the original": |dir| config(dir, |c| _ = c.as_object_mut().unwrap().remove("quantization_config"));
    "LB-C09" Original "config.json of a quantized one": |dir| config(dir, |c| {
        c["quantization_config"] = json!({"quant_method": "compressed-tensors", "config_groups": {
            "group_0": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "int", "strategy": "channel"}},
        }});
    });
    "LB-C10" Original "a method that nobody knows": |dir| config(dir, |c| {
        c["quantization_config"] = json!({"quant_method": "aqlm"});
    });
    "LB-C11" Gptq "columns in another order": |dir| tensor(dir, &format!("{O}.g_idx"), |t| t.3.rotate_left(8));

    "LB-M01" Nvfp4 "q has another tensor scale than k": |dir| single(dir, &format!("{Q}.weight_global_scale"), |s| s * 1.5);
    "LB-M02" Nvfp4 "k is not quantized and q is": |dir| {
        remove_all(dir, K);
        add(dir, weights(&format!("{K}.weight"), &[64, 128]));
        config(dir, |c| c["quantization_config"]["ignore"].as_array_mut().unwrap().push(json!(K)));
    };
    "LB-M03" Calibrated "q has another input scale than k": |dir| single(dir, &format!("{Q}.input_scale"), |s| s * 2.0);
    "LB-M04" Nvfp4 "all codes of an expert are zero": |dir| tensor(dir, &format!("{EXPERT}.down_proj.weight_packed"), |t| t.3.fill(0));
    "LB-M04" Int4 "all codes of an expert are the middle": |dir| tensor(dir, &format!("{EXPERT}.down_proj.weight_packed"), |t| t.3.fill(0x88));
    "LB-M05" Nvfp4 "an expert is gone": |dir| remove_all(dir, EXPERT);
    "LB-M06" Nvfp4 "tied, with a head of its own": |dir| config(dir, |c| c["tie_word_embeddings"] = json!(true));
    "LB-M07" Nvfp4 "untied, without a head": |dir| {
        remove(dir, "lm_head.weight");
        config(dir, |c| c["tie_word_embeddings"] = json!(false));
    };

    "LB-A01" Nvfp4 "a norm is lost": |dir| remove(dir, "model.norm.weight");
    "LB-A02" Nvfp4 "a norm more": |dir| add(dir, weights("model.other_norm.weight", &[128]));
    "LB-A03" Nvfp4 "half of the embedding": |dir| tensor(dir, "model.embed_tokens.weight", halve);
    "LB-A04" Nvfp4 "every third byte of codes is off by one": |dir| tensor(dir, &format!("{O}.weight_packed"), |t| {
        t.3.iter_mut().step_by(3).for_each(|b| *b ^= 0x01);
    });
    "LB-A05" Nvfp4 "codes of another layer": |dir| tensor(dir, &format!("{O}.weight_packed"), |t| t.3.reverse());
    "LB-A06" Nvfp4 "a norm was scaled": |dir| tensor(dir, "model.norm.weight", |t| {
        t.3.as_chunks_mut::<2>().0.iter_mut().for_each(|b| {
            *b = half::bf16::from_f32(1.25 * half::bf16::from_le_bytes(*b).to_f32()).to_le_bytes();
        });
    });
};

/// Value of an E4M3 code without sign.
fn lowbit_blocks_e4m3(code: u8) -> f32 {
    lowbit_kernels::Element::E4m3.decode_one(code)
}

fn remove(dir: &Path, name: &str) {
    edit(dir, |tensors| tensors.retain(|t| t.0 != name));
}

fn remove_all(dir: &Path, start: &str) {
    edit(dir, |tensors| tensors.retain(|t| !t.0.starts_with(start)));
}

fn add(dir: &Path, tensor: Tensor) {
    edit(dir, |tensors| tensors.push(tensor));
}

/// Keeps the first half of the rows, or of the only axis.
fn halve(tensor: &mut Tensor) {
    tensor.2[0] /= 2;
    tensor.3.truncate(tensor.3.len() / 2);
}

fn byte(dir: &Path, name: &str, at: usize, value: u8) {
    tensor(dir, name, |t| t.3[at] = value);
}

/// Replaces one bf16.
fn half(dir: &Path, name: &str, at: usize, value: f32) {
    tensor(dir, name, |t| t.3[2 * at..][..2].copy_from_slice(&half::bf16::from_f32(value).to_le_bytes()));
}

/// Replaces the only f32.
fn single(dir: &Path, name: &str, change: impl Fn(f32) -> f32) {
    tensor(dir, name, |t| {
        let old = f32::from_le_bytes(t.3[..4].try_into().unwrap());
        t.3[..4].copy_from_slice(&change(old).to_le_bytes());
    });
}

fn zeros(tensors: &mut [Tensor], byte: u8) {
    tensors.iter_mut().filter(|t| t.0.ends_with("qzeros")).for_each(|t| t.3.fill(byte));
}

/// Changes the arguments of the weights in a compressed-tensors configuration.
fn arguments(dir: &Path, change: impl Fn(&mut Value)) {
    config(dir, |c| change(&mut c["quantization_config"]["config_groups"]["group_0"]["weights"]));
}
