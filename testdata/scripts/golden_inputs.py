"""The weights of the golden cases: what a trained model lacks. Writes testdata/golden/inputs.safetensors.

    python golden_inputs.py [GOLDEN]

A case is a small matrix [N, K] in bf16, f16 or f32, named KIND_DTYPE. See golden/README.md for the list.
"""

import pathlib
import sys

import ml_dtypes
import numpy as np
from recipes import BF16, F16, F32, FP4, GOLDEN, NF4, ct_nvfp4, modelopt_nvfp4, write_safetensors

DTYPES = {"bf16": BF16, "f16": F16, "f32": F32}
K = 256  # divides into blocks of 16, 32, 64 and 128
E2M1_TIES = [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5]


def step(x, d, n):
    """x moved by n representable values of d, away from zero for n > 0."""
    bits = np.uint32 if d == F32 else np.uint16
    return (np.asarray(x).astype(d).view(bits) + bits(n & (0xFFFFFFFF if d == F32 else 0xFFFF))).view(d)


def fill(values, length=K):
    """values repeated to length."""
    return np.resize(np.asarray(values, np.float64), length)


def normal(rng, d):
    return rng.standard_normal((4, K)) * 0.02


def zeros(rng, d):
    """Zeros of both signs, zero blocks of every length, zero rows, a row of one value."""
    w = rng.standard_normal((8, K)) * 0.02
    w[0, ::3] = 0.0
    w[0, 1::3] = -0.0
    w[1, 16:32] = 0.0
    w[1, 64:96] = -0.0
    w[1, 128:256] = 0.0
    w[2] = 0.0
    w[3] = -0.0
    w[4] = 0.0
    w[4, 37] = -0.5
    w[5, :] = 0.125
    w[6] = np.where(np.arange(K) % 2, -0.0, w[6])
    return w


def ties_e2m1(rng, d):
    """Every decision point of E2M1, and its neighbours in d, at block scales 2^j; the tensor's amax is 2688, so that E4M3 scales are exact."""
    rows = []
    for shift in (0, 1, -1):
        blocks = []
        for j in range(8, -8, -2):
            t = step(np.array(E2M1_TIES) * 2.0**j, d, shift).astype(np.float64)
            blocks.append(np.concatenate([[6 * 2.0**j], t, -t, [0.0]]))
            blocks.append(np.concatenate([[-6 * 2.0**j], -t[::-1], t, [-0.0]]))
        rows.append(np.concatenate(blocks))
    top = fill([2688, -2688, 448 * 0.25, 448 * 0.75, -448 * 1.25, 448 * 1.75, 448 * 2.5, -448 * 3.5, 448 * 5])
    return np.stack(rows + [top])


def ties_e2m1_pow2(rng, d):
    """The same with amax a power of two: the block scales of NVFP4 are then multiples of 1/6."""
    w = []
    for j in (0, -3):
        t = np.array(E2M1_TIES) / 6 * 2.0**j
        t = np.concatenate([step(t, d, n).astype(np.float64) for n in (0, 1, -1)])
        block = np.concatenate([[2.0**j], t[:15]]), np.concatenate([[-(2.0**j)], t[6:21]])
        w.append(fill(np.concatenate(block)))
    return np.stack(w)


def e4m3_midpoints():
    codes = np.arange(127, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float64)
    return (codes[1:] + codes[:-1]) / 2


def ties_e4m3(rng, d):
    """Every midpoint of E4M3 and its neighbours in d, amax 448 in each block of 32, of both signs."""
    rows = []
    for shift in (0, 1, -1):
        m = step(e4m3_midpoints(), d, shift).astype(np.float64)
        both = np.concatenate([m, -m])
        both = np.concatenate([both, np.zeros(-len(both) % 31)]).reshape(-1, 31)
        rows.append(np.concatenate([np.concatenate([[448.0 * (-1) ** i], b]) for i, b in enumerate(both)]))
    length = max(map(len, rows))
    assert length <= 2 * K
    return np.stack([fill(r, 2 * K) for r in [*rows, -rows[0]]])


def ties_int8(rng, d):
    """Halves: amax 127 (symmetric, /127), 127.5 (/127.5), and ranges of 255 with three zero points."""
    h = np.arange(0.5, 127, 1)
    both = np.concatenate([h, -h])
    rows = [np.concatenate([[top, -top], both]) for top in (127.0, 127.5)]
    rows += [np.concatenate([[top], [1.0], step(both, d, n).astype(np.float64)]) for top, n in ((127.0, 1), (127.5, -1))]
    return np.stack(rows)


