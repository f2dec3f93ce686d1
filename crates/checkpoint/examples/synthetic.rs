//! Writes a synthetic checkpoint that is large on purpose: BF16, sharded, with an embedding of 1.2 GB, for measuring memory and speed.
//!
//! ```text
//! cargo run --release -p lowbit-checkpoint --example synthetic -- DIR [GB]      4 GB without the second argument
//! /usr/bin/time -v target/release/lowbit quantize DIR -o OUT --jobs 2           "Maximum resident set size"
//! ```
//!
//! A Llama of hidden size 4096 with as many layers as fit. Values are roughly normal with deviation 0.02 and a function of the layer alone, so the files
//! are the same each time. It streams: memory does not grow with the model.

use lowbit_checkpoint::CONFIG;
use lowbit_checkpoint::index::{INDEX, Index};
use lowbit_checkpoint::safetensors::{Dtype, header_bytes, order};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

const HIDDEN: usize = 4096;
const INTERMEDIATE: usize = 11_008;
/// 146,485 x 4096 x 2 bytes are 1.2 GB.
const VOCABULARY: usize = 146_485;
/// Bytes of a shard.
const SHARD: u64 = 1_000_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().ok_or("which directory?")?);
    let bytes = (args.next().map_or(Ok(4.0), |gb| gb.parse::<f64>())? * 1e9) as u64;
    fs::create_dir_all(&dir)?;

    let mut tensors = vec![("model.embed_tokens.weight".to_owned(), vec![VOCABULARY, HIDDEN])];
    let len = |shape: &[usize]| 2 * shape.iter().product::<usize>() as u64;
    let mut layers = 0;
    while tensors.iter().map(|(_, shape)| len(shape)).sum::<u64>() < bytes {
        for (name, shape) in layer() {
            tensors.push((format!("model.layers.{layers}.{name}.weight"), shape));
        }
        layers += 1;
    }
    tensors.push(("model.norm.weight".to_owned(), vec![HIDDEN]));

    let mut shards = vec![Vec::new()];
    let mut filled = 0;
    for tensor in tensors {
        let size = len(&tensor.1);
        if filled > 0 && filled + size > SHARD {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += size;
        shards.last_mut().ok_or("no shard")?.push(tensor);
    }
    let (count, mut map, mut total) = (shards.len(), BTreeMap::new(), 0);
    for (at, shard) in shards.into_iter().enumerate() {
        let name = format!("model-{:05}-of-{count:05}.safetensors", at + 1);
        total += shard.iter().map(|(_, shape)| len(shape)).sum::<u64>();
        map.extend(shard.iter().map(|(tensor, _)| (tensor.clone(), name.clone())));
        write(&dir.join(name), shard)?;
    }
    fs::write(dir.join(INDEX), Index::new(map, total).to_bytes())?;
    let config = serde_json::json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "dtype": "bfloat16", "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE, "num_hidden_layers": layers, "num_attention_heads": 32, "num_key_value_heads": 8,
        "vocab_size": VOCABULARY, "tie_word_embeddings": true,
    });
    fs::write(dir.join(CONFIG), serde_json::to_vec_pretty(&config)?)?;
    Ok(())
}

/// The tensors of one layer.
fn layer() -> Vec<(&'static str, Vec<usize>)> {
    vec![
        ("input_layernorm", vec![HIDDEN]),
        ("self_attn.q_proj", vec![HIDDEN, HIDDEN]),
        ("self_attn.k_proj", vec![HIDDEN / 4, HIDDEN]),
        ("self_attn.v_proj", vec![HIDDEN / 4, HIDDEN]),
        ("self_attn.o_proj", vec![HIDDEN, HIDDEN]),
        ("post_attention_layernorm", vec![HIDDEN]),
        ("mlp.gate_proj", vec![INTERMEDIATE, HIDDEN]),
        ("mlp.up_proj", vec![INTERMEDIATE, HIDDEN]),
        ("mlp.down_proj", vec![HIDDEN, INTERMEDIATE]),
    ]
}

fn write(path: &Path, mut tensors: Vec<(String, Vec<usize>)>) -> Result<(), Box<dyn Error>> {
    tensors.sort_by(|a, b| order((Dtype::BF16, &a.0), (Dtype::BF16, &b.0)));
    let list = tensors.iter().map(|(name, shape)| {
        (name.clone(), Dtype::BF16, shape.clone(), 2 * shape.iter().product::<usize>() as u64)
    });
    let (header, _) = header_bytes(&BTreeMap::from([("format".to_owned(), "pt".to_owned())]), list);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&header)?;
    for (name, shape) in tensors {
        let mut state = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        for _ in 0..shape.iter().product::<usize>() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // The sum of three uniform numbers is close to normal.
            let sum: f32 =
                [0, 16, 32].iter().map(|shift| ((state >> shift) & 0xffff) as f32 / 65_536.0 - 0.5).sum();
            file.write_all(&half::bf16::from_f32(0.04 * sum).to_le_bytes())?;
        }
    }
    file.flush()?;
    Ok(())
}
