"""Golden files of compressed-tensors: observer and scale of llm-compressor's data-free path, then the format's own compressor."""

import torch
from compressed_tensors.compressors import compress_module
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme, preset_name_to_scheme
from golden_tools import cases, only, write
from llmcompressor.entrypoints.model_free.lifecycle import calibrate_weight, initialize_quantized_linear


def preset(name):
    return preset_name_to_scheme(name, ["Linear"])


def weights(**arguments):
    return QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(type="int", **arguments))


INTEGERS = only("normal", "zeros", "ties_int_small", "decay", "negative")
CHANNEL = only("normal", "zeros", "ties_int_small", "ragged")
INFINITE = {
    "largest": "the scale is infinite: the exponent rule rounds the amax beyond the dtype, and the byte that is stored is meaningless",
}

SCHEMES = {  # file: (scheme, cases, broken)
    "ct-nvfp4a16": (lambda: preset("NVFP4A16"), cases("ties_e2m1", "ties_e2m1_pow2", "quotients"), {}),
    "ct-mxfp4a16": (lambda: preset("MXFP4A16"), cases("ties_e2m1"), INFINITE),
    "ct-mxfp8a16": (lambda: preset("MXFP8A16"), cases("ties_e4m3"), INFINITE),
    "ct-w4a16": (lambda: preset("W4A16"), cases("ties_int4", "quotients_row"), {}),
    "ct-w4a16_asym": (lambda: preset("W4A16_ASYM"), cases("ties_int4", "quotients_row"), {}),
    "ct-w8a16": (lambda: preset("W8A16"), cases("ties_int8", "quotients_row"), {}),
    "ct-w8a8": (lambda: preset("W8A8"), cases("ties_int8", "quotients_row", "ragged"), {}),
    "ct-fp8_dynamic": (lambda: preset("FP8_DYNAMIC"), cases("ties_e4m3", "quotients_row", "ragged"), {}),
    "ct-fp8_block": (lambda: preset("FP8_BLOCK"), cases("ties_e4m3", "tiles"), {}),
    "ct-fp8": (lambda: preset("FP8"), cases("ties_e4m3", "quotients_row", "ragged"), {}),
    "ct-w4a16-g32": (lambda: weights(num_bits=4, group_size=32, strategy="group"), INTEGERS, {}),
    "ct-w4a16-g64": (lambda: weights(num_bits=4, group_size=64, strategy="group"), INTEGERS, {}),
    "ct-w2a16": (lambda: preset("W2A16"), INTEGERS, {}),
    "ct-w3a16": (lambda: preset("W3A16"), INTEGERS, {}),
    "ct-w5a16": (lambda: preset("W5A16"), INTEGERS, {}),
    "ct-w6a16": (lambda: preset("W6A16"), INTEGERS, {}),
    "ct-w3a16-channel": (lambda: weights(num_bits=3, strategy="channel"), CHANNEL, {}),
    "ct-w8a16-channel": (lambda: weights(num_bits=8, strategy="channel"), CHANNEL, {}),
}


def compress(weight, scheme):
    module = initialize_quantized_linear(weight, scheme, "cpu")
    calibrate_weight(module)
    compress_module(module)
    # static input scales (FP8) are calibrated on activations; only the weight is compared
    return {n: t for n, t in module.state_dict().items() if not n.startswith("input_")}


def main():
    torch.set_grad_enabled(False)
    for name, (scheme, names, broken) in SCHEMES.items():
        write(name, names, lambda w, scheme=scheme: compress(w, scheme()), broken)


if __name__ == "__main__":
    main()
