"""Golden files of bitsandbytes: the state dict of a `Linear4bit` quantized on a CPU, block 64, not nested."""

import bitsandbytes
import torch
from golden_tools import cases, write


def quantize(weight, quant_type):
    parameter = bitsandbytes.nn.Params4bit(
        weight, requires_grad=False, blocksize=64, compress_statistics=False, quant_type=quant_type, quant_storage=torch.uint8
    )
    linear = bitsandbytes.nn.Linear4bit(weight.shape[1], weight.shape[0], bias=False, quant_type=quant_type)
    linear.weight = parameter.to("cpu")
    return dict(linear.state_dict())


def main():
    torch.set_grad_enabled(False)
    for quant_type in ("nf4", "fp4"):
        write(f"bnb-{quant_type}", cases("ties_table", "ragged", "odd"), lambda w, q=quant_type: quantize(w, q))


if __name__ == "__main__":
    main()
