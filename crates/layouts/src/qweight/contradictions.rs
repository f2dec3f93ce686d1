//! Checks GPTQ and AWQ configurations against the tensors: bits, group size, zero points, and the
//! order of columns.
//!
//! ```text
//!          qweight I32        qzeros I32       scales F16   g_idx I32
//! GPTQ     [in b/32, out]     [G, out b/32]    [G, out]     [in]        stored zero = zero - 1 (v1, "gptq") | zero (v2, "gptq_v2")
//! AWQ      [in, out b/32]     [G, out b/32]    [G, out]                 stored zero = zero
//! ```
//!
//! A symmetric file has the zero point 2^(b-1) everywhere. Some tools wrote version 2 zero points
//! but named version 1; only the values show it. Sources: GPTQModel `quantization/config.py`,
//! AutoAWQ `modules/linear/gemm.py`.

use super::unpacked;
use crate::claim::Claim;
use crate::contradiction::{Contradiction, ContradictionKind as Kind};
use crate::packing::Packing;
use crate::stored::any_quantization_config;
use crate::{Checkpoint, Result, Tensor};
use lowbit_container::Dtype;
use serde_json::Value;

/// The arrangement of codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Packed {
    /// Packed along the inputs; zero points are stored minus one.
    GptqV1,
    /// Packed along the inputs; zero points are stored unchanged.
    GptqV2,
    /// Packed along the outputs, interleaved.
    Awq,
}

/// The numbers of a layer, according to its tensors.
struct Layer<'a> {
    module: &'a str,
    bits: usize,
    inputs: usize,
    outputs: usize,
    groups: usize,
    zeros: Tensor<'a>,
}

/// The contradictions between the configuration and the tensors, for every layer with `qweight`,
/// `qzeros` and `scales`.
pub(in super::super) fn contradictions(checkpoint: &Checkpoint) -> Result<Vec<Contradiction>> {
    let mut all = Vec::new();
    let Some(config) = any_quantization_config(checkpoint) else { return Ok(all) };
    let text = |key: &str| config.get(key).and_then(Value::as_str);
    let format = text("checkpoint_format").or(text("format")).or(text("version")).unwrap_or("gptq");
    let packed = match (text("quant_method"), text("packing_format").unwrap_or_default()) {
        (Some("auto-round" | "intel/auto-round"), packing) if packing.contains("awq") => Packed::Awq,
        (Some("awq"), _) if ["gemm", "gptq"].contains(&format) => Packed::Awq,
        (Some("gptq"), _) if format == "gptq_v2" => Packed::GptqV2,
        (Some("gptq"), _) if format == "gptq" => Packed::GptqV1,
        // Version 2: `auto_round` alone, and `auto_round:gptqmodel`.
        (Some("auto-round" | "intel/auto-round"), "auto_round" | "auto_round:gptqmodel") => Packed::GptqV2,
        (Some("auto-round" | "intel/auto-round"), packing) if packing.contains("gptq") => Packed::GptqV1,
        _ => return Ok(all),
    };
    let claim = Claim::of(config);
    for tensor in checkpoint.tensors() {
        let Some(module) = tensor.entry.name.strip_suffix(".qweight") else { continue };
        let Some(layer) = Layer::read(checkpoint, module, packed) else { continue };
        let mut found =
            |kind, detail: String| all.push(Contradiction { kind, module: module.to_owned(), detail });
        if let Some(said) = claim.bits.filter(|&said| said != layer.bits as u64) {
            found(Kind::Bits, format!("{said} bits are said, codes have {}", layer.bits));
        } else if let Some(said) = claim.group.filter(|&said| !layer.fits(said)) {
            found(Kind::Group, format!("group size {said} is said, scales are of {}", layer.group()));
        } else if claim.symmetric == Some(true)
            && let Some((kind, detail)) = layer.symmetric(packed)?
        {
            found(kind, detail);
        }
        let Some(order) = checkpoint.tensor(&format!("{module}.g_idx")) else { continue };
        let kept = config.get("desc_act") == Some(&false.into());
        let kept = claim.group.filter(|&said| kept && layer.fits(said));
        if let Some((kind, detail)) = layer.order(order, kept)? {
            found(kind, detail);
        }
    }
    Ok(all)
}

