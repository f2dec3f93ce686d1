"""Small checkpoints as optimum-quanto 0.2.7 saves them on a CPU, and what it decodes (with its own unpacking in Python instead of the same in C++).

    python make_layouts_quanto.py OUT
"""

import importlib
import pathlib
import sys
import types
from unittest import mock

import torch
from layout_files import digest, write_folder
from layout_inputs import DOWN_PROJ, K_PROJ, model_config, norm, weights
from optimum.quanto import __version__, freeze, qfloat8_e4m3fn, qfloat8_e5m2, qint2, qint4, qint8, quantization_map, quantize
from optimum.quanto.library.extensions import cpp

# Its unpacking in Python, which is registered behind the one in C++ and has no name afterwards; the latter would be compiled first.
with mock.patch("torch.library.define"), mock.patch("torch.library.impl", lambda *_: lambda function: function):
    cpp.ext._lib = types.SimpleNamespace(unpack=importlib.reload(sys.modules["optimum.quanto.library.unpack"]).unpack)

SHAPES = {K_PROJ: (40, 128), DOWN_PROJ: (64, 192)}


def tree(linears, dtype):
    root = torch.nn.Module()
    for name, w in linears.items():
        parent = root
        *path, leaf = name.split(".")
        for step in path:
            if not hasattr(parent, step):
                parent.add_module(step, torch.nn.Module())
            parent = getattr(parent, step)
        linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False, dtype=dtype)
        linear.weight.data = w
        parent.add_module(leaf, linear)
    return root


def make(out, name, word, qtype, dtype=torch.bfloat16, activations=None):
    root = tree(weights(SHAPES, dtype), dtype)
    quantize(root, weights=qtype, activations=activations)
    freeze(root)
    values = {}
    for module in SHAPES:
        w = root.get_submodule(module).weight
        values[f"{module}.weight"] = digest(w.dequantize(), f"optimum-quanto {__version__}: {type(w).__name__}.dequantize")
    q = {"quant_method": "quanto", "weights": word, "activations": "int8" if activations else None, "modules_to_not_convert": ["lm_head"]}
    config = model_config(str(dtype).removeprefix("torch."), quantization_config=q)
    tensors = norm(dtype) | root.state_dict()
    write_folder(out / f"quanto-{name}", config, tensors, values, others={"quanto_qmap.json": quantization_map(root)})
    print({k.removeprefix(K_PROJ): (str(t.dtype), list(t.shape)) for k, t in tensors.items() if K_PROJ in k})


def main():
    torch.set_grad_enabled(False)
    out = pathlib.Path(sys.argv[1])
    make(out, "qint2", "int2", qint2)
    make(out, "qint4", "int4", qint4)
    make(out, "qint4-f16", "int4", qint4, torch.float16)
    make(out, "qint8", "int8", qint8)
    make(out, "qint8-activations", "int8", qint8, activations=qint8)
    make(out, "qfloat8", "float8", qfloat8_e4m3fn)
    make(out, "qfloat8-e5m2", "float8", qfloat8_e5m2)


if __name__ == "__main__":
    main()
