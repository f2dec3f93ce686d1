"""Small checkpoints as AutoRound 0.15 exports them without tuning (0 iterations), cut to two linears.

    python make_layouts_auto_round.py OUT WORK TOKENIZER      WORK: an empty directory; TOKENIZER: a directory with tokenizer.json

AutoRound's command runs on a Llama with one layer whose k_proj and down_proj are those of layout_inputs; what it writes is cut like the zoo.
"""

import json
import pathlib
import shutil
import subprocess
import sys

import torch
from layout_decoders import decode
from layout_files import read_raw, write_raw, write_values
from layout_inputs import DOWN_PROJ, K_PROJ, NORM, model_config, weights
from make_layouts_zoo import CONFIGS
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

SHAPES = {K_PROJ: (32, 128), DOWN_PROJ: (128, 96)}
INTEGER = ["--scheme", "W4A16", "--group_size", "32"]
CALIBRATION = ["--dataset", "TEXT", "--nsamples", "4", "--seqlen", "32", "--batch_size", "4"]  # static scales of inputs need a text
RUNS = {  # folder: (format, arguments)
    "awq": ("auto_round:auto_awq", INTEGER),
    "awq-asym": ("auto_round:auto_awq", [*INTEGER, "--asym"]),
    "gptq": ("auto_round:auto_gptq", INTEGER),
    "gptq-asym": ("auto_round:auto_gptq", [*INTEGER, "--asym"]),
    "gptq-w2": ("auto_round:auto_gptq", [*INTEGER, "--bits", "2"]),
    "gptq-w3": ("auto_round:auto_gptq", [*INTEGER, "--bits", "3"]),
    "gptq-w8": ("auto_round:auto_gptq", [*INTEGER, "--bits", "8"]),
    "gptqmodel": ("auto_round:gptqmodel", INTEGER),
    "gptqmodel-asym": ("auto_round:gptqmodel", [*INTEGER, "--asym"]),
    "plain": ("auto_round", INTEGER),
    "llmc-w4": ("llm_compressor", INTEGER),
    "llmc-mxfp4": ("auto_round:llm_compressor", ["--scheme", "MXFP4"]),
    "llmc-mxfp8": ("auto_round:llm_compressor", ["--scheme", "MXFP8"]),
    "llmc-nvfp4": ("auto_round:llm_compressor", ["--scheme", "NVFP4", *CALIBRATION]),
    "fp8-static": ("auto_round", ["--scheme", "FP8_STATIC", *CALIBRATION]),
}
TEXT = "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife. "


def model(folder, tokenizer):
    settings = {k: v for k, v in model_config().items() if k not in ("architectures", "model_type")}
    settings["vocab_size"] = json.loads((tokenizer / "config.json").read_text())["vocab_size"]  # a calibration text has all of them
    torch.manual_seed(0)
    llama = LlamaForCausalLM(LlamaConfig(**settings)).to(torch.bfloat16)
    for name, w in weights(SHAPES).items():
        llama.get_submodule(name).weight.data = w
    llama.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(tokenizer / name, folder / name)


def main():
    torch.set_grad_enabled(False)
    out, work, tokenizer = map(pathlib.Path, sys.argv[1:4])
    source = work / "tiny"
    model(source, tokenizer)
    for name, (form, arguments) in RUNS.items():
        text = work / f"{name}.jsonl"  # it keeps what it made of a file, by the file's name
        text.write_text("".join(json.dumps({"text": TEXT * 8}) + "\n" for _ in range(8)))
        arguments = [str(text) if a == "TEXT" else a for a in arguments]
        command = [sys.executable, "-m", "auto_round", "--model", source, *arguments, "--iters", "0", "--disable_opt_rtn", "--format", form]
        done = subprocess.run([*map(str, command), "--output_dir", str(work / name)], capture_output=True, text=True)
        found = sorted((work / name).rglob("*.safetensors"))
        if done.returncode or len(found) != 1:
            print(f"{name}: AutoRound refuses: {done.stderr.strip().splitlines()[-1:]}", [f.name for f in found])
            continue
        folder = out / f"autoround-{name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for config in CONFIGS:
            if (found[0].parent / config).exists():
                text = (found[0].parent / config).read_text()
                (folder / config).write_text(text.replace(str(source), "tiny").replace(str(work), "."))
        metadata, tensors = read_raw(found[0])
        write_raw(folder / "model.safetensors", metadata, {n: t for n, t in tensors.items() if n == NORM or n.startswith((K_PROJ, DOWN_PROJ))})
        tensors = load_file(folder / "model.safetensors")
        values = decode(json.loads((folder / "config.json").read_text()), tensors)
        write_values(folder, values)
        print(folder.name, sum(f.stat().st_size for f in folder.iterdir()), {n: (str(t.dtype), list(t.shape)) for n, t in tensors.items() if K_PROJ in n}, len(values))


if __name__ == "__main__":
    main()
