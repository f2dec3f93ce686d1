"""Small checkpoints of quant_method "fp8", "fbgemm_fp8", "mxfp8" and "mxfp4" (gpt-oss), and what transformers decodes.

    python make_layouts_fp8.py OUT

DeepSeek and OpenAI published weights, not writers: the codes here are plain rounding in torch after the formulas of their model cards, the decoders are
those of transformers 5.17 (Fp8Dequantize, convert_moe_packed_tensors) and, where tiles hang over the edge, FP8BlockDequantizer of compressed-tensors.
"""

import pathlib
import sys

import torch
import transformers
from compressed_tensors.entrypoints.convert.converters import FP8BlockDequantizer
from layout_decoders import version
from layout_files import LAYER, digest, write_folder
from layout_inputs import DOWN_PROJ, K_PROJ, RAGGED, SMALL, matrix, model_config, norm, weights
from transformers.integrations.finegrained_fp8 import Fp8Dequantize
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

TILES = {K_PROJ: (128, 128), DOWN_PROJ: (128, 256)}
OVER = {K_PROJ: (32, 128), DOWN_PROJ: (136, 160)}  # tiles hang over the right and the lower edge
E4M3, E8M0 = torch.float8_e4m3fn, torch.float8_e8m0fnu
FOUR_BITS = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
HOW = f"transformers {transformers.__version__}: Fp8Dequantize"


def blocks_amax(w, rows, columns):
    w = torch.nn.functional.pad(w.float().abs(), (0, -w.shape[1] % columns, 0, -w.shape[0] % rows))
    return w.unflatten(0, (-1, rows)).unflatten(-1, (-1, columns)).amax((1, 3))


def spread(scale, shape, rows, columns):
    return scale.repeat_interleave(rows, 0).repeat_interleave(columns, 1)[: shape[0], : shape[1]]


def to_fp8(w, rows=128, columns=128, powers=False):
    """(codes, scales): amax / 448, or that rounded up to a power of two; a tile of zeros has scale 1."""
    scale = blocks_amax(w, rows, columns) / 448
    scale = torch.where(scale == 0, 1.0, scale)
    if powers:
        scale = torch.exp2(torch.ceil(torch.log2(scale)))
    return (w.float() / spread(scale, w.shape, rows, columns)).clamp(-448, 448).to(E4M3), scale


def to_fp4(w):
    """(E2M1 codes, powers of two for 32 columns), the nearest value, ties to the even code."""
    scale = torch.exp2(torch.ceil(torch.log2((w.float().unflatten(-1, (-1, 32)).abs().amax(-1) / 6).clamp(min=2.0**-20))))
    x = w.float() / scale.repeat_interleave(32, -1)
    far = (x.abs()[..., None] - FOUR_BITS).abs()
    even = far + torch.tensor([0, 1, 0, 1, 0, 1, 0, 1]) * 1e-7
    return (even.argmin(-1) + 8 * (torch.signbit(x))).to(torch.uint8), scale


def pair(codes):
    return codes[..., 0::2] | codes[..., 1::2] << 4


def bytes_of(scale):
    return (torch.log2(scale) + 127).to(torch.uint8)


def transformers_reads(w, scale, dtype=torch.bfloat16):
    return Fp8Dequantize(None)._dequantize_one(w, scale, dtype)


def deepseek_v3(out):
    q = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}
    cases = [("fp8-block", TILES, q, False), ("fp8-block-over", OVER, q, False), ("fp8-block-ue8m0", TILES, q | {"scale_fmt": "ue8m0"}, True)]
    for name, shapes, config, powers in cases:
        tensors, values = norm(), {}
        for module, w in weights(shapes).items():
            codes, scale = to_fp8(w, powers=powers)
            tensors |= {f"{module}.weight": codes, f"{module}.weight_scale_inv": scale}
            made, how = FP8BlockDequantizer()._create_dequantized_weight(codes, scale), f"{version('compressed-tensors')}: FP8BlockDequantizer"
            if shapes is TILES:
                assert torch.equal(made, transformers_reads(codes, scale))
                how += f", {HOW}"
            values[f"{module}.weight"] = digest(made, how)
        write_folder(out / name, model_config(quantization_config=config), tensors, values)


def per_tensor(out):
    for name, static in [("fp8-tensor", False), ("fp8-tensor-static", True)]:
        q = {"quant_method": "fp8", "activation_scheme": "static" if static else "dynamic", "weight_block_size": None, "modules_to_not_convert": ["lm_head"]}
        tensors, values = norm(), {}
        for module, w in weights(RAGGED).items():
            scale = w.float().abs().amax() / 448
            codes = (w.float() / scale).to(E4M3)
            tensors |= {f"{module}.weight": codes, f"{module}.weight_scale_inv": scale}
            if static:
                tensors[f"{module}.activation_scale"] = torch.tensor(0.0123)
            values[f"{module}.weight"] = digest(transformers_reads(codes, scale.reshape(1, 1)), HOW)
        write_folder(out / name, model_config(quantization_config=q), tensors, values)


