//! Which values of a slice share a scale and a zero point.

/// Consecutive blocks of `len` values, the last of which may be short, with one scale (and zero point) each.
///
/// ```
/// use lowbit_kernels::{Blocks, Element, Kernels};
/// // Five values in blocks of two: 3 scales. UINT4 with zero point 8: code = RNE(x / scale + 8).
/// let blocks = Blocks { len: 2, scales: &[1.0, 0.5, 2.0], zeros: Some(&[8.0, 8.0, 0.0]) };
/// let mut codes = [0; 3];
/// Kernels::best().encode(Element::Uint { bits: 4 }, &[-1.0, 3.0, 1.0, -9.0, 14.0], blocks, &mut codes);
/// assert_eq!(codes, [0xb7, 0x0a, 0x07]); // 7 and 11, 10 and 0 (saturated), 7
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blocks<'a> {
    /// Values per block, at least 1. Anything from the length of the slice on means one block.
    pub len: usize,
    /// One scale per block. A scale of zero, infinity or NaN is used as it is: IEEE 754 says what x / scale is.
    pub scales: &'a [f32],
    /// One zero point per block, in units of the codes' values.
    pub zeros: Option<&'a [f32]>,
}

impl<'a> Blocks<'a> {
    /// One block over the whole slice, which must not be empty: no values have no blocks, and a scale would be left over.
    pub const fn whole(scale: &'a f32) -> Self {
        Self { len: usize::MAX, scales: core::slice::from_ref(scale), zeros: None }
    }

    /// The same without the first `blocks` of them.
    #[inline(always)]
    pub(crate) fn from(self, blocks: usize) -> Self {
        Self { scales: &self.scales[blocks..], zeros: self.zeros.map(|zeros| &zeros[blocks..]), ..self }
    }

    /// Checks that these blocks describe a slice of `values` values.
    #[track_caller]
    pub(crate) fn check(&self, values: usize) {
        assert!(self.len > 0, "blocks of no values");
        let (len, scales, want) = (self.len, self.scales.len(), values.div_ceil(self.len));
        assert!(scales == want, "{values} values in blocks of {len} need {want} scales, got {scales}");
        if let Some(zeros) = self.zeros {
            let zeros = zeros.len();
            assert!(zeros == want, "{values} values in blocks of {len} need {want} zero points, got {zeros}");
        }
    }
}
