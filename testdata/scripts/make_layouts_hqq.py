"""Small checkpoints as HQQ 0.2.8 quantizes and encodes them on a CPU, and what it decodes.

    python make_layouts_hqq.py OUT
"""

import pathlib
import sys

import torch
from hqq.core.quantize import BaseQuantizeConfig, HQQLinear
from layout_files import digest, write_folder
from layout_inputs import DOWN_PROJ, K_PROJ, model_config, norm, weights

SHAPES = {K_PROJ: (40, 128), DOWN_PROJ: (64, 192)}


def make(out, name, bits, axis, group=64, dtype=torch.bfloat16):
    tensors, values = norm(dtype), {}
    settings = BaseQuantizeConfig(nbits=bits, group_size=group, axis=axis)
    for module, w in weights(SHAPES, dtype).items():
        linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False, dtype=dtype)
        linear.weight.data = w
        layer = HQQLinear(linear, settings, compute_dtype=dtype, device="cpu", initialize=True)
        tensors |= {f"{module}.{key}": t for key, t in layer.state_dict().items() if t is not None}
        values[f"{module}.weight"] = digest(layer.dequantize(), "hqq 0.2.8.post1: HQQLinear.dequantize")
    q = {"quant_method": "hqq", "quant_config": settings, "skip_modules": ["lm_head"]}
    config = model_config(str(dtype).removeprefix("torch."), quantization_config=q)
    write_folder(out / f"hqq-{name}", config, {k: t.data for k, t in tensors.items()}, values)
    shown = {k.removeprefix(K_PROJ): (str(t.dtype), list(t.shape)) for k, t in tensors.items() if K_PROJ in k}
    if bits == 3 and axis == 1:
        print(shown)


def main():
    out = pathlib.Path(sys.argv[1])
    for bits in (8, 4, 3, 2, 1):
        for axis in (0, 1):
            make(out, f"w{bits}-axis{axis}", bits, axis)
    make(out, "w4-axis1-f16", 4, 1, dtype=torch.float16)
    make(out, "w4-axis1-channel", 4, 1, group=None)


if __name__ == "__main__":
    main()
