//! Quantized linears in a checkpoint: their parts, validated, and read by rows or as a whole.

use super::{Formula, Holds, Linear, Part, columns};
use crate::Mismatch;
use crate::{Error, Result};
use lowbit_blocks::{Format, QLinear, QTensor, Shape, TensorScale};
use lowbit_calib::Activations;
use lowbit_container::safetensors::Dtype;
use lowbit_container::{Checkpoint, Tensor};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::ops::Range;

/// The record of one quantized linear in a checkpoint.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its module, weight name and shape.
    pub linear: Linear,
    /// Its format.
    pub format: Format,
    /// Its tensors. Each is in the checkpoint and has the length that shape and format require.
    pub parts: Vec<Part>,
    /// How engines quantize its input, according to the configuration.
    pub activations: Activations,
    /// How the producer's tool multiplies, if the formats do not determine it.
    pub product: Product,
    /// Whether the tensor scale divides.
    pub divides: bool,
    /// A tensor scale that is not stored in a file: in bitsandbytes' INT8 rows a step is absmax /
    /// 127.
    pub implied_scale: Option<f32>,
    /// The arithmetic that decodes its values.
    pub formula: Formula,
    /// Name of the tensor with the group of each input column (`g_idx`), if columns are not in the
    /// order of their groups. Columns that are read are in that order.
    pub groups: Option<String>,
    /// Name of the tensor with the static input scale, and whether the reciprocal is stored.
    pub input_scale: Option<(String, bool)>,
    /// Name of the tensor with the pre-quant scale, which the input's columns are multiplied by.
    pub pre_quant_scale: Option<String>,
    /// Name of the tensor with the bias.
    pub bias: Option<String>,
    /// Further tensors that belong to it.
    pub extras: Vec<Extra>,
    /// A function that assembles one matrix, if parts and packings are not enough.
    pub assemble: Option<Assemble>,
}

/// How the producer's tool multiplies with a linear, if the formats of weight and input do not
/// determine it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Product {
    /// As the formats determine.
    #[default]
    Plain,
    /// Input, decoded weight and result are rounded to this type (`bnb_4bit_compute_dtype`).
    In(lowbit_blocks::Dtype),
    /// LLM.int8(): input columns with a magnitude of at least this stay unquantized, the others are
    /// INT8 (`llm_int8_threshold`).
    Outliers(f32),
}

/// Assembles one matrix of a linear, in layouts whose parts depend on each other, such as scales
/// that are quantized themselves. The result has the linear's format and the shape of one matrix.
pub type Assemble = fn(&Stored, &Checkpoint, usize) -> Result<QTensor<'static>>;

/// A tensor of a linear that is neither a part nor a field of [`Stored`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Its full name.
    pub tensor: String,
    /// Its kind.
    pub kind: ExtraKind,
}

/// The kind of a further tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ExtraKind {
    /// Zero point of the quantized input.
    InputZeroPoint,
    /// Static scales of the quantized input, one per expert.
    InputScales,
    /// Static scale of the quantized output.
    OutputScale,
    /// A rotation of the input or the output, applied at run time.
    Transform,
    /// A low-rank correction (SVDQuant, EoRA).
    LowRank,
    /// The scale of a second quantization of the weight in the engine (W4A8_AWQ).
    SecondStage,
    /// A constant of the layout without effect on the values.
    Marker,
}

impl ExtraKind {
    /// A description in words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::InputZeroPoint => "zero point of the input",
            Self::InputScales => "scales of the inputs",
            Self::OutputScale => "scale of the output",
            Self::Transform => "transform",
            Self::LowRank => "low-rank correction",
            Self::SecondStage => "scale of a second stage",
            Self::Marker => "marker",
        }
    }
}

impl Stored {
    /// Validates the parts against the checkpoint: each must exist, with its dtype and length.
    ///
    /// # Errors
    /// [`Error::Missing`](lowbit_container::Error::Missing) for a missing tensor,
    /// [`Error::Mismatch`] for one of another dtype or length.
    pub fn new(checkpoint: &Checkpoint, linear: Linear, format: Format, parts: Vec<Part>) -> Result<Self> {
        for part in &parts {
            let tensor = checkpoint.require(&part.name)?;
            if !same_bytes(tensor.entry.dtype, part.dtype) || tensor.entry.len() != part.len() {
                return Err(Error::Mismatch(Box::new(Mismatch {
                    file: tensor.file.path().to_owned(),
                    tensor: part.name.clone(),
                    have: (tensor.entry.dtype, tensor.entry.shape.clone()),
                    want: (part.dtype, part.shape.clone()),
                    format,
                    shape: linear.shape,
                })));
            }
        }
        let bias = checkpoint.tensor(&format!("{}.bias", linear.module)).map(|t| t.entry.name.clone());
        Ok(Self {
            linear,
            format,
            parts,
            activations: Activations::None,
            product: Product::Plain,
            divides: false,
            implied_scale: None,
            formula: Formula::Format,
            groups: None,
            input_scale: None,
            pre_quant_scale: None,
            bias,
            extras: Vec::new(),
            assemble: None,
        })
    }

