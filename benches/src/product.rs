//! A weight, activations in every form, and room for products.

use std::hint::black_box;

use lowbit_blocks::{Activations, QTensor, Shape};
use lowbit_calib::Recipe;
use lowbit_kernels::{Blocks, Kernels, Prepared, Rows, Values};

use crate::{Aligned, Subject, values};

/// Rows that are quantized; larger weights repeat them.
const DISTINCT: usize = 64;

/// Columns of activations at most.
pub(crate) const BATCH: usize = 16;

/// Values per block of activations that are quantized on the fly.
const INT8_BLOCK: usize = 32;

/// A weight and what it is multiplied by.
pub struct ProductCase {
    weight: QTensor<'static>,
    /// Values in a row.
    cols: usize,
    scales: Vec<f32>,
    zeros: Option<Vec<f32>>,
    block: Option<usize>,
    x: Aligned<f32>,
    int8: Vec<Activations>,
    same: Option<Activations>,
    expanded: Expanded,
    y: Aligned<f32>,
}

/// One column of int8 activations as kernels read it.
struct Expanded {
    len: usize,
    codes: Aligned<i8>,
    sums: Aligned<i32>,
    scales: Aligned<f32>,
}

/// What is timed of a product.
pub struct Product {
    /// As tables and the command line say it.
    pub name: &'static str,
    /// Columns of activations.
    pub columns: usize,
    /// Whether activations are quantized.
    pub quantized: bool,
    /// Does it once.
    pub run: fn(&mut ProductCase, Kernels),
}

/// What is timed:
///
/// - `dot`, `dot-int8`: the kernel over all rows, with scales that are f32 already
/// - `matvec`: a `QTensor` by f32 activations; `matvec-int8`: by activations that were quantized before, 32 to a block
/// - `same`: by activations in the weight's own format (W4A4, W8A8)
/// - `matmul4`, `matmul16`: by that many columns
pub const PRODUCTS: &[Product] = &[
    Product { name: "dot", columns: 1, quantized: false, run: ProductCase::dot },
    Product { name: "matvec", columns: 1, quantized: false, run: |case, kernels| case.f32(kernels, 1) },
    Product { name: "matmul4", columns: 4, quantized: false, run: |case, kernels| case.f32(kernels, 4) },
    Product { name: "matmul16", columns: 16, quantized: false, run: |case, kernels| case.f32(kernels, 16) },
    Product { name: "dot-int8", columns: 1, quantized: true, run: ProductCase::dot_int8 },
    Product { name: "matvec-int8", columns: 1, quantized: true, run: |case, kernels| case.int8(kernels, 0) },
    Product { name: "matmul4-int8", columns: 4, quantized: true, run: |case, kernels| case.int8(kernels, 1) },
    Product {
        name: "matmul16-int8",
        columns: 16,
        quantized: true,
        run: |case, kernels| case.int8(kernels, 2),
    },
    Product { name: "same", columns: 1, quantized: true, run: ProductCase::same },
];

impl ProductCase {
    /// A weight of `rows` rows of `cols` values.
    ///
    /// # Panics
    /// If `rows` is not a multiple of 64, or the format has no recipe.
    pub fn new(subject: &Subject, rows: usize, cols: usize) -> Self {
        let recipe = Recipe::new(subject.format).expect("a format of the table has a recipe");
        let w: Vec<f32> = values(DISTINCT * cols).collect();
        let some = recipe.quantize(Shape::matrix(DISTINCT, cols), &w[..]).expect("finite values");
        let weight = repeat(&some, rows);
        let mut x = Aligned::new(BATCH * cols);
        x.iter_mut().zip(values(BATCH * cols)).for_each(|(to, from)| *to = from);
        let int8 = [1, 4, BATCH].map(|columns| {
            let mut activations = Activations::new();
            activations.set_int8(&x[..columns * cols], columns).expect("whole columns");
            activations
        });
        let same = weight.zeros().is_none().then(|| {
            let token = recipe.quantize(Shape::matrix(1, cols), &x[..cols]);
            let mut activations = Activations::new();
            activations.set_quantized(&token.expect("finite values")).expect("a row");
            activations
        });
        Self {
            scales: weight.effective_scales(0),
            zeros: weight.zeros().map(|zeros| zeros.iter().map(|&zero| f32::from(zero)).collect()),
            block: subject.block(cols),
            expanded: Expanded::new(&x[..cols]),
            y: Aligned::new(BATCH * rows),
            weight,
            cols,
            x,
            int8: int8.into(),
            same,
        }
    }

