"""What the make_layouts_*.py scripts share: one folder of a quantized checkpoint, and the digests of what its own tool decodes."""

import hashlib
import json
import pathlib
import struct

import torch
from safetensors.torch import save

LAYER = "model.layers.0."
NAMES = {torch.bfloat16: "bfloat16", torch.float16: "float16", torch.float32: "float32"}


def read_raw(path):
    """(metadata or None, {name: (dtype, shape, bytes)}) of a safetensors file, in the order of its bytes."""
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    metadata = header.pop("__metadata__", None)
    order = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
    return metadata, {name: (t["dtype"], t["shape"], data[slice(*t["data_offsets"])]) for name, t in order}


def write_raw(path, metadata, tensors):
    """The reverse of read_raw: the header is padded with spaces to 8 bytes, as the safetensors library does."""
    header, offset = {} if metadata is None else {"__metadata__": metadata}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def little_endian(tensor):
    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def digest(tensor, how):
    """What values.json says of one decoded weight."""
    tensor = tensor.detach().cpu()
    return {
        "dtype": NAMES[tensor.dtype],
        "shape": list(tensor.shape),
        "sha256": hashlib.sha256(little_endian(tensor)).hexdigest(),
        "head": tensor.flatten()[:4].float().tolist(),
        "how": how,
    }


def write_values(folder, values):
    lines = [f" {json.dumps(name)}: {json.dumps(value)}" for name, value in sorted(values.items())]
    (pathlib.Path(folder) / "values.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def write_json(path, value):
    pathlib.Path(path).write_text(json.dumps(value, indent=1) + "\n")


def write_folder(folder, config, tensors, values, metadata={"format": "pt"}, others={}):
    """config.json, model.safetensors, values.json and {name: JSON value} of other configuration files."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    write_json(folder / "config.json", config)
    for name, value in others.items():
        write_json(folder / name, value)
    tensors = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    (folder / "model.safetensors").write_bytes(save(tensors, metadata))
    write_values(folder, values)
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{folder.name}: {len(tensors)} tensors, {size} bytes, {len(values)} values")


def of_module(tensors, module):
    """{suffix: tensor} of one module."""
    return {name[len(module) + 1 :]: t for name, t in tensors.items() if name.startswith(module + ".")}


def modules(tensors, suffix):
    """Modules that have a tensor with this suffix."""
    return sorted(name[: -len(suffix) - 1] for name in tensors if name.endswith("." + suffix))
