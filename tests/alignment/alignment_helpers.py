"""Lists whose two objectives pull apart: many of one letter, and few letters."""

import numpy as np

#: What each objective is called.
NAMES = ("letters", "brevity")


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