    /// The shape of the weight.
    pub fn shape(&self) -> Shape {
        self.linear.shape
    }

    /// The names of its tensors, without its parts and its bias.
    pub fn companions(&self) -> impl Iterator<Item = &str> {
        let input = self.input_scale.as_ref().map(|(name, _)| name.as_str());
        let own = input.into_iter().chain(self.pre_quant_scale.as_deref()).chain(self.groups.as_deref());
        own.chain(self.extras.iter().map(|extra| extra.tensor.as_str()))
    }

    /// The total length of its parts in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.parts.iter().map(Part::len).sum()
    }

    /// The smallest number of rows that can be read on their own; all rows of a matrix if it cannot
    /// be split.
    pub fn quantum(&self) -> usize {
        match self.assemble {
            Some(_) => self.linear.shape.rows.max(1),
            None => super::quantum(&self.format, self.linear.shape, &self.parts),
        }
    }

    /// Reads some rows of one matrix as a tensor, with columns in the order of their groups. `rows`
    /// starts at a multiple of [`quantum`](Self::quantum) and ends at one or at the last row.
    ///
    /// # Errors
    /// [`Error::Io`](lowbit_container::Error::Io), or
    /// [`Error::Tensor`](lowbit_container::Error::Tensor) if the bytes are no valid tensor of the
    /// format.
    pub fn rows(
        &self,
        checkpoint: &Checkpoint,
        matrix: usize,
        rows: Range<usize>,
    ) -> Result<QTensor<'static>> {
        if let Some(assemble) = self.assemble {
            return assemble(self, checkpoint, matrix);
        }
        let (format, shape, tile) =
            (&self.format, self.linear.shape, Shape::matrix(rows.len(), self.linear.shape.cols));
        let mut codes = vec![0; format.codes_range(shape, matrix, rows.clone()).len()];
        for part in self.parts.iter().filter(|part| matches!(part.holds, Holds::Codes(_))) {
            self.read_part(checkpoint, part, matrix, &rows, &mut codes)?;
        }
        let (scales, zeros) = self.blocks(checkpoint, matrix, &rows)?;
        if let Some(perm) = self.perm(checkpoint)? {
            columns::gather(format.element.bits(), shape.cols, &perm, &mut codes);
        }
        let zeros = format.has_zeros().then_some(Cow::Owned(zeros));
        let scale = match self.tensor_scale(checkpoint)? {
            TensorScale::None => TensorScale::None,
            scale => scale.matrix(matrix),
        };
        QTensor::new(*format, tile, codes, scales, zeros, scale).map_err(|e| self.wrong(checkpoint, &e))
    }

    /// Scales and zero points of some rows, arranged as in memory.
    pub(super) fn blocks(
        &self,
        checkpoint: &Checkpoint,
        matrix: usize,
        rows: &Range<usize>,
    ) -> Result<(Vec<u8>, Vec<u8>)> {
        let (format, shape) = (&self.format, self.linear.shape);
        let mut scales = vec![0; format.scales_range(shape, matrix, rows.clone()).len()];
        let mut zeros = vec![0; format.zeros_range(shape, matrix, rows.clone()).len()];
        for part in &self.parts {
            match part.holds {
                Holds::Scales(_) => self.read_part(checkpoint, part, matrix, rows, &mut scales)?,
                Holds::Zeros(_) => self.read_part(checkpoint, part, matrix, rows, &mut zeros)?,
                _ => {}
            }
        }
        Ok((scales, zeros))
    }

    /// Reads the bytes of some rows from one part, arranged as in memory.
    pub(super) fn read_part(
        &self,
        checkpoint: &Checkpoint,
        part: &Part,
        matrix: usize,
        rows: &Range<usize>,
        memory: &mut [u8],
    ) -> Result<()> {
        let (format, shape) = (&self.format, self.linear.shape);
        let range = part.range(format, shape, matrix, rows.clone());
        let tensor = checkpoint.require(&part.name)?;
        if part.packing().is_none() {
            return Ok(tensor.read(range.start as u64, memory)?);
        }
        let mut packed = vec![0; range.len()];
        tensor.read(range.start as u64, &mut packed)?;
        part.refuse_stray(tensor, range.start, &packed)?;
        part.unpack(format, shape, rows.clone(), &packed, memory);
        Ok(())
    }

    /// The order of columns: the input feature of each column that [`rows`](Self::rows) returns.
    /// `None` if columns are in the order of the input.
    ///
    /// # Errors
    /// [`Error::Tensor`](lowbit_container::Error::Tensor) if the groups do not have the sizes of
    /// the format.
    pub fn perm(&self, checkpoint: &Checkpoint) -> Result<Option<Vec<u32>>> {
        let Some(name) = &self.groups else { return Ok(None) };
        columns::perm(checkpoint.require(name)?, &self.format, self.linear.shape.cols).map(Some)
    }

    /// Reads the whole linear, with its scales, permutation and bias.
    ///
    /// # Errors
    /// As [`rows`](Self::rows).
    pub fn read(&self, checkpoint: &Checkpoint) -> Result<QLinear<'static>> {
        let (format, shape) = (&self.format, self.linear.shape);
        let (mut codes, mut scales, mut zeros) = (Vec::new(), Vec::new(), Vec::new());
        for matrix in 0..shape.matrices {
            let part = self.rows(checkpoint, matrix, 0..shape.rows)?;
            codes.extend_from_slice(part.codes());
            scales.extend_from_slice(part.scales());
            zeros.extend_from_slice(part.zeros().unwrap_or_default());
        }
        let zeros = format.has_zeros().then_some(Cow::Owned(zeros));
        let tensor_scale = self.tensor_scale(checkpoint)?;
        let weight = QTensor::new(*format, shape, codes, scales, zeros, tensor_scale);
        self.dress(checkpoint, weight.map_err(|e| self.wrong(checkpoint, &e))?)
    }

    /// Adds scales, permutation and bias to the weight.
    pub(crate) fn dress<'a>(&self, checkpoint: &Checkpoint, weight: QTensor<'a>) -> Result<QLinear<'a>> {
        let linear = QLinear {
            weight,
            perm: self.perm(checkpoint)?.map(Cow::Owned),
            pre_quant_scale: self.read_pre_quant_scale(checkpoint)?.map(Cow::Owned),
            input_scale: self.read_input_scale(checkpoint)?,
            bias: floats(checkpoint, self.bias.as_deref())?.map(Cow::Owned),
        };
        linear.check().map_err(|e| self.wrong(checkpoint, &e))?;
        Ok(linear)
    }

    /// The pre-quant scale, which the input's columns are multiplied by.
    ///
    /// # Errors
    /// [`Error::Missing`](lowbit_container::Error::Missing), or
    /// [`Error::Tensor`](lowbit_container::Error::Tensor) if it does not hold floats.
    pub fn read_pre_quant_scale(&self, checkpoint: &Checkpoint) -> Result<Option<Vec<f32>>> {
        floats(checkpoint, self.pre_quant_scale.as_deref())
    }

    /// The static input scale. If the file has the reciprocal, it is inverted.
    ///
    /// # Errors
    /// [`Error::Missing`](lowbit_container::Error::Missing), or
    /// [`Error::Tensor`](lowbit_container::Error::Tensor) if it does not hold one float.
    pub fn read_input_scale(&self, checkpoint: &Checkpoint) -> Result<Option<f32>> {
        let Some((name, reciprocal)) = &self.input_scale else { return Ok(None) };
        let tensor = checkpoint.require(name)?;
        let [scale] = read_floats(tensor)?[..] else {
            return Err(tensor.error(format!("holds {} values, not one", tensor.entry.elements())).into());
        };
        Ok(Some(if *reciprocal { 1.0 / scale } else { scale }))
    }

    /// The tensor scale.
    ///
    /// # Errors
    /// [`Error::Io`](lowbit_container::Error::Io).
    pub fn tensor_scale(&self, checkpoint: &Checkpoint) -> Result<TensorScale> {
        let part = self.parts.iter().find(|part| matches!(part.holds, Holds::TensorScale));
        let scales = match (part, self.implied_scale) {
            (Some(part), _) => read_floats(checkpoint.require(&part.name)?)?,
            (None, Some(scale)) => vec![scale; self.linear.shape.matrices],
            (None, None) => return Ok(TensorScale::None),
        };
        Ok(if self.divides { TensorScale::Divide(scales) } else { TensorScale::Multiply(scales) })
    }

    fn wrong(&self, checkpoint: &Checkpoint, reason: &lowbit_blocks::Error) -> Error {
        Error::tensor(checkpoint.dir(), &self.linear.weight, reason.to_string())
    }
}

