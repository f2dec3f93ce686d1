"""Perplexity of a causal language model on a text file: the protocol of every figure in testdata.

The text is tokenized whole without special tokens and cut into windows of 256 tokens without overlap; of the first 64 windows,
exp of the mean negative log likelihood of tokens 1..255 of each window.
"""

import math

import torch

WINDOW, WINDOWS = 256, 64


def windows(tokenizer, path):
    with open(path, encoding="utf-8") as file:
        ids = tokenizer(file.read(), add_special_tokens=False, return_tensors="pt").input_ids[0]
    count = min(WINDOWS, len(ids) // WINDOW)
    assert count > 0, f"{path}: fewer than {WINDOW} tokens"
    return ids[: count * WINDOW].reshape(count, WINDOW)


@torch.no_grad()
def perplexity(model, tokenizer, path):
    """(perplexity, whether every logit is finite)"""
    total, count, finite = 0.0, 0, True
    for window in windows(tokenizer, path):
        logits = model(window[None]).logits[0].float()
        finite &= bool(torch.isfinite(logits).all())
        total += torch.nn.functional.cross_entropy(logits[:-1], window[1:], reduction="sum").double().item()
        count += len(window) - 1
    return math.exp(total / count), finite
