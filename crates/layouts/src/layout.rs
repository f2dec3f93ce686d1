//! What a layout is: one row of facts, how its files are read, and how they are written.

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

/// What becomes of 3-D stacks of experts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stacks {
    /// They are cut into one linear for each expert.
    #[default]
    Cut,
    /// A stack stays one tensor. Experts that stand apart stay apart.
    Kept,
    /// Experts have to be stacks: those that stand apart are put together.
    Needed,
    /// As [`Needed`](Self::Needed) in models whose stacks lie like this, else as [`Cut`](Self::Cut).
    NeededIn(Orientation),
}

/// A file convention for quantized checkpoints: facts, a reader, and a writer if it is written.
///
/// One of your own is a row with a [`ReadLayout`] and, if you write it, a [`WriteLayout`]:
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
    /// Configuration files besides `config.json`. They are not copied into another layout.
    pub side_files: &'static [&'static str],
    /// Whose recipes are the default.
    pub producer: Producer,
    /// Whether the tensor scale of a written file divides.
    pub divides: bool,
    /// Whether a file can say of each tensor scale which way it goes, so that it may stay what it is.
    pub keeps_direction: bool,
    /// Whether linears of one checkpoint may have different formats.
    pub mixes: bool,
    /// Whether block scales are rounded once more on their way into the file, so that they do not come back as they were.
    pub rounds_scales: bool,
    /// What becomes of stacks of experts.
    pub stacks: Stacks,
    /// What the safetensors header of every file says: key and value.
    pub metadata: (&'static str, &'static str),
    /// How its files are read.
    pub reader: &'static dyn ReadLayout,
    /// How its files are written; `None` if they are only read.
    pub writer: Option<&'static dyn WriteLayout>,
}

/// How the files of a layout are read.
pub trait ReadLayout: fmt::Debug + Sync {
    /// Finds the quantized linears of a checkpoint, and what is wrong with those that cannot be read; `None` if it is not in this layout.
    ///
    /// # Errors
    /// Its configuration makes no sense for any linear.
    fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>>;

    /// The layers that the configuration leaves out; `None` where the convention has no list, or decides layer by layer.
    fn ignored(&self, checkpoint: &Checkpoint) -> Option<Ignored> {
        let _ = checkpoint;
        None
    }

    /// What the tensors say against the configuration, where readers that trust it would not see it.
    ///
    /// # Errors
    /// A tensor cannot be read.
    fn contradictions(&self, checkpoint: &Checkpoint) -> Result<Vec<Contradiction>> {
        let _ = checkpoint;
        Ok(Vec::new())
    }
}

/// How the files of a layout are written: what the tensors of a linear are, and what the configuration says.
pub trait WriteLayout: fmt::Debug + Sync {
    /// How the format can be carried: one entry for each choice of activations, the default first; empty if it cannot. Whatever float its scales
    /// are stored in does not matter here.
    fn carries(&self, format: &Format) -> Vec<Carried>;

    /// The tensors of a linear in this format, in any order.
    ///
    /// # Errors
    /// Why the shape does not fit, with its numbers.
    fn parts(&self, linear: &Linear, format: &Format, activations: Activations) -> Result<Vec<Part>, String>;

