"""
Aligning a small language model once for all trade-offs
=======================================================

The same idea for text: one training run, and the trade-off is an argument of ``generate``. The model here
is as small as models get, random, over bytes, and made on the spot; the preferences are made up. It shows
*that* one prompt learns to obey weights, in seconds and without a download. It shows nothing about the
quality of any language model.
"""

# %%
# Preferences
# -----------
# A prompt has four responses, and every response two labels: how many letters "a" it has, and how short it
# is. The two disagree: each "a" makes a text longer.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from hyperrank.alignment import HyperPromptAligner, tiny_model

rng = np.random.default_rng(0)


def made_up(n):
    """Prompts, lists of four responses, and labels."""
    lists = [
        [
            "".join(rng.choice(list("aaabcd"), int(rng.integers(2, 12))))
            for _ in range(4)
        ]
        for _ in range(n)
    ]
    labels = [[[text.count("a"), -len(text)] for text in texts] for texts in lists]
    return ["Write: "] * n, lists, labels


train, held_out = made_up(64), made_up(48)
print(train[1][0], train[2][0])

# %%
# One run
# -------
# The model is frozen. What is trained is four prompt vectors, and the small network that makes them of the
# weights.

model, tokenizer = tiny_model()
aligner = HyperPromptAligner(
    model,
    tokenizer,
    objectives=["letters", "brevity"],
    n_tokens=4,
    beta=0.5,
    max_steps=30,
    batch_size=8,
    prompt_learning_rate=0.05,
    hypernetwork_learning_rate=0.05,
    random_state=0,
)
aligner.fit(*train)

# %%
# Do the weights decide?
# ----------------------
# Of two responses with different labels, how often does the model prefer the one with the better label? On
# lists that were not trained on, by objective, as all weight moves from letters to brevity.

share = np.linspace(0, 1, 9)
accuracy = aligner.accuracy(*held_out, weights=np.column_stack([1 - share, share]))
fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for column, name in enumerate(["letters", "brevity"]):
    ax.plot(share, accuracy[:, column], "o-", label=name)
ax.axhline(0.5, color="0.6", ls=":")
ax.set(xlabel="weight of brevity", ylabel="pairs ordered by the label", ylim=(0, 1))
ax.legend(frameon=False)
print(accuracy[[0, 4, 8]].round(2))
assert accuracy[0, 0] > accuracy[-1, 0] + 0.2
assert accuracy[-1, 1] > accuracy[0, 1] + 0.2

# %%
# With all weight on letters the model prefers the responses with more of them; with all weight on brevity,
# the short ones; and one set of parameters does both. The two objectives cannot both be had here, so the
# curves cross.
#
# Rewards of single responses say the same, one column per trade-off:

texts = ["aaaa", "dddd", "b"]
rewards = aligner.score(["Write: "], [texts], weights=[[1, 0], [0.5, 0.5], [0, 1]])[0]
print(
    pd.DataFrame(rewards, index=texts, columns=["letters", "both", "brevity"]).round(2)
)
assert rewards[0, 0] > rewards[1, 0]
assert rewards[2, 2] > rewards[0, 2]

# %%
# Under "letters" four of them are worth more than four others, under "brevity" one letter is worth more
# than four. `aligner.generate` takes the same weights; a random model knows no language, though, and what it
# writes is noise.
#
# To do this with a model that can write, pass its name; :doc:`../alignment` says what is trained, what it
# takes, and what has been measured.
