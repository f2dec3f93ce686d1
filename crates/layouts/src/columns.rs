//! Reorders columns by group. GPTQ's activation order scatters the columns of a group over the row,
//! and stores in `g_idx` the group of each column.
//!
//! ```text
//! file    column c has the scale of group g_idx[c]
//! memory  column j is column perm[j] of the file, perm = stable argsort of g_idx; so group g has columns g * size ..
//! ```

use crate::{Result, Tensor};
use lowbit_blocks::Format;
use lowbit_container::safetensors::Dtype;
use lowbit_scalar::pack::{pack_bits, unpack_bits};

/// The stable argsort of a `g_idx`. Each group must have as many columns as the format says.
pub(super) fn perm(tensor: Tensor<'_>, format: &Format, cols: usize) -> Result<Vec<u32>> {
    let size = format.block.group().unwrap_or(cols);
    let groups = of_columns(tensor, cols)?;
    let count = cols / size.max(1);
    let mut perm = vec![0; cols];
    let mut filled = vec![0; count];
    for (column, &group) in groups.iter().enumerate() {
        // A negative group counts from the end, as in other readers of these files.
        let group = if group < 0 { i64::from(group) + count as i64 } else { i64::from(group) };
        let known = usize::try_from(group).ok().filter(|&group| group < count);
        let at = known.ok_or_else(|| {
            tensor.error(format!("column {column} is in group {group}; there are {count} groups of {size}"))
        })?;
        if filled[at] == size {
            return Err(tensor
                .error(format!("group {at} has more than its {size} columns, column {column} first"))
                .into());
        }
        perm[at * size + filled[at]] = column as u32;
        filled[at] += 1;
    }
    Ok(perm)
}

/// The group of each column.
pub(super) fn of_columns(tensor: Tensor<'_>, cols: usize) -> Result<Vec<i32>> {
    if tensor.entry.dtype != Dtype::I32 || tensor.entry.elements() != cols as u64 {
        let (dtype, shape) = (tensor.entry.dtype, &tensor.entry.shape);
        return Err(tensor.error(format!("is {dtype} {shape:?}, not I32 [{cols}]")).into());
    }
    Ok(tensor.read_all()?.as_chunks().0.iter().copied().map(i32::from_le_bytes).collect())
}

/// The bytes of a `g_idx`: the group of each input column, as I32. Without a permutation, columns
/// are in the order of their groups.
pub fn groups(format: &Format, cols: usize, perm: Option<&[u32]>) -> Vec<u8> {
    let size = format.block.group().unwrap_or(cols.max(1));
    let mut groups = vec![0i32; cols];
    for column in 0..cols {
        groups[perm.map_or(column, |perm| perm[column] as usize)] = (column / size) as i32;
    }
    groups.iter().flat_map(|group| group.to_le_bytes()).collect()
}

/// Whether all columns are in the order of their groups.
pub(super) fn is_in_order(groups: &[i32], size: usize) -> bool {
    groups.iter().enumerate().all(|(column, &group)| usize::try_from(group) == Ok(column / size.max(1)))
}

/// Permutes the columns of rows of codes: column `j` comes from column `perm[j]`. Rows are padded
/// to whole bytes.
pub fn gather(bits: u32, cols: usize, perm: &[u32], rows: &mut [u8]) {
    rearrange(bits, cols, rows, |from, to| {
        to.iter_mut().zip(perm).for_each(|(to, &column)| *to = from[column as usize]);
    });
}

/// The inverse of [`gather`]: column `perm[j]` comes from column j.
pub fn scatter(bits: u32, cols: usize, perm: &[u32], rows: &mut [u8]) {
    rearrange(bits, cols, rows, |from, to| {
        from.iter().zip(perm).for_each(|(&from, &column)| to[column as usize] = from);
    });
}

fn rearrange(bits: u32, cols: usize, rows: &mut [u8], mut change: impl FnMut(&[u8], &mut [u8])) {
    let width = (cols * bits as usize).div_ceil(8);
    let (mut from, mut to) = (vec![0; cols], vec![0; cols]);
    for row in rows.chunks_exact_mut(width.max(1)) {
        unpack_bits(bits, row, &mut from);
        change(&from, &mut to);
        pack_bits(bits, &to, row);
    }
}
