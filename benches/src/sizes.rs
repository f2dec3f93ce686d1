//! How many values are timed at once.

/// A number of values and the name of its f32 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// As tables and the command line say it.
    pub name: &'static str,
    /// Values; 4 bytes each on the f32 side.
    pub values: usize,
}

/// 256 KB fit an L2 cache together with their output, 1 MB fill it, 64 MB fit no cache.
pub const SIZES: [Size; 3] = [
    Size { name: "256KB", values: 1 << 16 },
    Size { name: "1MB", values: 1 << 18 },
    Size { name: "64MB", values: 1 << 24 },
];
