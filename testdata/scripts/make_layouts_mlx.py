"""Small checkpoints as MLX 0.32 quantizes and saves them on a CPU, and what it decodes.

    python make_layouts_mlx.py OUT      pip install "mlx[cpu]==0.32.4"

The configuration is what mlx-lm writes: "quantization" and the same again as "quantization_config".
"""

import pathlib
import sys

import mlx.core as mx
import torch
from layout_files import digest, write_json, write_values
from layout_inputs import DOWN_PROJ, K_PROJ, model_config, norm, weights
from safetensors.torch import load_file

SHAPES = {K_PROJ: (32, 128), DOWN_PROJ: (64, 192)}
VERSION = f"mlx {mx.__version__}"


def to_mlx(t):
    return mx.array(t.view(torch.int16).numpy()).view({torch.bfloat16: mx.bfloat16, torch.float16: mx.float16}[t.dtype])


def to_torch(a, dtype):
    import numpy as np

    return torch.from_numpy(np.array(a.view(mx.int16))).view(dtype)


def make(out, name, settings, dtype=torch.bfloat16, overrides={}):
    """settings: {group_size, bits, mode}; overrides: {module: other settings}, which mlx-lm lists by module path."""
    tensors, values = {k: to_mlx(v) for k, v in norm(dtype).items()}, {}
    for module, w in weights(SHAPES, dtype).items():
        chosen = overrides.get(module, settings)
        parts = mx.quantize(to_mlx(w), **chosen)
        tensors |= {f"{module}.{suffix}": part for suffix, part in zip(("weight", "scales", "biases"), parts)}
        decoded = mx.dequantize(*parts, **chosen, dtype=to_mlx(w).dtype)
        values[f"{module}.weight"] = digest(to_torch(decoded, dtype), f"{VERSION}: dequantize, CPU")
    quantization = settings | overrides
    config = model_config(str(dtype).removeprefix("torch."), quantization=quantization, quantization_config=quantization)
    folder = out / f"mlx-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config)
    mx.save_safetensors(str(folder / "model.safetensors"), tensors, metadata={"format": "mlx"})
    write_values(folder, values)
    shown = {k: (str(t.dtype), list(t.shape)) for k, t in load_file(folder / "model.safetensors").items() if K_PROJ in k}
    print(folder.name, sum(f.stat().st_size for f in folder.iterdir()), shown)


def main():
    out = pathlib.Path(sys.argv[1])
    for bits in (2, 3, 4, 5, 6, 8):
        make(out, f"affine-w{bits}", {"group_size": 64, "bits": bits, "mode": "affine"})
    make(out, "affine-w4-g32-f16", {"group_size": 32, "bits": 4, "mode": "affine"}, torch.float16)
    make(out, "affine-w3-g32-f16", {"group_size": 32, "bits": 3, "mode": "affine"}, torch.float16)
    make(out, "mxfp4", {"group_size": 32, "bits": 4, "mode": "mxfp4"})
    make(out, "mxfp8", {"group_size": 32, "bits": 8, "mode": "mxfp8"})
    make(out, "nvfp4", {"group_size": 16, "bits": 4, "mode": "nvfp4"})
    six = {K_PROJ: {"group_size": 32, "bits": 6, "mode": "affine"}}
    make(out, "affine-mixed", {"group_size": 64, "bits": 4, "mode": "affine"}, overrides=six)


if __name__ == "__main__":
    main()
