#![doc = include_str!("../README.md")]
//!
//! Layouts: the tensors and the configuration of quantized linears in files, written and read back.
//!
//! | layout | producer | carries |
//! |---|---|---|
//! | [`plain`](PLAIN) | lowbit | every format |
//! | [`compressed-tensors`](COMPRESSED_TENSORS) | llm-compressor, vLLM | its presets: NVFP4, MXFP4/8, FP8, INT8, packed INT2-8 |
//! | [`gptq`](GPTQ), [`gptq-v2`](GPTQ_V2) | GPTQModel, AutoGPTQ | INT2, 3, 4, 8 in groups or per channel, with and without zero points |
//! | [`awq`](AWQ) | AutoAWQ, GPTQModel | INT4 in groups or per channel, with and without zero points |
//! | [`gptq-p`](GPTQ_PLANAR), [`awq-gemv`](AWQ_GEMV), [`awq-gemv-fast`](AWQ_GEMV_FAST), [`auto-round`](AUTO_ROUND) | GPTQModel, AutoAWQ, AutoRound | read only |
//! | [`modelopt`](MODELOPT) | NVIDIA Model Optimizer | its exports: NVFP4, MXFP4/8, FP8, INT8, INT4 in row pairs |
//! | [`bitsandbytes`](BITSANDBYTES), [`bitsandbytes-nested`](BITSANDBYTES_NESTED) | bitsandbytes, transformers | NF4, FP4; INT8 per channel |
//! | [`fp8`](FP8) | DeepSeek-V3, transformers | FP8 in tiles, per tensor; MXFP8 |
//! | [`deepseek-v4`](DEEPSEEK_V4) | DeepSeek-V4 | FP8 in tiles of 128, MXFP4 |
//! | [`fbgemm-fp8`](FBGEMM_FP8) | FBGEMM, transformers | FP8 per channel |
//! | [`gpt-oss`](GPT_OSS) | OpenAI | stacks of experts in MXFP4 |
//! | [`mlx`](MLX) | mlx-lm | affine codes with biases, MXFP4, MXFP8, NVFP4 without tensor scale |
//! | [`hqq`](HQQ), [`quanto`](QUANTO), [`quark`](QUARK), [`torchao`](TORCHAO) | HQQ, optimum-quanto, AMD Quark, torchao | read only |
//!
//! To add a layout, write a type that implements [`ReadLayout`] and, if it is written,
//! [`WriteLayout`], and add its row to [`LAYOUTS`]. A layout defines the parts of a linear
//! ([`Part`], with a [`Packing`] where the file arranges codes, scales or zero points differently
//! from memory) and the other tensors that belong to it ([`Stored`]). Jobs and readers depend on
//! nothing else. Use the first of these that fits:
//!
//! 1. A part that is only arranged differently is a [`Packing`], implemented in both directions
//!    under `packing/`, tile by tile where possible.
//! 2. A part that depends on the whole linear is [`Holds::Made`] when written, and
//!    [`Stored::assemble`] when read.
//! 3. Tensors that are no part of the weight (input scales, smoothing scales, zero points of
//!    activations) are a field of [`Stored`] or an [`Extra`]. A conversion carries them over, or
//!    fails.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]

mod auto_round;
mod awq;
mod bitsandbytes;
mod cache;
mod claim;
pub mod columns;
mod compressed_tensors;
mod contradiction;
mod conversion;
mod decode;
mod detect;
mod error;
mod formula;
mod fp8;
mod gpt_oss;
mod gptq;
mod hqq;
mod ignored;
mod layout;
mod mapped;
mod mlx;
mod modelopt;
mod packing;
mod part;
mod pattern;
mod plain;
mod quantized;
mod quanto;
mod quark;
mod qweight;
pub mod sparse;
mod stored;
mod torchao;

pub use cache::CacheTensor;
pub use cache::{Cache, CacheNumber};
pub use claim::Claim;
pub use contradiction::{Contradiction, ContradictionKind};
pub use conversion::{Verdict, carried, conversion, counterpart};
pub use decode::Whole;
pub use detect::{FOREIGN, Foreign, Reading, Survey, read, survey};
pub use error::{Error, Mismatch, Result};
pub use formula::Formula;
pub use ignored::Ignored;
pub use layout::{Carried, Companion, Found, Layout, ReadLayout, Stacks, WriteLayout};
pub use mapped::{Access, Mapped, MappedLinear};
pub use packing::Packing;
pub use part::together;
pub use part::{Holds, Linear, Make, Part, quantum};
pub use pattern::Pattern;
pub use quantized::{Quantized, QuantizedModule, Scheme};
pub use qweight::unpacked;
pub use stored::{Assemble, Extra, ExtraKind, Product, Stored};
pub use stored::{any_quantization_config, read_floats, same_bytes};

