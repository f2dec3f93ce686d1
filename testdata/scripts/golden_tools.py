"""What the three make_golden_*.py scripts share: which cases a scheme gets, and how its file is written."""

import json

import ml_dtypes
import numpy as np
import torch
from recipes import BF16, E4M3, F16, F32, GOLDEN, read_safetensors, write_safetensors

INPUTS = read_safetensors(GOLDEN / "inputs.safetensors")
GENERAL = {"normal", "zeros", "decay", "huge", "small", "tiny", "subnormal", "negative", "both_signs", "zero_matrix", "near_max", "largest"}


def kind(case):
    return case.rpartition("_")[0]


def cases(*kinds):
    """The general cases, and those of the kinds that exercise the scheme's own decision points or shapes."""
    return [c for c in INPUTS if kind(c) in GENERAL or kind(c) in kinds]


def only(*kinds):
    return [c for c in INPUTS if kind(c) in kinds]


def tensor(array):
    if array.dtype == BF16:
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(array.copy())


def array(t):
    t = t.detach().cpu().contiguous()
    for dtype, bits, view in [(torch.bfloat16, torch.int16, BF16), (torch.float8_e4m3fn, torch.uint8, E4M3)]:
        if t.dtype == dtype:
            return t.view(bits).numpy().view(view)
    return t.numpy()


def is_float(a):
    return a.dtype in (F32, F16, BF16, E4M3)


def write(name, cases, run, broken=()):
    """Runs run(matrix) -> {suffix: tensor} on each case; a case that fails or yields NaN or infinity is left out, and said so.

    broken: {case kind: reason} known to be meaningless although finite.
    """
    out, dropped = {}, {}
    for case in sorted(cases):
        if kind(case) in dict(broken) or case in dict(broken):
            dropped[case] = dict(broken).get(case) or dict(broken)[kind(case)]
            continue
        try:
            made = {suffix: array(t) for suffix, t in run(tensor(INPUTS[case])).items()}
        except Exception as error:  # the tool's own refusals differ in type
            dropped[case] = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
            continue
        bad = [s for s, a in made.items() if is_float(a) and not np.isfinite(a.astype(np.float64)).all()]
        if bad:
            dropped[case] = "NaN or infinity in " + ", ".join(bad)
            continue
        out |= {f"{case}.{suffix}": a for suffix, a in made.items()}
    write_safetensors(GOLDEN / f"{name}.safetensors", out)
    path = GOLDEN / "dropped.json"
    record = json.loads(path.read_text()) if path.exists() else {}
    record[name] = dropped
    path.write_text(json.dumps(dict(sorted(record.items())), indent=1) + "\n")
    print(f"{name}: {len(out)} tensors, {len(dropped)} cases dropped, {(GOLDEN / f'{name}.safetensors').stat().st_size} bytes")
