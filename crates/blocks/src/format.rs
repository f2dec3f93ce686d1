//! Formats as rows of data: element, block, scale of one or two levels, zero point.
//!
//! ```text
//! value = (value(code) - zero) * scale            zero: None, Int, Float
//! value =  value(code) * scale + zero             zero: Bias
//! scale =  stored block scale [* or / tensor scale]
//! ```
//!
//! No code in this crate depends on the name of a format. To add a format, write its row in the
//! file of its family, and list it in [`FORMATS`].

mod bitsandbytes;
mod element;
mod fp8;
mod int;
mod json;
mod k_quants;
mod mx;
mod name;
mod nvfp4;
mod parse;

use alloc::string::String;

use lowbit_kernels::Element;
use serde::{Deserialize, Serialize};

pub use bitsandbytes::{BNB_FP4, NF4};
pub use fp8::{FP8, FP8_BLOCK, FP8_CHANNEL, FP8_E5M2, FP8_E5M2_BLOCK, FP8_E5M2_CHANNEL};
pub use int::{INT8, INT8_TENSOR, UINT8, UINT8_TENSOR};
pub use k_quants::{Q2_K, Q3_K, Q4_K, Q5_K, Q6_K};
pub use mx::{MXFP4, MXFP6_E2M3, MXFP6_E3M2, MXFP8, MXFP8_E5M2, MXINT8};
pub use nvfp4::{E2M1_UE5M3, NVFP4};
pub use parse::UnknownFormat;

use crate::error::Error;
use crate::levels::{Outer, Scale};
use crate::scale::ScaleKind;

/// A numeric format: one row of the table of formats.
///
/// As JSON:
/// `{"element":"e2m1","block":{"group":16},"scale":"e4m3","tensor_scale":true,"zero":"none"}`. The
/// last two fields are optional. Files of this project contain that text, so it does not change.
///
/// ```
/// use lowbit_blocks::{Format, NVFP4, Shape};
/// assert_eq!(Format::named("nvfp4"), Some(NVFP4));
/// // 4 bits for a code, 8 bits of scale for 16 of them, 32 bits for the whole matrix:
/// assert_eq!(NVFP4.bits_per_weight(Shape::matrix(4, 16)), 4.0 + 8.0 / 16.0 + 32.0 / 64.0);
/// ```
///
/// Custom rows start from [`Format::new`] or from another row:
///
/// ```
/// use lowbit_blocks::{Block, Element, Format, NVFP4, Outer, ScaleKind};
/// const IN_32: Format = NVFP4.with_block(Block::Group(32));
/// let built = Format::new(Element::E2m1, Block::Group(32), ScaleKind::E4m3).with_outer(Outer::Matrix);
/// assert_eq!(IN_32, built);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "json::Row", into = "json::Row")]
#[non_exhaustive]
pub struct Format {
    /// The element that codes belong to.
    pub element: Element,
    /// The block: the values that share a scale.
    pub block: Block,
    /// The storage of the scale, and its outer level.
    pub scale: Scale,
    /// The zero point of each block, if there is one.
    pub zero: Zero,
}

/// The values of a matrix that share a scale.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Block {
    /// All values of the matrix.
    Tensor,
    /// A row: an output channel of a weight, a token of an activation.
    Channel,
    /// This number of consecutive values of a row. Rows must divide into groups.
    Group(usize),
    /// A rectangle; those at the right and bottom edges may be smaller.
    Tile {
        /// The rows of a tile.
        rows: usize,
        /// The columns of a tile.
        cols: usize,
    },
    /// This number of consecutive values of the flattened matrix, across row ends. The last block
    /// may be short.
    Flat(usize),
}

impl Block {
    /// True if all values of the matrix are one block.
    #[must_use]
    pub const fn is_tensor(self) -> bool {
        matches!(self, Self::Tensor)
    }

    /// True if a block is a row.
    #[must_use]
    pub const fn is_channel(self) -> bool {
        matches!(self, Self::Channel)
    }

