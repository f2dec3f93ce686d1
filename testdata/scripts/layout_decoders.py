"""What the producers' own packages decode from a checkpoint: one function for each quant_method, all on a CPU.

decode(config, tensors) -> {"MODULE.weight": entry of values.json}; tensors as safetensors.torch.load_file gives them.
A weight is always [out, in]; a pre_quant_scale is not applied. The import of a package stands in the function that needs it.
"""

import importlib.metadata

import torch
from layout_files import digest, modules, of_module


def version(package):
    return f"{package} {importlib.metadata.version(package)}"


def dtype_of(config):
    return getattr(torch, config.get("dtype") or config.get("torch_dtype") or "bfloat16")


# ---------------------------------------------------------------- compressed-tensors


def linears(tensors, names):
    """A module tree with an nn.Linear of the right name and size in each place, on the meta device."""
    root = torch.nn.Module()
    for name in names:
        t = of_module(tensors, name)
        shape = t["weight_shape"].tolist() if "weight_shape" in t else list((t.get("weight") if "weight" in t else t["weight_packed"]).shape)
        if "weight_packed" in t and "weight_shape" not in t:
            shape[-1] *= 2
        parent = root
        *path, leaf = name.split(".")
        for step in path:
            if not hasattr(parent, step):
                parent.add_module(step, torch.nn.Module())
            parent = getattr(parent, step)
        parent.add_module(leaf, torch.nn.Linear(shape[-1], shape[-2], bias=False, device="meta"))
    return root


def compressed_tensors(config, tensors):
    """decompress() of the format's compressor; which scheme a module has is decided by compressed-tensors' own matching."""
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.compressors.format import infer_module_format
    from compressed_tensors.quantization import QuantizationConfig, apply_quantization_config

    q = config["quantization_config"]
    names = [m for m in modules(tensors, "weight_packed") + modules(tensors, "weight") if f"{m}.weight_scale" in tensors]
    model = linears(tensors, names)
    apply_quantization_config(model, QuantizationConfig.model_validate(q), run_compressed=True)
    values = {}
    for name in names:
        scheme = model.get_submodule(name).quantization_scheme
        named = scheme.format or (q["format"] if q["format"] != "mixed-precision" else infer_module_format(torch.nn.Linear, scheme))
        compressor = BaseCompressor.get_value_from_registry(getattr(named, "value", named))
        weight = compressor.decompress(of_module(tensors, name), scheme)["weight"]
        values[f"{name}.weight"] = digest(weight, f"{version('compressed-tensors')}: {compressor.__name__}.decompress")
    return values


# ---------------------------------------------------------------- ModelOpt


def modelopt_int4(w, t, dtype):
    """Row pairs: ModelOpt only packs them (pack_int4_in_uint8) and has no function that reads them back."""
    from modelopt.torch.export.quant_utils import pack_int4_in_uint8

    codes = torch.stack([w & 15, w >> 4], -2).reshape(*w.shape[:-2], -1, w.shape[-1]).to(torch.int8)
    codes = torch.where(codes > 7, codes - 16, codes)
    size = w.shape[-1] // t["weight_scale"].shape[-1]
    made = codes * t["weight_scale"].repeat_interleave(size, -1)
    packed = pack_int4_in_uint8(made, t["weight_scale"], size)
    assert torch.equal(packed.view(torch.uint8), w), "pack_int4_in_uint8 of the decoded values does not give the bytes of the file"
    return made.to(dtype), "codes times weight_scale in float32, rounded once (no function reads this; its pack_int4_in_uint8 gives these bytes)"


