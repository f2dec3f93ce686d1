"""Small checkpoints in the forms that only older compressed-tensors wrote; run once with each version.

    pip install --no-deps --target V compressed-tensors==0.17.1    # padded 3-, 5-, 6- and 7-bit words
    pip install --no-deps --target V compressed-tensors==0.11.0    # weight_g_idx, bitmask sparsity
    PYTHONPATH=V python make_layouts_compressed_tensors_old.py OUT

0.17 starts from the dense folders of OUT (make_layouts_compressed_tensors.py): same codes, other words, so the same values.
"""

import json
import pathlib
import sys

import compressed_tensors
import torch
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from layout_files import digest, of_module, write_folder
from layout_inputs import DOWN_PROJ, K_PROJ, NORM, RAGGED, SMALL, model_config, norm, weights
from safetensors.torch import load_file

VERSION = f"compressed-tensors {compressed_tensors.__version__}"


def stream(words, bits, count):
    """Rows of int32 words -> [rows, count] codes of a dense little-endian bit stream, signed."""
    u = words.contiguous().view(torch.uint8).to(torch.int32)
    ones = (u[:, :, None] >> torch.arange(8)) & 1
    ones = ones.reshape(len(words), -1)[:, : count * bits].reshape(len(words), count, bits)
    return ((ones << torch.arange(bits)).sum(-1) - (1 << bits - 1)).to(torch.int8)


def padded(out):
    from compressed_tensors.compressors.pack_quantized.base import PackedQuantizationCompressor as Compressor
    from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

    for bits in (3, 5, 6, 7):
        for form in ("sym-group", "asym-group", "asym-channel"):
            source = out / f"ct-w{bits}-{form}"
            config, dense = json.loads((source / "config.json").read_text()), load_file(source / "model.safetensors")
            before = json.loads((source / "values.json").read_text())
            config["quantization_config"]["version"] = compressed_tensors.__version__
            scheme = QuantizationScheme.model_validate(config["quantization_config"]["config_groups"]["group_0"])
            tensors, values = {NORM: dense[NORM]}, {}
            for module in (K_PROJ, DOWN_PROJ):
                t = of_module(dense, module)
                rows, columns = t["weight_shape"].tolist()
                t["weight_packed"] = pack_to_int32(stream(t["weight_packed"], bits, columns), bits)
                if "weight_zero_point" in t:
                    zeros = stream(t["weight_zero_point"].T.contiguous(), bits, rows).T.contiguous()
                    t["weight_zero_point"] = pack_to_int32(zeros, bits, packed_dim=0)
                made = digest(Compressor.decompress(t, scheme)["weight"], f"{VERSION}: {Compressor.__name__}.decompress")
                assert made["sha256"] == before[f"{module}.weight"]["sha256"]
                values[f"{module}.weight"] = made
                tensors |= {f"{module}.{suffix}": v for suffix, v in t.items()}
            write_folder(out / f"ct-padded-w{bits}-{form}", config, tensors, values)


def config_of(schemes={}, sparsity={}, form="dense"):
    groups = {name: json.loads(s.model_dump_json()) for name, s in schemes.items()}
    q = {"config_groups": groups, "format": form, "global_compression_ratio": None, "ignore": ["lm_head"], "kv_cache_scheme": None}
    q |= {"quant_method": "compressed-tensors", "quantization_status": "compressed", "sparsity_config": sparsity, "transform_config": {}}
    return model_config(quantization_config=q | {"version": compressed_tensors.__version__})


