"""Loads a compressed-tensors checkpoint in transformers on a CPU and prints its perplexity as one line of JSON.

    python load_compressed_tensors.py CHECKPOINT TEXT [--tokenizer DIR] [--dtype float32|bfloat16] [--weights-only]
                                      [--expect 28.9695 --within 0.001]

float32: compressed-tensors dequantizes the weights (to bfloat16 in the MX and NVFP4 formats), the rest is float32; this is what to compare with a
reader of one's own. bfloat16: as a user would load it. Activations are quantized as the checkpoint says, or not at all with --weights-only.
The exit status is 1 if a logit is not finite, a tensor is missing or unknown, no linear is quantized, or the perplexity is not as expected.
TEXT for the figures of testdata is Persuasion by Jane Austen. Packages: requirements-load.txt.
"""

import argparse
import json
import sys

import torch
from perplexity import perplexity
from transformers import AutoModelForCausalLM, AutoTokenizer, CompressedTensorsConfig


def load(checkpoint, dtype):
    how = {"quantization_config": CompressedTensorsConfig(dequantize=True)} if dtype == torch.float32 else {}
    model, loading = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=dtype, output_loading_info=True, **how)
    if dtype == torch.float32:
        torch.nn.Module.float(model)  # past transformers' guard: the weights are plain by now
    return model.eval(), loading


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("text")
    parser.add_argument("--tokenizer", help="directory of the tokenizer, if the checkpoint has none")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--weights-only", action="store_true", help="do not quantize activations")
    parser.add_argument("--expect", type=float)
    parser.add_argument("--within", type=float, default=0.001)
    arguments = parser.parse_args()

    with open(f"{arguments.checkpoint}/config.json", encoding="utf-8") as file:
        config = json.load(file)["quantization_config"]
    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer or arguments.checkpoint)
    model, loading = load(arguments.checkpoint, getattr(torch, arguments.dtype))
    linears = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    quantized = [m for m in linears if getattr(m, "quantization_scheme", None) is not None]
    if arguments.weights_only:
        for linear in quantized:
            linear.quantization_enabled = False
    value, finite = perplexity(model, tokenizer, arguments.text)
    result = {
        "format": config["format"],
        "dtype": arguments.dtype,
        "activations": "none" if arguments.weights_only else "as configured",
        "linears": len(linears),
        "quantized": len(quantized),
        "missing": sorted(loading["missing_keys"]),
        "unexpected": sorted(loading["unexpected_keys"]),
        "finite": finite,
        "perplexity": round(value, 4),
    }
    print(json.dumps(result))
    clean = finite and quantized and not result["missing"] and not result["unexpected"]
    return 0 if clean and (arguments.expect is None or abs(value - arguments.expect) <= arguments.within) else 1


if __name__ == "__main__":
    sys.exit(main())
