//! Arithmetic of counts: values, bytes and rows.

use crate::shape::Shape;

/// The number of bytes of `n` codes of `bits` bits in one dense stream; `None` on overflow. The
/// number of bits may overflow even if the bytes do not.
pub(super) fn packed(bits: u32, n: usize) -> Option<usize> {
    let bits = bits as usize;
    (n / 8).checked_mul(bits)?.checked_add((n % 8 * bits).div_ceil(8))
}

/// The number of rows that hold about `values` values, in whole quanta: at least one, and at most
/// all rows.
pub(crate) fn rows_holding(shape: Shape, quantum: usize, values: usize) -> usize {
    let wanted = (values / shape.cols.max(1)).max(1);
    wanted.div_ceil(quantum).saturating_mul(quantum).min(shape.rows).max(1)
}

/// The least common multiple of two positive numbers, saturating.
pub(crate) const fn lcm(a: usize, b: usize) -> usize {
    (a / gcd(a, b)).saturating_mul(b)
}

/// The greatest common divisor; `gcd(n, 0)` is n.
pub(super) const fn gcd(mut a: usize, mut b: usize) -> usize {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
