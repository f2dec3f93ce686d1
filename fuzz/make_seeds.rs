//! Writes the seeds of the corpora: a tiny model in every layout, headers, and a few bytes for the number targets.
//!
//! ```sh
//! cargo run --release -p lowbit-fuzz --features seeds --bin make_seeds
//! ```

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use lowbit_blocks::Format;
use lowbit_checkpoint::{Job, layout};
use lowbit_kernels::Element;

const CONFIG: &str = r#"{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":32,"tie_word_embeddings":true}"#;

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let temp = env::temp_dir().join(format!("lowbit-seeds-{}", std::process::id()));
    let source = temp.join("source");
    fs::create_dir_all(&source)?;
    fs::write(source.join("config.json"), CONFIG)?;
    fs::write(source.join("model.safetensors"), model())?;

    let headers = corpus.join("fuzz_safetensors_reader");
    let layouts = corpus.join("fuzz_layouts");
    fs::create_dir_all(&headers)?;
    fs::create_dir_all(&layouts)?;
    fs::write(layouts.join("source"), joined(&source)?)?;
    for (name, format) in [
        ("compressed-tensors", "nvfp4"),
        ("compressed-tensors", "fp8-channel"),
        ("compressed-tensors", "int4-g32-asym"),
        ("compressed-tensors", "int3-g32"),
        ("modelopt", "nvfp4"),
        ("modelopt", "int4-g32"),
        ("modelopt", "fp8-block"),
        ("plain", "mxfp6-e2m3"),
        ("plain", "nf4"),
    ] {
        let out = temp.join(format!("{name}-{format}"));
        let mut job = Job::new(&source, &out);
        job.format = Format::named(format).ok_or("a format")?;
        job.layout = layout::named(name)?;
        job.plan()?.run(&())?;
        let seed = joined(&out)?;
        fs::write(layouts.join(format!("{name}-{format}")), &seed)?;
        let file = fs::read(out.join("model.safetensors"))?;
        let header = u64::from_le_bytes(file[..8].try_into()?) as usize;
        let data = u16::try_from(file.len() - 8 - header)?;
        let seed = [&data.to_le_bytes()[..], &file[8..8 + header]].concat();
        fs::write(headers.join(format!("{name}-{format}")), seed)?;
    }

    // Elements by number, then values: a tie, a subnormal, an overflow, NaN, infinity, -0.
    let values = [2.5f32, 1e-41, 1e30, f32::NAN, f32::INFINITY, -0.0, 0.25, -5.0, 448.0, 464.0, 7.5, -127.5];
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    for target in ["fuzz_scalar_round_trip", "fuzz_kernels_agree"] {
        let dir = corpus.join(target);
        fs::create_dir_all(&dir)?;
        for which in 0..Element::ALL.len() as u8 {
            let head: &[u8] = if target == "fuzz_kernels_agree" { &[which, 2, 1, which] } else { &[which] };
            let seed = [head, &bytes, &bytes].concat();
            fs::write(dir.join(format!("seed-{which:02}")), seed)?;
        }
    }

    // A shape, a format of weights and one of tokens (see the target), then bytes that make ordinary numbers in any type.
    let dir = corpus.join("fuzz_products");
    fs::create_dir_all(&dir)?;
    let bytes: Vec<u8> = (0..64u8).map(|i| 0x30 + i.wrapping_mul(37) % 16).collect();
    for (name, head) in [
        ("nvfp4", [3, 24, 2, 1, 0, 2, 15, 0x80, 0, 2, 15, 0x80]),
        ("mxfp4-int8", [3, 48, 1, 2, 0, 2, 31, 4, 20, 1, 0, 0]),
        ("int4-g32-asym", [2, 32, 3, 1, 24, 2, 31, 12, 3, 1, 0, 0]),
        ("fp8-tile", [6, 50, 2, 1, 3, 8, 63, 0, 3, 1, 0, 0]),
        ("nf4-flat", [5, 33, 1, 1, 11, 4, 63, 0, 0, 2, 31, 4]),
        ("uint4-bias", [2, 24, 4, 2, 24, 2, 47, 20, 10, 0, 0, 0]),
    ] {
        fs::write(dir.join(name), [&head[..], &bytes].concat())?;
    }
    fs::remove_dir_all(temp)?;
    Ok(())
}

/// Four linears of 4 x 32, an embedding and a norm, in bf16.
fn model() -> Vec<u8> {
    let names =
        ["q_proj", "k_proj", "v_proj", "o_proj"].map(|p| format!("model.layers.0.self_attn.{p}.weight"));
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), "[4,32]", 128),
        ("model.norm.weight".to_owned(), "[32]", 32),
    ];
    tensors.extend(names.map(|name| (name, "[4,32]", 128)));
    let (mut entries, mut data) = (Vec::new(), Vec::<u8>::new());
    for (name, shape, len) in tensors {
        let begin = data.len();
        data.extend(
            (0..len).flat_map(|i| half::bf16::from_f32((i * 37 % 64) as f32 / 32.0 - 1.0).to_le_bytes()),
        );
        entries.push(format!(
            r#""{name}":{{"dtype":"BF16","shape":{shape},"data_offsets":[{begin},{}]}}"#,
            data.len()
        ));
    }
    let header = format!("{{{}}}", entries.join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

/// config.json, 0xFF, model.safetensors.
fn joined(dir: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok([fs::read(dir.join("config.json"))?, vec![0xff], fs::read(dir.join("model.safetensors"))?].concat())
}
