"""Small checkpoints in torchao 0.18's safetensors form, and what it decodes.

    python make_layouts_torchao.py OUT

quantize_ on a CPU where the configuration can run there, otherwise the tensor class's own constructor; flatten_tensor_state_dict writes names and
metadata, unflatten_tensor_state_dict and dequantize() read them back.
"""

import json
import pathlib
import sys

import torch
import torchao
from layout_files import digest, write_folder
from layout_inputs import K_PROJ, RAGGED, SMALL, model_config, norm, weights
from safetensors import safe_open
from safetensors.torch import load_file
from torchao.prototype.mx_formats import NVFP4WeightOnlyConfig
from torchao.prototype.mx_formats.constants import DTYPE_FP6_E2M3, DTYPE_FP6_E3M2
from torchao.prototype.mx_formats.mx_tensor import MXTensor
from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor, per_tensor_amax_to_scale
from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict, unflatten_tensor_state_dict
from torchao.quantization.quantize_.workflows import QuantizeTensorToFloat8Kwargs
from torchao.quantization import (
    Float8Tensor,
    Float8WeightOnlyConfig,
    Int4Tensor,
    Int8WeightOnlyConfig,
    IntxWeightOnlyConfig,
    PerGroup,
    PerRow,
    PerTensor,
    quantize_,
)

VERSION = f"torchao {torchao.__version__}"


def with_config(config):
    def quantized(w):
        linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False, dtype=w.dtype)
        linear.weight.data = w
        quantize_(linear, config)
        return linear.weight.detach()

    return quantized


def make(out, name, config, of, shapes=SMALL, dtype=torch.bfloat16, scheme={}):
    state = norm(dtype) | {f"{module}.weight": of(w) for module, w in weights(shapes, dtype).items()}
    tensors, metadata = flatten_tensor_state_dict(state)
    q = {"quant_method": "torchao", "quant_type": {"default": {"_type": name, "_version": 2, "_data": scheme}}, "quant_type_kwargs": {}}
    q |= {"include_input_output_embeddings": False, "modules_to_not_convert": None, "untie_embedding_weights": False}
    folder = out / f"torchao-{config}"
    model = model_config(str(dtype).removeprefix("torch."), quantization_config=q)
    write_folder(folder, model, tensors, {}, metadata | {"format": "pt"})
    with safe_open(folder / "model.safetensors", "pt") as f:
        read = f.metadata()
    read.pop("format")
    restored, left = unflatten_tensor_state_dict(load_file(folder / "model.safetensors"), read)
    assert not left
    values = {}
    for module in shapes:
        t = restored[f"{module}.weight"]
        if isinstance(t, Int4Tensor):
            made, how = int4_decoded(t), "code * scale + zero_point, rounded once (torch; Int4Tensor has no dequantize)"
        else:
            made, how = t.dequantize(), f"{type(t).__name__}.dequantize"
        values[f"{module}.weight"] = digest(made, f"{VERSION}: {how}")
    write_folder(folder, model, tensors, values, metadata | {"format": "pt"})
    print({k: (str(t.dtype), list(t.shape)) for k, t in tensors.items() if K_PROJ in k}, json.loads(metadata[f"{K_PROJ}.weight"])["_type"])


def float8_dynamic(w):
    return Float8Tensor.from_hp(w, granularity=PerRow(), act_quant_kwargs=QuantizeTensorToFloat8Kwargs(granularity=PerRow()))


def int4(w):
    """Int4Tensor's constructor needs a kernel package; the fields as its from_hp fills them: group 32, asymmetric about 8, low nibble first."""
    groups = w.float().unflatten(1, (-1, 32))
    low, high = groups.amin(-1), groups.amax(-1)
    scale = ((high - low) / 15).clamp(min=1e-6)
    zero = low + scale * 8
    codes = torch.clamp(torch.round((groups - low[..., None]) / scale[..., None]), 0, 15).to(torch.int32) - 8
    codes = codes.flatten(1)
    packed = (codes[:, 1::2] << 4 | codes[:, 0::2] & 15).to(torch.int8)
    return Int4Tensor(packed, scale.T.contiguous().to(w.dtype), zero.T.contiguous().to(w.dtype), [1, 32], w.shape)


def int4_decoded(t):
    codes = torch.stack([t.qdata << 4 >> 4, t.qdata >> 4], -1).flatten(1)
    scale, zero = (p.T.float().repeat_interleave(32, 1) for p in (t.scale, t.zero_point))
    return (codes.double() * scale + zero).to(t.scale.dtype)


def mx(element):
    return lambda w: MXTensor.to_mx(w, element, 32)


def nvfp4(w):
    return NVFP4Tensor.to_nvfp4(w, per_tensor_scale=per_tensor_amax_to_scale(w.abs().max()))


RUNS = [
    ("Float8WeightOnlyConfig", "float8-row", with_config(Float8WeightOnlyConfig()), RAGGED),
    ("Float8WeightOnlyConfig", "float8-tensor", lambda w: Float8Tensor.from_hp(w, granularity=PerTensor()), RAGGED),
    ("Float8DynamicActivationFloat8WeightConfig", "float8-dynamic", float8_dynamic, SMALL),
    ("Int4WeightOnlyConfig", "int4", int4, SMALL),
    ("Int8WeightOnlyConfig", "int8", with_config(Int8WeightOnlyConfig(version=2)), RAGGED),
    ("IntxWeightOnlyConfig", "intx4", with_config(IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerGroup(32), version=2)), SMALL),
    ("NVFP4WeightOnlyConfig", "nvfp4", nvfp4, SMALL),
    ("NVFP4WeightOnlyConfig", "nvfp4-one-level", lambda w: NVFP4Tensor.to_nvfp4(w), SMALL),
    ("MXDynamicActivationMXWeightConfig", "mxfp8", mx(torch.float8_e4m3fn), SMALL),
    ("MXDynamicActivationMXWeightConfig", "mxfp8-e5m2", mx(torch.float8_e5m2), SMALL),
    ("MXDynamicActivationMXWeightConfig", "mxfp4", mx(torch.float4_e2m1fn_x2), SMALL),
    ("MXDynamicActivationMXWeightConfig", "mxfp6-e2m3", mx(DTYPE_FP6_E2M3), SMALL),
    ("MXDynamicActivationMXWeightConfig", "mxfp6-e3m2", mx(DTYPE_FP6_E3M2), SMALL),
]


def main():
    torch.set_grad_enabled(False)
    out = pathlib.Path(sys.argv[1])
    for name, config, of, shapes in RUNS:
        try:
            make(out, name, config, of, shapes)
        except Exception as error:
            print(config, "FAILS", type(error).__name__, str(error)[:300])


if __name__ == "__main__":
    main()
