//! Recipes by producer: each tool's own choices and arithmetic for each format that it writes.
//!
//! ```text
//! default   the tool's bytes, unless its arithmetic is less accurate than f32:
//!           then its stored scales, with f32 quotients
//! parity    the tool's bytes in every case
//! ```
//!
//! Both are tested against files that the tools wrote: `testdata/golden` (ties, zeros of both
//! signs, zero blocks, subnormals, extreme ranges; bf16, f16 and f32) and whole checkpoints. Each
//! tool's module lists the differences by format.

pub mod bitsandbytes;
pub mod compressed_tensors;
pub mod mlx;
pub mod modelopt;

use core::fmt;
use core::str::FromStr;

use lowbit_blocks::{Dtype, FORMATS, Format};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::recipe::Recipe;

/// The tool that defined a recipe.
///
/// ```
/// use lowbit_calib::recipes::Producer;
/// assert_eq!("modelopt".parse(), Ok(Producer::ModelOpt));
/// assert_eq!(Producer::CompressedTensors.to_string(), "compressed-tensors");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Producer {
    /// This library: every format.
    Lowbit,
    /// NVIDIA Model Optimizer.
    ModelOpt,
    /// compressed-tensors and llm-compressor.
    #[serde(rename = "compressed-tensors")]
    CompressedTensors,
    /// bitsandbytes.
    BitsAndBytes,
    /// MLX.
    Mlx,
}

impl Producer {
    /// Every producer.
    pub const ALL: [Self; 5] =
        [Self::Lowbit, Self::ModelOpt, Self::CompressedTensors, Self::BitsAndBytes, Self::Mlx];

    /// The name: `lowbit`, `modelopt`, `compressed-tensors`, `bitsandbytes` or `mlx`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lowbit => "lowbit",
            Self::ModelOpt => "modelopt",
            Self::CompressedTensors => "compressed-tensors",
            Self::BitsAndBytes => "bitsandbytes",
            Self::Mlx => "mlx",
        }
    }
}

impl fmt::Display for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Producer {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|producer| producer.name() == name);
        found.ok_or_else(|| Error::UnknownProducer { name: name.to_owned() })
    }
}

/// The producer's recipe of a format for weights of type `dtype`; `None` if that tool does not
/// write the format.
///
/// Scales have the type that the producer stores: the weight's for compressed-tensors and MLX, f32
/// for ModelOpt and bitsandbytes, the format's own for ours.
///
/// ```
/// use lowbit_blocks::{Dtype, FP8_CHANNEL, MXINT8, ScaleKind};
/// use lowbit_calib::Arithmetic;
/// use lowbit_calib::recipes::{Producer, recipe};
///
/// let default = recipe(Producer::CompressedTensors, &FP8_CHANNEL, Dtype::Bf16, false).unwrap();
/// let parity = recipe(Producer::CompressedTensors, &FP8_CHANNEL, Dtype::Bf16, true).unwrap();
/// assert_eq!((default.format.scale.kind, default.arithmetic), (ScaleKind::Bf16, Arithmetic::F32));
/// assert_eq!((parity.format.scale.kind, parity.arithmetic), (ScaleKind::Bf16, Arithmetic::Weight));
/// assert_eq!(recipe(Producer::ModelOpt, &MXINT8, Dtype::Bf16, false), None);
/// ```
#[must_use]
pub fn recipe(producer: Producer, format: &Format, dtype: Dtype, parity: bool) -> Option<Recipe> {
    match producer {
        Producer::Lowbit => Recipe::new(*format).ok(),
        Producer::ModelOpt => modelopt::recipe(format, dtype, parity),
        Producer::CompressedTensors => compressed_tensors::recipe(format, dtype, parity),
        Producer::BitsAndBytes => bitsandbytes::recipe(format, parity),
        Producer::Mlx => mlx::recipe(format, dtype, parity),
    }
}

/// One row of the table of recipes.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Entry {
    /// The producer.
    pub producer: Producer,
    /// Name of the format.
    pub format: &'static str,
    /// `true` for byte parity, `false` for the default. If both are the same, there is one row,
    /// with `false`.
    pub parity: bool,
    /// The recipe.
    pub recipe: Recipe,
}

/// Every recipe of every format in [`FORMATS`], for weights of type `dtype`.
///
/// ```
/// use lowbit_blocks::{Dtype, FORMATS};
/// use lowbit_calib::recipes::{Producer, table};
/// let ours = table(Dtype::Bf16).filter(|entry| entry.producer == Producer::Lowbit).count();
/// assert_eq!(ours, FORMATS.len());
/// ```
pub fn table(dtype: Dtype) -> impl Iterator<Item = Entry> {
    let pairs = Producer::ALL.into_iter().flat_map(|producer| FORMATS.iter().map(move |row| (producer, row)));
    pairs.flat_map(move |(producer, (name, format))| {
        let default = recipe(producer, format, dtype, false);
        let parity = recipe(producer, format, dtype, true).filter(|parity| Some(*parity) != default);
        let entry = |parity| move |recipe| Entry { producer, format: name, parity, recipe };
        default.map(entry(false)).into_iter().chain(parity.map(entry(true)))
    })
}
