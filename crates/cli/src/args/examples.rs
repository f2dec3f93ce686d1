//! Examples below the help of the commands that have many options.

pub(super) const QUANTIZE: &str = "Examples:
  lowbit quantize llama -o llama-nvfp4                               NVFP4 for vLLM (compressed-tensors)
  lowbit quantize llama -o llama-nvfp4 --layout modelopt             the same for TensorRT-LLM
  lowbit quantize llama -o out --format int4-g128 --scale-rule mse   INT4 groups, searched scales
  lowbit quantize llama -o out --format fp8-block --dry-run          print the plan, write nothing
  lowbit quantize llama -o out --method gptq --text book.txt         codes chosen by what the layers see
  lowbit quantize llama -o out --method gptq --synthetic written     the same on text that the model writes itself
  lowbit quantize llama -o out --bits 4.8 --formats nvfp4,fp8-channel --method gptq --text book.txt
                                                                     formats chosen layer by layer
  lowbit quantize llama -o out --resume                              go on after an interruption

Patterns of --include and --exclude are globs over tensor names without `.weight`, such as
`model.layers.*.mlp.*`; with the prefix `re:` they are regular expressions anchored at the start.
Without --include, every linear layer is quantized but the output head, routers, embeddings,
vision towers and multi-token-prediction heads.";

pub(super) const VERIFY: &str = "Examples:
  lowbit verify llama-nvfp4                       files, scales, configuration, values
  lowbit verify llama-nvfp4 --against llama       also layers that lost more than others
  lowbit verify llama-nvfp4 --json | jq .errors   for scripts

Each finding has a stable code (LB-S03), which docs/checkpoints.md explains.
Exit status: 0 if there is nothing but warnings, 1 if there are errors.";

pub(super) const CONVERT: &str = "Examples:
  lowbit convert llama-gptq -o llama-ct --layout compressed-tensors     the same codes and scales for vLLM
  lowbit convert llama-modelopt -o out --layout compressed-tensors      NVFP4: the tensor scale becomes its reciprocal
  lowbit convert gpt-oss -o out --layout modelopt --format nvfp4        MXFP4 to NVFP4, exact while exponents allow
  lowbit convert llama-awq -o out --layout gptq --exact-only            stop unless every number stays what it is

The report has one line for each layer: exact; exact codes, tensor scale rounded; or requantized,
with the SQNR of what was lost.";

pub(super) const CALIBRATE: &str = "Examples:
  lowbit calibrate llama --text book.txt -o llama-stats.safetensors              means and largest values of every input
  lowbit calibrate llama --text book.txt -o stats.safetensors --hessians         also how inputs go together, for GPTQ
  lowbit calibrate llama --text book.txt -o llama.imatrix                        as llama.cpp reads it
  lowbit quantize llama -o llama-nvfp4 --method gptq --stats stats.safetensors

`quantize --text` does both in one, and lets each layer see what the quantized layers before it give.";

pub(super) const EVAL: &str = "Examples:
  lowbit eval llama-nvfp4 --text book.txt                          perplexity
  lowbit eval llama-nvfp4 --against llama --text book.txt          also KL divergence and top-1 agreement
  lowbit eval llama-w4a4 --text book.txt --activations configured  with activations rounded as the checkpoint says

The text is tokenized whole with the directory's tokenizer.json, without special tokens, and cut into
windows that do not overlap. Perplexity is over tokens 1 .. of each window.";
