"""What each producer does to a weight matrix, step by step, in numpy: the bytes of its checkpoint.

    python recipes.py [GOLDEN]                                    checks every golden file, prints a table
    python recipes.py --checkpoints DIR MODEL/model.safetensors   checks whole checkpoints of the same tools

A recipe is a function from a 2-D array (bfloat16, float16 or float32) to {suffix: array}, named and shaped as in the tool's file.

Conventions, which decide bytes:
- every variable holds float32 values; `a / b`, `a * b`, `a + b` are IEEE float32 operations, rounded once, subnormals kept;
- `to(x, d)` rounds float32 values to dtype d, to nearest even, and gives them back as float32. An operation that torch performs in d
  is `to(a / b, d)`: torch on a CPU computes bf16 and f16 element by element in float32 and rounds the result. For d = float32 it is nothing;
- d is the dtype of the weight.
Needs numpy and ml_dtypes. Names: amax = largest absolute value (of a block, a row, a matrix); code = stored bits.
"""

import json
import pathlib
import struct
import sys

import ml_dtypes
import numpy as np

F32, F16, BF16, E4M3 = np.float32, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn
E2M1_MAX, E4M3_MAX = F32(6), F32(448)
E4M3_EPS = F32(0.125)  # machine epsilon of E4M3


# ---------------------------------------------------------------- arithmetic shared by the tools


def to(x, d):
    """Float32 values rounded to dtype d (nearest even; overflow to infinity, in E4M3 to NaN), as float32."""
    return x.astype(d).astype(F32)


def blocks(w, size):
    """[N, K] -> [N, K/size, size] as float32 (bf16 and f16 widen exactly)."""
    return w.astype(F32).reshape(w.shape[0], -1, size)


def amax(x, axis=-1):
    return np.max(np.abs(x), axis=axis, keepdims=axis is not None)


def e4m3(x):
    """E4M3 codes, nearest even; no saturation: beyond 464 is NaN. The sign of zero is kept (-0.0 -> 0x80)."""
    return x.astype(E4M3)


def pow2(e):
    """2^e for whole e in -149..127, exactly (numpy's float32 exp2 is not: its 2^127 is an ulp too large)."""
    return np.ldexp(F32(1), e.astype(np.int32))


E2M1_CUTS = np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5], F32)  # midpoints of 0, .5, 1, 1.5, 2, 3, 4, 6


def e2m1_magnitude(x):
    """Index 0..7 of |x|, ties to the even index, saturating."""
    a = np.abs(x)[..., None]
    return (a > E2M1_CUTS).sum(-1) + (a == E2M1_CUTS[[1, 3, 5]]).any(-1)


def pack_nibbles(codes):
    """[N, K] codes 0..15 -> [N, K/2] bytes, element 2i in the low nibble."""
    codes = codes.astype(np.uint8)
    return codes[:, 0::2] | codes[:, 1::2] << 4


def pack_words(q, bits):
    """[N, K] integers -2^(b-1)..2^(b-1)-1 -> [N, ceil(K b / 32)] int32: offset binary, one little-endian bit stream per row."""
    u = (q.astype(np.int64) + (1 << bits - 1)).astype(np.uint8)
    stream = (u[:, :, None] >> np.arange(bits, dtype=np.uint8) & 1).reshape(len(u), -1)
    stream = np.pad(stream, ((0, 0), (0, -stream.shape[1] % 32)))
    return np.packbits(stream, axis=1, bitorder="little").view("<i4")


