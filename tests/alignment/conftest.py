import os

import pytest

# Nothing here may wait for a hub.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
pytest.importorskip("transformers", reason='pip install "hyperrank[llm]"')
pytest.importorskip("peft", reason='pip install "hyperrank[llm]"')

from alignment_helpers import SHORT, letter_lists

from hyperrank.alignment import HyperPromptAligner, tiny_model

#: Options by which a conditioning is trained in a second.
CONDITIONINGS = {
    "prompt": {"hypernetwork_learning_rate": 0.1, "prompt_learning_rate": 0.1},
    "prompt-lora": {"adapters": {"r": 2, "lora_alpha": 4}, "adapter_learning_rate": 0.01},
    "lora": {"conditioning": "lora", "adapters": {"r": 3}, "adapter_learning_rate": 0.03},
    "mixture": {"conditioning": "mixture", "adapters": {"r": 2}, "adapter_learning_rate": 0.03},
    "text": {"conditioning": "text", "adapters": {"r": 2}, "adapter_learning_rate": 0.03},
}


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
        return HyperPromptAligner(**{**both, **SHORT, **options})

    return make


@pytest.fixture(scope="session", params=CONDITIONINGS)
def conditioned(request, tiny, few):
    """A fitted aligner of each conditioning, that nobody changes."""
    return HyperPromptAligner(*tiny, **{**SHORT, **CONDITIONINGS[request.param]}).fit(*few)


@pytest.fixture(scope="session")
def fitted(tiny, few):
    """An aligner with a prompt, that nobody changes."""
    return HyperPromptAligner(*tiny, **{**SHORT, **CONDITIONINGS["prompt"]}).fit(*few)
