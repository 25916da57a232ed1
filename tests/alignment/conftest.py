import os

import pytest

# Nothing here may wait for a hub.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
pytest.importorskip("transformers", reason='pip install "hyperrank[llm]"')
pytest.importorskip("peft", reason='pip install "hyperrank[llm]"')

from alignment_helpers import NAMES, letter_lists

from hyperrank.alignment import HyperPromptAligner, tiny_model

#: Options that make a fit take a second.
SHORT = {"objectives": NAMES, "n_tokens": 4, "max_steps": 4, "batch_size": 6, "beta": 0.5, "random_state": 0}


@pytest.fixture(scope="session")
def tiny():
    return tiny_model()


@pytest.fixture(scope="session")
def few():
    return letter_lists(24)


@pytest.fixture
def short(tiny):
    """Make an aligner of the tiny model that is soon fitted."""

    def make(**options):
        both = dict(zip(("model", "tokenizer"), tiny, strict=True))
        return HyperPromptAligner(**{**both, **SHORT, "sample_tokens": 0, **options})

    return make


@pytest.fixture(scope="session")
def fitted(tiny, few):
    """An aligner that nobody changes."""
    options = {**SHORT, "hypernetwork_learning_rate": 0.1, "prompt_learning_rate": 0.1}
    return HyperPromptAligner(*tiny, **options, sample_tokens=4).fit(*few)
