"""Small GPTQ checkpoints as GPTQModel packs them, and what its torch layer decodes.

    PYTHONPATH=gptqmodel-7.7.0 python make_layouts_gptq.py OUT     # the unpacked source archive; its torch layers need no kernels

Scales and zero points are the plain minimum and maximum of a group (the search for better codes is not what these files test). Where AutoRound's
torch layer can read the file too, it has to give the same bits.
"""

import importlib.metadata
import pathlib
import sys

import torch
from gptqmodel.nn_modules.qlinear.torch import TorchLinear
from gptqmodel.quantization import FORMAT
from gptqmodel.quantization.config import QuantizeConfig
from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module, convert_gptq_v2_to_v1_format_module
from gptqmodel.version import __version__
from layout_files import digest, write_folder
from layout_gptq import dequantize
from layout_inputs import DOWN_PROJ, K_PROJ, SMALL, model_config, norm, weights

RAGGED = {K_PROJ: (36, 128), DOWN_PROJ: (64, 80)}  # columns of zero points that words, and rows that groups do not divide


def range_of(w, bits, group, symmetric, g_idx, smallest_zero=1):
    """([out, groups] scales in float16, zero points), GPTQ's min-max with 0 in the range."""
    groups = [w[:, g_idx == g] for g in range(int(g_idx.max()) + 1)]
    low = torch.stack([g.float().amin(1) for g in groups], 1).clamp(max=0)
    high = torch.stack([g.float().amax(1) for g in groups], 1).clamp(min=0)
    top = 2**bits - 1
    if symmetric:
        high = torch.maximum(-low, high)
        low = -high
    empty = (low == 0) & (high == 0)
    low, high = torch.where(empty, -1.0, low), torch.where(empty, 1.0, high)
    scale = ((high - low) / top).half().float()
    zero = torch.full_like(scale, (top + 1) / 2) if symmetric else torch.round(-low / scale).clamp(smallest_zero, top)
    return scale, zero


def layer_of(w, bits, group, symmetric, order, form, smallest_zero):
    size = w.shape[1] if group == -1 else group
    g_idx = (torch.arange(w.shape[1]) // size).to(torch.int32)
    if order:
        g_idx = g_idx[torch.randperm(w.shape[1], generator=torch.Generator().manual_seed(7))]
    scale, zero = range_of(w, bits, group, symmetric, g_idx, smallest_zero)
    linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False, dtype=torch.float32)
    linear.weight.data = w.float()
    layer = TorchLinear(
        bits=bits, group_size=group, sym=symmetric, desc_act=order, in_features=w.shape[1], out_features=w.shape[0], format=form, register_buffers=True
    )
    layer.pack_original(linear, scale, zero, g_idx)
    return layer.eval()


def make(out, name, bits, group=32, symmetric=True, order=False, form="gptq_v2", label=None, shapes=SMALL, smallest_zero=1):
    """form: what the tensors hold; label: what the configuration says."""
    label = label or form
    tensors, values = norm(torch.float16), {}
    for module, w in weights(shapes, torch.float16).items():
        layer = layer_of(w, bits, group, symmetric, order, FORMAT(form), smallest_zero)
        layer.post_init()
        decoded = layer.dequantize_weight().T
        if form == "gptq":
            v2 = layer.qzeros.clone()
            convert_gptq_v2_to_v1_format_module(layer, QuantizeConfig(bits=bits))
            v1 = layer.qzeros.clone()
            convert_gptq_v1_to_v2_format_module(layer, bits, torch.int32)
            assert torch.equal(layer.qzeros, v2)
            layer.qzeros = v1
        t = {k: getattr(layer, k) for k in ("qweight", "qzeros", "scales", "g_idx")}
        if bits in (2, 3, 4, 8) and form != "gptq_p" and shapes is SMALL and smallest_zero:
            other, _ = dequantize(t, bits, group, "v1" if form == "gptq" else "v2")
            assert torch.equal(other.view(torch.int16), decoded.half().view(torch.int16)), "AutoRound's layer decodes something else"
        tensors |= {f"{module}.{k}": v for k, v in t.items()}
        values[f"{module}.weight"] = digest(decoded, f"gptqmodel {__version__}: TorchLinear.dequantize_weight, transposed")
    q = {
        "bits": bits,
        "group_size": group,
        "desc_act": order,
        "lm_head": False,
        "method": "gptq",
        "quant_method": "gptq",
        "format": label,
        "checkpoint_format": label,
        "pack_dtype": "int32",
        "sym": symmetric,
        "meta": {"quantizer": [f"gptqmodel:{__version__}"], "damp_percent": 0.05, "static_groups": False, "true_sequential": True},
    }
    config = model_config("float16", quantization_config=q)
    write_folder(out / f"gptq-{name}", config, tensors, values, others={"quantize_config.json": q})


def main():
    torch.set_grad_enabled(False)
    out = pathlib.Path(sys.argv[1])
    for form in ("gptq", "gptq_v2"):
        version = "v1" if form == "gptq" else "v2"
        for bits in (2, 3, 4, 8):
            for symmetric in (True, False):
                make(out, f"{version}-w{bits}-{'sym' if symmetric else 'asym'}", bits, symmetric=symmetric, form=form)
        make(out, f"{version}-w4-act-order", 4, symmetric=False, order=True, form=form)
        make(out, f"{version}-w4-channel", 4, group=-1, form=form)
        make(out, f"{version}-w4-ragged", 4, symmetric=False, form=form, shapes=RAGGED)
    make(out, "v2-w8-act-order", 8, order=True)
    make(out, "v2-w4-zero0", 4, symmetric=False, smallest_zero=0)
    make(out, "v1-w4-zero0", 4, symmetric=False, form="gptq", smallest_zero=0)
    for bits in (2, 4, 8):
        make(out, f"v1-holds-v2-w{bits}", bits, label="gptq")
    make(out, "v1-holds-v2-w3", 3, label="gptq")
    for bits in range(2, 9):
        make(out, f"planar-w{bits}", bits, symmetric=bits % 2 == 0, form="gptq_p")
    make(out, "planar-w5-act-order", 5, symmetric=False, order=True, form="gptq_p")


if __name__ == "__main__":
    main()
