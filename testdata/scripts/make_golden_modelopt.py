"""Golden files of NVIDIA Model Optimizer: a model of one linear, quantized by `mtq.quantize` and packed by the exporter's own function."""

import copy

import modelopt.torch.quantization as mtq
import torch
from golden_tools import cases, write
from modelopt.torch.export.unified_export_hf import _export_quantized_weight

SCHEMES = {  # file: (configuration, cases)
    "modelopt-w4a16-nvfp4": (mtq.W4A16_NVFP4_CFG, cases("ties_e2m1", "ties_e2m1_pow2", "quotients")),
    "modelopt-mxfp4": (mtq.MXFP4_DEFAULT_CFG, cases("ties_e2m1", "log2")),
    "modelopt-mxfp8": (mtq.MXFP8_DEFAULT_CFG, cases("ties_e4m3", "log2")),
    "modelopt-int8-wo": (mtq.INT8_WEIGHT_ONLY_CFG, cases("ties_int8", "quotients_row", "ragged")),
    "modelopt-fp8-pcpt": (mtq.FP8_PER_CHANNEL_PER_TOKEN_CFG, cases("ties_e4m3", "quotients_row", "ragged")),
    "modelopt-fp8-blk": (mtq.FP8_2D_BLOCKWISE_WEIGHT_ONLY_CFG, cases("ties_e4m3", "tiles")),
    "modelopt-fp8": (mtq.FP8_DEFAULT_CFG, cases("ties_e4m3", "quotients_row", "ragged")),
    "modelopt-int4-blk": (mtq.INT4_BLOCKWISE_WEIGHT_ONLY_CFG, cases("ties_int4", "quotients_row")),
}


def export(weight, config):
    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=weight.dtype)
    linear.weight.data.copy_(weight)
    model = torch.nn.Sequential(linear)
    mtq.quantize(model, copy.deepcopy(config), forward_loop=None)
    _export_quantized_weight(model[0], weight.dtype)
    return {n: t for n, t in model[0].state_dict().items() if not n.startswith(("input_quantizer", "weight_quantizer"))}


def main():
    torch.set_grad_enabled(False)
    for name, (config, names) in SCHEMES.items():
        write(name, names, lambda w, config=config: export(w, config))


if __name__ == "__main__":
    main()
