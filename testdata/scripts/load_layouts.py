"""Decodes written checkpoints with the tools whose layout they are in, and loads them in transformers where it can on a CPU.

    python load_layouts.py CHECKPOINT ...
    LOWBIT_DECODED=CHECKPOINT:... cargo test -p lowbit-checkpoint --test suite -- --ignored decoded_by_their_tools

The first writes values.json into each directory: digests of what the tool decodes (layout_decoders.py). The second holds what lowbit reads from the same
files to them. bitsandbytes and fp8 checkpoints are also loaded whole: no tensor may be missing or unknown, and every linear has to hold the values of the
decoder. One line of JSON each; the exit status is 1 if anything differs. Packages: requirements-load.txt, bitsandbytes, mlx[cpu].
"""

import json
import pathlib
import sys

import layout_decoders
import torch
from layout_files import digest, write_values
from safetensors.torch import load_file


def loaded(folder, config):
    """{weight: digest entry} of the linears of the model in transformers, and what it had to say about the files."""
    from transformers import AutoModelForCausalLM, FineGrainedFP8Config

    method = config["quantization_config"]["quant_method"]
    how = {"quantization_config": FineGrainedFP8Config(dequantize=True)} if method != "bitsandbytes" else {}
    model, loading = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, output_loading_info=True, **how)
    values = {}
    for name, module in model.named_modules():
        if not isinstance(module, torch.nn.Linear):
            continue
        weight = module.weight
        if method == "bitsandbytes":
            import bitsandbytes.functional as bnb

            if getattr(weight, "quant_state", None) is not None:
                weight = bnb.dequantize_4bit(weight.data, weight.quant_state)
            elif hasattr(weight, "SCB"):
                weight = bnb.int8_vectorwise_dequant(weight.data, weight.SCB)
        values[f"{name}.weight"] = digest(weight, "transformers")
    return values, sorted(loading["missing_keys"]) + sorted(loading["unexpected_keys"])


def main():
    failed = False
    for folder in map(pathlib.Path, sys.argv[1:]):
        config = json.loads((folder / "config.json").read_text())
        tensors = {}
        for file in sorted(folder.glob("*.safetensors")):
            tensors.update(load_file(file))
        values = layout_decoders.decode(config, tensors)
        write_values(folder, values)
        result = {"checkpoint": folder.name, "decoded": len(values), "how": sorted({v["how"] for v in values.values()})}
        if config["quantization_config"].get("quant_method") in ["bitsandbytes", "fp8", "mxfp8"] and "deepseek-v4" not in folder.name:
            model, odd = loaded(folder, config)
            differ = [n for n, v in values.items() if model[n]["sha256"] != v["sha256"]]
            result |= {"loaded": len(model), "differ": differ, "missing or unknown": odd}
            failed |= bool(differ or odd)
        failed |= not values
        print(json.dumps(result))
    return failed


if __name__ == "__main__":
    sys.exit(main())
