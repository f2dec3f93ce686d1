//! Low-bit numbers for neural networks on any CPU: encode, decode, quantize, and whole checkpoints, bit-exact and streaming.
