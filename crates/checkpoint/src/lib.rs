//! Quantized checkpoints on disk: safetensors read and written by tiles, layouts of the ecosystem, plan, resume.
