"""Digests of checkpoints that other tools wrote, one JSON file per checkpoint.

    python make_parity.py CHECKPOINTS OUT

CHECKPOINTS holds one folder per checkpoint (model.safetensors, config.json and, from ModelOpt, hf_quant_config.json), each made by
the named tool from testdata/austen-2m. OUT/NAME.json then holds, per tensor and sorted by name, dtype (as in the file), shape and the SHA-256
of its bytes, and the two configurations as the tool wrote them. Needs nothing but Python.
"""

import hashlib
import json
import pathlib
import struct
import sys

MODELOPT = "NVIDIA Model Optimizer 0.47.0"
COMPRESSED = "llm-compressor 0.14 with compressed-tensors 0.19.0"

# folder -> (tool, the tool's name for the scheme)
CHECKPOINTS = {
    "modelopt-w4a16-nvfp4": (MODELOPT, "W4A16_NVFP4_CFG"),
    "modelopt-mxfp4": (MODELOPT, "MXFP4 weights, no activations"),
    "modelopt-mxfp8": (MODELOPT, "MXFP8_DEFAULT_CFG"),
    "modelopt-int8-wo": (MODELOPT, "INT8_WEIGHT_ONLY_CFG"),
    "modelopt-fp8-pcpt": (MODELOPT, "FP8_PER_CHANNEL_PER_TOKEN_CFG"),
    "modelopt-fp8-blk": (MODELOPT, "FP8_2D_BLOCKWISE_WEIGHT_ONLY_CFG"),
    "ct-nvfp4a16": (COMPRESSED, "NVFP4A16"),
    "ct-mxfp4a16": (COMPRESSED, "MXFP4A16"),
    "ct-mxfp8a16": (COMPRESSED, "MXFP8A16"),
    "ct-w4a16": (COMPRESSED, "W4A16"),
    "ct-w4a16_asym": (COMPRESSED, "W4A16_ASYM"),
    "ct-w8a16": (COMPRESSED, "W8A16"),
    "ct-w8a8": (COMPRESSED, "W8A8"),
    "ct-fp8_dynamic": (COMPRESSED, "FP8_DYNAMIC"),
    "ct-fp8_block": (COMPRESSED, "FP8_BLOCK"),
}


def tensors(path):
    """Yields (name, dtype, shape, bytes) of a safetensors file in name order."""
    blob = path.read_bytes()
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + length])
    header.pop("__metadata__", None)
    data = memoryview(blob)[8 + length :]
    for name in sorted(header):
        entry = header[name]
        begin, end = entry["data_offsets"]
        yield name, entry["dtype"], entry["shape"], data[begin:end]


def digest(folder, tool, scheme):
    config = json.loads((folder / "config.json").read_text())
    side = folder / "hf_quant_config.json"
    return {
        "tool": tool,
        "scheme": scheme,
        "source": "austen-2m",
        "tensors": {
            name: {"dtype": dtype, "shape": shape, "sha256": hashlib.sha256(data).hexdigest()}
            for name, dtype, shape, data in tensors(folder / "model.safetensors")
        },
        "quantization_config": config["quantization_config"],
        "hf_quant_config": json.loads(side.read_text()) if side.exists() else None,
    }


def dump(record):
    """JSON with one line per tensor, so that a diff shows which one changed."""
    lines = [f"    {json.dumps(name)}: {json.dumps(value)}" for name, value in record["tensors"].items()]
    rest = {key: value for key, value in record.items() if key != "tensors"}
    head = json.dumps(rest, indent=2, ensure_ascii=False)
    return head[:-2] + ',\n  "tensors": {\n' + ",\n".join(lines) + "\n  }\n}\n"


def main():
    source, out = map(pathlib.Path, sys.argv[1:3])
    for name, (tool, scheme) in CHECKPOINTS.items():
        record = digest(source / name, tool, scheme)
        text = dump(record)
        assert json.loads(text) == record
        (out / f"{name}.json").write_text(text)
        print(f"{name}: {len(record['tensors'])} tensors")


if __name__ == "__main__":
    main()
