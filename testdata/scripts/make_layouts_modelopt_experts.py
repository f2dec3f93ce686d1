"""Stacks of experts as ModelOpt 0.47 exports them on a CPU: Llama 4 and gpt-oss keep them turned, [experts, in, out].

    python make_layouts_modelopt_experts.py OUT WORK      WORK: an empty directory

One layer of each, max calibration on random tokens, export_hf_checkpoint; cut to the experts and a norm.
"""

import copy
import json
import pathlib
import shutil
import sys

import modelopt.torch.quantization as mtq
import torch
from layout_files import LAYER, digest, read_raw, write_raw, write_values
from make_layouts_zoo import CONFIGS
from modelopt.torch.export import export_hf_checkpoint
from modelopt.torch.quantization.qtensor import FP8QTensor, NVFP4QTensor
from safetensors.torch import load_file
from transformers import GptOssConfig, GptOssForCausalLM, Llama4ForCausalLM, Llama4TextConfig

SIZES = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32, "vocab_size": 64, "tie_word_embeddings": True}


def gpt_oss():
    return GptOssForCausalLM(GptOssConfig(**SIZES, intermediate_size=32, num_local_experts=2, num_experts_per_tok=1))


def llama4():
    config = Llama4TextConfig(**SIZES, intermediate_size=32, intermediate_size_mlp=32, num_local_experts=2, num_experts_per_tok=1, moe_layers=[0])
    return Llama4ForCausalLM(config)


RUNS = {
    "gpt-oss-nvfp4": (gpt_oss, mtq.NVFP4_DEFAULT_CFG),
    "llama4-nvfp4": (llama4, mtq.NVFP4_DEFAULT_CFG),
    "llama4-fp8": (llama4, mtq.FP8_DEFAULT_CFG),
    "llama4-fp8-pcpt": (llama4, mtq.FP8_PER_CHANNEL_PER_TOKEN_CFG),
}


def decode(tensors, dtype):
    """{stack: weight [experts, out, in]}: ModelOpt's classes on the matrices as they were quantized."""
    for name, w in tensors.items():
        scale = tensors.get(f"{name}_weight_scale")
        if scale is None:
            continue
        turned = w.transpose(1, 2).contiguous()
        second = tensors.get(f"{name}_weight_scale_2")
        if second is not None:
            made = NVFP4QTensor((*turned.shape[:2], 2 * turned.shape[2]), dtype, turned)
            made = made.dequantize(dtype=dtype, scale=scale.transpose(1, 2).contiguous(), double_scale=second, block_sizes={-1: 16})
            yield name, made, "NVFP4QTensor"
        else:
            scale = scale if scale.dim() == 0 else scale.reshape(turned.shape[0], -1, 1)
            yield name, turned.to(dtype) * scale.to(dtype), "FP8, codes times scale"


def main():
    torch.set_grad_enabled(False)
    out, work = map(pathlib.Path, sys.argv[1:3])
    tokens = torch.randint(0, 64, (4, 32), generator=torch.Generator().manual_seed(1))
    for name, (build, config) in RUNS.items():
        try:
            torch.manual_seed(0)
            model = build().to(torch.bfloat16).eval()
            for parameter in model.parameters():
                parameter.data.normal_(0, 0.05)
            model.config.architectures = [type(model).__name__]
            mtq.quantize(model, copy.deepcopy(config), forward_loop=lambda m: m(tokens))
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
        print(name, {n: (t[0], t[1]) for n, t in tensors.items()})
        kept = (LAYER + "mlp.experts.", LAYER + "feed_forward.experts.", LAYER + "input_layernorm")
        write_raw(folder / "model.safetensors", metadata, {n: t for n, t in tensors.items() if n.startswith(kept)})
        tensors = load_file(folder / "model.safetensors")
        values = {}
        for (weight, made, how), (_, also, _) in zip(decode(tensors, torch.bfloat16), decode(tensors, torch.float32)):
            values[weight] = digest(made, f"nvidia-modelopt 0.47: {how}") | {"also": digest(also, f"nvidia-modelopt 0.47: {how}")}
        write_values(folder, values)
        print(folder.name, sum(f.stat().st_size for f in folder.iterdir()), len(values))


if __name__ == "__main__":
    main()