    /// The configuration files, `config.json` last, from the unquantized model's configuration.
    fn configure(&self, quantized: &Quantized<'_>, config: &Map<String, Value>) -> Vec<(String, Vec<u8>)>;

    /// The format as this layout's files have it, of weights of this type: with the scales' own type, and a tensor scale where the files imply one.
    fn stores(&self, format: &Format, weight: lowbit_blocks::Dtype) -> Format {
        let _ = weight;
        *format
    }

    /// The tensor scale of written files in this format, where no tensor holds it: it multiplies, and is the same for every linear.
    fn implied_scale(&self, format: &Format) -> Option<f32> {
        let _ = format;
        None
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

    /// What the safetensors header of the file with this linear's codes says about it: key and value. `divides` is the direction of the tensor scale.
    fn note(&self, linear: &Linear, scheme: &Scheme, divides: bool) -> Option<(String, String)> {
        let _ = (linear, scheme, divides);
        None
    }
}

impl Layout {
    /// A convention that is only read, with facts that carry nothing.
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

    /// A convention that is read and written, with the facts of [`read_only`](Self::read_only).
    pub const fn new<L: ReadLayout + WriteLayout>(name: &'static str, layout: &'static L) -> Self {
        Self { writer: Some(layout), ..Self::read_only(name, layout) }
    }

    /// Name on the command line.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether a 3-D stack of experts, whose matrices lie like this in an unquantized checkpoint, stays one tensor. Otherwise it is cut into one
    /// linear for each expert.
    pub fn keeps_stacks(&self, stacks: Orientation) -> bool {
        self.stacks == Stacks::Kept || self.needs_stacks(stacks)
    }

    /// Whether experts have to be 3-D stacks, so that those which stand apart are put together, in a model whose stacks lie like this.
    pub fn needs_stacks(&self, stacks: Orientation) -> bool {
        self.stacks == Stacks::Needed || self.stacks == Stacks::NeededIn(stacks)
    }

    /// Finds the quantized linears of a checkpoint, as [`ReadLayout::find`].
    ///
    /// # Errors
    /// Its configuration makes no sense for any linear.
    pub fn find(&self, checkpoint: &Checkpoint) -> Result<Option<Found>> {
        self.reader.find(checkpoint)
    }

    /// How the format can be carried, as [`WriteLayout::carries`]; not at all where the layout is only read.
    pub fn carries(&self, format: &Format) -> Vec<Carried> {
        self.writer.map_or_else(Vec::new, |writer| writer.carries(format))
    }

    /// The format as this layout's files have it, as [`WriteLayout::stores`].
    pub fn stores(&self, format: &Format, weight: lowbit_blocks::Dtype) -> Format {
        self.writer.map_or(*format, |writer| writer.stores(format, weight))
    }

    /// The tensors of a linear in this format, as [`WriteLayout::parts`].
    ///
    /// # Errors
    /// Why the shape does not fit, with its numbers, or that the layout is only read.
    pub fn parts(
        &self,
        linear: &Linear,
        format: &Format,
        activations: Activations,
    ) -> Result<Vec<Part>, String> {
        let unwritten = || format!("{} is not written, and {format} is nothing that it has", self.name);
        self.writer.ok_or_else(unwritten)?.parts(linear, format, activations)
    }

    /// The tensor scale that no tensor holds, as [`WriteLayout::implied_scale`].
    pub fn implied_scale(&self, format: &Format) -> Option<f32> {
        self.writer?.implied_scale(format)
    }

    /// Why zero points cannot be stored, as [`WriteLayout::refuses`].
    pub fn refuses(&self, format: &Format, zeros: &[u8]) -> Option<String> {
        self.writer?.refuses(format, zeros)
    }

    /// Where a static scale of the input goes, as [`WriteLayout::input_scale`].
    pub fn input_scale(&self, format: &Format) -> Option<Companion> {
        self.writer?.input_scale(format)
    }

    /// Where the smoothing scales go, as [`WriteLayout::pre_quant_scale`].
    pub fn pre_quant_scale(&self) -> Option<Companion> {
        self.writer?.pre_quant_scale()
    }

    /// Where a number of the key-value cache goes, as [`WriteLayout::cache`].
    pub fn cache(&self, attention: &str, number: CacheNumber) -> Option<(String, Companion)> {
        self.writer?.cache(attention, number)
    }

    /// The configuration files, as [`WriteLayout::configure`]; none where the layout is only read.
    pub fn configure(
        &self,
        quantized: &Quantized<'_>,
        config: &Map<String, Value>,
    ) -> Vec<(String, Vec<u8>)> {
        self.writer.map_or_else(Vec::new, |writer| writer.configure(quantized, config))
    }

    /// What the header of a file says about a linear, as [`WriteLayout::note`].
    pub fn note(&self, linear: &Linear, scheme: &Scheme, divides: bool) -> Option<(String, String)> {
        self.writer?.note(linear, scheme, divides)
    }
}