def tiles(w):
    """[N, K] -> [ceil(N/128), ceil(K/128), 128 * 128] as float32, padded with zeros to the right and below."""
    n, k = w.shape
    x = np.pad(w.astype(F32), ((0, -n % 128), (0, -k % 128)))
    return x.reshape(x.shape[0] // 128, 128, -1, 128).swapaxes(1, 2).reshape(x.shape[0] // 128, -1, 128 * 128)


def untile(x, shape):
    x = x.reshape(*x.shape[:2], 128, 128).swapaxes(1, 2)
    return x.reshape(x.shape[0] * 128, -1)[: shape[0], : shape[1]]


# ---------------------------------------------------------------- NVIDIA Model Optimizer 0.47


def modelopt_nvfp4(w, tensor_amax=None):
    """W4A16_NVFP4. tensor_amax: that of all matrices which share weight_scale_2 (q/k/v, gate/up); default, w's own.

    An all-zero matrix makes 0 / 0 here and NaN scales in the tool's file.
    """
    x = blocks(w, 16)
    scale_2 = (amax(x, None) if tensor_amax is None else F32(tensor_amax)) / F32(6 * 448)
    scale = amax(x) / (E2M1_MAX * scale_2)
    scale = np.where(scale == 0, F32(1), scale)  # zero block: 1.0, byte 0x38
    scale = to(np.clip(scale, F32(2**-9), E4M3_MAX), E4M3)  # 2^-9: smallest E4M3, so no scale is 0
    y = x / (scale * scale_2)
    codes = (y < 0) * 8 + e2m1_magnitude(y)  # -tiny -> 0x8; -0.0 and a quotient that underflows -> 0x0
    return {"weight": pack_nibbles(codes.reshape(w.shape)), "weight_scale": e4m3(scale[..., 0]), "weight_scale_2": scale_2}


def ceil_log2(x):
    """ceil(log2 x) as torch computes it: the logarithm is rounded to float32 first, so just above 2^k the result is still k.

    Exactly: k for x = 2^k (1 + m 2^-23) with m <= ln2 * 2^(j-1), where 2^j <= |k| < 2^(j+1) for k > 0 and 2^j < |k| <= 2^(j+1) for
    k < 0; so the tool's element may be slightly larger than the format's largest. bf16 and f16 weights never come that near.
    """
    return np.ceil(np.log2(x.astype(np.float64)).astype(F32))


def modelopt_mxfp4(w):
    """MXFP4: ties toward zero, every zero coded 0x8, no upper clamp of the exponent (never needed)."""
    x = blocks(w, 32)
    with np.errstate(divide="ignore"):
        e = np.maximum(ceil_log2(amax(x) / E2M1_MAX), F32(-127))  # zero block: byte 0
    y = x / pow2(e)
    codes = (y <= 0) * 8 + (np.abs(y)[..., None] > E2M1_CUTS).sum(-1)
    return {"weight": pack_nibbles(codes.reshape(w.shape)), "weight_scale": (e[..., 0] + 127).astype(np.uint8)}


def modelopt_mxfp8(w):
    """MXFP8_DEFAULT_CFG."""
    x = blocks(w, 32)
    with np.errstate(divide="ignore"):
        e = np.clip(ceil_log2(amax(x) / E4M3_MAX), F32(-127), F32(127))  # zero block: byte 0
    y = np.clip(x * pow2(-e), -E4M3_MAX, E4M3_MAX)
    return {"weight": e4m3(y.reshape(w.shape)), "weight_scale": (e[..., 0] + 127).astype(np.uint8)}


def modelopt_scale(a, maximum, d):
    """Scale of the static formats from amax a: 0 stands for `maximum` (scale 1.0), else at least the smallest normal of d."""
    a = np.where(a == 0, F32(maximum), a)
    return np.maximum(a, F32(ml_dtypes.finfo(d).tiny)) / F32(maximum)


def modelopt_int8(w):
    """INT8_WEIGHT_ONLY_CFG: per row."""
    x = w.astype(F32)
    scale = modelopt_scale(amax(x), 127, w.dtype)
    q = np.clip(np.rint(x / scale), -128, 127)
    return {"weight": q.astype(np.int8), "weight_scale": scale[:, 0]}


def modelopt_fp8_channel(w):
    """FP8_PER_CHANNEL_PER_TOKEN_CFG."""
    x = w.astype(F32)
    scale = modelopt_scale(amax(x), 448, w.dtype)
    return {"weight": e4m3(x / scale), "weight_scale": scale[:, 0]}


def modelopt_fp8_block(w):
    """FP8_2D_BLOCKWISE_WEIGHT_ONLY_CFG: 128 x 128. The scale of a matrix of one tile has shape [], else [n, 1, k, 1]."""
    x = tiles(w)
    scale = modelopt_scale(amax(x), 448, w.dtype)
    codes = e4m3(untile(x / scale, w.shape))
    return {"weight": codes, "weight_scale": scale.squeeze() if scale.size == 1 else scale[:, None, :, :]}


def modelopt_fp8_tensor(w):
    """FP8_DEFAULT_CFG: the quotient is rounded to d before the cast. An all-zero matrix becomes NaN (scale 0)."""
    x = w.astype(F32)
    scale = amax(x, None) / E4M3_MAX
    return {"weight": e4m3(to(x / scale, w.dtype)), "weight_scale": scale}


def modelopt_int4(w):
    """INT4_BLOCKWISE_WEIGHT_ONLY_CFG: blocks of 128, row 2j in the low nibble and row 2j+1 in the high nibble, two's complement.

    The amax is kept in float32 here, whatever d: only its smallest normal bounds the scale.
    """
    x = blocks(w, 128)
    scale = modelopt_scale(amax(x), 7, np.dtype(F32))
    q = np.clip(np.rint(x / scale), -8, 7).reshape(w.shape).astype(np.int8).view(np.uint8) & 15
    return {"weight": q[0::2] | q[1::2] << 4, "weight_scale": scale[..., 0]}


# ---------------------------------------------------------------- compressed-tensors 0.19 / llm-compressor 0.14, eager on a CPU


def ct_nvfp4(w, tensor_amax=None):
    """NVFP4A16. tensor_amax as in modelopt_nvfp4. Dequantized value: code * weight_scale / weight_global_scale."""
    d = w.dtype
    x = blocks(w, 16)
    a = amax(x, None) if tensor_amax is None else F32(tensor_amax)
    a = np.maximum(a, F32(ml_dtypes.finfo(d).tiny))
    with np.errstate(over="ignore"):
        g = to(to(F32(1) / a, d) * F32(448 * 6), d)  # torch: number / tensor = reciprocal * number, each rounded
    g = g if np.isfinite(g) else F32(1)  # overflow: f16 below amax 0.041, bf16 and f32 below 7.9e-36, zero matrix
    s = g * to(amax(x) / E2M1_MAX, d)
    s = to(np.clip(s, -E4M3_MAX, E4M3_MAX), E4M3)
    s = np.where(s == 0, E4M3_EPS, s)  # zero block, and any block that underflows: 0.125, byte 0x20
    y = np.clip(x / (s / g), -E2M1_MAX, E2M1_MAX)
    codes = (y < 0) * 8 + e2m1_magnitude(y)  # -tiny -> 0x8; -0.0 and a quotient that underflows -> 0x0
    return {
        "weight_packed": pack_nibbles(codes.reshape(w.shape)),
        "weight_scale": e4m3(s[..., 0]),
        "weight_global_scale": g.reshape(1),
    }


def ct_mx(w, offset):
    """Blocks of 32 with an E8M0 scale: quotients [N, K/32, 32] and the scale byte [N, K/32].

    The exponent comes from the bits of amax in d: up to the next power of two from mantissa 1.75 on, else down.
    """
    d = w.dtype
    x = blocks(w, 32)
    m = ml_dtypes.finfo(d).nmant
    u = amax(x).astype(d).view(np.uint32 if d == F32 else np.uint16).astype(np.int64)
    p = (u + (1 << m - 2) >> m << m).astype(np.uint32 if d == F32 else np.uint16).view(d).astype(F32)  # 0 for zero and small subnormals
    with np.errstate(divide="ignore"):
        byte = np.clip(127 + np.log2(p) - F32(offset), 0, 255)
    scale = to(pow2(byte - 127), d)
    scale = np.where(scale == 0, F32(1), scale)  # only f16, where 2^-127 is 0: such a block stores byte 127; the others store byte 0
    return to(x / scale, d), (127 + np.log2(scale[..., 0])).astype(np.uint8)


def ct_mxfp4(w):
    """MXFP4A16."""
    y, byte = ct_mx(w, offset=2)
    y = np.clip(y, -E2M1_MAX, E2M1_MAX)
    codes = (y < 0) * 8 + e2m1_magnitude(y)
    return {"weight_packed": pack_nibbles(codes.reshape(w.shape)), "weight_scale": byte}


def ct_mxfp8(w):
    """MXFP8A16."""
    y, byte = ct_mx(w, offset=8)
    return {"weight": e4m3(np.clip(y, -E4M3_MAX, E4M3_MAX).reshape(w.shape)), "weight_scale": byte}


def ct_scale(a, half_range, d):
    """Symmetric scale in d; a zero (zero block, or underflow) becomes the machine epsilon of d."""
    s = to(a / F32(half_range), d)
    return np.where(s == 0, F32(ml_dtypes.finfo(d).eps), s)


def ct_int_codes(x, scale, d, bits, zero=F32(0)):
    y = to(to(x / scale, d) + zero, d)
    return np.rint(np.clip(y, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1))


def ct_int(bits, group):
    """W2A16 .. W8A16 in groups (W4A16, W8A16: 128): pack-quantized. group 0: one scale per row."""

    def recipe(w):
        d = w.dtype
        x = blocks(w, group or w.shape[1])
        scale = ct_scale(amax(x), (2**bits - 1) / 2, d)  # /7.5, /127.5: the largest value lands on 7.5 -> 8 -> clamped to 7
        q = ct_int_codes(x, scale, d, bits).reshape(w.shape)
        return {"weight_packed": pack_words(q, bits), "weight_scale": scale[..., 0].astype(d), "weight_shape": np.array(w.shape)}

    return recipe


def ct_int_asym(bits, group):
    """W4A16_ASYM. Each step in d. The zero point is packed along the rows."""

    def recipe(w):
        d = w.dtype
        x = blocks(w, group)
        low = np.minimum(x.min(-1, keepdims=True), F32(0))
        high = np.maximum(x.max(-1, keepdims=True), F32(0))
        scale = to(to(high - low, d) / F32(2**bits - 1), d)
        q_min, q_max = F32(-(2 ** (bits - 1))), F32(2 ** (bits - 1) - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            zero = np.clip(to(q_min - to(low / scale, d), d), q_min, q_max)  # from the scale before the line below
        zero = np.rint(np.where(np.isnan(zero), F32(0), zero))  # a zero group: 0 / 0, cast to 0
        scale = np.where(scale == 0, F32(ml_dtypes.finfo(d).eps), scale)
        q = ct_int_codes(x, scale, d, bits, zero).reshape(w.shape)
        return {
            "weight_packed": pack_words(q, bits),
            "weight_scale": scale[..., 0].astype(d),
            "weight_shape": np.array(w.shape),
            "weight_zero_point": np.ascontiguousarray(pack_words(zero[..., 0].T, bits).T),
        }

    return recipe


def ct_w8a8(w):
    """W8A8: int-quantized, one scale per row."""
    x, d = w.astype(F32), w.dtype
    scale = ct_scale(amax(x), 127.5, d)
    return {"weight": ct_int_codes(x, scale, d, 8).astype(np.int8), "weight_scale": scale.astype(d)}


def ct_fp8_codes(x, scale, d):
    return np.clip(to(x / scale, d), -E4M3_MAX, E4M3_MAX)


def ct_fp8_channel(w):
    """FP8_DYNAMIC."""
    x, d = w.astype(F32), w.dtype
    scale = ct_scale(amax(x), 448, d)
    return {"weight": e4m3(ct_fp8_codes(x, scale, d)), "weight_scale": scale.astype(d)}


def ct_fp8_tensor(w):
    """FP8 (weights only)."""
    x, d = w.astype(F32), w.dtype
    scale = ct_scale(amax(x, None), 448, d)
    return {"weight": e4m3(ct_fp8_codes(x, scale, d)), "weight_scale": scale.reshape(1).astype(d)}


def ct_fp8_block(w):
    """FP8_BLOCK: 128 x 128."""
    x, d = tiles(w), w.dtype
    scale = ct_scale(amax(x), 448, d)
    return {"weight": e4m3(untile(ct_fp8_codes(x, scale, d), w.shape)), "weight_scale": scale[..., 0].astype(d)}


# ---------------------------------------------------------------- bitsandbytes 0.50 on a CPU


NF4 = np.array(
    [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
     -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
     0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0], F32)  # fmt: skip
FP4 = np.array([0, 0.0625, 8, 12, 4, 6, 2, 3, -0.0, -0.0625, -8, -12, -4, -6, -2, -3], F32) / F32(12)
# codes in the order of their values; of the two zeros, code 0 takes (-0.0026, 0] and code 8 takes (0, 0.0026]
FP4_ORDER = np.array([11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3])


def bnb_4bit(kind, table, order, block=64):
    """quantize_4bit: blocks over the flat stream; a full block multiplies by the reciprocal, a short last one divides."""

    def recipe(w):
        x = w.astype(F32).reshape(-1)
        full = x.size // block * block
        head, tail = x[:full].reshape(-1, block), x[full:]
        absmax = amax(head)
        y = (head * (F32(1) / np.maximum(absmax, F32(1e-38)))).reshape(-1)
        absmax = absmax[:, 0]
        if tail.size:
            last = np.maximum(amax(tail, None), F32(1e-38))
            absmax, y = np.append(absmax, last), np.append(y, tail / last)
        y = np.clip(y, F32(-1), F32(1))
        y = np.append(y, F32(0)) if y.size % 2 else y  # the pad is the code of 0, not 0
        cuts = (table[order][:-1] + table[order][1:]) / F32(2)
        codes = order[(y[:, None] > cuts).sum(-1)].astype(np.uint8)  # a tie takes the lower value
        state = {"quant_type": kind, "blocksize": block, "dtype": str(w.dtype), "shape": list(w.shape)}
        return {
            "weight": (codes[0::2] << 4 | codes[1::2])[:, None],  # first element in the high nibble
            "weight.absmax": absmax,
            "weight.quant_map": np.where(table == 0, F32(0), table),
            f"weight.quant_state.bitsandbytes__{kind}": np.frombuffer(json.dumps(state).encode(), np.uint8),
        }

    return recipe


# ---------------------------------------------------------------- MLX 0.32: affine codes


def mlx_affine(bits, group):
    """Codes from scale and bias before they are rounded; the bias is the end of larger magnitude."""

    def recipe(w):
        x, d = blocks(w.astype(F32), group), w.dtype
        lo, hi, bins = x.min(-1, keepdims=True), x.max(-1, keepdims=True), F32(2**bits - 1)
        below = np.abs(lo) > np.abs(hi)
        scale = np.maximum((hi - lo) / bins, F32(1e-7))
        scale, edge = np.where(below, scale, -scale), np.where(below, lo, hi)
        steps = np.rint(edge / scale)
        whole = steps != 0
        scale, bias = np.where(whole, edge / np.where(whole, steps, F32(1)), scale), np.where(whole, edge, F32(0))
        codes = np.clip(np.rint((x - bias) / scale), 0, bins).astype(np.uint8).reshape(w.shape)
        stream = (codes[..., None] >> np.arange(bits, dtype=np.uint8) & 1).reshape(w.shape[0], -1)
        words = np.packbits(stream, axis=-1, bitorder="little").view(np.uint32)
        return {"weight": words, "scales": to(scale, d)[..., 0].astype(d), "biases": to(bias, d)[..., 0].astype(d)}

    return recipe


# ---------------------------------------------------------------- torchao 0.18: the scale byte of an MX block from its amax

MX_ELEMENTS = {  # name: (exponent of the largest value, mantissa bits, largest value)
    "float4_e2m1fn_x2": (2, 1, 6.0),
    "float8_e4m3fn": (8, 3, 448.0),
    "float8_e5m2": (15, 2, 57344.0),
    "fp6_e2m3": (2, 3, 7.5),
    "fp6_e3m2": (4, 2, 28.0),
}


def torchao_mx_scale(a, element, mode):
    """E8M0 bytes for float32 amax values a; mode floor | ceil | even | rceil."""
    e_max, mantissa_bits, largest = MX_ELEMENTS[element]
    if mode == "rceil":
        with np.errstate(divide="ignore"):
            byte = np.clip(ceil_log2(a / F32(largest)), -127, 127) + 127
    else:
        bits = a.view(np.int32).astype(np.int64)
        if mode == "even":
            bits = bits + (1 << 23 - mantissa_bits - 1) >> 23 << 23
        e = (bits >> 23 & 255) - 127 + ((bits & 0x7FFFFF) > 0 if mode == "ceil" else 0)
        byte = np.clip(e - e_max, -127, 128) + 127
    return np.where(np.isnan(a), 255, byte).astype(np.uint8)


# ---------------------------------------------------------------- files and checks

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden"
TYPES = {"F32": F32, "F16": F16, "BF16": BF16, "F8_E4M3": E4M3, "U8": np.uint8, "I8": np.int8, "I32": np.int32, "U32": np.uint32, "I64": np.int64}

RECIPES = {  # golden file -> recipe
    "modelopt-w4a16-nvfp4": modelopt_nvfp4,
    "modelopt-mxfp4": modelopt_mxfp4,
    "modelopt-mxfp8": modelopt_mxfp8,
    "modelopt-int8-wo": modelopt_int8,
    "modelopt-fp8-pcpt": modelopt_fp8_channel,
    "modelopt-fp8-blk": modelopt_fp8_block,
    "modelopt-fp8": modelopt_fp8_tensor,
    "modelopt-int4-blk": modelopt_int4,
    "ct-nvfp4a16": ct_nvfp4,
    "ct-mxfp4a16": ct_mxfp4,
    "ct-mxfp8a16": ct_mxfp8,
    "ct-w4a16": ct_int(4, 128),
    "ct-w4a16_asym": ct_int_asym(4, 128),
    "ct-w8a16": ct_int(8, 128),
    "ct-w8a8": ct_w8a8,
    "ct-fp8_dynamic": ct_fp8_channel,
    "ct-fp8_block": ct_fp8_block,
    "ct-fp8": ct_fp8_tensor,
    "ct-w4a16-g32": ct_int(4, 32),
    "ct-w4a16-g64": ct_int(4, 64),
    "ct-w2a16": ct_int(2, 128),
    "ct-w3a16": ct_int(3, 128),
    "ct-w5a16": ct_int(5, 128),
    "ct-w6a16": ct_int(6, 128),
    "ct-w3a16-channel": ct_int(3, 0),
    "ct-w8a16-channel": ct_int(8, 0),
    "bnb-nf4": bnb_4bit("nf4", NF4, np.arange(16)),
    "bnb-fp4": bnb_4bit("fp4", FP4, FP4_ORDER),
    "mlx-affine-w4-g64": mlx_affine(4, 64),
    "mlx-affine-w3-g32": mlx_affine(3, 32),
    "mlx-affine-w8-g128": mlx_affine(8, 128),
}
SHARED = [("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj")]  # linears of one parent that share the tensor scale


def read_safetensors(path):
    """{name: array}"""
    blob = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + length])
    header.pop("__metadata__", None)
    data = blob[8 + length :]
    return {n: np.frombuffer(data[slice(*t["data_offsets"])], TYPES[t["dtype"]]).reshape(t["shape"]) for n, t in header.items()}


