"""Cuts whole checkpoints of other tools to one or two linears and a norm of layer 0, and records what each tool decodes from them.

    python make_layouts_zoo.py ZOO OUT        every folder of ZOO becomes one of OUT

Byte for byte the tool's own tensors and configurations; only what belongs to other modules is left out. Packages: requirements-layouts.txt.
"""

import json
import pathlib
import shutil
import sys

import layout_decoders
from layout_files import LAYER, read_raw, write_raw, write_values
from safetensors.torch import load_file

KEPT = tuple(LAYER + m + "." for m in ["self_attn.k_proj", "mlp.down_proj", "input_layernorm"])
# One linear says as much as two where every row is for itself; k_proj is the smaller one.
ONE = {
    "bnb-fp4", "bnb-int8", "ct-fp8_dynamic", "ct-mxfp4a16", "ct-mxfp8a16", "ct-w8a16", "ct-w8a8", "modelopt-fp8", "modelopt-fp8-pcpt",
    "modelopt-int8-sq", "modelopt-int8-wo", "modelopt-mxfp4", "modelopt-mxfp8", "modelopt-w4a16-nvfp4",
}  # fmt: skip
CONFIGS = ["config.json", "hf_quant_config.json", "quantization_config.json", "quantize_config.json"]


def main():
    zoo, out = map(pathlib.Path, sys.argv[1:3])
    for source in sorted(p for p in zoo.iterdir() if p.is_dir()):
        folder = out / source.name
        folder.mkdir(parents=True, exist_ok=True)
        for name in CONFIGS:
            if (source / name).exists():
                shutil.copyfile(source / name, folder / name)
        metadata, tensors = read_raw(source / "model.safetensors")
        kept = tuple(n for n in KEPT if source.name not in ONE or "down_proj" not in n)
        write_raw(folder / "model.safetensors", metadata, {n: t for n, t in tensors.items() if n.startswith(kept)})
        config = json.loads((folder / "config.json").read_text())
        values = layout_decoders.decode(config, load_file(folder / "model.safetensors"))
        assert len(values) == len(kept) - 1, (source.name, sorted(values))
        write_values(folder, values)
        print(source.name, sum(f.stat().st_size for f in folder.iterdir()), {v["dtype"] for v in values.values()})


if __name__ == "__main__":
    main()