/// Whether two dtypes have the same bytes. Files differ in the dtype of bytes, words and exponents.
pub fn same_bytes(a: Dtype, b: Dtype) -> bool {
    const ALIKE: &[&[Dtype]] =
        &[&[Dtype::U8, Dtype::I8, Dtype::F8_E8M0], &[Dtype::I16, Dtype::U16], &[Dtype::I32, Dtype::U32]];
    a == b || ALIKE.iter().any(|alike| alike.contains(&a) && alike.contains(&b))
}

/// All values of a float tensor, if a name is given.
fn floats(checkpoint: &Checkpoint, name: Option<&str>) -> Result<Option<Vec<f32>>> {
    name.map(|name| read_floats(checkpoint.require(name)?)).transpose()
}

/// All values of a small float tensor, as f32.
pub fn read_floats(tensor: Tensor<'_>) -> Result<Vec<f32>> {
    let bytes = tensor.read_all()?;
    let halves = || bytes.as_chunks::<2>().0.iter().copied();
    Ok(match tensor.entry.dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect(),
        Dtype::F16 => halves().map(|b| half::f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => halves().map(|b| half::bf16::from_le_bytes(b).to_f32()).collect(),
        other => return Err(tensor.error(format!("is {other}, not F32, F16 or BF16")).into()),
    })
}

