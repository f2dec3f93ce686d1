//! The definition of a layout: its properties, its reader, and its writer.

use crate::cache::CacheNumber;
use crate::contradiction::Contradiction;
use crate::ignored::Ignored;
use crate::part::{Linear, Part};
use crate::quantized::{Quantized, Scheme};
use crate::stored::Stored;
use crate::{Checkpoint, Result};
use lowbit_arch::Orientation;
use lowbit_blocks::Format;
use lowbit_calib::{Activations, recipes::Producer};
use lowbit_container::Dtype;
use serde_json::{Map, Value};
use std::fmt;

/// How a layout carries a format.
#[derive(Clone, Debug, PartialEq)]
pub struct Carried {
    /// The producer's name for the pair of format and activations: `NVFP4A16`, `W4A16_AWQ` …
    pub scheme: String,
    /// How engines quantize activations.
    pub activations: Activations,
}

/// A further tensor of a module that a layout stores besides the weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Companion {
    /// The tensor's name without the module's name and the dot.
    pub suffix: &'static str,
    /// Its dtype in the file; `None` for the dtype of the unquantized weight.
    pub dtype: Option<Dtype>,
    /// Whether a single number has shape `[1]` rather than `[]`.
    pub listed: bool,
    /// Whether the reciprocal of the number is stored.
    pub reciprocal: bool,
}

/// The linears of a checkpoint. An error says what is wrong with the tensors or the configuration
/// of one linear.
pub type Found = Vec<Result<Stored>>;

/// The treatment of 3-D stacks of experts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stacks {
    /// Stacks are split into one linear for each expert.
    #[default]
    Cut,
    /// A stack stays one tensor. Separate experts stay separate.
    Kept,
    /// Experts have to be stacks. Separate experts are combined into one.
    Needed,
    /// Like [`Needed`](Self::Needed) in models whose stacks have this orientation, otherwise like
    /// [`Cut`](Self::Cut).
    NeededIn(Orientation),
}

/// A file convention for quantized checkpoints: properties, a reader, and an optional writer.
///
/// A layout of your own is a constant with a [`ReadLayout`] and, if it is written, a
/// [`WriteLayout`]:
///
/// ```
/// use lowbit_container::Checkpoint;
/// use lowbit_layouts::{Found, Layout, ReadLayout, Result};
///
/// #[derive(Debug)]
/// struct Mine;
///
/// impl ReadLayout for Mine {
///     fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
///         // Nothing here is mine.
///         Ok(None)
///     }
/// }
///
/// const MINE: Layout = Layout { mixes: true, ..Layout::read_only("mine", &Mine) };
/// assert!(MINE.mixes && MINE.carries(&lowbit_blocks::NVFP4).is_empty());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Name on the command line.
    pub name: &'static str,
    /// Values of the configuration's `quant_method` that name this convention.
    pub methods: &'static [&'static str],
    /// Configuration files besides `config.json`. They are not copied into a checkpoint of another
    /// layout.
    pub side_files: &'static [&'static str],
    /// The producer whose recipes are the default.
    pub producer: Producer,
    /// Whether the tensor scale of written files divides.
    pub divides: bool,
    /// Whether the file states the direction of each tensor scale, so that a conversion can keep
    /// it.
    pub keeps_direction: bool,
    /// Whether linears of one checkpoint may have different formats.
    pub mixes: bool,
    /// Whether writing rounds the block scales once more, so that reading does not restore them
    /// exactly.
    pub rounds_scales: bool,
    /// The treatment of stacks of experts.
    pub stacks: Stacks,
    /// The safetensors metadata of every file: key and value.
    pub metadata: (&'static str, &'static str),
    /// The reader.
    pub reader: &'static dyn ReadLayout,
    /// The writer; `None` if the layout is read only.
    pub writer: Option<&'static dyn WriteLayout>,
}

/// A reader of a layout's files.
pub trait ReadLayout: fmt::Debug + Sync {
    /// Finds the quantized linears of a checkpoint, with an error for each that cannot be read.
    /// `None` if the checkpoint is not in this layout.
    ///
    /// # Errors
    /// The configuration is invalid for all linears.
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>>;

    /// The layers that the configuration excludes. `None` if the convention has no list, or decides
    /// for each layer.
    fn ignored(&self, checkpoint: &Checkpoint) -> Option<Ignored> {
        let _ = checkpoint;
        None
    }

    /// Contradictions between tensors and configuration that a reader which trusts the
    /// configuration would miss.
    ///
    /// # Errors
    /// A tensor cannot be read.
    fn contradictions(&self, checkpoint: &Checkpoint) -> Result<Vec<Contradiction>> {
        let _ = checkpoint;
        Ok(Vec::new())
    }
}

/// A writer of a layout's files: the tensors of a linear, and the configuration.
pub trait WriteLayout: fmt::Debug + Sync {
    /// The ways to carry a format: one entry for each choice of activations, the default first.
    /// Empty if the layout cannot carry it. The float type of the scales does not matter.
    fn carries(&self, format: &Format) -> Vec<Carried>;

    /// The tensors of a linear in this format, in any order.
    ///
    /// # Errors
    /// A message that says why the shape does not fit, with its numbers.
    fn parts(&self, linear: &Linear, format: &Format, activations: Activations) -> Result<Vec<Part>, String>;

    /// The configuration files, `config.json` last. `config` is the configuration of the
    /// unquantized model.
    fn configure(&self, quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)>;

    /// The format as this layout's files store it, for weights of this dtype: with the layout's
    /// type of scales, and a tensor scale if the files imply one.
    fn stores(&self, format: &Format, weight: lowbit_blocks::Dtype) -> Format {
        let _ = weight;
        *format
    }

