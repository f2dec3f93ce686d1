//! Recipes: how scales, zero points and roundings of a quantized tensor are chosen, and whose arithmetic is reproduced.
