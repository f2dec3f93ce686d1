//! Sums of products by plain loops over arrays, which the compiler vectorises for the target.

use super::Wide;
use crate::lanes::{CHUNK, LANES};
use crate::product::lanes::SumLanes;
use crate::product::tables::{DIGIT_BITS, E4m3Tables, dot_e4m3};
use core::array::from_fn;

impl SumLanes for Wide {
    const UNROLLED: bool = false;
    const NATIVE: bool = false;
    type E4m3Tables = ();
    type E4m3Weights = [u8; CHUNK];
    type I = wide::i32x16;
    type Bytes = [u8; 16];

    #[inline(always)]
    fn ints(self, x: &[i32; LANES]) -> Self::I {
        wide::i32x16::new(*x)
    }
    #[inline(always)]
    fn store_ints(self, x: Self::I, out: &mut [i32; LANES]) {
        *out = x.to_array();
    }
    #[inline(always)]
    fn to_f32(self, x: Self::I) -> Self::F {
        wide::f32x16::new(x.to_array().map(|x| x as f32))
    }

    #[inline(always)]
    fn byte_table(self, values: &[u8; 16]) -> Self::Bytes {
        *values
    }
    #[inline(always)]
    fn halves(self, table: Self::Bytes, codes: &[u8; CHUNK]) -> [Self::B; 2] {
        halves(&table, codes)
    }
    #[inline(always)]
    fn dot_halves(self, [low, high]: [Self::B; 2], x: &[i8; 2 * CHUNK]) -> Self::I {
        let [x_low, x_high] = x.as_chunks::<CHUNK>().0 else { unreachable!() };
        self.dot(low, x_low) + self.dot(high, x_high)
    }
    #[inline(always)]
    fn dot_digits(self, above: [Self::B; 2], below: [Self::B; 2], x: &[i8; 2 * CHUNK]) -> Self::I {
        let (above, below) = (self.dot_halves(above, x).to_array(), self.dot_halves(below, x).to_array());
        wide::i32x16::new(from_fn(|i| (above[i] << DIGIT_BITS) + below[i]))
    }
    #[inline(always)]
    fn e4m3_tables(self, _: &E4m3Tables) -> Self::E4m3Tables {}
    #[inline(always)]
    fn e4m3_weights(self, (): Self::E4m3Tables, codes: &[u8; CHUNK]) -> Self::E4m3Weights {
        *codes
    }
    #[inline(always)]
    fn e4m3_nan(self, codes: Self::E4m3Weights) -> Self::B {
        codes.map(|code| code & 0x7f)
    }
    #[inline(always)]
    fn e4m3_dot(self, codes: Self::E4m3Weights, x: &[i8; CHUNK]) -> Self::I {
        self.ints(&dot_e4m3(&codes, x))
    }
    #[inline(always)]
    fn max_bytes(self, a: Self::B, b: Self::B) -> Self::B {
        from_fn(|i| a[i].max(b[i]))
    }
    #[inline(always)]
    fn any_byte_above(self, x: Self::B, limit: u8) -> bool {
        x.iter().any(|&x| x > limit)
    }
    #[inline(always)]
    fn dot(self, weights: Self::B, x: &[i8; CHUNK]) -> Self::I {
        self.ints(&dot(&weights, x))
    }

    #[inline(always)]
    fn sum_neighbours<const N: usize>(self, x: [Self::I; N]) -> Self::I {
        self.sum_few(&x)
    }
    #[inline(always)]
    fn add_four(self, [a, b, c, d]: [Self::F; 4]) -> Self::F {
        self.sums(self.sums(a, b), self.sums(c, d))
    }
    #[inline(always)]
    fn add_quarters(self, x: [Self::F; 4]) -> Self::F {
        self.add_four(x)
    }
}

/// The lookups of low and high nibbles, a function of its own: it is long, and many loops have it.
#[inline(never)]
fn halves(table: &[u8; 16], codes: &[u8; CHUNK]) -> [[u8; CHUNK]; 2] {
    [codes.map(|code| table[usize::from(code & 15)]), codes.map(|code| table[usize::from(code >> 4)])]
}

/// Sixteen sums of 4 neighbouring products, a function of its own for the same reason.
#[inline(never)]
fn dot(weights: &[u8; CHUNK], x: &[i8; CHUNK]) -> [i32; LANES] {
    let products: [i16; CHUNK] = from_fn(|i| i16::from(weights[i]) * i16::from(x[i]));
    let mut out = [0; LANES];
    for (out, products) in out.iter_mut().zip(products.as_chunks::<4>().0) {
        *out = products.iter().map(|&product| i32::from(product)).sum();
    }
    out
}

impl Wide {
    /// Sums of neighbours of two vectors.
    #[inline(always)]
    fn sums(self, a: wide::f32x16, b: wide::f32x16) -> wide::f32x16 {
        let (a, b) = (a.to_array(), b.to_array());
        wide::f32x16::new(from_fn(|i| {
            let (x, at) = if i < LANES / 2 { (&a, 2 * i) } else { (&b, 2 * i - LANES) };
            x[at] + x[at + 1]
        }))
    }
}
