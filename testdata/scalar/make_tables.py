"""Writes the golden tables of this folder: what ml_dtypes and bitsandbytes say each code and each input means.

    pip install -r requirements.txt && python make_tables.py        # about 15 minutes, nearly all of it in from_f32

decode.txt     one line per type: NAME, then the value of code 0, 1, 2 ... as the bits of an f32 in hex
from_f16.txt   one line per type: NAME, then runs START:CODE over all 2^16 inputs in the order of their bits;
from_bf16.txt  a run lasts until the next START. Nothing is sampled: the runs are the whole function.
from_f32.txt   the same over all 2^32 inputs
"""

import sys
from pathlib import Path

import ml_dtypes
import numpy as np

HERE = Path(__file__).parent

FLOATS = {
    "E2M1": ml_dtypes.float4_e2m1fn,
    "E3M2": ml_dtypes.float6_e3m2fn,
    "E2M3": ml_dtypes.float6_e2m3fn,
    "E4M3": ml_dtypes.float8_e4m3fn,
    "E5M2": ml_dtypes.float8_e5m2,
    "E8M0": ml_dtypes.float8_e8m0fnu,
    "E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "E4M3B11FNUZ": ml_dtypes.float8_e4m3b11fnuz,
    "E4M3Ieee": ml_dtypes.float8_e4m3,
    "E3M4": ml_dtypes.float8_e3m4,
}
INTEGERS = {
    "Int1": ml_dtypes.int1,
    "Int2": ml_dtypes.int2,
    "Int4": ml_dtypes.int4,
    "Uint1": ml_dtypes.uint1,
    "Uint2": ml_dtypes.uint2,
    "Uint4": ml_dtypes.uint4,
}
BITS = {"E2M1": 4, "E3M2": 6, "E2M3": 6}
CHUNK = 1 << 22


def f32_hex(values):
    return [f"{bits:08x}" for bits in np.asarray(values, dtype=np.float32).view(np.uint32).tolist()]


def decode_lines():
    for name, dtype in {**FLOATS, **INTEGERS}.items():
        bits = BITS.get(name) or (int(name[-1]) if name in INTEGERS else 8)
        codes = np.arange(1 << bits, dtype=np.uint8).view(dtype)
        yield name, f32_hex(codes.astype(np.float32))
    from bitsandbytes.functional import get_4bit_type

    for name in ["Nf4", "Fp4"]:
        yield name, f32_hex(get_4bit_type(name.lower(), device="cpu").numpy())


def runs(dtype, source, unsigned):
    """(first input bits, code) of every run of equal codes over all inputs of the source type, in order of their bits."""
    width = np.dtype(unsigned).itemsize * 8
    previous = None
    for start in range(0, 1 << width, CHUNK):
        stop = min(start + CHUNK, 1 << width)
        bits = np.arange(start, stop, dtype=np.uint64).astype(unsigned)
        codes = bits.view(source).astype(dtype).view(np.uint8)
        firsts = np.flatnonzero(codes[1:] != codes[:-1]) + 1
        if codes[0] != previous:
            firsts = np.concatenate([[0], firsts])
        for first in firsts.tolist():
            yield f"{start + first:0{width // 4}x}:{codes[first]:02x}"
        previous = codes[-1]


def write(file, lines):
    with open(HERE / file, "w") as out:
        for name, cells in lines:
            print(file, name, len(cells), file=sys.stderr)
            out.write(" ".join([name, *cells]) + "\n")
            out.flush()


def main():
    np.seterr(all="ignore")
    write("decode.txt", decode_lines())
    for file, source, unsigned in [
        ("from_f16.txt", np.float16, np.uint16),
        ("from_bf16.txt", ml_dtypes.bfloat16, np.uint16),
        ("from_f32.txt", np.float32, np.uint32),
    ]:
        write(file, ((name, list(runs(dtype, source, unsigned))) for name, dtype in FLOATS.items()))


if __name__ == "__main__":
    main()
