"""Lists whose two objectives pull apart: many of one letter, and few letters."""

import numpy as np
import torch

#: What each objective is called.
NAMES = ("letters", "brevity")
#: Options that make a fit take half a second.
SHORT = {"objectives": NAMES, "n_tokens": 4, "max_steps": 4, "batch_size": 6, "beta": 0.5, "random_state": 0}


def letter_lists(n_prompts: int, seed: int = 0, size: int = 4):
    """Prompts, responses and labels: the count of the letter a, and brevity."""
    rng = np.random.default_rng(seed)
    prompts = [f"Topic {rng.integers(100)}: " for _ in range(n_prompts)]
    responses, labels = [], []
    for _ in prompts:
        texts = []
        for _ in range(size):
            length = int(rng.integers(3, 16))
            share = rng.uniform(0.1, 0.9)
            texts.append(
                "".join("a" if rng.random() < share else rng.choice(list("bcde")) for _ in range(length))
            )
        responses.append(texts)
        labels.append([[text.count("a"), -len(text)] for text in texts])
    return prompts, responses, labels


def by_full_logits(model, prompt, response, vectors=None, place=0):
    """One sequence, no padding, no chunks, all logits, float64; vectors after `place` tokens."""
    embeds = model.get_input_embeddings()(torch.tensor([prompt + response]))
    if vectors is not None:
        embeds = torch.cat([embeds[:, :place], vectors[None].to(embeds.dtype), embeds[:, place:]], dim=1)
    logits = model(inputs_embeds=embeds).logits[0, -len(response) - 1 : -1].double()
    return torch.log_softmax(logits, dim=-1)[torch.arange(len(response)), response].sum()
