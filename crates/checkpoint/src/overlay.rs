//! Sheets laid over a checkpoint: quantized linears and changed tensors that replace those of the
//! source.
//!
//! ```text
//! source     model.layers.0.mlp.up_proj.weight, model.norm.weight, …
//! sheet      model.layers.0.mlp.up_proj.weight.codes, .scales, …          the linear, in the plain layout
//!            model.layers.0.post_attention_layernorm.weight               a tensor that has changed with it
//!            __metadata__ "overlay.replaces": ["model.layers.0.mlp.up_proj.weight"]
//! together   a checkpoint in the plain layout, which `ConvertJob` brings into any other
//! ```
//!
//! A calibration chooses codes from the whole model, and writes one sheet for each layer as soon as
//! the layer is done. An interruption therefore costs one layer, and the output is planned, sharded
//! and written by the same code as that of every other job.

use crate::container::Container;
use crate::disk::{Disk, Filesystem};
use crate::layout::{Holds, Linear, PLAIN, Part, Scheme, columns};
use crate::safetensors::{Dtype, TensorFile, header_bytes, order};
use crate::{Checkpoint, Error, Result};
use lowbit_blocks::{QLinear, TensorScale};
use lowbit_calib::Activations;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Metadata key of the list of source tensors that a sheet replaces.
const REPLACES: &str = "overlay.replaces";

/// The contents of one file of an overlay.
///
/// ```
/// use lowbit_blocks::{INT8, QLinear, QTensor, Shape, TensorScale};
/// use lowbit_checkpoint::{Checkpoint, layout, overlay::Sheet};
/// use lowbit_calib::Activations;
///
/// let weight = QTensor::new(INT8, Shape::matrix(1, 2), vec![3, 4], 0.5f32.to_le_bytes().to_vec(), None, TensorScale::None)?;
/// let linear = layout::Linear { module: "up".into(), weight: "up.weight".into(), shape: Shape::matrix(1, 2), ..Default::default() };
/// let mut sheet = Sheet::new();
/// sheet.linear(&linear, &QLinear::from(weight), Activations::None)?;
/// # let dir = std::env::temp_dir().join(format!("lowbit-overlay-{}", std::process::id()));
/// # std::fs::create_dir_all(&dir)?;
/// sheet.write(&dir.join("layer-0.safetensors"))?;
/// let file = Checkpoint::open(dir.join("layer-0.safetensors"))?;
/// assert_eq!(file.require("up.weight.codes")?.read_all()?, [3, 4]);
/// # std::fs::remove_dir_all(&dir)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    metadata: BTreeMap<String, String>,
    replaces: BTreeSet<String>,
    tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
}

impl Sheet {
    /// An empty sheet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a quantized linear, which replaces the source's weight of that name. Its bias stays
    /// separate: a tensor of the source, or a [`tensor`](Self::tensor) of a sheet.
    ///
    /// # Errors
    /// [`Error::Tensor`](lowbit_container::Error::Tensor) if the parts do not fit the linear.
    pub fn linear(
        &mut self,
        linear: &Linear,
        quantized: &QLinear<'_>,
        activations: Activations,
    ) -> Result<()> {
        let refuse = |reason: String| Error::tensor(Path::new(""), &linear.weight, reason);
        quantized.check().map_err(|e| refuse(e.to_string()))?;
        let weight = &quantized.weight;
        if weight.shape() != linear.shape {
            return Err(refuse(format!("is {}, its quantized form {}", linear.shape, weight.shape())));
        }
        let format = weight.format();
        let linear = Linear { permuted: quantized.perm.is_some(), ..linear.clone() };
        for part in PLAIN.parts(&linear, &format, activations).map_err(refuse)? {
            let bytes = part_bytes(&part, quantized);
            self.tensors.push((part.name, part.dtype, part.shape, bytes));
        }
        let divides = matches!(weight.tensor_scale(), TensorScale::Divide(_));
        self.metadata.extend(PLAIN.note(&linear, &Scheme { format, activations }, divides));
        let floats = |values: &[f32]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        if let (Some(scale), Some(place)) = (quantized.input_scale, PLAIN.input_scale(&format)) {
            self.tensor(&format!("{}.{}", linear.module, place.suffix), Dtype::F32, &[], floats(&[scale]));
        }
        if let (Some(factors), Some(place)) = (&quantized.pre_quant_scale, PLAIN.pre_quant_scale()) {
            let name = format!("{}.{}", linear.module, place.suffix);
            self.tensor(&name, Dtype::F32, &[factors.len()], floats(factors));
        }
        self.replaces.insert(linear.weight);
        Ok(())
    }

