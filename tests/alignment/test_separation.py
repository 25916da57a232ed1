"""Training does what it is for: one fit, and the weights decide which responses are preferred."""

import pytest
from alignment_helpers import NAMES, letter_lists

from hyperrank.alignment import HyperPromptAligner, tiny_model

FAST = {"prompt_learning_rate": 0.05, "hypernetwork_learning_rate": 0.05, "adapter_learning_rate": 5e-3}


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (0, {}),
        pytest.param(0, {"adapters": {"r": 8}}, marks=pytest.mark.slow),
        (0, {"conditioning": "lora", "adapters": {"r": 8}}),
        pytest.param(1, {}, marks=pytest.mark.slow),
        pytest.param(2, {}, marks=pytest.mark.slow),
    ],
    ids=["prompt", "prompt-lora", "lora", "prompt-1", "prompt-2"],
)
def test_weights_decide_after_one_fit(seed, options):
    model = tiny_model(random_state=seed)
    short = {"n_tokens": 8, "beta": 0.5, "max_steps": 40, "batch_size": 8, "random_state": seed}
    options = {**short, **FAST, **options}
    aligner = HyperPromptAligner(*model, objectives=NAMES, **options).fit(*letter_lists(192, seed=seed))
    held_out = letter_lists(64, seed=100 + seed)
    first, middle, last = aligner.accuracy(*held_out, weights=[[1, 0], [0.5, 0.5], [0, 1]])
    assert first[0] - last[0] > 0.55
    assert last[1] - first[1] > 0.45
    assert last[0] + 0.1 < middle[0] < first[0] - 0.1
    assert first[1] + 0.1 < middle[1] < last[1] - 0.1
    assert not aligner.collapsed_
