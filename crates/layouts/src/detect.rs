//! Detects the layout of a checkpoint: by its configuration first, then by the names of its
//! tensors.

use super::cache::{self, CacheTensor};
use super::sparse::{self, Sparse};
use super::{Found, LAYOUTS, Layout, Stored, stored};
use crate::{Checkpoint, Error, Result};
use serde_json::Value;

/// The quantized linears of a checkpoint, and their layout.
#[derive(Debug)]
pub struct Reading {
    /// The layout.
    pub layout: &'static Layout,
    /// The linears, in name order.
    pub linears: Vec<Stored>,
    /// Scales and biases of the key-value cache.
    pub caches: Vec<CacheTensor>,
    /// Unquantized weights that are stored without their zeros.
    pub sparse: Vec<Sparse>,
}

/// The linears of a checkpoint, including those that cannot be read.
#[derive(Debug)]
pub struct Survey {
    /// The layout.
    pub layout: &'static Layout,
    /// Every linear, or the reason why it cannot be read.
    pub linears: Found,
}

/// A convention that is recognised but not read.
#[derive(Debug)]
pub struct Foreign {
    /// `quant_method` of the configuration, or `format` of compressed-tensors.
    pub method: &'static str,
    /// A suffix of tensor names that only this convention has.
    pub tensor: &'static str,
    /// A description.
    pub what: &'static str,
}

/// The conventions that errors name.
pub const FOREIGN: &[Foreign] = &[
    Foreign { method: "aqlm", tensor: ".codebooks", what: "AQLM: sums of vectors from learnt codebooks" },
    Foreign { method: "vptq", tensor: ".centroids", what: "VPTQ: vector quantization with learnt centroids" },
    Foreign { method: "quip", tensor: ".Qidxs", what: "QuIP#: lattice codebooks under random rotations" },
    Foreign {
        method: "exl3",
        tensor: ".trellis",
        what: "EXL3 of ExLlamaV3: trellis codes under Hadamard rotations",
    },
    Foreign {
        method: "exl2",
        tensor: ".q_invperm",
        what: "EXL2 of ExLlamaV2: rows of mixed widths in its own order",
    },
    Foreign { method: "spqr", tensor: ".dense_weights", what: "SpQR: dense codes and sparse outliers" },
    Foreign {
        method: "higgs",
        tensor: ".tables2",
        what: "HIGGS: vector quantization under Hadamard rotations",
    },
    Foreign { method: "bitnet", tensor: "", what: "BitNet: ternary weights, four to a byte" },
    Foreign { method: "sinq", tensor: "", what: "SINQ: scales of rows and of columns" },
    Foreign {
        method: "fp_quant",
        tensor: ".forward_hadamard_matrix",
        what: "FP-Quant: FP4 under Hadamard rotations",
    },
    Foreign {
        method: "svdquant",
        tensor: ".proj_down",
        what: "SVDQuant of Nunchaku: 4 bits and a low-rank branch",
    },
    Foreign {
        method: "marlin-24",
        tensor: ".meta",
        what: "marlin-24: 2:4 sparse INT4 permuted for tensor cores",
    },
    Foreign { method: "marlin", tensor: ".B", what: "Marlin: INT4 permuted for tensor cores" },
    Foreign { method: "eetq", tensor: "", what: "EETQ: INT8 permuted for tensor cores" },
    Foreign { method: "gguf", tensor: "", what: "GGUF inside transformers" },
];

/// Name suffixes of tensors and the convention that they indicate, for directories without a usable
/// configuration.
const TELLTALES: &[(&str, &str)] = &[
    (".qweight", "gptq or awq"),
    (".weight_packed", "compressed-tensors without its configuration"),
    (".weight_scale_2", "modelopt without its configuration"),
];

/// Detects the layout of a checkpoint and reads its linears; `None` if it is not quantized.
///
/// # Errors
/// [`Error::Convention`] if the convention is not supported, or the layout's error for the first
/// linear that cannot be read.
pub fn read(checkpoint: &Checkpoint) -> Result<Option<Reading>> {
    let Some(Survey { layout, linears }) = survey(checkpoint)? else { return Ok(None) };
    let linears: Vec<Stored> = linears.into_iter().collect::<Result<_>>()?;
    let sparse = sparse::beside(checkpoint, &linears)?;
    let mut caches = cache::find(checkpoint);
    // Tensors that belong to a linear are no cache scales, whatever their names: quanto has output
    // scales in all linears.
    caches.retain(|cache| !linears.iter().any(|linear| linear.companions().any(|own| own == cache.tensor)));
    Ok(Some(Reading { layout, linears, caches, sparse }))
}

/// Detects the layout of a checkpoint, also if some linears cannot be read; `None` if it is not
/// quantized.
///
/// # Errors
/// [`Error::Convention`] if the convention is not supported, or an error of the layout if the
/// configuration is invalid for all linears.
pub fn survey(checkpoint: &Checkpoint) -> Result<Option<Survey>> {
    for &layout in LAYOUTS {
        if let Some(linears) = layout.find(checkpoint)? {
            return Ok(Some(Survey { layout, linears }));
        }
    }
    let foreign = |method: &str| {
        let readable = LAYOUTS.iter().map(|l| l.name()).collect::<Vec<_>>().join(", ");
        let known = FOREIGN.iter().find(|f| f.method == method);
        let method = known.map_or_else(|| method.to_owned(), |f| format!("{method} ({})", f.what));
        Err(Error::Convention { dir: checkpoint.dir().to_owned(), method, readable })
    };
    if let Some(config) = stored::any_quantization_config(checkpoint) {
        let text = |key: &str| config.get(key).and_then(Value::as_str);
        let format = text("format").filter(|format| FOREIGN.iter().any(|f| f.method == *format));
        if let Some(method) = format.or(text("quant_method")) {
            return foreign(method);
        }
    }
    let foreigners = FOREIGN.iter().filter(|f| !f.tensor.is_empty()).map(|f| (f.tensor, f.method));
    let telltales: Vec<_> = TELLTALES.iter().copied().chain(foreigners).collect();
    let telltale = |name: &str| telltales.iter().find(|(suffix, _)| name.ends_with(suffix));
    match checkpoint.tensors().find_map(|t| telltale(&t.entry.name)) {
        Some((_, method)) => foreign(method),
        None => Ok(None),
    }
}