use lowbit_arch::Orientation;
use lowbit_blocks::Format;
use lowbit_calib::{Activations, recipes::Producer};
use lowbit_container::{CONFIG, Checkpoint, Tensor, json};

/// Our own layout: `NAME.codes`, `NAME.scales`, `NAME.zeros`, `NAME.tensor_scale`. Carries every
/// format.
pub const PLAIN: &Layout = &Layout {
    keeps_direction: true,
    mixes: true,
    stacks: Stacks::Kept,
    methods: &["lowbit"],
    ..Layout::new("plain", &plain::Plain)
};
/// compressed-tensors 0.19, as written by llm-compressor.
pub const COMPRESSED_TENSORS: &Layout = &Layout {
    producer: Producer::CompressedTensors,
    divides: true,
    mixes: true,
    methods: &["compressed-tensors"],
    side_files: &["recipe.yaml"],
    ..Layout::new("compressed-tensors", &compressed_tensors::CompressedTensors)
};
/// ModelOpt 0.47's unified Hugging Face export.
pub const MODELOPT: &Layout = &Layout {
    producer: Producer::ModelOpt,
    mixes: true,
    methods: &["modelopt"],
    side_files: &["hf_quant_config.json"],
    ..Layout::new("modelopt", &modelopt::ModelOpt)
};
/// GPTQ, version 1: zero points are stored minus one.
pub const GPTQ: &Layout = &Layout {
    mixes: true,
    methods: &["gptq"],
    side_files: &["quantize_config.json"],
    ..Layout::new("gptq", &gptq::Gptq(qweight::Convention::Gptq))
};
/// GPTQ, version 2: zero points are stored unchanged.
pub const GPTQ_V2: &Layout = &Layout {
    mixes: true,
    methods: &["gptq"],
    side_files: &["quantize_config.json"],
    ..Layout::new("gptq-v2", &gptq::Gptq(qweight::Convention::GptqV2))
};
/// GPTQModel's planar variant of GPTQ. Read only.
pub const GPTQ_PLANAR: &Layout = &Layout {
    mixes: true,
    methods: &["gptq"],
    side_files: &["quantize_config.json"],
    ..Layout::new("gptq-p", &gptq::Gptq(qweight::Convention::GptqPlanar))
};
/// AWQ, packed for its GEMM kernel.
pub const AWQ: &Layout = &Layout {
    methods: &["awq"],
    side_files: &["quant_config.json", "quantize_config.json"],
    ..Layout::new("awq", &awq::Awq(qweight::Convention::AwqGemm))
};
/// AWQ, packed for its GEMV kernel. Read only.
pub const AWQ_GEMV: &Layout = &Layout {
    methods: &["awq"],
    side_files: &["quant_config.json", "quantize_config.json"],
    ..Layout::new("awq-gemv", &awq::Awq(qweight::Convention::AwqGemv))
};
/// AWQ, packed for its fast GEMV kernel. Read only.
pub const AWQ_GEMV_FAST: &Layout = &Layout {
    methods: &["awq"],
    side_files: &["quant_config.json", "quantize_config.json"],
    ..Layout::new("awq-gemv-fast", &awq::Awq(qweight::Convention::AwqGemvFast))
};
/// AutoRound: GPTQ or AWQ tensors under AutoRound's configuration. Read only.
pub const AUTO_ROUND: &Layout = &Layout {
    methods: &["auto-round", "intel/auto-round"],
    side_files: &["quantization_config.json"],
    ..Layout::read_only("auto-round", &auto_round::AutoRound)
};

/// bitsandbytes 0.50: NF4, FP4, INT8.
pub const BITSANDBYTES: &Layout = &Layout {
    producer: Producer::BitsAndBytes,
    methods: &["bitsandbytes"],
    ..Layout::new("bitsandbytes", &bitsandbytes::BitsAndBytes { nested: false })
};
/// bitsandbytes with double quantization, where the absmax values are quantized too: NF4, FP4.
pub const BITSANDBYTES_NESTED: &Layout = &Layout {
    producer: Producer::BitsAndBytes,
    rounds_scales: true,
    methods: &["bitsandbytes"],
    ..Layout::new("bitsandbytes-nested", &bitsandbytes::BitsAndBytes { nested: true })
};

/// `quant_method` `fp8`: FP8 in tiles with `weight_scale_inv`, as in DeepSeek-V3, or per tensor;
/// also MXFP8.
pub const FP8: &Layout = &Layout { methods: &["fp8"], ..Layout::new("fp8", &fp8::Fp8::Blocks) };
/// DeepSeek-V4: FP8 in tiles, experts in MXFP4. Scales are named `scale`.
pub const DEEPSEEK_V4: &Layout =
    &Layout { mixes: true, methods: &["fp8"], ..Layout::new("deepseek-v4", &fp8::Fp8::DeepSeekV4) };
