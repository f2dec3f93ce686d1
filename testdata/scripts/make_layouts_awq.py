"""Small AWQ checkpoints as AutoAWQ 0.2.9 packs them: GEMM, GEMV and GEMV-fast.

    PYTHONPATH=autoawq-0.2.9 python make_layouts_awq.py OUT     # the unpacked source archive; packing needs no kernels

AutoAWQ can read only GEMM without its CUDA kernels (dequantize_gemm). GEMV holds the same codes, zero points and scales, so the same values.
GEMV-fast stores -scale * zero rounded to float16; its kernel takes code * scale + that in one float16 fma, which stands here.
"""

import pathlib
import sys

import torch
from awq.modules.linear.gemm import WQLinear_GEMM
from awq.modules.linear.gemv import WQLinear_GEMV
from awq.modules.linear.gemv_fast import WQLinear_GEMVFast
from awq.quantize.quantizer import AwqQuantizer
from awq.utils.packing_utils import dequantize_gemm
from layout_files import digest, write_folder
from layout_inputs import DOWN_PROJ, GROUPS_128, K_PROJ, model_config, norm, weights

SHAPES = {K_PROJ: (32, 128), DOWN_PROJ: (64, 192)}
LAYERS = {"gemm": WQLinear_GEMM, "gemv": WQLinear_GEMV, "gemv_fast": WQLinear_GEMVFast}


def quantized(w, group):
    """(linear that holds the rounded weight, scales [out, groups], zeros), as AwqQuantizer does before it packs."""
    quantizer = AwqQuantizer.__new__(AwqQuantizer)
    quantizer.w_bit, quantizer.group_size, quantizer.zero_point = 4, group, True
    linear = torch.nn.Linear(w.shape[1], w.shape[0], bias=False, dtype=torch.float16)
    linear.weight.data, scales, zeros = quantizer.pseudo_quantize_tensor(w)
    return linear, scales, zeros


def fma(layer, codes, group):
    """code * scale + scaled zero: the sum is exact in float64, so it is rounded once."""
    scale, shift = (t[: codes.shape[1] // group].T.double().repeat_interleave(group, 1) for t in (layer.scales, layer.qzeros))
    return (codes.double() * scale + shift).half()


def make(out, version, group, shapes):
    tensors, values = norm(torch.float16), {}
    for module, w in weights(shapes, torch.float16).items():
        linear, scales, zeros = quantized(w, group)
        gemm = WQLinear_GEMM.from_linear(linear, 4, group, False, scales.T.contiguous(), zeros.T.contiguous())
        decoded = dequantize_gemm(gemm.qweight, gemm.qzeros, gemm.scales, 4, group).T
        how = "dequantize_gemm, transposed"
        layer = gemm
        if version != "gemm":
            layer = LAYERS[version].from_linear(linear, 4, group, False, scales, zeros)
            how += " (of the same codes packed as GEMM)"
        if version == "gemv_fast":
            ones = dequantize_gemm(gemm.qweight, gemm.qzeros * 0, torch.ones_like(gemm.scales), 4, group).T
            decoded, how = fma(layer, ones, group), "code * scale + scaled zero, rounded once to float16 (numpy; the reader is a CUDA kernel)"
        tensors |= {f"{module}.{k}": getattr(layer, k) for k in ("qweight", "qzeros", "scales")}
        values[f"{module}.weight"] = digest(decoded, f"autoawq 0.2.9: {how}")
    q = {"quant_method": "awq", "zero_point": True, "group_size": group, "bits": 4, "version": version, "modules_to_not_convert": None}
    write_folder(out / f"awq-{version}-g{group}", model_config("float16", quantization_config=q), tensors, values)


def main():
    torch.set_grad_enabled(False)
    out = pathlib.Path(sys.argv[1])
    for version in LAYERS:
        make(out, version, 64, SHAPES)
        make(out, version, 128, GROUPS_128)
        if version == "gemv":
            make(out, version, 32, SHAPES)


if __name__ == "__main__":
    main()
