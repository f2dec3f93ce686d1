//! Bitmask sparsity of compressed-tensors up to 0.14: only nonzero values are stored, of any dtype.
//!
//! ```text
//! sparse-24-bitmask  M.compressed [N, K/2]     M.bitmask U8 [N, ceil(K/8)]   M.shape I64 [2, 1] = N, K        two of every four values
//! sparse-bitmask     M.compressed [nonzeros]   M.bitmask U8 [N, ceil(K/8)]   M.shape I64 [2]    M.row_offsets I64 [N], the index of each row's first value
//! ```
//!
//! Bit `c % 8` of byte `c / 8` of a row says whether column c is stored. Values are in the order of
//! columns. Names may begin with `M.weight.` instead. Float values are unquantized weights; codes
//! belong to a linear that also has `M.weight_scale`.

use super::{Extra, ExtraKind, Holds, Part, Stored, stored};
use crate::{Checkpoint, Error, Result};
use lowbit_blocks::{QTensor, Shape, TensorScale};
use lowbit_container::safetensors::Dtype;
use lowbit_kernels::Element;
use std::collections::BTreeSet;
use std::ops::Range;

/// A matrix stored with a bitmask.
#[derive(Clone, Debug)]
pub struct Sparse {
    /// The name of the weight.
    pub weight: String,
    /// The shape of the dense matrix.
    pub shape: Shape,
    /// The name of the tensor with the nonzero values.
    pub compressed: String,
    bitmask: String,
    numbers: String,
    offsets: Option<String>,
}

/// All bitmask matrices of a checkpoint.
fn find(checkpoint: &Checkpoint) -> Result<Vec<Sparse>> {
    let bases = checkpoint.tensors().filter_map(|t| t.entry.name.strip_suffix(".bitmask"));
    bases.filter_map(|base| at(checkpoint, base).transpose()).collect()
}

/// The bitmask matrices that are not the codes of a quantized linear.
pub fn beside(checkpoint: &Checkpoint, linears: &[Stored]) -> Result<Vec<Sparse>> {
    let mut all = find(checkpoint)?;
    let names: BTreeSet<_> = linears.iter().map(|l| l.linear.weight.as_str()).collect();
    all.retain(|matrix| !names.contains(matrix.weight.as_str()));
    Ok(all)
}

/// The bitmask matrix of a module's weight, if there is one.
pub(super) fn of(checkpoint: &Checkpoint, module: &str) -> Result<Option<Sparse>> {
    let found = at(checkpoint, module)?;
    if found.is_some() { Ok(found) } else { at(checkpoint, &format!("{module}.weight")) }
}

fn at(checkpoint: &Checkpoint, base: &str) -> Result<Option<Sparse>> {
    let name = |suffix: &str| format!("{base}.{suffix}");
    let (compressed, bitmask, numbers) = (name("compressed"), name("bitmask"), name("shape"));
    let (Some(values), Some(mask)) = (checkpoint.tensor(&compressed), checkpoint.tensor(&bitmask)) else {
        return Ok(None);
    };
    let said = checkpoint.require(&numbers)?;
    let said_numbers = if said.entry.elements() == 2 { stored::read_numbers(said)? } else { Vec::new() };
    let [rows, cols] = said_numbers[..] else {
        return Err(said.error(format!("shape {:?} is not that of two numbers", said.entry.shape)).into());
    };
    if mask.entry.dtype != Dtype::U8 || mask.entry.len() as u128 != rows as u128 * cols.div_ceil(8) as u128 {
        let (dtype, shape) = (mask.entry.dtype, &mask.entry.shape);
        return Err(mask
            .error(format!("is {dtype} {shape:?}, but {rows} rows of {cols} bits were said"))
            .into());
    }
    let offsets = name("row_offsets");
    let offsets = match checkpoint.tensor(&offsets) {
        Some(tensor) if tensor.entry.dtype != Dtype::I64 || tensor.entry.elements() != rows as u64 => {
            let (dtype, shape) = (tensor.entry.dtype, &tensor.entry.shape);
            return Err(tensor.error(format!("is {dtype} {shape:?}, not I64 [{rows}]")).into());
        }
        Some(_) => Some(offsets),
        None if values.entry.elements() as u128 * 2 != rows as u128 * cols as u128 => {
            let shape = &values.entry.shape;
            return Err(values.error(format!("{shape:?} is not one half of {rows} x {cols}")).into());
        }
        None => None,
    };
    let weight = if base.ends_with(".weight") { base.to_owned() } else { name("weight") };
    Ok(Some(Sparse { weight, shape: Shape::matrix(rows, cols), compressed, bitmask, numbers, offsets }))
}

impl Sparse {
    /// The names of its tensors.
    pub fn tensors(&self) -> impl Iterator<Item = &str> {
        [&self.compressed, &self.bitmask, &self.numbers].into_iter().chain(&self.offsets).map(String::as_str)
    }