def ties_int4(rng, d):
    """The same for 4 bits: amax 7 and 7.5 in each group of 32, and ranges of 15."""
    h = np.arange(0.5, 7, 1)
    both = np.concatenate([h, -h])
    near = np.concatenate([step(both, d, n).astype(np.float64) for n in (1, -1)])
    rows = [fill(np.concatenate([[top, 0.0], both, [0.0, -top], near[:14]])) for top in (7.0, 7.5)]
    rows += [fill(np.concatenate([[top, 0.0], near, [1.5, -2.5]])) for top in (-7.0, 7.5)]
    for low in (0.0, -15.0, -7.5, -6.5):  # zero points -8, 7, -0.5 -> 0, -1.5 -> -2
        a = np.concatenate([[low, low + 15], np.arange(low + 0.5, low + 15, 1), np.full(15, low + 7)])
        rows.append(fill(a))
    low = -float(step(0.5, d, 2))  # zero point -7.498 -> -7.5 in bf16 and f16 -> -8
    rows.append(fill(np.concatenate([[low, 14.5], rng.uniform(low, 14.5, 30)])))
    return np.stack([*rows, -rows[-1]])


def ties_int_small(rng, d):
    """Halves for 2, 3, 5 and 6 bits, one group of 128 each; amax 1.5, 3.5, 15.5, 31.5."""
    groups = []
    for top in (1.5, 3.5, 15.5, 31.5):
        h = np.arange(0.5, top, 1)
        t = np.concatenate([step(h, d, n).astype(np.float64) for n in (0, 1, -1)])
        groups.append(fill(np.concatenate([[top], t, -t])[:128], 128))
    return np.concatenate(groups).reshape(2, K)


def decay(rng, d):
    """Each block of 16 smaller than the one before: scales go through the subnormals of E4M3 to nothing."""
    rate = 0.4 if d == F16 else 0.75
    scale = 2.0 ** -(np.arange(64) * rate)
    return (rng.uniform(-1, 1, (64, 16)) * 100 * scale[:, None]).reshape(4, K)


def huge(rng, d):
    """Magnitudes from 1e-30 to 1e30 (f16: 6e-8 to 5e4) side by side in a block."""
    low, high = (-7.2, 4.7) if d == F16 else (-30, 30)
    return 10 ** rng.uniform(low, high, (4, K)) * rng.choice([-1, 1], (4, K))


def small(rng, d):
    """amax 0.03: 2688 / amax overflows f16."""
    return rng.uniform(-0.03, 0.03, (2, K))


def tiny(rng, d):
    """amax 1e-36 (f16: 5e-5): 2688 / amax overflows; f16 is subnormal."""
    return rng.uniform(-1, 1, (2, K)) * (5e-5 if d == F16 else 1e-36)


def subnormal(rng, d):
    """Rows of subnormal numbers of d, and rows whose scale is: 1.4 units at 448 and at 127.5 round to 1, so that quotients pass the maximum."""
    least = float(ml_dtypes.finfo(d).smallest_subnormal)
    w = rng.standard_normal((6, K))
    for row, top in ((4, 1.4 * 448), (5, 1.4 * 127.5)):
        w[row] = np.append(rng.uniform(-top, top, K - 1), top) * least
    w[0] = rng.integers(-3, 4, K) * least
    w[1] = rng.integers(-100, 101, K) * least
    w[2, :128] = rng.integers(-60, 61, 128) * least
    return w


def negative(rng, d):
    """Groups without a positive value, and without a negative one."""
    w = np.abs(rng.standard_normal((4, K))) * 0.05
    w[0] *= -1
    w[1, :128] *= -1
    w[2] = -w[2] - 1
    return w


def both_signs(rng, d):
    """+amax and -amax in the same block; amax at the first and the last place of a block."""
    w = rng.uniform(-0.9, 0.9, (2, K))
    w[0, 0::16], w[0, 15::16] = 1.0, -1.0
    w[1, 0::32], w[1, 31::32] = -1.7, 1.7
    return w


def zero_matrix(rng, d):
    w = np.zeros((2, K))
    w[1, ::2] = -0.0
    return w


def near_max(rng, d):
    """Close to the largest number of bf16 and f32 (mantissa below 1.75, so that a power of two above it is not needed); f16: 50000."""
    top = 50000.0 if d == F16 else 1.7 * 2.0**127
    w = rng.uniform(-1, 1, (2, K)) * top
    w[0, 0], w[1, 255] = top, -top
    return w


def largest(rng, d):
    """The largest number of d itself."""
    w = rng.uniform(-1, 1, (2, K)) * float(ml_dtypes.finfo(d).max)
    w[0, 3], w[1, 200] = float(ml_dtypes.finfo(d).max), -float(ml_dtypes.finfo(d).max)
    return w


def ragged(rng, d):
    """50 columns: rows that end inside a packed word."""
    return rng.standard_normal((6, 50)) * 0.02


