"""Small checkpoints as compressed-tensors 0.19 writes them, and what it decodes from them.

    python make_layouts_compressed_tensors.py OUT

Weights go through llm-compressor's data-free path (observer, scale, the format's own compressor); static input scales are set by hand, for
no activations are there. The configuration is what ModelCompressor.update_config writes. Packages: requirements-layouts.txt.
"""

import pathlib
import sys

import compressed_tensors
import torch
from compressed_tensors.compressors import BaseCompressor, compress_module
from compressed_tensors.quantization import QuantizationArgs, QuantizationConfig, QuantizationScheme, apply_quantization_config, preset_name_to_scheme
from compressed_tensors.utils.match import match_targets
from layout_decoders import decode
from layout_files import LAYER, write_folder
from layout_inputs import DOWN_PROJ, K_PROJ, RAGGED, SMALL, matrix, model_config, norm, weights
from llmcompressor.entrypoints.model_free.lifecycle import calibrate_weight, initialize_quantized_linear

BLOCKS = {K_PROJ: (32, 128), DOWN_PROJ: (136, 160)}


def preset(name, targets=("Linear",)):
    return preset_name_to_scheme(name, list(targets))


def integers(bits, symmetric, group=None, targets=("Linear",)):
    strategy = "group" if group else "channel"
    args = QuantizationArgs(type="int", num_bits=bits, symmetric=symmetric, group_size=group, strategy=strategy)
    return QuantizationScheme(targets=list(targets), weights=args, format="pack-quantized")


def compress(weight, scheme, inputs={}):
    """{suffix: tensor}; inputs: {suffix of a static input scale: value}."""
    module = initialize_quantized_linear(weight, scheme, "cpu")
    calibrate_weight(module)
    for name, value in inputs.items():
        parameter = getattr(module, name)
        parameter.data = torch.full_like(parameter.data, value)
    compress_module(module)
    return {name: t for name, t in module.state_dict().items() if not name.startswith("input_") or name in inputs}


def config_of(schemes, formats, kv=None, transform=None, ignore=("lm_head",), **more):
    q = QuantizationConfig(
        config_groups={f"group_{i}": scheme for i, scheme in enumerate(schemes)},
        format=formats.pop() if len(formats) == 1 else "mixed-precision",
        quantization_status="compressed",
        ignore=list(ignore),
        kv_cache_scheme=kv,
    )
    head = {"quant_method": "compressed-tensors", "sparsity_config": {}, "transform_config": transform or {}, "version": compressed_tensors.__version__}
    return model_config(**more, quantization_config=head | q.model_dump(exclude=["quant_method"], mode="json"))


def make(out, name, schemes, linears, inputs={}, more={}, dtype="bfloat16", **settings):
    """One folder: each linear with the scheme that compressed-tensors' own matching gives it."""
    schemes = schemes if isinstance(schemes, list) else [schemes]
    by_target = {target: scheme for scheme in schemes for target in scheme.targets}
    tensors, formats = norm(getattr(torch, dtype)) | more, set()
    for module, weight in linears.items():
        targets = match_targets(module, torch.nn.Linear(1, 1), by_target)
        scheme = by_target[targets[0]].model_copy(deep=True)
        tensors |= {f"{module}.{suffix}": t for suffix, t in compress(weight, scheme, inputs).items()}
        for target_scheme in schemes:
            if set(target_scheme.targets) & set(targets[:1]):
                target_scheme.format = scheme.format
    formats = {getattr(s.format, "value", s.format) for s in schemes}
    config = config_of(schemes, formats, dtype=dtype, **settings)
    write_folder(out / f"ct-{name}", config, tensors, decode(config, tensors))


def packed(out):
    for bits in range(1, 9):
        for symmetric in (True, False):
            form = f"w{bits}-{'sym' if symmetric else 'asym'}"
            for shape, group, linears in [("group", 32, SMALL), ("channel", None, RAGGED)]:
                make(out, f"{form}-{shape}", integers(bits, symmetric, group), weights(linears))
    make(out, "w4-sym-f16", integers(4, True, 32), weights(dtype=torch.float16), dtype="float16")
    make(out, "w4-asym-f32", integers(4, False, 32), weights(dtype=torch.float32), dtype="float32")


def activations(out):
    int8 = preset("W8A8")
    int8.input_activations = QuantizationArgs(num_bits=8, type="int", symmetric=False, strategy="tensor")
    make(out, "w8a8-static", int8, weights(RAGGED), {"input_scale": 0.0123, "input_zero_point": -7})
    both = preset("W8A8")
    both.weights = QuantizationArgs(num_bits=8, type="int", symmetric=False, strategy="channel")
    make(out, "w8a8-asym", both, weights(RAGGED))
    make(out, "fp8-static", preset("FP8"), weights(RAGGED), {"input_scale": 0.0123})
    make(out, "fp8-dynamic", preset("FP8_DYNAMIC"), weights(RAGGED))
    make(out, "fp8-block", preset("FP8_BLOCK"), weights(BLOCKS))
    weight_only = preset("FP8_DYNAMIC")
    weight_only.input_activations = None
    make(out, "fp8-weights", weight_only, weights(RAGGED))  # naive-quantized
    make(out, "nvfp4", preset("NVFP4"), weights(), {"input_global_scale": 321.5})
    make(out, "nvfp4a16", preset("NVFP4A16"), weights())
    make(out, "mxfp4", preset("MXFP4"), weights())
    make(out, "mxfp4a16", preset("MXFP4A16"), weights())
    make(out, "mxfp8", preset("MXFP8"), weights())