def mxfp8(out):
    q = {"quant_method": "mxfp8", "activation_scheme": "dynamic", "weight_block_size": [1, 32], "modules_to_not_convert": ["lm_head"]}
    tensors, values = norm(), {}
    for module, w in weights(SMALL).items():
        codes, scale = to_fp8(w, 1, 32, powers=True)
        tensors |= {f"{module}.weight": codes, f"{module}.weight_scale_inv": bytes_of(scale)}
        values[f"{module}.weight"] = digest(transformers_reads(codes, bytes_of(scale)), HOW)
    write_folder(out / "fp8-mxfp8", model_config(quantization_config=q), tensors, values)


def deepseek_v4(out):
    """.scale of E8M0; routed experts of packed E2M1 in int8."""
    q = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128], "scale_fmt": "ue8m0"}
    tensors, values = norm(), {}
    for module, w in weights(TILES).items():
        codes, scale = to_fp8(w, powers=True)
        tensors |= {f"{module}.weight": codes, f"{module}.scale": scale.to(E8M0)}
        values[f"{module}.weight"] = digest(transformers_reads(codes, scale.to(E8M0)), HOW)
    for expert in range(2):
        for seed, name in enumerate(["w1", "w2", "w3"]):
            module = f"{LAYER}ffn.experts.{expert}.{name}"
            codes, scale = to_fp4(matrix(32, 64, 10 * expert + seed))
            packed, scale = pair(codes).view(torch.int8), scale.to(E8M0)
            tensors |= {f"{module}.weight": packed, f"{module}.scale": scale}
            values[f"{module}.weight"] = digest(transformers_reads(packed, scale), HOW)
    config = model_config(quantization_config=q, architectures=["DeepseekV4ForCausalLM"], model_type="deepseek_v4", expert_dtype="fp4")
    write_folder(out / "fp8-deepseek-v4", config, tensors, values)


def fbgemm(out):
    """Per row; transformers has kernels for it but no function that decodes: the product stands here."""
    q = {"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0, "modules_to_not_convert": ["lm_head"]}
    tensors, values = norm(), {}
    how = "codes times weight_scale in float32, rounded once (torch; the reader is a CUDA kernel)"
    for module, w in weights(RAGGED).items():
        scale = w.float().abs().amax(1, keepdim=True) / 448
        scale = torch.where(scale == 0, 1.0, scale)
        codes = (w.float() / scale).to(E4M3)
        tensors |= {f"{module}.weight": codes, f"{module}.weight_scale": scale}
        values[f"{module}.weight"] = digest((codes.float() * scale).bfloat16(), how)
    write_folder(out / "fp8-fbgemm", model_config(quantization_config=q), tensors, values)


def gpt_oss(out):
    """convert_moe_packed_tensors gives [experts, in, out]; the digest is of [experts, out, in]."""
    patterns = ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]
    q = {"quant_method": "mxfp4", "modules_to_not_convert": patterns}
    tensors, values = norm(), {}
    for name, (rows, columns) in {"gate_up_proj": (96, 64), "down_proj": (64, 96)}.items():
        stack = f"{LAYER}mlp.experts.{name}"
        codes, scale = to_fp4(torch.stack([matrix(rows, columns, seed) for seed in range(2)]))
        blocks, scales = pair(codes).unflatten(-1, (-1, 16)), bytes_of(scale)
        scales[0, 0, 0], scales[1, 1, 1] = 0, 250  # 2^-127, below the smallest normal, and nearly the largest that decodes to finite values
        bias = torch.linspace(-1, 1, 2 * rows).reshape(2, rows).bfloat16()
        tensors |= {f"{stack}_blocks": blocks, f"{stack}_scales": scales, f"{stack}_bias": bias}
        made = convert_moe_packed_tensors(blocks, scales).transpose(1, 2).contiguous()
        values[stack] = digest(made, f"transformers {transformers.__version__}: convert_moe_packed_tensors, last two axes transposed back")
    config = model_config(quantization_config=q, architectures=["GptOssForCausalLM"], model_type="gpt_oss", num_local_experts=2, num_experts_per_tok=1)
    write_folder(out / "gpt-oss", config, tensors, values)


def main():
    torch.set_grad_enabled(False)
    out = pathlib.Path(sys.argv[1])
    for family in (deepseek_v3, per_tensor, mxfp8, deepseek_v4, fbgemm, gpt_oss):
        family(out)


if __name__ == "__main__":
    main()