def modelopt_weight(t, dtype):
    """One weight in dtype, and the name of what decoded it."""
    from modelopt.torch.quantization.qtensor import FP8QTensor, INT8QTensor, MXFP4QTensor, MXFP8QTensor, NVFP4QTensor

    w, scale = t["weight"], t["weight_scale"]
    twice = torch.Size([*w.shape[:-1], w.shape[-1] * 2])
    if w.dtype == torch.uint8 and scale.dtype == torch.float8_e4m3fn:
        size = twice[-1] // scale.shape[-1]
        made = NVFP4QTensor(twice, dtype, w).dequantize(scale=scale, double_scale=t["weight_scale_2"], block_sizes={-1: size})
        return made, f"NVFP4QTensor.dequantize, blocks of {size}"
    if w.dtype == torch.uint8 and scale.dtype == torch.uint8:
        return MXFP4QTensor(twice, dtype, w).dequantize(scale=scale, block_sizes={-1: 32}), "MXFP4QTensor.dequantize"
    if w.dtype == torch.uint8:
        return modelopt_int4(w, t, dtype)
    if scale.dtype == torch.uint8:
        return MXFP8QTensor(w.shape, dtype, w).dequantize(scale=scale), "MXFP8QTensor.dequantize"
    if w.dtype == torch.int8:
        return INT8QTensor(w.shape, dtype, w).dequantize(scale=scale[:, None]), "INT8QTensor.dequantize"
    if scale.dim() in (2, 4):
        grid = [-(-n // 128) for n in w.shape]
        made = FP8QTensor(w.shape, dtype, w).dequantize(scale=scale.reshape(grid), block_sizes={-1: 128, -2: 128})
        return made, "FP8QTensor.dequantize, tiles of 128 x 128"
    return FP8QTensor(w.shape, dtype, w).dequantize(scale=scale[:, None] if scale.dim() else scale), "FP8QTensor.dequantize"


def modelopt(config, tensors):
    """dequantize() of the class in modelopt.torch.quantization.qtensor, to the model's dtype; also to float32.

    Where the class rounds the scale to the model's dtype first (FP8, INT8), the two differ by more than one rounding.
    """
    values = {}
    for name in modules(tensors, "weight_scale"):
        t = of_module(tensors, name)
        made = [modelopt_weight(t, dtype) for dtype in (dtype_of(config), torch.float32)]
        note = "; WITHOUT pre_quant_scale" if "pre_quant_scale" in t else ""
        entry, also = [digest(w, f"{version('nvidia-modelopt')}: {how}{note}") for w, how in made]
        values[f"{name}.weight"] = entry | {"also": also}
    return values


# ---------------------------------------------------------------- GPTQ, AWQ, AutoRound


def gptq(config, tensors):
    from layout_gptq import dequantize

    q, values = config["quantization_config"], {}
    for name in modules(tensors, "qweight"):
        two = q.get("checkpoint_format") == "gptq_v2" or q.get("packing_format") in ("auto_round", "auto_round:gptqmodel")
        zeros = "v2" if two else "v1"
        weight, how = dequantize(of_module(tensors, name), q["bits"], q["group_size"], zeros)
        values[f"{name}.weight"] = digest(weight, how)
    return values


def awq(config, tensors):
    from auto_round.export.export_to_awq.utils import dequantize_gemm

    q, values = config["quantization_config"], {}
    for name in modules(tensors, "qweight"):
        t = of_module(tensors, name)
        group = q["group_size"] if q["group_size"] > 0 else t["qweight"].shape[0]
        weight = dequantize_gemm(t["qweight"], t["qzeros"], t["scales"], q["bits"], group).T
        values[f"{name}.weight"] = digest(weight, f"{version('auto-round')}: export_to_awq.utils.dequantize_gemm (AutoAWQ's), transposed")
    return values


def auto_round(config, tensors):
    packing = config["quantization_config"]["packing_format"]
    if packing == "auto_round:fp8_static":
        scaled = {n: of_module(tensors, n) for n in modules(tensors, "weight_scale")}
        how = "formula: codes times the scale of the row, in the scale's dtype"
        return {f"{n}.weight": digest(t["weight"].to(t["weight_scale"].dtype) * t["weight_scale"][:, None], how) for n, t in scaled.items()}
    return (awq if "awq" in packing else gptq)(config, tensors)


# ---------------------------------------------------------------- bitsandbytes


def table_lookup(t, state):
    """The reference of its default backend: table times absmax. The CPU kernel may give -0.0 for FP4's code 8, the table says +0.0."""
    import bitsandbytes.functional as bnb
    from bitsandbytes.backends.default.ops import _dequantize_4bit_compute

    absmax = bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset if state.nested else state.absmax
    return _dequantize_4bit_compute(t["weight"].reshape(-1), absmax, t["weight.quant_map"], state.blocksize, state.shape, state.dtype)


def bitsandbytes(config, tensors):
    import bitsandbytes.functional as bnb
    from bitsandbytes.functional import QuantState

    values = {}
    for name in modules(tensors, "SCB"):
        t = of_module(tensors, name)
        how = f"{version('bitsandbytes')}: int8_vectorwise_dequant"
        values[f"{name}.weight"] = digest(bnb.int8_vectorwise_dequant(t["weight"], t["SCB"]), how)
    for name in modules(tensors, "weight.absmax"):
        t = of_module(tensors, name)
        state = QuantState.from_dict({k: v for k, v in t.items() if k.startswith("weight.")}, torch.device("cpu"))
        made, how = bnb.dequantize_4bit(t["weight"], state), f"{version('bitsandbytes')}: dequantize_4bit, CPU"
        if state.quant_type == "fp4":
            reference = table_lookup(t, state)
            assert torch.equal(reference, made)
            made, how = reference, f"{version('bitsandbytes')}: backends.default _dequantize_4bit_compute with the file's table"
        values[f"{name}.weight"] = digest(made, how)
    return values


# ---------------------------------------------------------------- fp8, mxfp8, fbgemm_fp8, mxfp4


def fp8(config, tensors):
    """transformers' dequantizer, which derives blocks from the grid of scales; compressed-tensors' where the grid does not divide the weight."""
    from compressed_tensors.entrypoints.convert.converters import FP8BlockDequantizer
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize

    values, dtype = {}, dtype_of(config)
    for name in [n for n in tensors if n.endswith((".weight_scale_inv", ".scale"))]:
        module = name.rsplit(".", 1)[0]
        w, scale = tensors[f"{module}.weight"], tensors[name]
        rows, columns = w.shape[0], w.shape[1] * (2 if w.dtype == torch.int8 else 1)
        high, wide = scale.shape if scale.dim() == 2 else (1, 1)
        if rows % high == 0 and columns % wide == 0:
            made, how = Fp8Dequantize(None)._dequantize_one(w, scale, dtype), f"{version('transformers')}: Fp8Dequantize"
        else:
            made, how = FP8BlockDequantizer()._create_dequantized_weight(w, scale), f"{version('compressed-tensors')}: FP8BlockDequantizer"
        values[f"{module}.weight"] = digest(made, how)
    return values


def fbgemm_fp8(config, tensors):
    """FBGEMM's reader is a CUDA kernel."""
    values = {}
    for name in modules(tensors, "weight_scale"):
        t = of_module(tensors, name)
        made = (t["weight"].float() * t["weight_scale"]).to(dtype_of(config))
        values[f"{name}.weight"] = digest(made, "codes times weight_scale in float32, rounded once (torch; the reader is a CUDA kernel)")
    return values


def mxfp4(config, tensors):
    """gpt-oss. transformers gives [experts, in, out]."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    values = {}
    for name in [n.removesuffix("_blocks") for n in tensors if n.endswith("_blocks")]:
        made = convert_moe_packed_tensors(tensors[f"{name}_blocks"], tensors[f"{name}_scales"], dtype=dtype_of(config))
        values[name] = digest(made.transpose(-1, -2), f"{version('transformers')}: convert_moe_packed_tensors, last two axes transposed back")
    return values


# ---------------------------------------------------------------- MLX


def mlx(config, tensors):
    import mlx.core as mx
    from make_layouts_mlx import to_mlx, to_torch

    values, numbers, dtype = {}, config["quantization"], dtype_of(config)
    for name in modules(tensors, "scales"):
        t = of_module(tensors, name)
        chosen = {k: v for k, v in {**numbers, **numbers.get(name, {})}.items() if k in ["group_size", "bits", "mode"]}
        mlx_of = lambda a: to_mlx(a) if a.is_floating_point() and a.dtype != torch.float32 else mx.array(a.numpy())
        parts = [mlx_of(t[part]) for part in ["weight", "scales", "biases"] if part in t]
        kind = t["scales"].dtype if t["scales"].is_floating_point() else dtype
        made = mx.dequantize(*parts, **chosen, dtype=getattr(mx, str(kind).removeprefix("torch.")))
        values[f"{name}.weight"] = digest(to_torch(made, kind), f"{version('mlx')}: dequantize, CPU")
    return values


METHODS = {
    "compressed-tensors": compressed_tensors,
    "modelopt": modelopt,
    "gptq": gptq,
    "awq": awq,
    "auto-round": auto_round,
    "bitsandbytes": bitsandbytes,
    "fp8": fp8,
    "mxfp8": fp8,
    "fbgemm_fp8": fbgemm_fp8,
    "mxfp4": mxfp4,
    "mlx": mlx,
}


def decode(config, tensors):
    return METHODS[config["quantization_config"].get("quant_method", "mlx")](config, tensors)
