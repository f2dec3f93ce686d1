"""Loads a GPTQ or AWQ checkpoint with GPTQModel, and prints one digest of all weights that its layers decode, as a line of JSON.

    PYTHONPATH=gptqmodel-7.7.0 python load_gptq.py CHECKPOINT [--expect SHA256]     # the unpacked source archive; its torch layers need no kernels

The digest is over the weights [out, in] in float16, little-endian, linears in name order. AWQ is decoded besides by AutoAWQ's dequantize_gemm (AutoRound's
copy of it), and GPTQ by AutoRound's torch layer; they have to give the same bits. The exit status is 1 if anything differs.
"""

import argparse
import hashlib
import json
import pathlib
import sys

import torch
from gptqmodel import BACKEND, GPTQModel
from layout_decoders import decode
from safetensors.torch import load_file


def decoded(layer):
    """GPTQ's layer has a function for it; of AWQ's the product with the identity is the weight."""
    if hasattr(layer, "dequantize_weight"):
        return layer.dequantize_weight().T
    return layer(torch.eye(layer.in_features, dtype=torch.float16)).T


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=pathlib.Path)
    parser.add_argument("--expect", help="the digest that it has to be")
    arguments = parser.parse_args()

    torch.set_grad_enabled(False)
    config = json.loads((arguments.checkpoint / "config.json").read_text())
    q = config["quantization_config"]
    tensors = {}
    for file in sorted(arguments.checkpoint.glob("*.safetensors")):
        tensors |= load_file(file)
    names = sorted(name.removesuffix(".qweight") for name in tensors if name.endswith(".qweight"))
    backend = BACKEND.TORCH if q["quant_method"] == "gptq" else BACKEND.TORCH_AWQ
    model = GPTQModel.load(str(arguments.checkpoint), backend=backend, device="cpu", dtype=torch.float16).model
    others = {} if "dynamic" in q else decode(config, tensors)
    every, same = hashlib.sha256(), True
    for name in names:
        weight = decoded(model.get_submodule(name)).half().contiguous().numpy().tobytes()
        every.update(weight)
        same &= not others or others[f"{name}.weight"]["sha256"] == hashlib.sha256(weight).hexdigest()
    kinds = sorted({type(model.get_submodule(name)).__name__ for name in names})
    result = {"layers": kinds, "quantized": len(names), "sha256": every.hexdigest(), "another decoder agrees": same if others else None}
    print(json.dumps(result))
    return 0 if same and names and arguments.expect in (None, result["sha256"]) else 1


if __name__ == "__main__":
    sys.exit(main())
