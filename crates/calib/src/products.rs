//! Sums of A^T B over tokens: f32 products within a block of tokens, blocks summed in f64.
//!
//! Each entry of a block is one f32 sum, in the order that faer's product uses on the machine.
//! Panels of rows are tasks; no sum crosses a panel.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use crate::parallel::map;

/// Tokens per block.
pub(crate) const BLOCK: usize = 512;
/// Rows of the result that one task computes.
pub(crate) const PANEL: usize = 192;

/// The entries of the result that are needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entries {
    All,
    /// The diagonal and everything below it; B is A.
    Lower,
}

/// Adds A^T B of one block of tokens to `sums` (row-major, one row per feature of A). `a` and `b`
/// are tokens, each with its number of features.
pub(crate) fn add(sums: &mut [f64], a: (&[f32], usize), b: (&[f32], usize), entries: Entries) {
    let (tokens, n) = (b.0.len() / b.1, b.1);
    if tokens == 0 {
        return;
    }
    let a = MatRef::from_row_major_slice(a.0, tokens, a.1);
    let b = MatRef::from_row_major_slice(b.0, tokens, n);
    let panels: Vec<(usize, &mut [f64])> = sums.chunks_mut(PANEL * n).enumerate().collect();
    let add = |(panel, sums): (usize, &mut [f64])| {
        let (first, high) = (panel * PANEL, sums.len() / n);
        let wide = if entries == Entries::Lower { first + high } else { n };
        let mut product = vec![0.0f32; high * wide];
        matmul(
            MatMut::from_row_major_slice_mut(&mut product, high, wide),
            Accum::Replace,
            a.subcols(first, high).transpose(),
            b.subcols(0, wide),
            1.0f32,
            Par::Seq,
        );
        for (row, (sums, product)) in sums.chunks_mut(n).zip(product.chunks_exact(wide)).enumerate() {
            let wanted = if entries == Entries::Lower { first + row + 1 } else { n };
            sums[..wanted].iter_mut().zip(product).for_each(|(sum, x)| *sum += f64::from(*x));
        }
        Ok(())
    };
    map(panels, add).map(drop).expect("no panel fails");
}
