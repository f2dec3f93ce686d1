//! Numbers of values, bytes and rows that go together.

use crate::shape::Shape;

/// Bytes of `n` codes of `bits` bits in one dense stream. The product in bits may overflow where
/// the bytes do not.
pub(super) fn packed(bits: u32, n: usize) -> Option<usize> {
    let bits = bits as usize;
    (n / 8).checked_mul(bits)?.checked_add((n % 8 * bits).div_ceil(8))
}

/// A number of rows that hold about so many values, in whole quanta; at least one, and no more than
/// there are.
pub(crate) fn rows_holding(shape: Shape, quantum: usize, values: usize) -> usize {
    let wanted = (values / shape.cols.max(1)).max(1);
    wanted.div_ceil(quantum).saturating_mul(quantum).min(shape.rows).max(1)
}

/// Least common multiple of two numbers that are not 0, or the largest number.
pub(crate) const fn lcm(a: usize, b: usize) -> usize {
    (a / gcd(a, b)).saturating_mul(b)
}

/// Greatest common divisor; `gcd(n, 0)` is n.
pub(super) const fn gcd(mut a: usize, mut b: usize) -> usize {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
