//! The products of [`Kernels`]; lengths are checked here and nowhere below.

use super::plan::{Loop, Plan, are_exact};
use super::prefetch::prefetch;
use super::prepared::{Prepared, Values, check_expand};
use super::rows::Rows;
use super::scales::stored::StoredScales;
use super::scales::{AllScales, Scales};
use super::{bias, block_registers, block_tiles, float, float_tiles, integer};
use crate::kernels::check_blocks;
use crate::level::Level;
use crate::{Blocks, Element, Kernels, reference};

/// # Products
///
/// Results are rows by columns, `out[row * columns + column]`, where `columns` is `out.len() / rows.count`.
impl Kernels {
    /// Rows of weights times columns of f32, one column of `rows.len` after the other in `x`: what [`decode`](Kernels::decode) and a product
    /// would give, with no decoded copy.
    ///
    /// `lane[j mod 32] += decode(code_j) * x_j`, both rounded, from +0.0 and in ascending order; then lanes `l` and `l + 16` are
    /// added, and neighbours until one is left.
    ///
    /// ```
    /// use lowbit_kernels::{Blocks, Element, Kernels, Rows};
    /// // One row of UINT4 with zero point 8: (15 - 8, 0 - 8, 9 - 8) * 0.5 = (3.5, -4, 0.5).
    /// let blocks = Blocks { len: 4, scales: &[0.5], zeros: Some(&[8.0]) };
    /// let rows = Rows { element: Element::Uint { bits: 4 }, count: 1, len: 3, codes: &[0x0f, 0x09], blocks };
    /// let mut out = [0.0; 2];
    /// Kernels::best().dot(rows, &[2.0, 1.0, 4.0, 0.0, 0.0, -1.0], &mut out); // two columns
    /// assert_eq!(out, [5.0, -0.5]); // 7 - 4 + 2, -0.5
    /// ```
    ///
    /// # Panics
    /// If lengths do not fit.
    #[track_caller]
    pub fn dot(self, rows: Rows<'_>, x: &[f32], out: &mut [f32]) {
        rows.check_scales();
        let columns = rows.check(out.len());
        let (got, want) = (x.len(), columns * rows.len);
        assert!(
            rows.count == 0 || got == want,
            "{columns} columns of {} values take {want} values, got {got}",
            rows.len
        );
        match self.0 {
            Some(level) if rows.len > 0 && !out.is_empty() => float::dot(level, rows, x, out),
            _ => reference::dot(rows, x, out),
        }
    }

    /// The same for rows that are f32 already, `len` values each: `x` has `x.len() / len` columns, and `out` is rows by columns.
    ///
    /// ```
    /// let mut out = [0.0; 2];
    /// lowbit_kernels::Kernels::best().dot_f32(&[1.0, 2.0, 3.0, 4.0], &[10.0, 1.0], 2, &mut out);
    /// assert_eq!(out, [12.0, 34.0]);
    /// ```
    ///
    /// # Panics
    /// If lengths do not fit. Rows of no values give +0.0 wherever there is room.
    #[track_caller]
    pub fn dot_f32(self, rows: &[f32], x: &[f32], len: usize, out: &mut [f32]) {
        if len == 0 {
            assert!(rows.is_empty() && x.is_empty(), "values in rows of none");
            return out.fill(0.0);
        }
        for (values, what) in [(rows.len(), "rows"), (x.len(), "columns")] {
            assert!(values.is_multiple_of(len), "{values} values do not divide into {what} of {len}");
        }
        let (count, columns, got) = (rows.len() / len, x.len() / len, out.len());
        assert!(
            got == count * columns,
            "{count} rows and {columns} columns give {} results, got room for {got}",
            count * columns
        );
        match self.0 {
            Some(level) if !out.is_empty() => float_tiles::dot_f32(level, rows, x, len, out),
            _ => reference::dot_f32(rows, x, len, out),
        }
    }

    /// Rows of weights times columns of quantized activations, block by block.
    ///
    /// Blocks are the shorter of `rows.blocks.len` and `x.block`, one of which divides the other, and end after 65536 values at the latest.
    /// `lane[k mod 16] += (s_k * scale) * x_scale` for each block `k`, all rounded, from +0.0 and in ascending order; then neighbours are added
    /// until one is left. The sum of a block, `s_k`, is
    ///
    /// - where both sides are whole numbers of steps ([`Element::exact_step`] and [`Values::Int`](crate::Values::Int)): the exact sum, rounded once, or NaN if a
    ///   weight is; with zero points `sum(w * x) - zero * sum(x)`, where both sums are exact and rounded once, and the product and the difference are rounded;
    /// - otherwise: products of the values (less their zero point), in 32 lanes and folded as in [`dot`](Kernels::dot).
    ///
    /// # Panics
    /// If lengths do not fit.
    #[track_caller]
    pub fn dot_prepared(self, rows: Rows<'_>, x: Prepared<'_>, out: &mut [f32]) {
        rows.check_scales();
        let scales =
            AllScales { scales: Scales::F32(rows.blocks.scales), zeros: rows.blocks.zeros.map(Scales::F32) };
        self.dot_in_blocks(rows, scales, x, out);
    }