def odd(rng, d):
    """153 values: a short last block, at the decision points of NF4, and half a byte."""
    w = (rng.standard_normal((3, 51)) * 0.02).reshape(-1)
    w[128] = F32(0.0123)
    cuts = ((NF4[:-1] + NF4[1:]) / F32(2) * F32(0.0123)).astype(d)
    w[129:] = np.concatenate([cuts, step(cuts[:9], d, 1)]).astype(np.float64)
    return w.reshape(3, 51)


def quotients(rng, d):
    """Values at the decision points of E2M1 under the scales of both NVFP4 producers, and an ulp away: the order of operations decides."""
    w = rng.uniform(-1, 1, (4, K)).astype(d)
    w[0, 0] = 1.25
    x = w.reshape(4, -1, 16)
    x[..., 0] = np.abs(x).max(-1)  # each block's amax, which stays
    ours, theirs = modelopt_nvfp4(w), ct_nvfp4(w)
    p = ours["weight_scale"].astype(F32) * ours["weight_scale_2"]
    p[2:] = theirs["weight_scale"][2:].astype(F32) / theirs["weight_global_scale"]
    t = (p[..., None] * np.array(E2M1_TIES[:5], F32)).astype(d)
    x[..., 1:] = np.concatenate([t, step(t, d, 1), step(t, d, -1)], -1) * rng.choice([-1, 1], (4, 16, 15)).astype(d)
    return w


def quotients_row(rng, d):
    """The same for rows: halves of INT8 (amax/127, /127.5) and INT4 (/7, /7.5), and midpoints of E4M3 (/448)."""
    rows = []
    for half, points in [(127, np.arange(0.5, 127)), (127.5, np.arange(0.5, 127)), (448, e4m3_midpoints()), (7, np.arange(0.5, 7)), (7.5, np.arange(0.5, 7))]:
        top = F32(rng.uniform(0.5, 1)).astype(d)
        x = ((top.astype(F32) / F32(half)).astype(d).astype(F32) * points.astype(F32)).astype(d)
        x = np.concatenate([x, step(x, d, 1), step(x, d, -1)]).astype(np.float64)
        x = fill(np.minimum(x, float(top))[rng.permutation(x.size)]) * rng.choice([-1, 1], K)
        x[::128] = float(top)
        rows.append(x)
    return np.stack([*rows, rows[0] * -0.5])


def log2(rng, d):
    """Block amax just above 6 x 2^k and 448 x 2^k, where the float32 logarithm is still an integer."""
    ks = [0, 1, -1, 2, 4, -4, -5, 8, 33, 64, -64, -65, 100, -100]
    m = [0, 1, 2, 5, 11, 12, 22, 23]
    tops = np.array([step(top * 2.0**k, F32, n) for top in (6, 448) for k in ks for n in m], np.float64)
    return (tops[:, None] * ([1, 0.5, -1, 0.3] * 8)).reshape(-1, K)


def ties_table(rng, d):
    """Every decision point of bitsandbytes' NF4 and FP4 and its neighbours, absmax 1; the smallest numbers of both signs."""
    cuts = [(np.sort(t)[:-1] + np.sort(t)[1:]) / F32(2) for t in (NF4, FP4)]
    cuts = [c[c != 0] for c in cuts]
    return np.stack([fill(np.concatenate([[1.0], *(step(c, d, n).astype(np.float64) for n in (0, 1, -1)), [0.0, 1e-30, -1e-30]]), 64) for c in cuts])


def tiles(rng, d):
    """Short 128 x 128 tiles, 2 x 2, 1 x 1 and 2 x 1; a zero tile; tiles of very different size."""
    n, k = {BF16: (130, 136), F16: (4, 128), F32: (130, 8)}[d]
    w = rng.standard_normal((n, k)) * 0.02
    w[128:, :] *= 1000
    w[:, 128:] *= 0.01
    w[128:, 128:] = 0.0
    return w


KINDS = [normal, zeros, ties_e2m1, ties_e2m1_pow2, ties_e4m3, ties_int8, ties_int4, ties_int_small, decay, huge, small, tiny, subnormal,
         negative, both_signs, zero_matrix, near_max, largest, ragged, odd, log2, ties_table, quotients, quotients_row, tiles]  # fmt: skip


def cases():
    """{name: matrix}"""
    out = {}
    for kind in KINDS:
        for name, d in DTYPES.items():
            if kind in (log2, ties_table) and d != F32:
                continue
            rng = np.random.default_rng([ord(c) for c in kind.__name__ + name])
            w = np.asarray(kind(rng, d)).astype(F32 if d == F32 else np.float64).astype(d)
            assert np.isfinite(w.astype(np.float64)).all(), kind.__name__
            out[f"{kind.__name__}_{name}"] = w
    return out


def main():
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN
    made = cases()
    write_safetensors(out / "inputs.safetensors", made)
    print(len(made), "cases,", sum(w.size for w in made.values()), "values,", (out / "inputs.safetensors").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