def write_safetensors(path, tensors):
    """The names sorted, widest dtype first, as the format's own writer orders them, so that every tensor is aligned."""
    names = {np.dtype(v): k for k, v in TYPES.items()}
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header, at = {}, 0
    for name, t in ordered:
        header[name] = {"dtype": names[t.dtype], "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(t.tobytes() for _, t in ordered))


def same(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def check(recipe, weights, want, **arguments):
    """Counts equal tensors and lists the others. weights: {module: matrix}; want: {module.suffix: array}."""
    equal, different = 0, []
    for module, w in weights.items():
        got = recipe(w, **{k: v[module] for k, v in arguments.items()})
        expected = {n[len(module) + 1 :] for n in want if n.startswith(module + ".")}
        for suffix in sorted(set(got) | expected):
            if suffix in got and suffix in expected and same(got[suffix], want[f"{module}.{suffix}"]):
                equal += 1
            else:
                different.append(f"{module}.{suffix}")
    return equal, different


def check_golden(folder):
    inputs = read_safetensors(folder / "inputs.safetensors")
    for name, recipe in RECIPES.items():
        want = read_safetensors(folder / f"{name}.safetensors")
        yield name, check(recipe, {c: w for c, w in inputs.items() if any(n.startswith(c + ".") for n in want)}, want)
    table = json.loads((folder / "torchao-mx-scales.json").read_text())
    a = np.array([int(h, 16) for h in table["amax_f32_bits"]], np.uint32).view(F32)
    for element, modes in table["scale_bytes"].items():
        wrong = [mode for mode, bytes_ in modes.items() if torchao_mx_scale(a, element, mode).tolist() != bytes_]
        yield f"torchao {element}", (len(modes) - len(wrong), wrong)


def check_checkpoints(folder, model):
    """Whole checkpoints, with the scales that q/k/v and gate/up share."""
    source = read_safetensors(model)
    linears = {n[: -len(".weight")]: w for n, w in source.items() if n.endswith("_proj.weight")}

    def shared(module):
        parent, _, leaf = module.rpartition(".")
        group = next((g for g in SHARED if leaf in g), (leaf,))
        return max(amax(linears[f"{parent}.{g}"].astype(F32), None) for g in group)

    for name, recipe in RECIPES.items():
        if (path := folder / name / "model.safetensors").exists():
            want = read_safetensors(path)
            arguments = {"tensor_amax": {m: shared(m) for m in linears}} if recipe in (modelopt_nvfp4, ct_nvfp4) else {}
            yield name, check(recipe, linears, {n: t for n, t in want.items() if not n.endswith(".input_scale")}, **arguments)


def main(arguments):
    if arguments[:1] == ["--checkpoints"]:
        results = check_checkpoints(pathlib.Path(arguments[1]), arguments[2])
    else:
        results = check_golden(pathlib.Path(arguments[0]) if arguments else GOLDEN)
    print(f"{'file':<24}{'equal':>8}{'different':>11}")
    failures = 0
    for name, (equal, different) in results:
        failures += len(different)
        print(f"{name:<24}{equal:>8}{len(different):>11}  {' '.join(different[:6])}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