    /// Bytes that one product reads of the weight.
    pub fn packed_bytes(&self) -> usize {
        self.weight.size_bytes()
    }

    /// Values of the weight.
    pub fn len(&self) -> usize {
        self.weight.len()
    }

    /// Values of a row.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.weight.is_empty()
    }

    /// The codes, for measuring how fast they can be read.
    pub fn codes(&self) -> &[u8] {
        self.weight.codes()
    }

    /// Whether this product is timed for this weight.
    pub fn takes(&self, product: &Product) -> bool {
        match product.name {
            "same" => self.same.is_some(),
            name if name.starts_with("dot") => self.block.is_some_and(|block| block <= self.cols),
            _ => true,
        }
    }

    fn rows(&self) -> Rows<'_> {
        let shape = self.weight.shape();
        let len = self.block.unwrap_or(self.cols);
        Rows {
            element: self.weight.format().element,
            count: shape.rows,
            len: self.cols,
            codes: self.weight.codes(),
            blocks: Blocks { len, scales: &self.scales, zeros: self.zeros.as_deref() },
        }
    }

    fn dot(&mut self, kernels: Kernels) {
        let mut y = std::mem::replace(&mut self.y, Aligned::new(0));
        kernels.dot(self.rows(), black_box(&self.x[..self.cols]), &mut y[..self.weight.shape().rows]);
        self.y = y;
    }

    fn dot_int8(&mut self, kernels: Kernels) {
        let mut y = std::mem::replace(&mut self.y, Aligned::new(0));
        let x = black_box(self.expanded.prepared());
        kernels.dot_prepared(self.rows(), x, &mut y[..self.weight.shape().rows]);
        self.y = y;
    }

    fn f32(&mut self, kernels: Kernels, columns: usize) {
        let y = &mut self.y[..columns * self.weight.shape().rows];
        let x = black_box(&self.x[..columns * self.cols]);
        self.weight.matmul_with(kernels, x, columns, y).expect("lengths that fit");
    }

    fn int8(&mut self, kernels: Kernels, which: usize) {
        let x = black_box(&self.int8[which]);
        let y = &mut self.y[..x.columns() * self.weight.shape().rows];
        self.weight.matmul_quantized_with(kernels, x, y).expect("lengths that fit");
    }

    fn same(&mut self, kernels: Kernels) {
        let Some(x) = black_box(&self.same) else { return };
        let y = &mut self.y[..self.weight.shape().rows];
        self.weight.matmul_quantized_with(kernels, x, y).expect("lengths that fit");
    }
}

impl Expanded {
    fn new(x: &[f32]) -> Self {
        let (kernels, n) = (Kernels::best(), x.len());
        let (mut int8, mut scales) = (vec![0; n], Aligned::new(n / INT8_BLOCK));
        kernels.quantize_int8(x, INT8_BLOCK, &mut int8, &mut scales);
        let mut codes = Aligned::new(Values::codes_len(n));
        let mut sums = Aligned::new(Values::sums_len(n));
        kernels.expand(lowbit_kernels::Element::Int { bits: 8 }, &int8, n, &mut codes, &mut sums);
        Self { len: n, codes, sums, scales }
    }

    fn prepared(&self) -> Prepared<'_> {
        let values = Values::Int { codes: &self.codes, sums: &self.sums, step: 1.0 };
        Prepared { len: self.len, block: INT8_BLOCK, values, scales: &self.scales }
    }
}

/// A tensor of `rows` rows that repeats those of another.
fn repeat(some: &QTensor<'static>, rows: usize) -> QTensor<'static> {
    assert!(rows.is_multiple_of(DISTINCT), "{rows} rows");
    let (shape, times) = (Shape::matrix(rows, some.shape().cols), rows / DISTINCT);
    let mut codes = Aligned::new(times * some.codes().len());
    codes.chunks_exact_mut(some.codes().len()).for_each(|chunk| chunk.copy_from_slice(some.codes()));
    let parts = |bytes: &[u8], want: usize| bytes.iter().copied().cycle().take(want).collect::<Vec<_>>();
    let scales = parts(some.scales(), some.format().scales_len(shape));
    let zeros = some.zeros().map(|zeros| parts(zeros, some.format().zeros_len(shape)).into());
    QTensor::new(some.format(), shape, codes.leak(), scales, zeros, some.tensor_scale().clone())
        .expect("parts of a tensor")
}