    /// Some dense rows, as bytes of the values' dtype.
    pub fn rows(&self, checkpoint: &Checkpoint, rows: Range<usize>) -> Result<Vec<u8>> {
        let (values, mask) = (checkpoint.require(&self.compressed)?, checkpoint.require(&self.bitmask)?);
        let (cols, size) = (self.shape.cols, values.entry.dtype.bitsize() / 8);
        let width = cols.div_ceil(8);
        let mut bits = vec![0; rows.len() * width];
        mask.read((rows.start * width) as u64, &mut bits)?;
        let is_stored = |row: usize, col: usize| bits[row * width + col / 8] >> (col % 8) & 1 == 1;
        let count =
            (0..rows.len()).map(|row| (0..cols).filter(|&col| is_stored(row, col)).count()).sum::<usize>();
        let first = match &self.offsets {
            Some(offsets) if !rows.is_empty() => {
                let tensor = checkpoint.require(offsets)?;
                let mut number = [0; 8];
                tensor.read(rows.start as u64 * 8, &mut number)?;
                let number = i64::from_le_bytes(number);
                usize::try_from(number)
                    .map_err(|_| tensor.error(format!("{number} is no place of a value")))?
            }
            _ => rows.start * (cols / 2),
        };
        let there = values.entry.elements();
        if first.checked_add(count).is_none_or(|end| end as u64 > there) {
            return Err(values
                .error(format!(
                    "has {there} values, but rows from {} on need {count} from {first} on",
                    rows.start
                ))
                .into());
        }
        let mut packed = vec![0; count * size];
        values.read((first * size) as u64, &mut packed)?;
        let mut dense = vec![0; rows.len() * cols * size];
        let mut packed = packed.chunks_exact(size);
        for (at, to) in dense.chunks_exact_mut(size).enumerate() {
            if is_stored(at / cols, at % cols)
                && let Some(value) = packed.next()
            {
                to.copy_from_slice(value);
            }
        }
        Ok(dense)
    }

    /// Reads the bytes of the dense matrix from byte `first` on.
    pub fn read(&self, checkpoint: &Checkpoint, first: usize, out: &mut [u8]) -> Result<()> {
        let width = self.shape.cols * (checkpoint.require(&self.compressed)?.entry.dtype.bitsize() / 8);
        if out.is_empty() || width == 0 {
            return Ok(());
        }
        let rows = first / width..(first + out.len()).div_ceil(width);
        let skip = first - rows.start * width;
        let dense = self.rows(checkpoint, rows)?;
        out.copy_from_slice(&dense[skip..skip + out.len()]);
        Ok(())
    }

    /// Makes the matrix the codes of a linear whose other parts are already known.
    pub(super) fn into_codes_of(self, stored: &mut Stored, checkpoint: &Checkpoint) -> Result<()> {
        let entry = checkpoint.require(&self.compressed)?.entry;
        let element = stored.format.element;
        if element != Element::E4m3 && element != (Element::Int { bits: 8 }) {
            let reason = format!("sparse codes of {} are not read", stored.format);
            return Err(Error::tensor(checkpoint.dir(), &self.compressed, reason));
        }
        stored.assemble = Some(assemble);
        let others = self.tensors().filter(|name| *name != self.compressed);
        stored.extras.extend(others.map(|name| Extra { tensor: name.to_owned(), kind: ExtraKind::Marker }));
        let (dtype, shape) = (entry.dtype, entry.shape.clone());
        stored.parts.insert(0, Part { name: self.compressed, dtype, shape, holds: Holds::Codes(None) });
        Ok(())
    }
}

/// Reads the dense matrix.
fn assemble(stored: &Stored, checkpoint: &Checkpoint, _: usize) -> Result<QTensor<'static>> {
    let shape = stored.shape();
    let module = &stored.linear.module;
    let sparse = of(checkpoint, module)?
        .ok_or_else(|| Error::tensor(checkpoint.dir(), &stored.linear.weight, "has no bitmask any more"))?;
    let codes = sparse.rows(checkpoint, 0..shape.rows)?;
    let scales = stored.parts.iter().find(|part| matches!(part.holds, Holds::Scales(_)));
    let scales =
        scales.map(|part| checkpoint.require(&part.name)?.read_all()).transpose()?.unwrap_or_default();
    QTensor::new(stored.format, shape, codes, scales, None, TensorScale::None)
        .map_err(|e| Error::tensor(checkpoint.dir(), &stored.linear.weight, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use sha2::{Digest, Sha256};
    use std::path::Path;

    #[test]
    #[allow(clippy::print_stderr)]
    fn floats_are_those_that_the_tool_restores() {
        let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/layouts/made");
        if !made.is_dir() {
            eprintln!("skipped: a packed crate is without the repository's files");
            return;
        }
        for folder in ["ct-sparse-24-bitmask", "ct-sparse-bitmask"] {
            let folder = made.join(folder);
            let text = std::fs::read(folder.join("values.json")).unwrap();
            let values: Value = serde_json::from_slice(&text).unwrap();
            let checkpoint = Checkpoint::open(&folder).unwrap();
            let found = find(&checkpoint).unwrap();
            assert_eq!(found.len(), values.as_object().unwrap().len());
            for sparse in found {
                let rows = sparse.shape.rows;
                // In three pieces, as a reader of tiles does.
                let dense =
                    [0..7, 7..8, 8..rows].map(|rows| sparse.rows(&checkpoint, rows).unwrap()).concat();
                let mut bytes = vec![0; dense.len()];
                for (at, piece) in bytes.chunks_mut(1001).enumerate() {
                    sparse.read(&checkpoint, at * 1001, piece).unwrap();
                }
                assert_eq!(bytes, dense);
                let digest = Sha256::digest(dense);
                let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(
                    values[&sparse.weight]["sha256"],
                    digest,
                    "{} {}",
                    folder.display(),
                    sparse.weight
                );
            }
        }
    }
}
