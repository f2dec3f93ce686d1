"""Decodes written compressed-tensors checkpoints: several groups in transformers, act-order in the last version that loads it.

    python load_compressed_tensors_values.py CHECKPOINT ...                 transformers, whole models: no tensor may be missing or unknown
    PYTHONPATH=V python load_compressed_tensors_values.py CHECKPOINT ...    V holds compressed-tensors 0.11.0: its decompressor, module by module
    LOWBIT_DECODED=CHECKPOINT:... cargo test -p lowbit-checkpoint --test suite -- --ignored decoded_by_their_tools

Writes values.json into each directory. One line of JSON each; the exit status is 1 if a tensor is missing or unknown, or nothing was quantized.
"""

import json
import pathlib
import sys

import compressed_tensors
import torch
from compressed_tensors.quantization import QuantizationArgs
from layout_files import digest, modules, of_module, write_values
from safetensors.torch import load_file

VERSION = f"compressed-tensors {compressed_tensors.__version__}"


def whole(folder):
    from transformers import AutoModelForCausalLM, CompressedTensorsConfig

    how = CompressedTensorsConfig(dequantize=True)
    model, loading = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, output_loading_info=True, quantization_config=how)
    linears = {n: m for n, m in model.named_modules() if getattr(m, "quantization_scheme", None) is not None}
    values = {f"{n}.weight": digest(m.weight, f"transformers, {VERSION}") for n, m in linears.items()}
    return values, sorted(loading["missing_keys"]) + sorted(loading["unexpected_keys"])


def ordered(folder, config):
    """By the module's own group: the only one of these checkpoints."""
    from compressed_tensors.compressors.quantized_compressors.pack_quantized import unpack_from_int32
    from compressed_tensors.quantization.lifecycle.forward import dequantize

    tensors, values = load_file(folder / "model.safetensors"), {}
    (scheme,) = config["quantization_config"]["config_groups"].values()
    args = QuantizationArgs(**{k: v for k, v in scheme["weights"].items() if k in QuantizationArgs.model_fields})
    for name in modules(tensors, "weight_packed"):
        t = of_module(tensors, name)
        shape, scale = torch.Size(t["weight_shape"].tolist()), t["weight_scale"]
        codes = unpack_from_int32(t["weight_packed"], args.num_bits, shape)
        zeros = None if args.symmetric else unpack_from_int32(t["weight_zero_point"], args.num_bits, scale.shape, packed_dim=0)
        weight = dequantize(codes, scale, zeros, g_idx=t.get("weight_g_idx"))
        values[f"{name}.weight"] = digest(weight, f"{VERSION}: unpack_from_int32, dequantize")
    return values, []


def main():
    failed = False
    for folder in map(pathlib.Path, sys.argv[1:]):
        config = json.loads((folder / "config.json").read_text())
        old = compressed_tensors.__version__.startswith("0.11.")
        values, odd = ordered(folder, config) if old else whole(folder)
        write_values(folder, values)
        print(json.dumps({"checkpoint": folder.name, "decoded": len(values), "groups": len(config["quantization_config"]["config_groups"]), "odd": odd}))
        failed |= bool(odd) or not values
    return failed


if __name__ == "__main__":
    sys.exit(main())
