"""Loads a ModelOpt checkpoint with ModelOpt's own dequantizers into the transformers model and prints its perplexity as one line of JSON.

    python load_modelopt.py CHECKPOINT TEXT [--tokenizer DIR] [--expect 29.1104 --within 0.001]

Weights only, float32; activations are not quantized. What decodes a linear follows from its tensors (layout_decoders.py) and is held to the algorithm that
hf_quant_config.json states for it, at the top or layer by layer; scales of the cache are looked at and left out. The exit status is 1 if a logit is not finite, a tensor is left over or missing, or the perplexity is
not as expected. Packages: requirements-load.txt.
"""

import argparse
import json
import pathlib
import sys

import torch
from layout_decoders import modelopt_weight
from perplexity import perplexity
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer


DECODERS = {  # what decodes each quant_algo, by the beginning of its name
    "NVFP4": "NVFP4QTensor",
    "W4A16_NVFP4": "NVFP4QTensor",
    "NVFP4_AWQ": "NVFP4QTensor",
    "W4A8_NVFP4_FP8": "NVFP4QTensor",
    "mxfp4": "MXFP4QTensor",
    "W4A8_MXFP4_FP8": "MXFP4QTensor",
    "MXFP8": "MXFP8QTensor",
    "FP8": "FP8QTensor",
    "FP8_PER_CHANNEL_PER_TOKEN": "FP8QTensor",
    "fp8_pb_wo": "FP8QTensor.dequantize, tiles",
    "W8A16": "INT8QTensor",
    "W8A8_SQ_PER_CHANNEL": "INT8QTensor",
    "W4A16_AWQ": "codes times weight_scale",
    "W4A8_AWQ": "codes times weight_scale",
}
CACHE = ("k_scale", "v_scale", "k_bias", "v_bias")
SIDE = ("weight_scale", "weight_scale_2", "input_scale", "pre_quant_scale")


def dequantized(folder, side):
    """The state dict in float32, the number of quantized linears, and that of the cache's numbers."""
    tensors = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(file)
    state, count, cached = {}, 0, 0
    for name, tensor in tensors.items():
        module, _, leaf = name.rpartition(".")
        if leaf in CACHE:
            cached += 1
        elif leaf in SIDE:
            assert f"{module}.weight" in tensors, name
        elif f"{module}.weight_scale" in tensors and leaf == "weight":
            parts = {s: tensors[f"{module}.{s}"] for s in ("weight", *SIDE) if f"{module}.{s}" in tensors}
            algorithm = side.get("quantized_layers", {}).get(module, side)["quant_algo"]
            w, how = modelopt_weight(parts, torch.float32)
            assert how.startswith(DECODERS[algorithm]), f"{module} is {algorithm}, and {how} decodes it"
            w = w.float()
            if "pre_quant_scale" in parts:  # the input is multiplied by it
                w = w * parts["pre_quant_scale"].float()
            state[name], count = w, count + 1
        else:
            state[name] = tensor.float()
    return state, count, cached


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("text")
    parser.add_argument("--tokenizer", help="directory of the tokenizer, if the checkpoint has none")
    parser.add_argument("--expect", type=float)
    parser.add_argument("--within", type=float, default=0.001)
    arguments = parser.parse_args()

    side = json.loads((arguments.checkpoint / "hf_quant_config.json").read_text())["quantization"]
    state, count, cached = dequantized(arguments.checkpoint, side)
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
        "cache": cached,
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
