//! How the values, blocks and bytes of a format lie over matrices of a shape.

mod sizes;

pub(crate) use sizes::gcd;