    /// True if blocks are groups of a row.
    #[must_use]
    pub const fn is_group(self) -> bool {
        matches!(self, Self::Group(_))
    }

    /// True if blocks are rectangles.
    #[must_use]
    pub const fn is_tile(self) -> bool {
        matches!(self, Self::Tile { .. })
    }

    /// True if blocks span the flattened matrix.
    #[must_use]
    pub const fn is_flat(self) -> bool {
        matches!(self, Self::Flat(_))
    }

    /// True if every block lies in one row, and every row starts with a block.
    #[must_use]
    pub const fn is_by_row(self) -> bool {
        matches!(self, Self::Channel | Self::Group(_))
    }

    /// The number of values of a group; `None` for other blocks.
    ///
    /// ```
    /// use lowbit_blocks::Block;
    /// assert_eq!(Block::Group(48).group(), Some(48));
    /// assert_eq!(Block::Channel.group(), None);
    /// ```
    #[must_use]
    pub const fn group(self) -> Option<usize> {
        match self {
            Self::Group(len) => Some(len),
            Self::Tensor | Self::Channel | Self::Tile { .. } | Self::Flat(_) => None,
        }
    }

    /// The number of values of a flat block; `None` for other blocks.
    #[must_use]
    pub const fn flat(self) -> Option<usize> {
        match self {
            Self::Flat(len) => Some(len),
            Self::Tensor | Self::Channel | Self::Group(_) | Self::Tile { .. } => None,
        }
    }

    /// The rows and columns of a tile; `None` for other blocks.
    #[must_use]
    pub const fn tile(self) -> Option<(usize, usize)> {
        match self {
            Self::Tile { rows, cols } => Some((rows, cols)),
            Self::Tensor | Self::Channel | Self::Group(_) | Self::Flat(_) => None,
        }
    }
}

impl core::fmt::Display for Block {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Tensor => f.write_str("tensor"),
            Self::Channel => f.write_str("row"),
            Self::Group(len) => write!(f, "{len} values"),
            Self::Tile { rows, cols } => write!(f, "{rows}x{cols} tile"),
            Self::Flat(len) => write!(f, "{len} flat values"),
        }
    }
}

/// The zero point of a block: subtracted from a code, or added to the product.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Zero {
    /// No zero point: symmetric.
    #[default]
    None,
    /// An integer code, one byte per scale: `(code - zero) * scale`. For unsigned integer elements.
    Int,
    /// A number of the scale's type, one per scale: `(code - zero) * scale` (HQQ).
    Float,
    /// A number of the scale's type, one per scale: `code * scale + bias`, rounded after each
    /// operation (MLX).
    Bias,
    /// A number stored like the scales, with both levels, one per scale: `code * scale - min`,
    /// rounded after each operation (GGUF's K-quants). For scales with super-blocks.
    Min,
}

impl Zero {
    /// True if the number is added to or subtracted from the product, instead of the code.
    #[must_use]
    pub const fn is_added(self) -> bool {
        matches!(self, Self::Bias | Self::Min)
    }

    /// True if the number is subtracted from the code.
    #[must_use]
    pub const fn is_subtracted(self) -> bool {
        matches!(self, Self::Int | Self::Float)
    }
}

/// The row that other rows are derived from.
const PLAIN: Format = Format {
    element: Element::E4m3,
    block: Block::Tensor,
    scale: Scale::new(ScaleKind::F32),
    zero: Zero::None,
};

