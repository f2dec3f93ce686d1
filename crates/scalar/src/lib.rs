//! One low-bit code and the number it stands for: FP4, FP6, FP8, E8M0, INT1-8, NF4, exact and const, without dependencies.
