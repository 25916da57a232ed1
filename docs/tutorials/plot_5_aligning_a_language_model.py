"""
Aligning a small language model once for all trade-offs
=======================================================

If you train with TRL, you know the steps: rows of prompt, chosen and rejected, a run to watch, a model to
serve. Here one run covers two objectives, and the trade-off between them is an argument. The model is tiny,
random, and over bytes. It shows *that* one run learns to obey weights, in seconds and without a download,
and says nothing about the quality of any language model.
"""

# %%
# Data
# ----
# Rows are as in TRL. The preference is the first objective; the second one is a function
# of prompt and response. Here the chosen answer has more letters "a", and the second
# objective is brevity. The two conflict, since each "a" makes a text longer.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from transformers import AutoModelForCausalLM, AutoTokenizer

from hyperrank.alignment import HyperPromptAligner, tiny_model, to_preferences

rng = np.random.default_rng(0)


def made_up(n):
    """Rows of two answers of random length; the one with more letters a is chosen."""
    answers = [
        ["".join(rng.choice(list("aaabcd"), rng.integers(2, 12))) for _ in range(2)]
        for _ in range(n)
    ]
    ranked = [sorted(pair, key=lambda text: -text.count("a")) for pair in answers]
    return [
        {"prompt": "Write: ", "chosen": pair[0], "rejected": pair[1]} for pair in ranked
    ]


scores = {"brevity": lambda _, response: -len(response)}
train, held_out = (to_preferences(made_up(n), scores=scores) for n in (192, 96))
pd.DataFrame(made_up(3))

# %%
# Train
# -----
# ``adapters`` are the options of LoRA. ``training_args`` are passed to transformers' Trainer: logging,
# evaluation, accumulation and so on. The learning rates suit this tiny model; the defaults suit real ones.

model, tokenizer = tiny_model()
aligner = HyperPromptAligner(
    model,
    tokenizer,
    objectives=["letters", "brevity"],
    adapters={"r": 8},
    n_tokens=4,
    beta=0.5,
    max_steps=50,
    batch_size=8,
    prompt_learning_rate=0.05,
    hypernetwork_learning_rate=0.05,
    adapter_learning_rate=5e-3,
    random_state=0,
    training_args={
        "logging_steps": 5,
        "eval_strategy": "steps",
        "eval_steps": 10,
        "eval_on_start": True,
    },
)
aligner.fit(train, eval_data=held_out)

# %%
# Watch
# -----
# The log is what TensorBoard or W&B would show. The run starts at the reference, with a log-ratio of zero.
# Evaluations are at the corners and the center of the simplex.

log = pd.DataFrame(aligner.history_)
columns = ["step", "loss", "log_ratio", "letters/accuracy", "brevity/accuracy"]
print(log.loc[log["loss"].notna(), columns].round(3).to_string(index=False))
evaluated = log[log["eval_loss"].notna()]
at = {
    f"{name}, at {corner}": f"eval_{name}/accuracy_at_{corner}"
    for name in ("letters", "brevity")
    for corner in ("letters", "brevity")
}
fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for label, column in at.items():
    ax.plot(evaluated["step"], evaluated[column], "o-", label=label)
ax.set(xlabel="step", ylabel="held-out pairs ordered by the label", ylim=(0, 1))
ax.legend(frameon=False, fontsize="small")
assert aligner.history_[0].get("eval_log_ratio_at_center", 0.0) == 0.0

# %%
# Choose
# ------
# Of two responses with different labels, how often does the model prefer the better one, as
# the weight moves from letters to brevity? All points come from one set of parameters.

share = np.linspace(0, 1, 9)
grid = np.column_stack([1 - share, share])
accuracy = aligner.accuracy(held_out, weights=grid)
fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
for column, name in enumerate(["letters", "brevity"]):
    ax.plot(share, accuracy[:, column], "o-", label=name)
ax.axhline(0.5, color="0.6", ls=":")
ax.set(xlabel="weight of brevity", ylabel="pairs ordered by the label", ylim=(0, 1))
ax.legend(frameon=False)
assert accuracy[0, 0] > accuracy[-1, 0] + 0.2
assert accuracy[-1, 1] > accuracy[0, 1] + 0.2

# %%
# The rewards of single responses show the same, one column per trade-off:

texts = ["aaaa", "dddd", "b"]
rewards = aligner.score(["Write: "], [texts], weights=[[1, 0], [0.5, 0.5], [0, 1]])[0]
print(
    pd.DataFrame(rewards, index=texts, columns=["letters", "both", "brevity"]).round(2)
)
assert rewards[0, 0] > rewards[1, 0]
assert rewards[2, 2] > rewards[0, 2]

# %%
# Export and serve
# ----------------
# The export is a plain model: adapters are merged, and each trade-off is a few new tokens in front of the
# prompt. ``AutoModelForCausalLM`` loads it, and it generates what the aligner generates. The tiny
# model writes bytes, and those that are not text are shown as a replacement character.

folder = Path(tempfile.mkdtemp()) / "served"
before = aligner.export_transformers(
    folder, weights={"letters": [1, 0], "brief": [0.2, 0.8]}
)
served, words = (
    AutoModelForCausalLM.from_pretrained(folder),
    AutoTokenizer.from_pretrained(folder),
)
for name, weights in [("letters", [1, 0]), ("brief", [0.2, 0.8])]:
    ids = words(before[name] + "Write: ", return_tensors="pt")
    made = served.generate(**ids, max_new_tokens=12, do_sample=False, pad_token_id=0)
    text = words.decode(made[0, ids.input_ids.shape[1] :], skip_special_tokens=True)
    assert text == aligner.generate(["Write: "], weights=weights, max_new_tokens=12)[0]
    print(f"{name:8} {before[name][:24]}...  {text!r}")

# %%
# For a real language model, pass its name to ``HyperPromptAligner``; :doc:`../alignment` has the options
# and the results so far.
