"""Logits by transformers in f32 of tiny decoders of every family, whose weights both sides make from their names.

    python testdata/scripts/models.py            writes testdata/models/NAME.json: config.json, names and shapes, tokens, logits

transformers 5.17, torch CPU. Two sequences of 24 tokens; the logits kept are those of the last 4 positions of each, which depend on all before.

    value i of a tensor    h = (FNV-1a of the name + 2654435761 i) mod 2^32, twice h = (h xor h >> 15) 2246822519 mod 2^32
                           v = (h >> 24) - 128;  v / 256, of norms 1 + v / 256 (v / 256 where the model adds the 1), of biases v / 256
"""

import json
import pathlib
import tempfile

import numpy as np
import torch
import transformers as t
from safetensors import safe_open

OUT = pathlib.Path(__file__).resolve().parent.parent / "models"
SMALL = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             vocab_size=48, max_position_embeddings=64, pad_token_id=None, bos_token_id=0, eos_token_id=1)
ROPES = {
    "linear": dict(rope_type="linear", factor=4.0, rope_theta=100.0),
    "llama3": dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                   original_max_position_embeddings=16, rope_theta=100.0),
    "yarn": dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16, rope_theta=100.0),
}
MODELS = {
    "llama": (t.LlamaConfig, dict(tie_word_embeddings=True)),
    "llama-bias": (t.LlamaConfig, dict(attention_bias=True, mlp_bias=True, head_dim=12)),
    **{f"llama-{name}": (t.LlamaConfig, dict(rope_parameters=rope, head_dim=16)) for name, rope in ROPES.items()},
    "mistral": (t.MistralConfig, dict(sliding_window=8)),
    "qwen2": (t.Qwen2Config, dict(use_sliding_window=True, sliding_window=8, max_window_layers=1)),
    "qwen3": (t.Qwen3Config, dict(head_dim=16)),
    "gemma": (t.GemmaConfig, dict(head_dim=8)),
    "gemma2": (t.Gemma2Config, dict(head_dim=8, sliding_window=8, query_pre_attn_scalar=12)),
    "mixtral": (t.MixtralConfig, dict(num_local_experts=4, num_experts_per_tok=2)),
    "qwen3-moe": (t.Qwen3MoeConfig, dict(num_experts=6, num_experts_per_tok=2, moe_intermediate_size=16, head_dim=8,
                                         mlp_only_layers=[0], norm_topk_prob=True)),
}


def values(name, shape, gemma):
    key = 2166136261
    for byte in name.encode():
        key = (key ^ byte) * 16777619 % 2**32
    h = (np.arange(int(np.prod(shape)), dtype=np.uint64) * 2654435761 + key) % 2**32
    for _ in range(2):
        h = (h ^ (h >> np.uint64(15))) * np.uint64(2246822519) % 2**32
    v = ((h >> np.uint64(24)).astype(np.float32) - 128) / 256
    return torch.from_numpy((v + ("norm" in name and not gemma)).reshape(shape).astype(np.float32))


def main():
    OUT.mkdir(exist_ok=True)
    for seed, (name, (config_class, extra)) in enumerate(MODELS.items()):
        config = config_class(**{**SMALL, **extra})
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            t.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
            with safe_open(folder / "model.safetensors", "np") as file:
                shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}
            from safetensors.torch import save_file
            save_file({key: values(key, shape, name.startswith("gemma")) for key, shape in shapes.items()},
                      folder / "model.safetensors", {"format": "pt"})
            model = t.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
            tokens = torch.randint(0, config.vocab_size, (2, 24), generator=torch.Generator().manual_seed(seed))
            with torch.no_grad():
                logits = model(tokens, use_cache=False).logits
            config = json.loads((folder / "config.json").read_text())
        kept = [[float(f"{x:.8g}") for x in row.flatten().tolist()] for row in logits[:, -4:]]
        case = dict(config=config, shapes=shapes, tokens=tokens.tolist(), logits=kept)
        (OUT / f"{name}.json").write_text(json.dumps(case, separators=(",", ":")) + "\n")
        print(name, (OUT / f"{name}.json").stat().st_size, float(logits.abs().max()), float(logits.std()))


main()
