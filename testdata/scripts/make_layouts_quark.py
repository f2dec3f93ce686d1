"""Small checkpoints in AMD Quark's form: MXFP4, MXFP6, FP8 per channel (PTPC), INT4 in groups.

    python make_layouts_quark.py OUT      amd-quark 0.13

Quark's quantizers need its compiled kernels (a C++ extension that was not built here), so codes are plain rounding in torch; its own pack methods make
the bytes and read them back, and the specifications in the configuration are its own. Scales are applied as StaticScaledRealQuantizer does.
"""

import importlib.metadata
import pathlib
import sys
import types

import torch

missing = types.ModuleType("quark.torch.kernel.hw_emulation.extensions")  # the compiled kernels; nothing here calls them
missing.kernel_ext = None
sys.modules[missing.__name__] = missing

from layout_files import digest, write_folder  # noqa: E402
from layout_inputs import RAGGED, SMALL, model_config, norm, weights  # noqa: E402
from quark.torch.quantization.config.config import FP8E4M3PerChannelSpec, Int4PerGroupSpec, OCP_MXFP4Spec, OCP_MXFP6E2M3Spec, OCP_MXFP6E3M2Spec, Uint4PerGroupSpec  # noqa: E402
from quark.torch.utils.pack import create_pack_method  # noqa: E402

VERSION = f"amd-quark {importlib.metadata.version('amd-quark')}"
GRIDS = {"fp4": (2, 1), "fp6_e2m3": (2, 3), "fp6_e3m2": (3, 2)}  # exponent and mantissa bits


def grid(name):
    """The non-negative values of a format, in code order."""
    e, m = GRIDS[name]
    bias = 2 ** (e - 1) - 1
    return torch.tensor([(k & 2**m - 1 | (2**m if k >> m else 0)) * 2.0 ** (max(k >> m, 1) - bias - m) for k in range(2 ** (e + m))])


def rounded(w, name):
    """(values of the format, powers of two): nearest, ties to the even code; scale 2^floor(log2 amax) over the largest power, as "even" without its carry."""
    values = grid(name)
    top = torch.floor(torch.log2(values[-1]))
    amax = w.float().unflatten(-1, (-1, 32)).abs().amax(-1)
    scale = torch.where(amax == 0, 1.0, torch.exp2(torch.floor(torch.log2(amax)) - top))
    x = w.float() / scale.repeat_interleave(32, -1)
    odd = torch.arange(len(values)) % 2 * 1e-7
    return values[((x.abs()[..., None] - values).abs() + odd).argmin(-1)].copysign(x), scale


def write(out, name, spec, inputs, tensors, values):
    layer = {"input_tensors": inputs, "output_tensors": None, "weight": spec, "bias": None, "target_device": None}
    export = {"kv_cache_group": [], "min_kv_scale": 0.0, "pack_method": "reorder", "weight_format": "real_quantized", "weight_merge_groups": None}
    q = {
        "quant_method": "quark",
        "algo_config": None,
        "exclude": ["lm_head"],
        "export": export,
        "global_quant_config": layer,
        "kv_cache_quant_config": {},
        "layer_quant_config": {},
        "layer_type_quant_config": {},
        "quant_mode": "eager_mode",
        "softmax_quant_spec": None,
        "version": importlib.metadata.version("amd-quark"),
    }
    write_folder(out / f"quark-{name}", model_config(quantization_config=q), tensors, values)


def main():
    torch.set_grad_enabled(False)
    out = pathlib.Path(sys.argv[1])
    for name, dtype, spec in [
        ("mxfp4", "fp4", OCP_MXFP4Spec),
        ("mxfp6-e2m3", "fp6_e2m3", OCP_MXFP6E2M3Spec),
        ("mxfp6-e3m2", "fp6_e3m2", OCP_MXFP6E3M2Spec),
    ]:
        pack, tensors, decoded = create_pack_method("per_group", dtype), norm(), {}
        for module, w in weights(SMALL).items():
            x, scale = rounded(w, dtype)
            packed, stored = pack.pack(x, True), (torch.log2(scale) + 127).to(torch.uint8)
            tensors |= {f"{module}.weight": packed, f"{module}.weight_scale": stored}
            power = 2 ** (stored.to(torch.int16) - 127).to(torch.bfloat16)
            made = (pack.unpack(packed, True).unflatten(-1, (-1, 32)) * power[..., None]).flatten(-2).bfloat16()
            decoded[f"{module}.weight"] = digest(made, f"{VERSION}: {type(pack).__name__}.unpack times 2^(byte - 127)")
        static, dynamic = (spec(ch_axis=-1, is_dynamic=d).to_quantization_spec().to_dict() for d in (False, True))
        write(out, name, static, dynamic, tensors, decoded)
    tensors, decoded = norm(), {}
    for module, w in weights(RAGGED).items():
        scale = w.float().abs().amax(1) / 448
        scale = torch.where(scale == 0, 1.0, scale)
        codes = (w.float() / scale[:, None]).to(torch.float8_e4m3fn)
        tensors |= {f"{module}.weight": codes, f"{module}.weight_scale": scale}
        how = "codes times weight_scale in float32, rounded once (torch)"
        decoded[f"{module}.weight"] = digest((codes.float() * scale[:, None]).bfloat16(), how)
    static, dynamic = (FP8E4M3PerChannelSpec(is_dynamic=d, ch_axis=0 if not d else 1).to_quantization_spec().to_dict() for d in (False, True))
    write(out, "ptpc-fp8", static, dynamic, tensors, decoded)
    integers(out)


def integers(out):
    """Groups of 32: signed, and unsigned with zero points."""
    for name, low, high, spec in [("int4", -8, 7, Int4PerGroupSpec), ("uint4", 0, 15, Uint4PerGroupSpec)]:
        pack, tensors, decoded = create_pack_method("per_group", name), norm(), {}
        for module, w in weights(SMALL).items():
            groups = w.float().unflatten(1, (-1, 32))
            bottom = groups.amin(-1) if low == 0 else -groups.abs().amax(-1)
            scale = ((groups.amax(-1) - bottom) / 15 if low == 0 else -bottom / 7.5).clamp(min=1e-6)
            zero = torch.round(-bottom / scale).clamp(0, 15).int() if low == 0 else torch.zeros_like(scale, dtype=torch.int32)
            codes = (torch.round(groups / scale[..., None]) + zero[..., None]).clamp(low, high).int().flatten(1)
            packed, zeros, scales = pack.pack(codes, True), pack.pack(zero, True), scale.bfloat16().t().contiguous()
            tensors |= {f"{module}.weight": packed, f"{module}.weight_scale": scales, f"{module}.weight_zero_point": zeros}
            read, at = pack.unpack(packed, True).float().unflatten(1, (-1, 32)), pack.unpack(zeros, True).float()
            made = ((read - at[..., None]) * scales.t().float()[..., None]).flatten(1).bfloat16()
            decoded[f"{module}.weight"] = digest(made, f"{VERSION}: {type(pack).__name__}.unpack, (code - zero) * scale in float32, rounded once")
        about = spec(ch_axis=1, is_dynamic=False, group_size=32).to_quantization_spec().to_dict()
        write(out, name, about, None, tensors, decoded)


if __name__ == "__main__":
    main()