    /// Adds a tensor that replaces the source's tensor of that name, or is new.
    pub fn tensor(&mut self, name: &str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) {
        self.tensors.push((name.to_owned(), dtype, shape.to_vec(), bytes));
    }

    /// Marks a tensor of the source as replaced: for example a stack whose experts are all
    /// quantized separately.
    pub fn replaces(&mut self, tensor: &str) {
        self.replaces.insert(tensor.to_owned());
    }

    /// Adds an entry to the file's metadata.
    pub fn note(&mut self, key: &str, value: &str) {
        self.metadata.insert(key.to_owned(), value.to_owned());
    }

    /// Writes the file atomically: no reader sees a part of it, and it is synced when the call
    /// returns.
    ///
    /// # Errors
    /// [`Error::Io`](lowbit_container::Error::Io);
    /// [`Error::Tensor`](lowbit_container::Error::Tensor) if the length of a tensor's bytes does
    /// not match its shape.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut metadata = self.metadata.clone();
        metadata.insert(REPLACES.into(), json!(self.replaces).to_string());
        let mut tensors: Vec<_> = self.tensors.iter().collect();
        tensors.sort_by(|a, b| order((a.1, &a.0), (b.1, &b.0)));
        for (name, dtype, shape, bytes) in &tensors {
            if dtype.bytes(shape) != Ok(bytes.len() as u64) {
                let reason = format!("{} bytes for {dtype} {shape:?}", bytes.len());
                return Err(Error::tensor(path, name, reason));
            }
        }
        let entries = tensors.iter().map(|(n, d, s, b)| (n.clone(), *d, s.clone(), b.len() as u64));
        let (header, entries) = header_bytes(&metadata, entries);
        let partial = path.with_extension(crate::unfinished::PARTIAL);
        let io = |action: &str, e| Error::io(action, &partial, e);
        let file = Filesystem.open(&partial).map_err(|e| io("open", e))?;
        file.set_len(0).map_err(|e| io("cut", e))?;
        file.write_all_at(&header, 0).map_err(|e| io("write", e))?;
        for ((.., bytes), entry) in tensors.iter().zip(&entries) {
            file.write_all_at(bytes, entry.begin).map_err(|e| io("write", e))?;
        }
        file.sync().map_err(|e| io("sync", e))?;
        Filesystem.rename(&partial, path).map_err(|e| io("rename", e))?;
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Filesystem.sync_dir(dir).map_err(|e| Error::io("sync", dir, e))
    }
}

/// The bytes of one part of a linear, in the order of the file.
fn part_bytes(part: &Part, quantized: &QLinear<'_>) -> Vec<u8> {
    let weight = &quantized.weight;
    match &part.holds {
        Holds::Codes(_) => {
            let mut codes = weight.codes().to_vec();
            if let Some(perm) = &quantized.perm {
                columns::scatter(weight.format().element.bits(), weight.shape().cols, perm, &mut codes);
            }
            codes
        }
        Holds::Scales(_) => weight.scales().to_vec(),
        Holds::Zeros(_) => weight.zeros().unwrap_or_default().to_vec(),
        Holds::TensorScale => {
            weight.tensor_scale().stored().iter().flat_map(|scale| scale.to_le_bytes()).collect()
        }
        Holds::Groups => columns::groups(&weight.format(), weight.shape().cols, quantized.perm.as_deref()),
        // The plain layout has no other parts.
        Holds::Fixed(_) | Holds::Repeated(_) | Holds::Made(_) => Vec::new(),
    }
}

/// The checkpoint under the sheets of an overlay. Later sheets take precedence. The result is a
/// checkpoint in the plain layout.
///
/// # Errors
/// As [`TensorFile::open`]; [`Error::File`](lowbit_container::Error::File) for a file that is not a
/// sheet.
pub fn overlaid<P: AsRef<Path>>(checkpoint: Checkpoint, sheets: &[P]) -> Result<Checkpoint> {
    let (mut files, mut hidden) = (Vec::new(), BTreeSet::new());
    for sheet in sheets {
        let file = TensorFile::open(sheet.as_ref())?;
        let replaces = file.header().metadata.get(REPLACES);
        let names = replaces.and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
        let no_sheet =
            || Error::file(file.path(), format!("no sheet of an overlay: its metadata has no {REPLACES}"));
        hidden.extend(names.ok_or_else(no_sheet)?);
        files.push(Box::new(file) as Box<dyn Container>);
    }
    Ok(checkpoint.with_sheets(files, &hidden, |config| {
        if !hidden.is_empty() {
            // The configuration of the plain layout, by which readers recognise it.
            config.insert("quantization_config".into(), json!({"quant_method": "lowbit", "version": 1}));
        }
    }))
}
