#![doc = include_str!("../README.md")]
//!
//! Layouts: which tensors a quantized linear becomes, what the configuration says of it, and both read back.
//!
//! | layout | producer | carries |
//! |---|---|---|
//! | [`plain`](PLAIN) | lowbit | every format |
//! | [`compressed-tensors`](COMPRESSED_TENSORS) | llm-compressor, vLLM | what its presets say: NVFP4, MXFP4/8, FP8, INT8, packed INT2-8 |
//! | [`gptq`](GPTQ), [`gptq-v2`](GPTQ_V2) | GPTQModel, AutoGPTQ | INT2, 3, 4, 8 in groups or rows, with and without zero points |
//! | [`awq`](AWQ) | AutoAWQ, GPTQModel | INT4 in groups or rows, with and without zero points |
//! | [`gptq-p`](GPTQ_PLANAR), [`awq-gemv`](AWQ_GEMV), [`awq-gemv-fast`](AWQ_GEMV_FAST), [`auto-round`](AUTO_ROUND) | GPTQModel, AutoAWQ, AutoRound | read only |
//! | [`modelopt`](MODELOPT) | NVIDIA Model Optimizer | what it exports: NVFP4, MXFP4/8, FP8, INT8, INT4 in row pairs |
//! | [`bitsandbytes`](BITSANDBYTES), [`bitsandbytes-nested`](BITSANDBYTES_NESTED) | bitsandbytes, transformers | NF4, FP4; INT8 rows |
//! | [`fp8`](FP8) | DeepSeek-V3, transformers | FP8 in tiles, per tensor; MXFP8 |
//! | [`deepseek-v4`](DEEPSEEK_V4) | DeepSeek-V4 | FP8 in tiles of 128, MXFP4 |
//! | [`fbgemm-fp8`](FBGEMM_FP8) | FBGEMM, transformers | FP8 in rows |
//! | [`gpt-oss`](GPT_OSS) | OpenAI | stacks of experts in MXFP4 |
//! | [`mlx`](MLX) | mlx-lm | affine codes with biases, MXFP4, MXFP8, NVFP4 without tensor scale |
//! | [`hqq`](HQQ), [`quanto`](QUANTO), [`quark`](QUARK), [`torchao`](TORCHAO) | HQQ, optimum-quanto, AMD Quark, torchao | read only |
//!
//! To add one: a file with a type that implements [`Layout`], and its line in [`LAYOUTS`]. A layout says what the parts of a linear are
//! ([`Part`], with a [`Packing`] where the file arranges codes, scales or zero points differently) and what else belongs to it ([`Stored`]); the pipeline and
//! the readers know nothing else of it. Three tools, from the plain to the strange:
//!
//! 1. A part that is arranged differently is a [`Packing`], in a file of its own under `packing/`: both directions, tile by tile if it can be.
//! 2. A part that depends on the whole linear is [`Holds::Made`] when written, and [`Stored::assemble`] when read.
//! 3. What is no part of the weight (scales of the input, factors, zero points of activations) is a field of [`Stored`] or an [`Extra`]: converting
//!    carries it over, or says that it cannot.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]

mod auto_round;
mod awq;
mod bitsandbytes;
mod cache;
pub mod columns;
mod compressed_tensors;
mod conversion;
mod decode;
mod detect;
mod error;
mod formula;
mod fp8;
mod gpt_oss;
mod gptq;
mod hqq;
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
pub use conversion::{Verdict, carried, conversion, counterpart};
pub use decode::Whole;
pub use detect::{FOREIGN, Foreign, Reading, Survey, read, survey};
pub use error::{Error, Mismatch, Result};
pub use formula::Formula;
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
use lowbit_container::safetensors::Dtype;
use lowbit_container::{CONFIG, Checkpoint, Tensor, json};
use serde_json::{Map, Value};
use std::fmt;

