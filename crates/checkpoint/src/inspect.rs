//! The contents of a checkpoint: its formats, every tensor with role and size, bits per weight, and
//! the statistics of one tensor.

use crate::arch::Arch;
use crate::layout::Holds;
use crate::safetensors::Dtype;
use crate::weights::Weights;
use crate::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The description of a checkpoint.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The directory or file.
    pub path: PathBuf,
    /// The `model_type` of the configuration.
    pub model_type: Option<String>,
    /// Name of the layout; `None` if nothing is quantized.
    pub layout: Option<&'static str>,
    /// The formats of the quantized linears, and how many linears have each.
    pub formats: BTreeMap<String, usize>,
    /// Every quantized linear.
    pub linears: Vec<InspectedLinear>,
    /// Every tensor of the files.
    pub tensors: Vec<InspectedTensor>,
    /// Number of tensors and of bytes for each dtype.
    pub dtypes: BTreeMap<String, (usize, u64)>,
    /// Names and lengths of the safetensors files.
    pub files: Vec<(String, u64)>,
    /// Total bytes of all tensors.
    pub bytes: u64,
    /// Number of values of the model: the values of quantized linears, and the elements of other
    /// float tensors.
    pub parameters: u64,
    /// Number of values in quantized linears.
    pub quantized: u64,
    /// Stored bits for each value of the quantized linears; 0 if there are none.
    pub bits_per_weight: f64,
    /// Stored bits for each value of the model.
    pub bits_per_parameter: f64,
    /// Anomalies that are not errors.
    pub warnings: Vec<String>,
}

/// One tensor of a file.
#[derive(Clone, Debug, Serialize)]
pub struct InspectedTensor {
    /// Its name.
    pub name: String,
    /// Its dtype.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its length in bytes.
    pub bytes: u64,
    /// The file that holds it.
    pub file: String,
    /// Its role: `linear`, `embedding` …, or for a part of a quantized linear `codes`, `scales`,
    /// `zeros`, `tensor scale`, `constant`, `activation scale`.
    pub role: String,
}

/// One quantized linear.
#[derive(Clone, Debug, Serialize)]
pub struct InspectedLinear {
    /// Its module.
    pub module: String,
    /// Its format.
    pub format: String,
    /// Number of matrices, rows and columns.
    pub shape: [usize; 3],
    /// Bytes of all its parts.
    pub bytes: u64,
    /// Stored bits for each weight.
    pub bits_per_weight: f64,
}

/// Describes a checkpoint directory or a safetensors file. Reads only headers and the
/// configuration.
///
/// # Errors
/// Any error of opening the checkpoint; a quantization convention that is not supported.
pub fn inspect(path: &Path) -> Result<Inspection> {
    Ok(describe(path, &Weights::open(path)?))
}

/// Describes an open checkpoint for [`inspect`].
fn describe(path: &Path, weights: &Weights) -> Inspection {
    let checkpoint = &weights.checkpoint;
    let arch = Arch::new(checkpoint.config());
    let stored = weights.reading.as_ref().map_or(&[][..], |reading| &reading.linears);
    let (mut roles, mut formats) = (BTreeMap::new(), BTreeMap::new());
    let (mut linears, mut quantized, mut quantized_bytes) = (Vec::new(), 0, 0);
    for linear in stored {
        for part in &linear.parts {
            roles.insert(part.name.as_str(), role_of(&part.holds));
        }
        roles.extend(linear.companions().map(|name| (name, "activation scale")));
        roles.extend(linear.extras.iter().map(|extra| (extra.tensor.as_str(), extra.kind.words())));
        let (shape, bytes) = (linear.shape(), linear.size_bytes());
        let values = shape.len().unwrap_or(0) as u64;
        *formats.entry(linear.format.name()).or_default() += 1;
        linears.push(InspectedLinear {
            module: linear.linear.module.clone(),
            format: linear.format.name(),
            shape: [shape.matrices, shape.rows, shape.cols],
            bytes,
            bits_per_weight: per(bytes, values),
        });
        quantized += values;
        quantized_bytes += bytes;
    }
    let (mut dtypes, mut tensors, mut parameters) = (BTreeMap::new(), Vec::new(), quantized);
    for tensor in checkpoint.tensors() {
        let entry = tensor.entry;
        let part = roles.get(entry.name.as_str());
        if part.is_none() && is_float(entry.dtype) {
            parameters += entry.elements();
        }
        let count: &mut (usize, u64) = dtypes.entry(entry.dtype.to_string()).or_default();
        *count = (count.0 + 1, count.1 + entry.len());
        tensors.push(InspectedTensor {
            name: entry.name.clone(),
            dtype: entry.dtype.to_string(),
            shape: entry.shape.clone(),
            bytes: entry.len(),
            file: file_name(tensor.file.path()),
            role: part.unwrap_or(&arch.role(&entry.name, &entry.shape).words()).to_string(),
        });
    }
    let bytes = checkpoint.total_size();
    Inspection {
        path: path.to_owned(),
        model_type: checkpoint
            .config()
            .and_then(|c| c.get("model_type"))
            .and_then(|t| t.as_str())
            .map(ToOwned::to_owned),
        layout: weights.reading.as_ref().map(|reading| reading.layout.name()),
        formats,
        linears,
        tensors,
        dtypes,
        files: checkpoint.files().iter().map(|f| (file_name(f.path()), f.file_len())).collect(),
        bytes,
        parameters,
        quantized,
        bits_per_weight: per(quantized_bytes, quantized),
        bits_per_parameter: per(bytes, parameters),
        warnings: checkpoint.warnings().to_vec(),
    }
}

