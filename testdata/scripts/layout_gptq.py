"""What AutoRound's torch layers decode from GPTQ tensors: v1 (stored zero point + 1) and v2 (as stored)."""

import contextlib
import importlib.metadata
from unittest import mock

import torch


@contextlib.contextmanager
def multiplied():
    """The matrices that a layer hands to torch.matmul: its decoded weight, exactly, with the sign of every zero."""
    seen, matmul = [], torch.matmul
    with mock.patch("torch.matmul", lambda a, b: (seen.append(b), matmul(a, b))[1]):
        yield seen


def dequantize(t, bits, group, zeros):
    """([out, in] in float16, how). t: {qweight, qzeros, scales, maybe g_idx}; zeros "v1" or "v2"."""
    if zeros == "v1":
        from auto_round_extension.torch.qlinear_torch_zp import QuantLinear
    else:
        from auto_round_extension.torch.qlinear_torch import QuantLinear
    rows, columns = t["qweight"].shape[0] * 32 // bits, t["qweight"].shape[1]
    size = rows if group == -1 else group
    if "g_idx" in t and torch.equal(t["g_idx"].long(), torch.arange(rows) // size):
        t = {name: v for name, v in t.items() if name != "g_idx"}  # with g_idx the layer drops columns where out > in
    layer = QuantLinear(bits, group, rows, columns, bias=False, g_idx="g_idx" in t)
    layer.load_state_dict({name: v for name, v in t.items() if name in ("qweight", "qzeros", "scales", "g_idx")})
    with multiplied() as seen:
        layer(torch.zeros(1, rows, dtype=torch.float16))
    how = f"{QuantLinear.__module__}.QuantLinear, the matrix that forward multiplies with, transposed"
    return seen[0].T, f"auto-round {importlib.metadata.version('auto-round')}: {how}"