def act_order(out):
    """actorder "group": columns belong to groups by weight_g_idx."""
    from compressed_tensors.compressors import PackedQuantizationCompressor as Compressor
    from compressed_tensors.compressors.quantized_compressors.pack_quantized import unpack_from_int32
    from compressed_tensors.quantization.lifecycle.forward import dequantize
    from compressed_tensors.quantization.utils import calculate_qparams

    for form, symmetric in [("sym", True), ("asym", False)]:
        args = QuantizationArgs(num_bits=4, symmetric=symmetric, group_size=32, strategy="group", actorder="group")
        compressor = Compressor()
        tensors, values = norm(), {}
        for seed, (module, w) in enumerate(weights().items()):
            order = torch.randperm(w.shape[1], generator=torch.Generator().manual_seed(seed))
            g_idx = torch.empty(w.shape[1], dtype=torch.int32)
            g_idx[order] = (torch.arange(w.shape[1]) // 32).to(torch.int32)
            groups = w[:, torch.argsort(g_idx, stable=True)].unflatten(1, (-1, 32))
            scale, zero = calculate_qparams(groups.amin(-1), groups.amax(-1), args)
            made = compressor.compress_weight(w, scale, args, zero_point=zero.to(torch.int8), g_idx=g_idx)
            t = made | {"weight_scale": scale, "weight_g_idx": g_idx}
            if symmetric:
                weight, how = compressor.decompress_weight(t, args), f"{Compressor.__name__}.decompress_weight"
            else:  # "Decompression of packed zero points is currently not supported": by its parts
                codes = unpack_from_int32(t["weight_packed"], 4, w.shape)
                zeros = unpack_from_int32(t["weight_zero_point"], 4, scale.shape, packed_dim=0)
                weight, how = dequantize(codes, scale, zeros, g_idx=g_idx), "unpack_from_int32, dequantize"
            values[f"{module}.weight"] = digest(weight, f"{VERSION}: {how}")
            tensors |= {f"{module}.{suffix}": v for suffix, v in t.items()}
        scheme = QuantizationScheme(targets=["Linear"], weights=args)
        write_folder(out / f"ct-g_idx-{form}", config_of({"group_0": scheme}, form="pack-quantized"), tensors, values)


def two_of_four(w):
    """All but the two largest of each four set to zero, as pruning does."""
    keep = torch.zeros_like(w.reshape(-1, 4), dtype=torch.bool)
    keep.scatter_(1, w.reshape(-1, 4).abs().topk(2, dim=1).indices, True)
    return torch.where(keep.reshape(w.shape), w, torch.zeros_like(w))


def sparse(out):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.config import SparsityCompressionConfig

    def settings(form, structure, share):
        return {
            "format": form,
            "global_sparsity": share,
            "ignore": ["lm_head"],
            "registry_requires_subclass": False,
            "sparsity_structure": structure,
            "targets": ["Linear"],
        }

    fp8 = QuantizationArgs(num_bits=8, type="float", strategy="channel")
    tokens = QuantizationArgs(num_bits=8, type="float", strategy="token", dynamic=True)
    both = QuantizationScheme(targets=["Linear"], weights=fp8, input_activations=tokens)
    cases = [  # folder, sparsity format, structure, linears, quantized
        ("sparse-24-bitmask", "sparse-24-bitmask", "2:4", SMALL, False),
        ("sparse-24-bitmask-fp8", "sparse-24-bitmask", "2:4", SMALL, True),
        ("sparse-bitmask", "sparse-bitmask", "unstructured", RAGGED, False),
    ]
    for folder, form, structure, shapes, quantized in cases:
        sparsity = settings(form, structure, 0.5)
        config = SparsityCompressionConfig.load_from_registry(form, **{k: v for k, v in sparsity.items() if k != "format"})
        compressor = BaseCompressor.load_from_registry(form, config=config)
        tensors, values = norm(), {}
        for module, w in weights(shapes).items():
            w = two_of_four(w) if structure == "2:4" else torch.where(w.abs() > 0.03, w, torch.zeros_like(w))
            scale = None
            if quantized:
                scale = (w.abs().amax(1, keepdim=True) / 448).clamp(min=2**-20)
                w = (w / scale).to(torch.float8_e4m3fn)
            state = compressor.compress({f"{module}.weight": w})
            restored = dict(compressor.decompress_from_state_dict(dict(state)))[f"{module}.weight"]
            how = f"{VERSION}: {type(compressor).__name__}.decompress_from_state_dict"
            if quantized:
                state[f"{module}.weight_scale"] = scale
                from compressed_tensors.quantization.lifecycle.forward import dequantize

                restored, how = dequantize(restored, scale), how + ", then dequantize"
            values[f"{module}.weight"] = digest(restored, how)
            tensors |= state
        made = config_of({"group_0": both}, sparsity, "float-quantized") if quantized else config_of(sparsity=sparsity)
        write_folder(out / f"ct-{folder}", made, tensors, values)


def main():
    torch.set_grad_enabled(False)
    out = pathlib.Path(sys.argv[1])
    if compressed_tensors.__version__.startswith("0.17."):
        padded(out)
    else:
        act_order(out)
        sparse(out)


if __name__ == "__main__":
    main()