impl<'a> Layer<'a> {
    /// The numbers of a layer; `None` if the shapes of its tensors do not match.
    fn read(checkpoint: &'a Checkpoint, module: &'a str, packed: Packed) -> Option<Self> {
        let tensor = |suffix: &str| {
            let tensor = checkpoint.tensor(&format!("{module}.{suffix}"))?;
            let &[rows, cols] = &tensor.entry.shape[..] else { return None };
            (rows > 0 && cols > 0).then_some((tensor, rows, cols))
        };
        let ((codes, high, wide), (zeros, zero_rows, zero_cols)) = (tensor("qweight")?, tensor("qzeros")?);
        let (_, groups, outputs) = tensor("scales")?;
        let words = |t: Tensor<'_>| matches!(t.entry.dtype, Dtype::I32 | Dtype::U32);
        // GPTQ and AWQ both pack zero points along the outputs.
        let bits = zero_cols.checked_mul(32)?.checked_div(outputs)?;
        let across = if packed == Packed::Awq { wide == zero_cols } else { wide == outputs };
        let fits = words(codes) && words(zeros) && across && zero_rows == groups && (1..=8).contains(&bits);
        let inputs = if packed == Packed::Awq { high } else { high.checked_mul(32)? / bits.max(1) };
        (fits && groups <= inputs).then_some(Self { module, bits, inputs, outputs, groups, zeros })
    }

    /// Whether groups of this size give the number of scales. The last group may be short.
    fn fits(&self, group: u64) -> bool {
        (self.inputs as u64).div_ceil(group) == self.groups as u64
    }

    fn group(&self) -> u64 {
        self.inputs.div_ceil(self.groups) as u64
    }

    /// The fault in the zero points of a layer that is configured as symmetric, if there is one.
    fn symmetric(&self, packed: Packed) -> Result<Option<(Kind, String)>> {
        let Some((low, high)) = self.extremes()? else { return Ok(None) };
        let middle = 1u8 << (self.bits - 1);
        let v1 = if packed == Packed::GptqV1 { middle - 1 } else { middle };
        Ok(match (low, high) {
            (low, high) if low != high => {
                Some((Kind::Symmetric, format!("symmetric, but zero points are {low} to {high}")))
            }
            (zero, _) if zero == v1 => None,
            (zero, _) if packed == Packed::GptqV1 && zero == middle => {
                Some((Kind::ZerosAreV2, format!("all zero points are stored as {zero}, v1 has {v1}")))
            }
            (zero, _) if packed == Packed::GptqV2 && zero + 1 == middle => {
                Some((Kind::ZerosAreV1, format!("all zero points are stored as {zero}, v2 has {middle}")))
            }
            (zero, _) => Some((Kind::Symmetric, format!("symmetric, but all zero points are {zero}"))),
        })
    }

    /// The smallest and the largest stored zero point. AWQ's interleaved order does not matter for
    /// them.
    fn extremes(&self) -> Result<Option<(u8, u8)>> {
        let packing = Packing::Columns { bits: self.bits as u32, less_one: false };
        let zeros = unpacked(self.zeros, packing, (self.outputs, self.groups))?;
        Ok(zeros.and_then(|zeros| Some((*zeros.iter().min()?, *zeros.iter().max()?))))
    }

    /// The fault in the order of columns, if there is one. `kept` is the group size of columns that
    /// should not be reordered.
    fn order(&self, order: Tensor<'_>, kept: Option<u64>) -> Result<Option<(Kind, String)>> {
        if order.entry.dtype != Dtype::I32 || order.entry.elements() != self.inputs as u64 {
            return Ok(None);
        }
        let bytes = order.read_all()?;
        let groups: Vec<i32> = bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b)).collect();
        let moved =
            |group: u64| (0u64..).zip(&groups).any(|(at, &g)| i64::try_from(at / group) != Ok(g.into()));
        let known = |g: i32| usize::try_from(g).is_ok_and(|g| g < self.groups);
        let wrong = groups.iter().filter(|g| !known(**g)).count();
        let first = groups.iter().position(|g| !known(*g));
        Ok(if let Some(first) = first {
            let detail = format!(
                "{}: {wrong} columns are of groups outside of 0..{}, first column {first} of {}",
                self.module, self.groups, groups[first]
            );
            Some((Kind::OrderRange, detail))
        } else if kept.is_some_and(moved) {
            Some((Kind::Order, "desc_act is false, and g_idx reorders columns".into()))
        } else {
            None
        })
    }
}
