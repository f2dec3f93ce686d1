"""Loads a ModelOpt checkpoint with ModelOpt's own dequantizers into the transformers model and prints its perplexity as one line of JSON.

    python load_modelopt.py CHECKPOINT TEXT [--tokenizer DIR] [--expect 29.1104 --within 0.001]

Weights only, float32; activations are not quantized. The scheme of a linear is read from hf_quant_config.json. INT4 in row pairs has no dequantizer in
ModelOpt: the formula stands here. The exit status is 1 if a logit is not finite, a tensor is left over or missing, or the perplexity is
not as expected. Packages: requirements-load.txt.
"""

import argparse
import json
import pathlib
import sys

import torch
from modelopt.torch.quantization.qtensor import FP8QTensor, INT8QTensor, MXFP4QTensor, MXFP8QTensor, NVFP4QTensor
from perplexity import perplexity
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer


def nvfp4(w, t):
    shape = torch.Size([w.shape[0], w.shape[1] * 2])
    return NVFP4QTensor(shape, torch.float32, w).dequantize(scale=t["weight_scale"], double_scale=t["weight_scale_2"], block_sizes={-1: 16})


def mxfp4(w, t):
    shape = torch.Size([w.shape[0], w.shape[1] * 2])
    return MXFP4QTensor(shape, torch.float32, w).dequantize(scale=t["weight_scale"], block_sizes={-1: 32})


def mxfp8(w, t):
    return MXFP8QTensor(w.shape, torch.float32, w).dequantize(scale=t["weight_scale"])


def fp8_tiles(w, t):
    grid = [-(-n // 128) for n in w.shape]
    return FP8QTensor(w.shape, torch.float32, w).dequantize(scale=t["weight_scale"].reshape(grid), block_sizes={-1: 128, -2: 128})


def fp8(w, t):
    scale = t["weight_scale"]
    return FP8QTensor(w.shape, torch.float32, w).dequantize(scale=scale[:, None] if scale.dim() else scale)


def int8(w, t):
    return INT8QTensor(w.shape, torch.float32, w).dequantize(scale=t["weight_scale"][:, None])


def int4_row_pairs(w, t):
    codes = torch.stack([w & 15, w >> 4], 1).reshape(-1, w.shape[1]).to(torch.int8)
    codes = torch.where(codes > 7, codes - 16, codes)
    return codes * t["weight_scale"].repeat_interleave(w.shape[1] // t["weight_scale"].shape[1], 1)


DECODERS = {  # quant_algo as in hf_quant_config.json
    "NVFP4": nvfp4,
    "W4A16_NVFP4": nvfp4,
    "mxfp4": mxfp4,
    "MXFP8": mxfp8,
    "FP8": fp8,
    "FP8_PER_CHANNEL_PER_TOKEN": fp8,
    "fp8_pb_wo": fp8_tiles,
    "W8A16": int8,
    "W8A8_SQ_PER_CHANNEL": int8,
    "W4A16_AWQ": int4_row_pairs,
}
SIDE = ("weight_scale", "weight_scale_2", "input_scale", "pre_quant_scale")


def dequantized(folder, algorithm):
    """The state dict in float32, and the number of quantized linears."""
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    state, count = {}, 0
    for name, tensor in tensors.items():
        module, _, leaf = name.rpartition(".")
        if leaf in SIDE:
            assert f"{module}.weight" in tensors, name
        elif f"{module}.weight_scale" in tensors and leaf == "weight":
            side = {s: tensors[f"{module}.{s}"] for s in SIDE if f"{module}.{s}" in tensors}
            w = DECODERS[algorithm](tensor, side).float()
            if "pre_quant_scale" in side:  # the input is multiplied by it
                w = w * side["pre_quant_scale"].float()
            state[name], count = w, count + 1
        else:
            state[name] = tensor.float()
    return state, count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("text")
    parser.add_argument("--tokenizer", help="directory of the tokenizer, if the checkpoint has none")
    parser.add_argument("--expect", type=float)
    parser.add_argument("--within", type=float, default=0.001)
    arguments = parser.parse_args()

    side = json.loads((arguments.checkpoint / "hf_quant_config.json").read_text())["quantization"]
    state, count = dequantized(arguments.checkpoint, side["quant_algo"])
    config = AutoConfig.from_pretrained(arguments.checkpoint)
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    missing, unexpected = model.load_state_dict(state, strict=False)
    if config.tie_word_embeddings:
        missing = [m for m in missing if m != "lm_head.weight"]
        model.tie_weights()
    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer or arguments.checkpoint)
    value, finite = perplexity(model.eval(), tokenizer, arguments.text)
    result = {
        "quant_algo": side["quant_algo"],
        "quantized": count,
        "missing": sorted(missing),
        "unexpected": sorted(unexpected),
        "finite": finite,
        "perplexity": round(value, 4),
    }
    print(json.dumps(result))
    clean = finite and count and not missing and not unexpected
    return 0 if clean and (arguments.expect is None or abs(value - arguments.expect) <= arguments.within) else 1


if __name__ == "__main__":
    sys.exit(main())
