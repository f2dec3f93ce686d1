"""Small checkpoints as bitsandbytes 0.50 saves them, and what it decodes: NF4 and FP4, plain and nested, and LLM.int8().

    python make_layouts_bitsandbytes.py OUT

Rows of 90 columns, which blocks of 64 do not divide: blocks run on through rows.
"""

import pathlib
import sys

import bitsandbytes
import torch
from layout_decoders import decode
from layout_files import write_folder
from layout_inputs import DOWN_PROJ, K_PROJ, RAGGED, model_config, norm, weights

SKIP = {"llm_int8_enable_fp32_cpu_offload": False, "llm_int8_has_fp16_weight": False, "llm_int8_skip_modules": ["lm_head"], "llm_int8_threshold": 6.0}
MANY = {K_PROJ: (33, 128), DOWN_PROJ: (202, 90)}  # more than 256 blocks of 64: a second block of nested scales


def four_bits(w, quant_type, nested, blocksize):
    parameter = bitsandbytes.nn.Params4bit(
        w, requires_grad=False, blocksize=blocksize, compress_statistics=nested, quant_type=quant_type, quant_storage=torch.uint8
    )
    linear = bitsandbytes.nn.Linear4bit(w.shape[1], w.shape[0], bias=False, quant_type=quant_type)
    linear.weight = parameter.to("cpu")
    return dict(linear.state_dict())


def eight_bits(w):
    linear = bitsandbytes.nn.Linear8bitLt(w.shape[1], w.shape[0], bias=False, has_fp16_weights=False)
    linear.weight = bitsandbytes.nn.Int8Params(w, requires_grad=False, has_fp16_weights=False).to("cpu")
    return dict(linear.state_dict())


def make(out, name, of, shapes, dtype, settings):
    named = str(dtype).removeprefix("torch.")
    tensors = norm(dtype)
    for module, w in weights(shapes, dtype).items():
        tensors |= {f"{module}.{suffix}": t for suffix, t in of(w).items()}
    eight = "load_in_8bit" in settings
    q = {
        "_load_in_4bit": not eight,
        "_load_in_8bit": eight,
        "bnb_4bit_compute_dtype": "float32",
        "bnb_4bit_quant_storage": "uint8",
        "bnb_4bit_quant_type": "fp4",
        "bnb_4bit_use_double_quant": False,
        "load_in_4bit": not eight,
        "load_in_8bit": False,
        "quant_method": "bitsandbytes",
        **SKIP,
        **settings,
    }
    config = model_config(named, quantization_config=q)
    write_folder(out / f"bnb-{name}", config, tensors, decode(config, tensors))


def main():
    torch.set_grad_enabled(False)
    out = pathlib.Path(sys.argv[1])
    for quant_type in ("nf4", "fp4"):
        for nested in (False, True):
            settings = {"bnb_4bit_quant_type": quant_type, "bnb_4bit_use_double_quant": nested}
            name = quant_type + ("-nested" if nested else "")
            make(out, name, lambda w: four_bits(w, quant_type, nested, 64), MANY if nested else RAGGED, torch.bfloat16, settings)
        settings = {"bnb_4bit_quant_type": quant_type}
        make(out, f"{quant_type}-f16-b128", lambda w: four_bits(w, quant_type, False, 128), RAGGED, torch.float16, settings)
        make(out, f"{quant_type}-f32", lambda w: four_bits(w, quant_type, False, 64), RAGGED, torch.float32, settings)
    make(out, "int8", eight_bits, RAGGED, torch.float16, {"load_in_8bit": True, "_load_in_8bit": True})


if __name__ == "__main__":
    main()
