//! One format at one size: values in three types, their codes and scales, and room for results.

use half::{bf16, f16};
use lowbit_blocks::{Dtype, QTensor, Shape};
use lowbit_calib::{Quantizer, Recipe, TensorStats};
use lowbit_kernels::{Blocks, Element, Kernels};

use crate::{Aligned, Size, Subject, values};

/// Columns of the matrix that the values form: the width of a linear of a model of seven billion weights.
pub const COLUMNS: usize = 4096;

/// Where the f32 buffers begin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// On a cache line.
    Aligned,
    /// Where a large `Vec` begins: 16 bytes after a cache line.
    LikeVec,
}

/// Inputs and outputs of every operation.
pub struct Case {
    pub(crate) shape: Shape,
    pub(crate) x: Aligned<f32>,
    pub(crate) x_bf16: Aligned<bf16>,
    pub(crate) x_f16: Aligned<f16>,
    pub(crate) out: Aligned<f32>,
    pub(crate) out_bf16: Aligned<bf16>,
    pub(crate) out_f16: Aligned<f16>,
    pub(crate) recipe: Recipe,
    pub(crate) stats: Vec<TensorStats>,
    pub(crate) quantizer: Quantizer,
    pub(crate) tensor: QTensor<'static>,
    pub(crate) amax: Aligned<f32>,
    pub(crate) codes: Aligned<u8>,
    pub(crate) scale_bytes: Aligned<u8>,
    pub(crate) zero_bytes: Aligned<u8>,
    stream: Option<Stream>,
}

/// What a kernel is given: blocks of one length, their scales and zero points as f32.
struct Stream {
    element: Element,
    block: usize,
    scales: Aligned<f32>,
    zeros: Option<Aligned<f32>>,
}

impl Case {
    /// Values of that number, quantized in that format by our own recipe.
    ///
    /// # Panics
    /// If the recipe cannot be used, which is a mistake in the table of formats.
    pub fn new(subject: &Subject, size: Size, placement: Placement) -> Self {
        let n = size.values;
        let shape = Shape::matrix(n / COLUMNS, COLUMNS);
        let skew = if placement == Placement::Aligned { 0 } else { 16 };
        let (mut x, mut x_bf16, mut x_f16) = (Aligned::after(skew, n), Aligned::new(n), Aligned::new(n));
        x.iter_mut().zip(values(n)).for_each(|(to, from)| *to = from);
        Kernels::best().narrow_bf16(&x, &mut x_bf16);
        Kernels::best().narrow_f16(&x, &mut x_f16);

        let recipe = Recipe::new(subject.format).expect("a format of the table has a recipe");
        let stats: Vec<_> = recipe.stats().into_iter().collect();
        let mut case = Self {
            shape,
            recipe,
            quantizer: quantizer(&recipe, shape, &stats, &x, Dtype::F32, Kernels::best()),
            tensor: recipe.quantize(shape, &x[..]).expect("finite values"),
            stats,
            x,
            x_bf16,
            x_f16,
            out: Aligned::after(skew, n),
            out_bf16: Aligned::new(n),
            out_f16: Aligned::new(n),
            amax: Aligned::new(0),
            codes: Aligned::new(0),
            scale_bytes: Aligned::new(0),
            zero_bytes: Aligned::new(0),
            stream: None,
        };
        case.place(subject);
        case
    }

    /// Moves the parts of the tensor to where cache lines begin.
    fn place(&mut self, subject: &Subject) {
        let tensor = &self.tensor;
        self.codes = Aligned::copy_of(tensor.codes());
        self.scale_bytes = Aligned::copy_of(tensor.scales());
        self.zero_bytes = Aligned::copy_of(tensor.zeros().unwrap_or_default());
        if let Some(block) = subject.block(COLUMNS) {
            let scales = Aligned::copy_of(&tensor.effective_scales(0));
            let zeros = tensor.zeros().map(|zeros| {
                let mut wide = Aligned::new(zeros.len());
                wide.iter_mut().zip(zeros).for_each(|(to, &from)| *to = f32::from(from));
                wide
            });
            self.amax = Aligned::new(scales.len());
            self.stream = Some(Stream { element: subject.format.element, block, scales, zeros });
        }
        let (codes, scales) = (Aligned::copy_of(tensor.codes()).leak(), self.tensor.scales().to_vec());
        let zeros = tensor.zeros().map(|zeros| zeros.to_vec().into());
        self.tensor =
            QTensor::new(subject.format, self.shape, codes, scales, zeros, tensor.tensor_scale().clone())
                .expect("parts of a tensor");
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.x.len()
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    /// The values.
    pub fn x(&self) -> &[f32] {
        &self.x
    }

    /// Room for as many.
    pub fn out(&mut self) -> &mut [f32] {
        &mut self.out
    }

    /// Chooses the type of the values that will be quantized and the level that will do it.
    pub fn set_quantizer(&mut self, dtype: Dtype, kernels: Kernels) {
        self.quantizer = quantizer(&self.recipe, self.shape, &self.stats, &self.x, dtype, kernels);
    }

    /// Copies the values.
    pub fn memcpy(&mut self) {
        self.out.copy_from_slice(std::hint::black_box(&self.x));
    }

    pub(crate) fn kernel_absmax(&mut self, kernels: Kernels) {
        let Some(stream) = &self.stream else { return };
        kernels.absmax(std::hint::black_box(&self.x), stream.block, &mut self.amax);
    }

    pub(crate) fn kernel_encode(&mut self, kernels: Kernels) {
        let Some(stream) = &self.stream else { return };
        kernels.encode(stream.element, std::hint::black_box(&self.x), stream.blocks(), &mut self.codes);
    }

    pub(crate) fn kernel_decode(&mut self, kernels: Kernels) {
        let Some(stream) = &self.stream else { return };
        let codes = std::hint::black_box(self.tensor.codes());
        kernels.decode(stream.element, codes, stream.blocks(), &mut self.out);
    }
}

impl Stream {
    fn blocks(&self) -> Blocks<'_> {
        Blocks { len: self.block, scales: &self.scales, zeros: self.zeros.as_deref() }
    }
}

/// A quantizer that has seen the values already: what it does is to choose block scales and to encode.
fn quantizer(
    recipe: &Recipe,
    shape: Shape,
    stats: &[TensorStats],
    x: &[f32],
    dtype: Dtype,
    kernels: Kernels,
) -> Quantizer {
    let mut stats = stats.to_vec();
    stats.iter_mut().for_each(|stats| stats.observe(x).expect("finite values"));
    recipe.quantizer(shape, dtype, &stats, kernels).expect("a shape that fits")
}