/// FBGEMM: FP8 with per-channel scales.
pub const FBGEMM_FP8: &Layout = &Layout {
    stacks: Stacks::NeededIn(Orientation::InOut),
    methods: &["fbgemm_fp8"],
    ..Layout::new("fbgemm-fp8", &fp8::Fp8::Fbgemm)
};
/// gpt-oss: stacks of experts in MXFP4.
pub const GPT_OSS: &Layout =
    &Layout { stacks: Stacks::Needed, methods: &["mxfp4"], ..Layout::new("gpt-oss", &gpt_oss::GptOss) };
/// MLX: affine codes, MXFP4, MXFP8, NVFP4.
pub const MLX: &Layout = &Layout {
    producer: Producer::Mlx,
    mixes: true,
    metadata: ("format", "mlx"),
    ..Layout::new("mlx", &mlx::Mlx)
};

/// HQQ. Read only.
pub const HQQ: &Layout = &Layout { methods: &["hqq"], ..Layout::read_only("hqq", &hqq::Hqq) };
/// optimum-quanto. Read only.
pub const QUANTO: &Layout = &Layout { methods: &["quanto"], ..Layout::read_only("quanto", &quanto::Quanto) };
/// AMD Quark. Read only.
pub const QUARK: &Layout = &Layout { methods: &["quark"], ..Layout::read_only("quark", &quark::Quark) };
/// torchao's safetensors form. Read only.
pub const TORCHAO: &Layout =
    &Layout { methods: &["torchao"], ..Layout::read_only("torchao", &torchao::Torchao) };

/// All layouts; the first is the default.
pub const LAYOUTS: &[&Layout] = &[
    COMPRESSED_TENSORS,
    MODELOPT,
    GPTQ,
    GPTQ_V2,
    GPTQ_PLANAR,
    AWQ,
    AWQ_GEMV,
    AWQ_GEMV_FAST,
    AUTO_ROUND,
    BITSANDBYTES,
    BITSANDBYTES_NESTED,
    FP8,
    DEEPSEEK_V4,
    FBGEMM_FP8,
    GPT_OSS,
    MLX,
    PLAIN,
    HQQ,
    QUANTO,
    QUARK,
    TORCHAO,
];

/// Names of the configuration files of all layouts besides `config.json`. They are not copied into
/// a checkpoint of another layout.
pub fn side_files() -> Vec<&'static str> {
    LAYOUTS.iter().flat_map(|layout| layout.side_files).copied().collect()
}

/// The layout that the configuration names, even if the tensors are not in it. A configuration
/// without `quant_method` is ModelOpt's.
pub fn of_configuration(checkpoint: &Checkpoint) -> Option<&'static Layout> {
    let Some(config) = any_quantization_config(checkpoint) else {
        return modelopt::has_side_file(checkpoint).then_some(MODELOPT);
    };
    let method = config.get("quant_method").and_then(|method| method.as_str()).unwrap_or(MODELOPT.name);
    LAYOUTS.iter().copied().find(|layout| layout.methods.contains(&method))
}

/// The layout of this name.
///
/// # Errors
/// [`Error::UnknownLayout`], which lists the names.
pub fn named(name: &str) -> Result<&'static Layout> {
    let known = || LAYOUTS.iter().map(|l| l.name()).collect::<Vec<_>>().join(", ");
    let found = LAYOUTS.iter().copied().find(|layout| layout.name() == name);
    found.ok_or_else(|| Error::UnknownLayout { name: name.to_owned(), known: known() })
}

/// How `layout` carries `format` with these activations, or with its default activations.
///
/// # Errors
/// [`Error::CannotCarry`], which lists the layouts that carry the format, or the activations that
/// `layout` carries it with.
pub fn carry(layout: &Layout, format: &Format, activations: Option<Activations>) -> Result<Carried> {
    let ways = layout.carries(format);
    let fits = |way: &&Carried| activations.is_none_or(|a| a == way.activations);
    if let Some(way) = ways.iter().find(fits) {
        return Ok(way.clone());
    }
    let words = |a: Activations| format!("{a:?}").to_lowercase();
    let (with, can) = match (activations, ways.is_empty()) {
        (Some(a), false) => {
            let ways: Vec<_> = ways.iter().map(|way| words(way.activations)).collect();
            (
                format!(" with activations {}", words(a)),
                format!("it can with activations {}", ways.join(" or ")),
            )
        }
        _ => {
            let can = LAYOUTS.iter().filter(|l| !l.carries(format).is_empty());
            (
                String::new(),
                format!("layouts that can: {}", can.map(|l| l.name()).collect::<Vec<_>>().join(", ")),
            )
        }
    };
    Err(Error::CannotCarry { format: format.name(), layout: layout.name(), with, can })
}
