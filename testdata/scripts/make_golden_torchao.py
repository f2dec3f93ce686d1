"""Golden table of torchao: the E8M0 scale byte that `to_mx` chooses for a block of 32 with a given amax, for each element and rule."""

import json

import numpy as np
import torch
from recipes import F32, GOLDEN
from torchao.prototype.mx_formats.config import ScaleCalculationMode
from torchao.prototype.mx_formats.constants import DTYPE_FP6_E2M3, DTYPE_FP6_E3M2
from torchao.prototype.mx_formats.mx_tensor import to_mx

ELEMENTS = {
    "float4_e2m1fn_x2": torch.float4_e2m1fn_x2,
    "float8_e4m3fn": torch.float8_e4m3fn,
    "float8_e5m2": torch.float8_e5m2,
    "fp6_e2m3": DTYPE_FP6_E2M3,
    "fp6_e3m2": DTYPE_FP6_E3M2,
}
MODES = {mode.value: mode for mode in (ScaleCalculationMode.FLOOR, ScaleCalculationMode.CEIL, ScaleCalculationMode.EVEN, ScaleCalculationMode.RCEIL)}


def amaxes():
    """Every decision point of the four rules with its neighbours, at exponents over the whole range; zero, subnormals, the ends."""
    significands = [1, 1.5, 1.75, 1.875, 1.9375]  # floor and even at 0..3 mantissa bits; also 6, 7.5, 28, 448, 57344 = 1.5, 1.875, 1.75 x 2^k
    exponents = [-126, -125, -124, -64, -1, 0, 2, 4, 8, 15, 64, 127]
    points = np.array([s * 2.0**e for e in exponents for s in significands], F32).view(np.uint32)
    near = np.concatenate([points - 2, points - 1, points, points + 1, points + 2, points + 12, points + 23])
    ends = np.array([0, 1, 2, 3, 0x7FFFFF, 0x400000, 0x600000, 0x700000, 0x7F7FFFFF], np.uint32)
    return np.unique(np.concatenate([near, ends]))


def main():
    bits = amaxes()
    blocks = np.zeros((len(bits), 32), F32)
    blocks[:, 7] = -bits.view(F32)
    x = torch.from_numpy(blocks)
    table = {
        element: {name: to_mx(x, dtype, 32, mode)[0].view(torch.uint8).reshape(-1).tolist() for name, mode in MODES.items()}
        for element, dtype in ELEMENTS.items()
    }
    lines = [f'  "{e}": {{\n' + ",\n".join(f'   "{m}": {json.dumps(b, separators=(",", ":"))}' for m, b in t.items()) + "\n  }" for e, t in table.items()]
    amax = json.dumps([f"{b:08x}" for b in bits.tolist()], separators=(",", ":"))
    text = f'{{\n "amax_f32_bits": {amax},\n "scale_bytes": {{\n' + ",\n".join(lines) + "\n }\n}\n"
    assert json.loads(text)["scale_bytes"] == table
    (GOLDEN / "torchao-mx-scales.json").write_text(text)
    print(len(bits), "amax values,", len(text), "bytes")


if __name__ == "__main__":
    main()