    /// The tensor scale that files in this format imply, if no tensor holds it. It multiplies, and
    /// is the same for every linear.
    fn implied_scale(&self, format: &Format) -> Option<f32> {
        let _ = format;
        None
    }

    /// The reason why these zero points cannot be stored, if they cannot. Only their values are
    /// checked.
    fn refuses(&self, format: &Format, zeros: &[u8]) -> Option<String> {
        let _ = (format, zeros);
        None
    }

    /// The tensor for a static input scale; `None` if the layout has none.
    fn input_scale(&self, format: &Format) -> Option<Companion> {
        let _ = format;
        None
    }

    /// The tensor for smoothing scales that are applied at run time; `None` if the layout has none.
    fn pre_quant_scale(&self) -> Option<Companion> {
        None
    }

    /// The name of the tensor for a scale or bias of the key-value cache of an attention module,
    /// and its properties.
    fn cache(&self, attention: &str, number: CacheNumber) -> Option<(String, Companion)> {
        let _ = (attention, number);
        None
    }

    /// The safetensors metadata of a linear, in the file with its codes: key and value. `divides`
    /// is the direction of the tensor scale.
    fn note(&self, linear: &Linear, scheme: &Scheme, divides: bool) -> Option<(String, String)> {
        let _ = (linear, scheme, divides);
        None
    }
}

impl Layout {
    /// A layout that is read only, with the most restrictive properties.
    pub const fn read_only(name: &'static str, reader: &'static dyn ReadLayout) -> Self {
        Self {
            name,
            methods: &[],
            side_files: &[],
            producer: Producer::Lowbit,
            divides: false,
            keeps_direction: false,
            mixes: false,
            rounds_scales: false,
            stacks: Stacks::Cut,
            metadata: ("format", "pt"),
            reader,
            writer: None,
        }
    }

    /// A layout that is read and written, with the properties of [`read_only`](Self::read_only).
    pub const fn new<L: ReadLayout + WriteLayout>(name: &'static str, layout: &'static L) -> Self {
        Self { writer: Some(layout), ..Self::read_only(name, layout) }
    }

    /// Name on the command line.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether 3-D stacks of experts stay one tensor, in a model whose stacks have this
    /// orientation. Otherwise they are split into one linear for each expert.
    pub fn keeps_stacks(&self, stacks: Orientation) -> bool {
        self.stacks == Stacks::Kept || self.needs_stacks(stacks)
    }

    /// Whether experts have to be 3-D stacks, in a model whose stacks have this orientation.
    /// Separate experts are then combined.
    pub fn needs_stacks(&self, stacks: Orientation) -> bool {
        self.stacks == Stacks::Needed || self.stacks == Stacks::NeededIn(stacks)
    }

    /// Finds the quantized linears of a checkpoint, as [`ReadLayout::find`].
    ///
    /// # Errors
    /// The configuration is invalid for all linears.
    pub fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        self.reader.find(checkpoint)
    }

    /// The ways to carry a format, as [`WriteLayout::carries`]; empty if the layout is read only.
    pub fn carries(&self, format: &Format) -> Vec<Carried> {
        self.writer.map_or_else(Vec::new, |writer| writer.carries(format))
    }

    /// The format as this layout's files store it, as [`WriteLayout::stores`].
    pub fn stores(&self, format: &Format, weight: lowbit_blocks::Dtype) -> Format {
        self.writer.map_or(*format, |writer| writer.stores(format, weight))
    }

    /// The tensors of a linear in this format, as [`WriteLayout::parts`].
    ///
    /// # Errors
    /// A message that says why the shape does not fit, with its numbers, or that the layout is read
    /// only.
    pub fn parts(
        &self,
        linear: &Linear,
        format: &Format,
        activations: Activations,
    ) -> Result<Vec<Part>, String> {
        let unwritten = || format!("{} is not written, and {format} is nothing that it has", self.name);
        self.writer.ok_or_else(unwritten)?.parts(linear, format, activations)
    }

    /// The tensor scale that files in this format imply, as [`WriteLayout::implied_scale`].
    pub fn implied_scale(&self, format: &Format) -> Option<f32> {
        self.writer?.implied_scale(format)
    }

    /// The reason why zero points cannot be stored, as [`WriteLayout::refuses`].
    pub fn refuses(&self, format: &Format, zeros: &[u8]) -> Option<String> {
        self.writer?.refuses(format, zeros)
    }

    /// The tensor for a static input scale, as [`WriteLayout::input_scale`].
    pub fn input_scale(&self, format: &Format) -> Option<Companion> {
        self.writer?.input_scale(format)
    }

    /// The tensor for smoothing scales, as [`WriteLayout::pre_quant_scale`].
    pub fn pre_quant_scale(&self) -> Option<Companion> {
        self.writer?.pre_quant_scale()
    }

    /// The tensor for a number of the key-value cache, as [`WriteLayout::cache`].
    pub fn cache(&self, attention: &str, number: CacheNumber) -> Option<(String, Companion)> {
        self.writer?.cache(attention, number)
    }

    /// The configuration files, as [`WriteLayout::configure`]; none if the layout is read only.
    pub fn configure(
        &self,
        quantized: &Quantized<'_>,
        config: &Map<String, Value>,
    ) -> Vec<(String, Vec<u8>)> {
        self.writer.map_or_else(Vec::new, |writer| writer.configure(quantized, config))
    }

    /// The safetensors metadata of a linear, as [`WriteLayout::note`].
    pub fn note(&self, linear: &Linear, scheme: &Scheme, divides: bool) -> Option<(String, String)> {
        self.writer?.note(linear, scheme, divides)
    }
}
