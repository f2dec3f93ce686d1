"""The weights and the model configuration of every folder that make_layouts_*.py write."""

import torch
from layout_files import LAYER

K_PROJ, DOWN_PROJ = LAYER + "self_attn.k_proj", LAYER + "mlp.down_proj"
SMALL = {K_PROJ: (32, 128), DOWN_PROJ: (64, 96)}
RAGGED = {K_PROJ: (33, 128), DOWN_PROJ: (24, 90)}  # rows and columns that no word and no block divides
GROUPS_128 = {K_PROJ: (32, 256), DOWN_PROJ: (64, 128)}


def matrix(rows, columns, seed, dtype=torch.bfloat16):
    """Gaussian, with a zero row, a zero group of 32, a zero block of 16, exact zeros of both signs, a row of one sign and an outlier."""
    w = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * 0.04
    w[3] = 0
    w[5, :32] = 0
    w[6, 32:48] = 0
    w[7, ::5] = 0
    w[7, 1::5] = -0.0
    w[8, :8] = -0.0
    w[9] = w[9].abs() + 0.01
    w[10] = -w[10].abs() - 0.01
    w[11, columns // 2] = 1.75
    return w.to(dtype)


def weights(shapes=SMALL, dtype=torch.bfloat16):
    return {name: matrix(*shape, seed, dtype) for seed, (name, shape) in enumerate(shapes.items())}


def model_config(dtype="bfloat16", **more):
    """Of a Llama with one layer; only what readers ask for."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "dtype": dtype,
        "head_dim": 32,
        "hidden_size": 128,
        "intermediate_size": 96,
        "model_type": "llama",
        "num_attention_heads": 4,
        "num_hidden_layers": 1,
        "num_key_value_heads": 1,
        "tie_word_embeddings": True,
        "vocab_size": 64,
        **more,
    }


NORM = LAYER + "input_layernorm.weight"


def norm(dtype=torch.bfloat16):
    return {NORM: torch.linspace(0.5, 1.5, 128).to(dtype)}
