//! The kernels of products, compiled for each level.

use super::nibbles::{self, RowLanes};
use super::{Band, Rows, products, sums};
#[cfg(all(
    feature = "std",
    any(
        target_arch = "x86",
        target_arch = "x86_64",
        target_arch = "aarch64",
        all(target_arch = "wasm32", target_feature = "simd128")
    )
))]
use crate::lanes::Simd;
use crate::lanes::{CHUNK, LANES, Wide};
use crate::level::{Level, on};

impl Level {
    /// Whether there is a kernel for several columns at once.
    pub(crate) fn takes_columns(self) -> bool {
        on!(self, l => sums::takes_columns(l))
    }

    pub(crate) fn add_band<const C: usize>(self, band: &mut Band<'_, C>) {
        on!(self, l => sums::add_band(l, band))
    }

    pub(crate) fn fold(self, lanes: &[[f32; LANES]; LANES]) -> [f32; LANES] {
        on!(self, l => sums::fold(l, lanes))
    }

    pub(crate) fn add_products(
        self,
        weights: &[[f32; CHUNK]],
        x: &[f32],
        stride: usize,
        at: usize,
        len: usize,
        lanes: &mut [[f32; 2 * LANES]],
    ) {
        on!(self, l => products::add_products(l, weights, x, stride, at, len, lanes))
    }

    pub(crate) fn add_to_blocks(
        self,
        weights: &[[f32; CHUNK]],
        x: &[[f32; CHUNK]],
        block: usize,
        had: usize,
        lanes: &mut [[f32; 2 * LANES]],
    ) {
        on!(self, l => products::add_to_blocks(l, weights, x, block, had, lanes))
    }

    pub(crate) fn add_block_terms(
        self,
        blocks: &[[f32; 2 * LANES]; LANES],
        scales: &[f32; LANES],
        x_scales: &[f32; LANES],
        lanes: &mut [f32; LANES],
    ) {
        on!(self, l => products::add_block_terms(l, blocks, scales, x_scales, lanes))
    }

    pub(crate) fn add_rows<const C: usize>(self, rows: Rows<'_>, x: &[&[f32]; C], lanes: &mut RowLanes<C>) {
        on!(self, l => nibbles::add_rows(l, rows, x, lanes))
    }

    pub(crate) fn fold_rows(self, rows: &[[f32; 2 * LANES]; LANES]) -> [f32; LANES] {
        on!(self, l => nibbles::fold_rows(l, rows))
    }
}
