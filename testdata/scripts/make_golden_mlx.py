"""Golden files of MLX 0.32's affine mode on a CPU: `mx.quantize`."""

import mlx.core as mx
import numpy as np
import torch
from golden_tools import cases, tensor, write

FILES = {"mlx-affine-w4-g64": (4, 64), "mlx-affine-w3-g32": (3, 32), "mlx-affine-w8-g128": (8, 128)}
BITS = {torch.bfloat16: (torch.int16, mx.bfloat16), torch.float16: (torch.int16, mx.float16), torch.float32: (torch.int32, mx.float32)}


def to_mlx(t):
    bits, dtype = BITS[t.dtype]
    return mx.array(t.view(bits).numpy()).view(dtype)


def from_mlx(a, dtype):
    unsigned = mx.uint16 if a.dtype.size == 2 else mx.uint32
    words = np.array(a.view(unsigned))
    return torch.from_numpy(words) if dtype is None else torch.from_numpy(words.view(words.dtype.name[1:])).view(dtype)


def quantize(weight, bits, group):
    codes, scales, biases = mx.quantize(to_mlx(weight), group_size=group, bits=bits, mode="affine")
    return {"weight": from_mlx(codes, None), "scales": from_mlx(scales, weight.dtype), "biases": from_mlx(biases, weight.dtype)}


def main():
    mx.set_default_device(mx.cpu)
    for name, (bits, group) in FILES.items():
        write(name, cases(), lambda w, b=bits, g=group: quantize(w, b, g))


if __name__ == "__main__":
    main()