/// Our own layout: `NAME.codes`, `NAME.scales`, `NAME.zeros`, `NAME.tensor_scale`; every format.
pub const PLAIN: &dyn Layout = &plain::Plain;
/// compressed-tensors 0.19, as llm-compressor writes it.
pub const COMPRESSED_TENSORS: &dyn Layout = &compressed_tensors::CompressedTensors;
/// ModelOpt 0.47's unified Hugging Face export.
pub const MODELOPT: &dyn Layout = &modelopt::ModelOpt;
/// GPTQ with zero points less one.
pub const GPTQ: &dyn Layout = &gptq::Gptq(qweight::Convention::Gptq);
/// GPTQ with zero points as they are.
pub const GPTQ_V2: &dyn Layout = &gptq::Gptq(qweight::Convention::GptqV2);
/// GPTQModel's planar GPTQ; read only.
pub const GPTQ_PLANAR: &dyn Layout = &gptq::Gptq(qweight::Convention::GptqPlanar);
/// AWQ in the arrangement of its GEMM kernel.
pub const AWQ: &dyn Layout = &awq::Awq(qweight::Convention::AwqGemm);
/// AWQ in the arrangement of its GEMV kernel; read only.
pub const AWQ_GEMV: &dyn Layout = &awq::Awq(qweight::Convention::AwqGemv);
/// AWQ in the arrangement of its faster GEMV kernel; read only.
pub const AWQ_GEMV_FAST: &dyn Layout = &awq::Awq(qweight::Convention::AwqGemvFast);
/// AutoRound's label on GPTQ and AWQ; read only.
pub const AUTO_ROUND: &dyn Layout = &auto_round::AutoRound;

/// bitsandbytes 0.50: NF4, FP4, INT8.
pub const BITSANDBYTES: &dyn Layout = &bitsandbytes::BitsAndBytes { nested: false };
/// The same with absmax that are quantized themselves: NF4, FP4.
pub const BITSANDBYTES_NESTED: &dyn Layout = &bitsandbytes::BitsAndBytes { nested: true };

/// `quant_method` `fp8`: FP8 in tiles with `weight_scale_inv`, as DeepSeek-V3 has it, or per tensor; MXFP8.
pub const FP8: &dyn Layout = &fp8::Fp8::Blocks;
/// DeepSeek-V4: FP8 in tiles and experts in MXFP4, with scales under the name `scale`.
pub const DEEPSEEK_V4: &dyn Layout = &fp8::Fp8::DeepSeekV4;
/// FBGEMM: FP8 in rows.
pub const FBGEMM_FP8: &dyn Layout = &fp8::Fp8::Fbgemm;
/// gpt-oss: stacks of experts in MXFP4.
pub const GPT_OSS: &dyn Layout = &gpt_oss::GptOss;
/// MLX: affine codes, MXFP4, MXFP8, NVFP4.
pub const MLX: &dyn Layout = &mlx::Mlx;

/// HQQ; read only.
pub const HQQ: &dyn Layout = &hqq::Hqq;
/// optimum-quanto; read only.
pub const QUANTO: &dyn Layout = &quanto::Quanto;
/// AMD Quark; read only.
pub const QUARK: &dyn Layout = &quark::Quark;
/// torchao's safetensors form; read only.
pub const TORCHAO: &dyn Layout = &torchao::Torchao;

/// Every layout; the first is the default.
pub const LAYOUTS: &[&dyn Layout] = &[
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

/// How a layout carries a format.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    /// The producer's name for the pair of format and activations: `NVFP4A16`, `W4A16_AWQ` …
    pub scheme: String,
    /// What engines do with activations.
    pub activations: Activations,
}

/// A tensor that a layout has for something of a module besides the weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Companion {
    /// What comes after the module's name and a dot.
    pub suffix: &'static str,
    /// Its type in the file; `None` is the type of the unquantized weight.
    pub dtype: Option<Dtype>,
    /// Whether a single number is a tensor of one element, not of none.
    pub listed: bool,
    /// Whether the reciprocal is stored.
    pub reciprocal: bool,
}

/// The linears of a checkpoint: each, or what its tensors or its configuration say against the layout.
pub type Found = Vec<Result<Stored>>;

/// A file convention for quantized checkpoints.
///
/// A layout that is only read has a name and [`find`](Self::find); everything else has a default that carries nothing.
pub trait Layout: fmt::Debug + Sync {
    /// Name on the command line.
    fn name(&self) -> &'static str;

    /// Whose recipes are the default.
    fn producer(&self) -> Producer {
        Producer::Lowbit
    }

    /// How the format can be carried: one entry for each choice of activations, the default first; empty if it cannot. Whatever float its scales
    /// are stored in does not matter here.
    fn carries(&self, format: &Format) -> Vec<Carried> {
        let _ = format;
        Vec::new()
    }

