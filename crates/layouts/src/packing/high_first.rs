//! Two 4-bit codes in a byte, the first in the high nibble.

/// Swaps the nibbles of each byte; its own inverse.
pub(super) fn swap(from: &[u8], to: &mut [u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = from.rotate_left(4));
}
