"""Cuts whole checkpoints of other tools to two linears and a norm of layer 0, and records what each tool decodes from them.

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
        write_raw(folder / "model.safetensors", metadata, {n: t for n, t in tensors.items() if n.startswith(KEPT)})
        config = json.loads((folder / "config.json").read_text())
        values = layout_decoders.decode(config, load_file(folder / "model.safetensors"))
        assert len(values) == 2, (source.name, sorted(values))
        write_values(folder, values)
        print(source.name, sum(f.stat().st_size for f in folder.iterdir()), {v["dtype"] for v in values.values()})


if __name__ == "__main__":
    main()