def mixed(out):
    linears = {
        f"{LAYER}{name}": matrix(32, 64, seed)
        for seed, name in enumerate(["self_attn.q_proj", "self_attn.k_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"])
    }
    # up_proj matches both patterns of the first two: "re:.*layers.*" sorts before "re:.*mlp.*", so it gets 4 bits although the
    # other is more particular and its group comes first; k_proj is named exactly, which comes before any pattern
    schemes = [
        integers(8, True, 32, ["re:.*mlp.*"]),
        integers(4, False, 32, ["re:.*layers.*(q|up)_proj$"]),
        preset("NVFP4A16", [K_PROJ]),
        preset("FP8_DYNAMIC", ["Linear"]),
    ]
    make(out, "mixed", schemes, linears, ignore=("lm_head", "re:.*embed.*"))
    two = [integers(4, True, 32, ["re:.*self_attn.*"]), preset("FP8_DYNAMIC", ["re:.*mlp.*"])]
    make(out, "mixed-two", two, weights())


def cache(out):
    from transformers import LlamaConfig, LlamaForCausalLM

    kv = QuantizationArgs(num_bits=8, type="float", strategy="tensor", symmetric=True, dynamic=False)
    for name, scheme in [("kv-tensor", kv), ("kv-heads", kv.model_copy(update={"strategy": "attn_head"}))]:
        sizes = model_config() | {"num_key_value_heads": 2, "num_attention_heads": 4}
        model = LlamaForCausalLM(LlamaConfig(**sizes)).to(torch.bfloat16)
        apply_quantization_config(model, QuantizationConfig(config_groups={}, kv_cache_scheme=scheme))
        attention = model.get_submodule(LAYER + "self_attn")
        scales = {n: torch.full_like(t, 0.0625 if n[0] == "k" else 0.09) for n, t in attention.state_dict().items() if n in ("k_scale", "v_scale")}
        if name == "kv-heads":
            for t in scales.values():
                t[1] *= 1.5
        extra = {f"{LAYER}self_attn.{n}": t for n, t in scales.items()}
        linears = {K_PROJ: matrix(64, 128, 0), DOWN_PROJ: matrix(64, 96, 1)}
        make(out, name, preset("FP8_DYNAMIC"), linears, more=extra, kv=scheme, num_key_value_heads=2)


def transformed(out):
    from compressed_tensors.transform import TransformArgs, TransformConfig, TransformScheme

    rotations = TransformConfig(
        config_groups={
            "R4": TransformScheme(
                type="hadamard",
                head_dim=32,
                apply=[
                    TransformArgs(targets=["re:.*down_proj$"], location="input"),
                    TransformArgs(targets=["re:.*down_proj$"], location="weight_input", inverse=True),
                ],
            )
        }
    )
    make(out, "transform", integers(4, True, 32), weights(), transform=rotations.model_dump(mode="json"))


def experts(out):
    """A stack of experts as one 3-D parameter: PackedQuantizationCompressor packs each expert by itself."""
    stack = torch.stack([matrix(48, 64, seed) for seed in range(3)])
    name = LAYER + "mlp.experts.gate_up_proj"
    for form, symmetric in [("experts-sym", True), ("experts-asym", False)]:
        scheme = integers(4, symmetric, 32, ["re:.*experts.*", "Linear"])
        made = [compress(w, scheme.model_copy(deep=True)) for w in stack]
        # the scales and zero points that the observer gave each expert; the compressor itself sees the stack
        state = {"weight": stack, "weight_scale": torch.stack([m["weight_scale"] for m in made])}
        if not symmetric:
            from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32

            zeros = [unpack_from_int32(m["weight_zero_point"], 4, m["weight_scale"].shape, packed_dim=0) for m in made]
            state["weight_zero_point"] = torch.stack(zeros)
        compressor = BaseCompressor.get_value_from_registry("pack-quantized")
        state = compressor.compress(state, scheme)
        assert torch.equal(state["weight_packed"], torch.stack([m["weight_packed"] for m in made]))
        tensors = norm() | {f"{name}.{suffix}": t for suffix, t in state.items()}
        config = config_of([scheme], {"pack-quantized"}, architectures=["MixtralForCausalLM"], model_type="mixtral", num_local_experts=3)
        write_folder(out / f"ct-{form}", config, tensors, decode(config, tensors))


def main():
    torch.set_grad_enabled(False)
    out = pathlib.Path(sys.argv[1])
    for family in (packed, activations, mixed, cache, transformed, experts):
        family(out)


if __name__ == "__main__":
    main()