    /// [`dot_prepared`](Kernels::dot_prepared) with scales and zero points as files store them, which become f32 a few at a time: `scale` is what is stored,
    /// times or divided by the scale of the tensor, rounded; so is `zero`. `rows.blocks.scales` and `rows.blocks.zeros` are not looked at.
    ///
    /// ```
    /// use lowbit_kernels::{Blocks, Element, Factor, Kernels, Prepared, Rows, ScaleType, StoredScales, Values};
    /// let (kernels, int8) = (Kernels::best(), Element::Int { bits: 8 });
    /// let (mut codes, mut sums) = ([0; Values::codes_len(2)], [0; Values::sums_len(2)]);
    /// kernels.expand(int8, &[3, 0xfc], 2, &mut codes, &mut sums); // 3, -4
    /// let x = Prepared { len: 2, block: 2, values: Values::Int { codes: &codes, sums: &sums, step: 1.0 }, scales: &[1.0] };
    ///
    /// // Two rows of E2M1: (1, 6) and (0.5, -1). Their scales are 2 and 0.5 in E4M3, the tensor's is 10.
    /// let blocks = Blocks { len: 2, scales: &[], zeros: None };
    /// let rows = Rows { element: Element::E2m1, count: 2, len: 2, codes: &[0x72, 0xa1], blocks };
    /// let scales = StoredScales { kind: ScaleType::E4m3, bytes: &[0x40, 0x30], factor: Factor::Multiply(10.0) };
    /// let mut out = [0.0; 2];
    /// kernels.dot_stored(rows, scales, None, x, &mut out);
    /// assert_eq!(out, [-420.0, 27.5]); // (3 - 24) * 20, (1.5 + 4) * 5
    ///
    /// // The same codes as UINT4, (2, 7) and (1, 10), with zero points 1 and 8: (1, 6) and (-7, 2).
    /// let rows = Rows { element: Element::Uint { bits: 4 }, ..rows };
    /// let zeros = StoredScales { kind: ScaleType::U8, bytes: &[1, 8], factor: Factor::None };
    /// kernels.dot_stored(rows, scales, Some(zeros), x, &mut out);
    /// assert_eq!(out, [-420.0, -145.0]); // (3 - 24) * 20, (-21 - 8) * 5
    /// ```
    ///
    /// # Panics
    /// If lengths do not fit, or there are zero points where sums are not exact, as in [`dot_prepared`](Kernels::dot_prepared).
    #[track_caller]
    pub fn dot_stored(
        self,
        rows: Rows<'_>,
        scales: StoredScales<'_>,
        zeros: Option<StoredScales<'_>>,
        x: Prepared<'_>,
        out: &mut [f32],
    ) {
        let rows = Rows { blocks: Blocks { len: rows.blocks.len, scales: &[], zeros: None }, ..rows };
        assert!(rows.blocks.len > 0, "blocks of no values");
        for (stored, what) in [(Some(scales), "scales"), (zeros, "zero points")] {
            let Some(stored) = stored else { continue };
            let (got, each) = (stored.bytes.len(), stored.kind.bytes());
            let want = rows.count * rows.blocks_per_row() * each;
            assert!(
                got >= want,
                "{} rows of {what} of {each} bytes take {want} bytes, got {got}",
                rows.count
            );
        }
        assert!(zeros.is_none() || are_exact(&rows, &x), "zero points of {} are f32", rows.element);
        let scales = AllScales { scales: Scales::Stored(scales), zeros: zeros.map(Scales::Stored) };
        self.dot_in_blocks(rows, scales, x, out);
    }

    #[track_caller]
    fn dot_in_blocks(self, rows: Rows<'_>, scales: AllScales<'_>, x: Prepared<'_>, out: &mut [f32]) {
        let columns = rows.check(out.len());
        if rows.count > 0 {
            x.check(rows.len, rows.blocks.len, columns);
        }
        match self.0 {
            Some(level) if rows.len > 0 && !out.is_empty() => dot_in_blocks(level, rows, scales, x, out),
            _ => reference::dot_prepared(rows, scales, x, out),
        }
    }

