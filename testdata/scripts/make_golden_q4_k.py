"""Three super-blocks of Q4_K as llama.cpp wrote them, and what the `gguf` package (0.19) decodes them to.

    python make_golden_q4_k.py austen-2m-Q4_K-pure.gguf crates/blocks/tests/blocks/golden

The input is the BF16 model of `austen-2m`, converted to GGUF and quantized by `llama-quantize --pure … Q4_K`. Of blk.0.attn_q.weight the first,
the eighth and the last block of 144 bytes are kept.
"""

import sys
from pathlib import Path

import gguf
import numpy as np

KIND = gguf.GGMLQuantizationType.Q4_K

tensors = gguf.GGUFReader(sys.argv[1]).tensors
tensor = next(t for t in tensors if t.name == "blk.0.attn_q.weight" and t.tensor_type == KIND)
blocks = tensor.data.reshape(-1, 144)
blocks = blocks[[0, 7, len(blocks) - 1]]
out = Path(sys.argv[2])
(out / "q4_k.blocks").write_bytes(blocks.tobytes())
(out / "q4_k.f32").write_bytes(gguf.dequantize(blocks, KIND).astype("<f4").tobytes())