/// Statistics of the values of one weight; a quantized linear is decoded first.
#[derive(Clone, Debug, Serialize)]
pub struct TensorReport {
    /// Its name.
    pub name: String,
    /// Its format, or its dtype if it is not quantized.
    pub format: String,
    /// Number of matrices, rows and columns.
    pub shape: [usize; 3],
    /// The tensors that hold it.
    pub tensors: Vec<InspectedTensor>,
    /// Smallest finite value.
    pub min: f32,
    /// Largest finite value.
    pub max: f32,
    /// Mean of the finite values.
    pub mean: f64,
    /// Root of the mean square of the finite values.
    pub rms: f64,
    /// Number of zeros, of either sign.
    pub zeros: u64,
    /// Number of values that are NaN or infinite.
    pub non_finite: u64,
}

/// Statistics of one weight, found by the name of its tensor, of its module, or of a part of it.
///
/// # Errors
/// [`Error::File`](lowbit_container::Error::File) if there is no such weight; any error of opening
/// or reading the checkpoint.
pub fn inspect_tensor(path: &Path, name: &str) -> Result<TensorReport> {
    let weights = Weights::open(path)?;
    let inspection = describe(path, &weights);
    let full = format!("{name}.weight");
    // The name of any part of a quantized linear stands for the linear.
    let owner = |part: &str| {
        let linears = weights.reading.as_ref().map_or(&[][..], |reading| &reading.linears);
        linears.iter().find(|l| l.parts.iter().any(|p| p.name == part)).map(|l| l.linear.weight.clone())
    };
    let found =
        [name.to_owned(), full].into_iter().find(|n| weights.get(n).is_some()).or_else(|| owner(name));
    let found = found.ok_or_else(|| Error::file(path, format!("there is no weight `{name}`")))?;
    let weight =
        weights.get(&found).ok_or_else(|| Error::file(path, format!("there is no weight `{name}`")))?;
    let stored = weights.stored(&found);
    let parts =
        stored.map_or_else(|| vec![found.clone()], |s| s.parts.iter().map(|p| p.name.clone()).collect());
    let tensors: Vec<_> = inspection.tensors.into_iter().filter(|t| parts.contains(&t.name)).collect();
    let mut report = TensorReport {
        format: stored.map_or_else(
            || tensors.first().map(|t| t.dtype.clone()).unwrap_or_default(),
            |s| s.format.name(),
        ),
        name: found.clone(),
        shape: [weight.shape.matrices, weight.shape.rows, weight.shape.cols],
        tensors,
        min: f32::INFINITY,
        max: f32::NEG_INFINITY,
        mean: 0.0,
        rms: 0.0,
        zeros: 0,
        non_finite: 0,
    };
    let (mut values, mut count, mut sum, mut squares) = (Vec::new(), 0u64, 0.0, 0.0);
    for rows in weight.tiles() {
        weight.read(rows, &mut values)?;
        for &value in &values {
            if value.is_finite() {
                report.min = report.min.min(value);
                report.max = report.max.max(value);
                count += 1;
                sum += f64::from(value);
                squares += f64::from(value) * f64::from(value);
            }
            report.zeros += u64::from(value == 0.0);
            report.non_finite += u64::from(!value.is_finite());
        }
    }
    report.mean = sum / count as f64;
    report.rms = (squares / count as f64).sqrt();
    Ok(report)
}

const fn role_of(holds: &Holds) -> &'static str {
    match holds {
        Holds::Codes(_) => "codes",
        Holds::Scales(_) => "scales",
        Holds::Zeros(_) => "zeros",
        Holds::TensorScale => "tensor scale",
        Holds::Groups => "groups of columns",
        Holds::Made(_) => "quantized scales",
        Holds::Fixed(_) | Holds::Repeated(_) => "constant",
    }
}

/// Whether elements of this type are parameters, rather than counters or packed codes.
const fn is_float(dtype: Dtype) -> bool {
    matches!(dtype, Dtype::F64 | Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F8_E4M3 | Dtype::F8_E5M2)
}

/// Bits per value, for `bytes` that store `values` values; 0 without values.
fn per(bytes: u64, values: u64) -> f64 {
    if values == 0 { 0.0 } else { 8.0 * bytes as f64 / values as f64 }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