    /// The format as this layout's files have it, of weights of this type: with the scales' own type, and a tensor scale where the files imply one.
    fn stores(&self, format: &Format, weight: lowbit_blocks::Dtype) -> Format {
        let _ = weight;
        *format
    }

    /// Whether the tensor scale of a written file divides.
    fn divides(&self) -> bool {
        false
    }

    /// Whether a file can say of each tensor scale which way it goes, so that it may stay what it is.
    fn keeps_direction(&self) -> bool {
        false
    }

    /// Whether linears of one checkpoint may have different formats.
    fn mixes(&self) -> bool {
        false
    }

    /// Whether a 3-D stack of experts, whose matrices lie like this in an unquantized checkpoint, stays one tensor. Otherwise it is cut into one linear
    /// for each expert.
    fn keeps_stacks(&self, stacks: Orientation) -> bool {
        let _ = stacks;
        false
    }

    /// Whether experts have to be 3-D stacks, so that those which stand apart are put together, in a model whose stacks lie like this.
    fn needs_stacks(&self, stacks: Orientation) -> bool {
        let _ = stacks;
        false
    }

    /// The tensor scale of written files in this format, where no tensor holds it: it multiplies, and is the same for every linear.
    fn implied_scale(&self, format: &Format) -> Option<f32> {
        let _ = format;
        None
    }

    /// Whether block scales are rounded once more on their way into the file, so that they do not come back as they were.
    fn rounds_scales(&self) -> bool {
        false
    }

    /// The tensors of a linear in this format, in any order.
    ///
    /// # Errors
    /// Why the shape does not fit, with its numbers.
    fn parts(&self, linear: &Linear, format: &Format, activations: Activations) -> Result<Vec<Part>, String> {
        let _ = (linear, activations);
        Err(format!("{} is not written, and {format} is nothing that it has", self.name()))
    }

    /// Why zero points of a linear in this format cannot be stored, whatever their shape: only the values tell.
    fn refuses(&self, format: &Format, zeros: &[u8]) -> Option<String> {
        let _ = (format, zeros);
        None
    }

    /// Where a static scale of the input goes; `None` if the files have no place for it.
    fn input_scale(&self, format: &Format) -> Option<Companion> {
        let _ = format;
        None
    }

    /// Where the factors go that the input's features are multiplied with.
    fn pre_quant_scale(&self) -> Option<Companion> {
        None
    }

    /// The name of a scale or bias of the key-value cache of this attention module, and its type.
    fn cache(&self, attention: &str, number: CacheNumber) -> Option<(String, Companion)> {
        let _ = (attention, number);
        None
    }

    /// The configuration files, `config.json` last, from the unquantized model's configuration.
    fn configure(&self, quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)> {
        let _ = (quantized, config);
        Vec::new()
    }

    /// What the safetensors header of the file with this linear's codes says about it: key and value. `divides` is the direction of the tensor scale.
    fn note(&self, linear: &Linear, scheme: &Scheme, divides: bool) -> Option<(String, String)> {
        let _ = (linear, scheme, divides);
        None
    }

    /// What the safetensors header of every file says: key and value.
    fn metadata(&self) -> (&'static str, &'static str) {
        ("format", "pt")
    }

    /// Finds the quantized linears of a checkpoint, and what is wrong with those that cannot be read; `None` if it is not in this layout.
    ///
    /// # Errors
    /// Its configuration makes no sense for any linear.
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>>;
}

/// The layout of this name.
///
/// # Errors
/// [`Error::UnknownLayout`] that lists the names.
pub fn named(name: &str) -> Result<&'static dyn Layout> {
    let known = || LAYOUTS.iter().map(|l| l.name()).collect::<Vec<_>>().join(", ");
    let found = LAYOUTS.iter().copied().find(|layout| layout.name() == name);
    found.ok_or_else(|| Error::UnknownLayout { name: name.to_owned(), known: known() })
}

/// How `layout` carries `format`: with these activations, or with its default.
///
/// # Errors
/// [`Error::CannotCarry`] that lists the layouts that can, or the activations that it can with.
pub fn carry(layout: &dyn Layout, format: &Format, activations: Option<Activations>) -> Result<Carried> {
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