    /// Adds to the results of [`dot_prepared`](Kernels::dot_prepared) what biases add: weights of a block are `code * scale + bias`, or a minimum
    /// that is subtracted, and `biases` has one for each block of `block` values of each row.
    ///
    /// `t` of a block is the sum of its activations: of each block of activations within it the exact sum, rounded, times the step (of floats the sum in 32
    /// lanes, folded as in [`dot`](Kernels::dot)), times its scale, added in ascending order. A result is `out + sum`, where `lane[k mod 32] += bias * t` for
    /// each block `k`, all rounded, from +0.0, in ascending order and folded as in [`dot`](Kernels::dot).
    ///
    /// ```
    /// use lowbit_kernels::{Element, Kernels, Prepared, Values};
    /// let kernels = Kernels::best();
    /// let (mut codes, mut sums) = ([0; Values::codes_len(4)], [0; Values::sums_len(4)]);
    /// kernels.expand(Element::Int { bits: 8 }, &[1, 2, 3, 4], 4, &mut codes, &mut sums);
    /// let x = Prepared { len: 4, block: 2, values: Values::Int { codes: &codes, sums: &sums, step: 1.0 }, scales: &[1.0, 0.5] };
    /// let mut out = [100.0]; // one row, one column
    /// kernels.add_biases(&[10.0, -2.0], 2, x, &mut out);
    /// assert_eq!(out, [123.0]); // 100 + 10 * (1 + 2) * 1 - 2 * (3 + 4) * 0.5
    /// ```
    ///
    /// # Panics
    /// If lengths do not fit.
    #[track_caller]
    pub fn add_biases(self, biases: &[f32], block: usize, x: Prepared<'_>, out: &mut [f32]) {
        assert!(block > 0, "blocks of no values");
        let blocks = x.len.div_ceil(block);
        if blocks == 0 || biases.is_empty() {
            assert!(biases.is_empty(), "{} biases in rows of none", biases.len());
            return;
        }
        let (rows, got) = (biases.len() / blocks, biases.len());
        assert!(got.is_multiple_of(blocks), "{got} biases do not divide into rows of {blocks}");
        assert!(out.len().is_multiple_of(rows), "{} results do not divide into {rows} rows", out.len());
        x.check(x.len, block, out.len() / rows);
        match self.0 {
            Some(level) if blocks <= bias::LONGEST_ROW => bias::add(level, biases, block, x, out),
            _ => reference::add_biases(biases, block, x, out),
        }
    }

    /// Activations to 8 bits, a block at a time: `scale = max |x| / 127` and `code = RNE(x / scale)`, both f32 divisions. Where the scale is 0, so
    /// are the codes. An infinity or NaN makes the scale that.
    ///
    /// ```
    /// let (mut codes, mut scales) = ([0; 3], [0.0; 2]);
    /// lowbit_kernels::Kernels::best().quantize_int8(&[-254.0, 5.0, 0.0], 2, &mut codes, &mut scales);
    /// assert_eq!((codes.map(|code| code as i8), scales), ([-127, 2, 0], [2.0, 0.0])); // 5 / 2 is a tie: to even
    /// ```
    ///
    /// # Panics
    /// If `block` is 0, or lengths do not fit.
    #[track_caller]
    pub fn quantize_int8(self, x: &[f32], block: usize, codes: &mut [u8], scales: &mut [f32]) {
        check_blocks(x.len(), block, scales.len());
        let (values, got) = (x.len(), codes.len());
        assert!(got == values, "{values} values need room for as many codes, got {got}");
        if self.0.is_none() {
            return reference::quantize_int8(x, block, codes, scales);
        }
        let e = Element::Int { bits: 8 };
        self.absmax(x, block, scales);
        scales.iter_mut().for_each(|scale| *scale /= e.max());
        self.encode(e, x, Blocks { len: block, scales, zeros: None }, codes);
        // x / 0 saturates; 0 / 0 was 0 already. An amax below 127 steps of the smallest number has such a scale.
        if scales.contains(&0.0) {
            let blocks = codes.chunks_mut(block).zip(scales).filter(|(_, scale)| **scale == 0.0);
            blocks.for_each(|(codes, _)| codes.fill(0));
        }
    }

    /// Prefetches what is read soon: its cache lines come while something else is computed. It changes nothing but the time.
    pub fn prefetch(self, next: &[u8]) {
        if let Some(level) = self.0 {
            prefetch(level, next);
        }
    }

    /// One column of `len` codes to the form that [`dot_prepared`](Kernels::dot_prepared) reads: [`Values::Int`](crate::Values::Int), which shows the use.
    ///
    /// # Panics
    /// If lengths do not fit, or the element is not a whole number of [`step`](Element::step)s in a signed byte.
    #[track_caller]
    pub fn expand(self, e: Element, codes: &[u8], len: usize, out: &mut [i8], sums: &mut [i32]) {
        check_expand(e, len, codes.len(), out.len(), sums.len());
        match self.0 {
            None => reference::expand(e, codes, len, out, sums),
            Some(_) => super::expand::expand(e, codes, len, out, sums),
        }
    }
}

/// Rows, columns and values being there, the loop of the plan. Scales and zero points are not those of `rows`, but where sums are not exact, which has zero
/// points in f32.
fn dot_in_blocks(level: Level, rows: Rows<'_>, scales: AllScales<'_>, x: Prepared<'_>, out: &mut [f32]) {
    let Some(plan) = Plan::new(level, &rows, &scales, &x) else {
        return reference::dot_prepared(rows, scales, x, out);
    };
    match (plan.kernel, x.values) {
        (Loop::IntegerGroups { .. } | Loop::IntegerVectors, _) => {
            integer::dot(level, rows, scales, x, plan, out)
        }
        (Loop::WholeRows, Values::Float(values)) => {
            float::whole_rows(level, rows, scales.scales, values, x, out);
        }
        (Loop::BlockRegisters, _) => block_registers::dot(level, rows, scales.scales, x, plan, out),
        (Loop::WholeRows | Loop::BlockTiles, _) => block_tiles::dot(level, rows, scales.scales, x, plan, out),
    }
}