/// The `quantization_config` of `config.json`, or of its `text_config`, if it has this
/// `quant_method`.
pub(super) fn quantization_config<'a>(
    checkpoint: &'a Checkpoint,
    method: &str,
) -> Option<&'a Map<String, Value>> {
    let config = any_quantization_config(checkpoint)?;
    (config.get("quant_method").and_then(Value::as_str) == Some(method)).then_some(config)
}

/// The `quantization_config` of `config.json` or of its `text_config`, or the older
/// `compression_config`.
pub fn any_quantization_config(checkpoint: &Checkpoint) -> Option<&Map<String, Value>> {
    let config = checkpoint.config()?;
    let text = config.get("text_config").and_then(Value::as_object);
    let found = [Some(config), text].into_iter().flatten();
    found
        .filter_map(|c| c.get("quantization_config").or(c.get("compression_config")))
        .find_map(Value::as_object)
}

/// The dtype of the unquantized weights according to the configuration; bfloat16 if it has none.
pub(super) fn weight_dtype(checkpoint: &Checkpoint) -> lowbit_blocks::Dtype {
    let config = checkpoint.config();
    let text = config.and_then(|c| c.get("text_config")).and_then(Value::as_object);
    let mut found =
        [config, text].into_iter().flatten().filter_map(|c| c.get("dtype").or(c.get("torch_dtype")));
    match found.find_map(Value::as_str) {
        Some("float32" | "torch.float32") => lowbit_blocks::Dtype::F32,
        Some("float16" | "torch.float16") => lowbit_blocks::Dtype::F16,
        _ => lowbit_blocks::Dtype::Bf16,
    }
}

/// The linear of a weight of this name and shape, with the dtype of the configuration.
pub(super) fn linear(checkpoint: &Checkpoint, weight: &str, shape: Shape) -> Linear {
    Linear {
        module: lowbit_arch::module_of(weight).to_owned(),
        weight: weight.to_owned(),
        shape,
        dtype: weight_dtype(checkpoint),
        ..Linear::default()
    }
}

/// The static input scale of a module, if it has a tensor with this suffix.
pub(super) fn input_scale(
    checkpoint: &Checkpoint,
    module: &str,
    suffix: &str,
    reciprocal: bool,
) -> Option<(String, bool)> {
    let tensor = checkpoint.tensor(&format!("{module}.{suffix}"))?;
    Some((tensor.entry.name.clone(), reciprocal))
}

/// The tensors of a module that have these suffixes.
pub(super) fn extras<S: AsRef<str>>(
    checkpoint: &Checkpoint,
    module: &str,
    suffixes: &[(S, ExtraKind)],
) -> Vec<Extra> {
    let found = suffixes.iter().filter_map(|(suffix, kind)| {
        let tensor = checkpoint.tensor(&format!("{module}.{}", suffix.as_ref()))?;
        Some(Extra { tensor: tensor.entry.name.clone(), kind: *kind })
    });
    found.collect()
}

/// The values of a small I64 tensor of counts.
pub(super) fn read_numbers(tensor: Tensor<'_>) -> Result<Vec<usize>> {
    if tensor.entry.dtype != Dtype::I64 {
        return Err(tensor.error(format!("is {}, not I64", tensor.entry.dtype)).into());
    }
    let bytes = tensor.read_all()?;
    let numbers = bytes.as_chunks().0.iter().copied().map(i64::from_le_bytes);
    numbers
        .map(|n| {
            usize::try_from(n).map_err(|_| tensor.error(format!("{n} is not a number of values")).into())
        })
        .collect()
}
