//! Block-scaled tensors (NVFP4, MXFP4/6/8, FP8, INT, NF4): formats as rows of data, the quantized tensor, dequantization.