/// The named formats, in the order of tables.
///
/// [`Format::named`] accepts these names, and composed names like `int4-g128-asym`.
pub const FORMATS: &[(&str, Format)] = &[
    ("nvfp4", NVFP4),
    ("mxfp4", MXFP4),
    ("mxfp6-e3m2", MXFP6_E3M2),
    ("mxfp6-e2m3", MXFP6_E2M3),
    ("mxfp8", MXFP8),
    ("mxfp8-e5m2", MXFP8_E5M2),
    ("mxint8", MXINT8),
    ("fp8", FP8),
    ("fp8-channel", FP8_CHANNEL),
    ("fp8-block", FP8_BLOCK),
    ("fp8-e5m2", FP8_E5M2),
    ("fp8-e5m2-channel", FP8_E5M2_CHANNEL),
    ("fp8-e5m2-block", FP8_E5M2_BLOCK),
    ("int8", INT8),
    ("int8-tensor", INT8_TENSOR),
    ("uint8", UINT8),
    ("uint8-tensor", UINT8_TENSOR),
    ("int8-g128", Format::int(8, Block::Group(128))),
    ("int8-g128-asym", Format::uint(8, Block::Group(128))),
    ("int4-g32", Format::int(4, Block::Group(32))),
    ("int4-g32-asym", Format::uint(4, Block::Group(32))),
    ("int4-g64", Format::int(4, Block::Group(64))),
    ("int4-g64-asym", Format::uint(4, Block::Group(64))),
    ("int4-g128", Format::int(4, Block::Group(128))),
    ("int4-g128-asym", Format::uint(4, Block::Group(128))),
    ("int6-g64", Format::int(6, Block::Group(64))),
    ("int5-g64", Format::int(5, Block::Group(64))),
    ("int3-g64", Format::int(3, Block::Group(64))),
    ("int2-g64", Format::int(2, Block::Group(64))),
    ("nf4", NF4),
    ("fp4", BNB_FP4),
    ("q2_k", Q2_K),
    ("q3_k", Q3_K),
    ("q4_k", Q4_K),
    ("q5_k", Q5_K),
    ("q6_k", Q6_K),
    ("e2m1-g16-ue5m3", E2M1_UE5M3),
];

impl Format {
    /// A format with one level of scales and no zero point.
    #[must_use]
    pub const fn new(element: Element, block: Block, scale: ScaleKind) -> Self {
        Self { element, block, scale: Scale::new(scale), zero: Zero::None }
    }

    /// The same format with another element.
    #[must_use]
    pub const fn with_element(self, element: Element) -> Self {
        Self { element, ..self }
    }

    /// The same format with other blocks.
    #[must_use]
    pub const fn with_block(self, block: Block) -> Self {
        Self { block, ..self }
    }

    /// The same format with this outer level of scales.
    #[must_use]
    pub const fn with_outer(self, outer: Outer) -> Self {
        Self { scale: Scale { kind: self.scale.kind, outer }, ..self }
    }

    /// The same format with this kind of zero points.
    #[must_use]
    pub const fn with_zero(self, zero: Zero) -> Self {
        Self { zero, ..self }
    }

    /// True if each matrix has an f32 scale besides the block scales.
    #[must_use]
    pub const fn has_tensor_scale(&self) -> bool {
        matches!(self.scale.outer, Outer::Matrix)
    }

    /// The same format with block scales stored as `scale`.
    ///
    /// ```
    /// use lowbit_blocks::{FP8_BLOCK, ScaleKind};
    /// let of_compressed_tensors = FP8_BLOCK.with_scale(ScaleKind::Bf16);
    /// assert_eq!(of_compressed_tensors.name(), "fp8-block");
    /// ```
    #[must_use]
    pub const fn with_scale(self, scale: ScaleKind) -> Self {
        Self { scale: Scale { kind: scale, outer: self.scale.outer }, ..self }
    }

    /// True if codes are integers, with or without a zero point.
    #[must_use]
    pub const fn is_integer(&self) -> bool {
        self.element.int_bits().is_some()
    }

    /// True if every block lies in one row.
    #[must_use]
    pub const fn is_by_row(&self) -> bool {
        matches!(self.block, Block::Channel | Block::Group(_))
    }

