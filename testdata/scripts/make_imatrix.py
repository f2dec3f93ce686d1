"""A small importance matrix in both forms: the GGUF form by gguf-py, the older one as llama.cpp wrote it, and the means that both stand for."""

import json
import struct
from pathlib import Path

import numpy as np
from gguf import GGUFWriter

OUT = Path(__file__).parent.parent / "imatrix"
CHUNK = 4


def main():
    random = np.random.default_rng(5)
    # (matrices, channels) of each weight, and tokens of each matrix.
    shapes = {"blk.0.attn_q.weight": (1, 6, [12]), "blk.0.ffn_up_exps.weight": (3, 5, [12, 0, 7]), "blk.1.ffn_down.weight": (1, 9, [12])}
    entries = {}
    for name, (matrices, channels, counts) in shapes.items():
        sums = random.random((matrices, channels), np.float32) * np.array(counts, np.float32)[:, None]
        entries[name] = (sums.astype(np.float32), np.array(counts, np.float32))

    writer = GGUFWriter(OUT / "made.gguf", arch="none")
    writer.kv_data[0].pop("general.architecture")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["one.txt", "two.txt"])
    writer.add_uint32("imatrix.chunk_count", 3)
    writer.add_uint32("imatrix.chunk_size", CHUNK)
    for name, (sums, counts) in entries.items():
        writer.add_tensor(f"{name}.in_sum2", sums)
        writer.add_tensor(f"{name}.counts", counts[:, None])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    legacy = struct.pack("<i", len(entries))
    for name, (sums, counts) in entries.items():
        calls = int(np.ceil(counts.max() / CHUNK))
        means = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], 1).astype(np.float32)
        values = (means * calls).astype("<f4").tobytes()
        legacy += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", calls, means.size) + values
    legacy += struct.pack("<ii", 3, len("one.txt")) + b"one.txt"
    (OUT / "made.dat").write_bytes(legacy)

    means = {name: [(s / c).tolist() if c > 0 else None for s, c in zip(sums.astype(np.float64), counts)] for name, (sums, counts) in entries.items()}
    (OUT / "means.json").write_text(json.dumps(means, indent=1) + "\n")


if __name__ == "__main__":
    main()
