"""Small checkpoints as ModelOpt 0.47 exports them on a CPU: the formats that the zoo lacks. Cut to k_proj, v_proj, down_proj and a norm.

    python make_layouts_modelopt.py OUT WORK      WORK: an empty directory

A Llama with one layer, max calibration on random tokens, export_hf_checkpoint. NVFP4_AWQ: its search needs a GPU, so the pre_quant_scale is set by hand before
the export. W4A8_AWQ holds the INT4 stage only; its weight_scale_2 belongs to the FP8 stage of the kernel, not to the weight (see README).
"""

import copy
import json
import pathlib
import shutil
import sys

import modelopt.torch.quantization as mtq
import torch
from layout_decoders import decode
from layout_files import LAYER, read_raw, write_raw, write_values
from layout_inputs import DOWN_PROJ, K_PROJ, NORM, model_config, weights
from make_layouts_zoo import CONFIGS
from modelopt.torch.export import export_hf_checkpoint
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

V_PROJ = LAYER + "self_attn.v_proj"
SHAPES = {K_PROJ: (32, 128), DOWN_PROJ: (128, 256), V_PROJ: (32, 128)}
KEPT = tuple(name + "." for name in SHAPES) + (NORM,)


def llama():
    settings = {k: v for k, v in model_config().items() if k not in ("architectures", "model_type")} | {"intermediate_size": 256}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**settings)).to(torch.bfloat16).eval()
    model.config.architectures = ["LlamaForCausalLM"]
    for name, w in weights(SHAPES).items():
        model.get_submodule(name).weight.data = w
    return model


def with_kv(config, kv):
    return mtq.utils.update_quant_cfg_with_kv_cache_quant(copy.deepcopy(config), copy.deepcopy(kv["quant_cfg"]))


def max_only(config):
    return copy.deepcopy(config) | {"algorithm": "max"}


def smooth(model):
    """What AWQ leaves on a quantized linear: the scale that its input quantizer multiplies by."""
    for module in model.modules():
        if hasattr(module, "input_quantizer") and isinstance(module, torch.nn.Linear):
            n = module.in_features
            scale = torch.exp2(torch.linspace(-1, 1, n)).to(torch.bfloat16)
            module.input_quantizer.pre_quant_scale = scale
            module.input_quantizer._enable_pre_quant_scale = True


def mixed():
    made = copy.deepcopy(mtq.FP8_DEFAULT_CFG)
    for entry in copy.deepcopy(mtq.NVFP4_DEFAULT_CFG["quant_cfg"]):
        name = entry.get("quantizer_name", "") if isinstance(entry, dict) else ""
        if name in ("*weight_quantizer", "*input_quantizer"):
            made["quant_cfg"].append(entry | {"quantizer_name": name.replace("*", "*mlp*", 1)})
    return made


RUNS = {  # folder: (configuration, what is done to the calibrated model)
    "w4a8-nvfp4-fp8": (lambda: mtq.W4A8_NVFP4_FP8_CFG, None),
    "nvfp4-awq": (lambda: max_only(mtq.NVFP4_AWQ_LITE_CFG), smooth),
    "w4a8-awq": (lambda: max_only(mtq.W4A8_AWQ_BETA_CFG), smooth),
    "w4a8-mxfp4-fp8": (lambda: mtq.W4A8_MXFP4_FP8_CFG, None),
    "mixed": (mixed, None),
    "fp8-kv": (lambda: with_kv(mtq.FP8_DEFAULT_CFG, mtq.FP8_KV_CFG), None),
    "fp8-kv-affine": (lambda: with_kv(mtq.FP8_DEFAULT_CFG, mtq.FP8_AFFINE_KV_CFG), None),
    "nvfp4-kv-affine": (lambda: with_kv(mtq.NVFP4_DEFAULT_CFG, mtq.NVFP4_AFFINE_KV_CFG), None),
    "nvfp4-kv": (lambda: with_kv(mtq.NVFP4_DEFAULT_CFG, mtq.NVFP4_KV_CFG), None),
    "fp8-blk-2d": (lambda: mtq.FP8_2D_BLOCKWISE_WEIGHT_ONLY_CFG, None),
}


def main():
    torch.set_grad_enabled(False)
    out, work = map(pathlib.Path, sys.argv[1:3])
    tokens = torch.randint(0, 64, (4, 32), generator=torch.Generator().manual_seed(1))
    for name, (config, change) in RUNS.items():
        try:
            model = llama()
            mtq.quantize(model, copy.deepcopy(config()), forward_loop=lambda m: m(tokens))
            if change:
                change(model)
            export_hf_checkpoint(model, dtype=torch.bfloat16, export_dir=work / name)
        except Exception as error:
            print(name, "FAILS", type(error).__name__, str(error)[:300])
            continue
        folder = out / f"modelopt-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in CONFIGS:
            if (work / name / file).exists():
                shutil.copyfile(work / name / file, folder / file)
        metadata, tensors = read_raw(work / name / "model.safetensors")
        tensors = {n: t for n, t in tensors.items() if n.startswith(KEPT)}
        if name == "fp8-blk-2d":  # the same numbers in the shape that other writers of FP8_PB_WO give them
            tensors = {n: (d, [s for s in shape if s > 1 or len(shape) < 4] or [1], b) for n, (d, shape, b) in tensors.items()}
            grid = {n: [-(-s // 128) for s in tensors[n.removesuffix("_scale")][1]] for n in tensors if n.endswith("weight_scale")}
            tensors = {n: (d, grid.get(n, shape), b) for n, (d, shape, b) in tensors.items()}
        write_raw(folder / "model.safetensors", metadata, tensors)
        tensors = load_file(folder / "model.safetensors")
        values = decode(json.loads((folder / "config.json").read_text()), tensors)
        write_values(folder, values)
        print(folder.name, sum(f.stat().st_size for f in folder.iterdir()), {n[15:]: (str(t.dtype)[6:], list(t.shape)) for n, t in tensors.items()}, len(values))


if __name__ == "__main__":
    main()