    /// Checks that the fields fit together, for any shape.
    pub(crate) fn check_row(&self) -> Result<(), Error> {
        let refuse = |reason| Err(Error::BadFormat { format: self.name(), reason });
        if self.element.int_bits().is_some_and(|bits| !(1..=8).contains(&bits)) {
            return refuse("integers have 1 to 8 bits");
        }
        if matches!(
            self.block,
            Block::Group(0) | Block::Flat(0) | Block::Tile { rows: 0, .. } | Block::Tile { cols: 0, .. }
        ) {
            return refuse("a block holds at least one value");
        }
        match self.zero {
            Zero::Int if !self.element.is_uint() => refuse("integer zero points are for unsigned integers"),
            Zero::Float | Zero::Bias if !self.scale.kind.has_zero() => {
                refuse("e8m0 cannot store a zero point or bias")
            }
            Zero::Min if self.scale.outer.count().is_none() => {
                refuse("minima are stored as scales with super-blocks are")
            }
            _ => self.check_scale(),
        }
    }

    /// Checks that the levels of scales fit together.
    fn check_scale(&self) -> Result<(), Error> {
        let refuse = |reason| Err(Error::BadFormat { format: self.name(), reason });
        let integer = matches!(self.scale.kind, ScaleKind::Int { .. });
        if matches!(self.scale.kind, ScaleKind::Int { bits, .. } if !(1..=8).contains(&bits)) {
            return refuse("integer scales have 1 to 8 bits");
        }
        match self.scale.outer {
            Outer::Blocks { count: 0, .. } => refuse("a super-block holds at least one block"),
            Outer::Blocks { kind, .. } if !kind.is_float() => {
                refuse("the outer number of a super-block is f32, f16 or bf16")
            }
            Outer::Blocks { .. } if !matches!(self.block, Block::Group(_) | Block::Flat(_)) => {
                refuse("super-blocks are made of groups or of flat blocks")
            }
            Outer::None | Outer::Matrix if integer => refuse("integer scales go with super-blocks"),
            _ => Ok(()),
        }
    }

    /// The number of values that share an outer number: a super-block; without super-blocks, a
    /// block. `None` if a block is not a fixed number of consecutive values.
    #[must_use]
    pub const fn values_per_run(&self) -> Option<usize> {
        match self.block {
            Block::Group(len) | Block::Flat(len) => Some(len.saturating_mul(self.scale.run())),
            Block::Tensor | Block::Channel | Block::Tile { .. } => None,
        }
    }

    /// The format of this name; `None` if there is none.
    ///
    /// Names are those of [`FORMATS`], and names composed of parts:
    ///
    /// ```text
    /// ELEMENT-BLOCK[-SCALE][-2level|-OUTER][-ZERO]
    /// ELEMENT  int1 … int8, uint1 … uint8, e2m1, e4m3, …      see Element::name
    /// BLOCK    tensor, channel, g128, 128x128, flat64
    /// SCALE    e4m3, ue5m3, e8m0, uint6, int8 …; omitted for f32, f16 and bf16, which depend on the file
    /// OUTER    2level: one f32 per matrix; f16x8: one f16 for 8 blocks
    /// ZERO     asym (int4-…-asym is unsigned codes with integer zero points), float, bias, min;
    ///          nozero for unsigned codes without zero points
    /// ```
    ///
    /// Unless the name contains a scale type, groups have bf16 scales and all other blocks f32
    /// scales, as in most files. [`with_scale`](Self::with_scale) changes the type.
    ///
    /// ```
    /// use lowbit_blocks::{Block, Format, Zero};
    /// let format = Format::named("int4-g128-asym").unwrap();
    /// assert_eq!((format.block, format.zero), (Block::Group(128), Zero::Int));
    /// assert_eq!(Format::named("int9-g128"), None);
    /// ```
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        name::parse(name)
    }

    /// The name of this row for [`named`](Self::named). It omits the type of float scales.
    #[must_use]
    pub fn name(&self) -> String {
        name::compose(self)
    }
}

impl core::fmt::Display for Format {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.name())
    }
}
