//! The kernels of products, compiled for each level.

use super::integer::{Band, Place};
use super::later;
use super::registers::{self, RowLanes};
use super::rest;
use super::scales::{self, Factor, ScaleType};
use super::sums::{self, Column};
use super::terms;
use super::{Rows, lanes, products};
use crate::Element;
use crate::lanes::{CHUNK, LANES};
use crate::level::{Level, on};

use core::ops::Range;

impl Level {
    /// Whether there is a kernel for several columns at once.
    pub(super) fn takes_columns(self) -> bool {
        on!(self, l => sums::takes_columns(l))
    }

    /// Whether there is a kernel that decodes such weights from register to register.
    pub(super) fn takes_element(self, e: Element) -> bool {
        on!(self, l => lanes::takes_element(l, e))
    }

    pub(super) fn add_in_place<const C: usize>(self, band: &mut Band<'_, C>) -> u32 {
        on!(self, l => sums::add_in_place(l, band))
    }

    pub(super) fn add_unrolled<const C: usize>(self, band: &mut Band<'_, C>, some: u32) -> bool {
        on!(self, l => sums::add_unrolled(l, band, some))
    }

    pub(super) fn add_rest(
        self,
        place: Place<'_>,
        some: u32,
        x: &[i8],
        column: Column<'_>,
        lanes: &mut [[f32; LANES]; LANES],
    ) {
        on!(self, l => rest::add_rest(l, place, some, x, column, lanes))
    }

    pub(super) fn fold(self, lanes: &[[f32; LANES]; LANES]) -> [f32; LANES] {
        on!(self, l => sums::fold(l, lanes))
    }

    /// Asks for cache lines that are read later.
    pub(super) fn prefetch(self, later: &[u8]) {
        on!(self, l => later::prefetch(l, later))
    }

    pub(super) fn widen_stored(
        self,
        kind: ScaleType,
        factor: Factor,
        bytes: &[u8],
        later: &[u8],
        out: &mut [[f32; CHUNK]],
    ) {
        on!(self, l => scales::widen_stored(l, kind, factor, bytes, later, out))
    }

    pub(super) fn add_products(
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

    pub(super) fn widen_steps(self, codes: &[[i8; CHUNK]], step: f32, out: &mut [[f32; CHUNK]]) {
        on!(self, l => products::widen_steps(l, codes, step, out))
    }

    pub(super) fn add_to_blocks(
        self,
        weights: &[[f32; CHUNK]],
        x: &[[f32; CHUNK]],
        block: usize,
        had: usize,
        lanes: &mut [[f32; 2 * LANES]],
    ) {
        on!(self, l => products::add_to_blocks(l, weights, x, block, had, lanes))
    }

    pub(super) fn add_block_terms(
        self,
        blocks: &[[f32; 2 * LANES]; LANES],
        scales: &[f32; LANES],
        x_scales: &[f32; LANES],
        lanes: &mut [f32; LANES],
    ) {
        on!(self, l => products::add_block_terms(l, blocks, scales, x_scales, lanes))
    }

    pub(super) fn add_short_blocks(
        self,
        weights: &[[f32; CHUNK]; LANES / 2],
        x: &[[f32; CHUNK]; LANES / 2],
        scales: &[f32; LANES],
        x_scales: &[f32; LANES],
        lanes: &mut [f32; LANES],
    ) {
        on!(self, l => products::add_short_blocks(l, weights, x, scales, x_scales, lanes))
    }

    /// If [`takes_element`](Self::takes_element) and [`takes_columns`](Self::takes_columns).
    pub(super) fn add_groups<const C: usize>(self, band: terms::Band<'_, '_, C>) {
        on!(self, l => terms::add_groups(l, band))
    }

    pub(super) fn add_rows<const C: usize>(
        self,
        rows: Rows<'_>,
        band: Range<usize>,
        x: &[&[f32]; C],
        lanes: &mut RowLanes<C>,
    ) {
        on!(self, l => registers::add_rows(l, rows, band, x, lanes))
    }

    pub(super) fn fold_rows(self, rows: &[[f32; 2 * LANES]; LANES]) -> [f32; LANES] {
        on!(self, l => registers::fold_rows(l, rows))
    }
}
