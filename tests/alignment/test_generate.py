"""Text: as transformers makes it of one prompt, whatever else is in the batch."""

import architectures
import numpy as np
import pytest
import torch

from hyperrank import PerRow
from hyperrank.alignment import HyperPromptAligner

PROMPTS = ["a", "Tell me of bees. ", "What then? ", "x" * 40]


@torch.no_grad()
def by_hand(aligner, prompt, weights, n):
    """The likeliest tokens one by one, everything computed anew for each."""
    model, tokenizer = aligner.policy_.model.model, aligner.encoder_.tokenizer
    vectors = aligner.policy_.prompt(torch.tensor([weights]))
    ids = tokenizer(prompt).input_ids
    start = len(ids)
    while len(ids) < start + n and ids[-1] != tokenizer.eos_token_id:
        embeds = torch.cat([vectors, model.get_input_embeddings()(torch.tensor([ids]))], dim=1)
        ids.append(int(model(inputs_embeds=embeds).logits[0, -1].argmax()))
    return tokenizer.decode(ids[start:], skip_special_tokens=True)


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "bloom", "gpt_neox"])
def test_batches_give_what_each_prompt_gives_alone(tiny, few, family):
    aligner = HyperPromptAligner(
        architectures.tiny_of(family),
        tiny[1],
        n_tokens=3,
        max_steps=2,
        random_state=0,
        sample_tokens=0,
        max_length=100,
    ).fit(*few)
    with torch.no_grad():
        aligner.policy_.prompt.outer.weight.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
    weights = np.array([[1, 0], [0, 1], [0.5, 0.5], [0.2, 0.8]])
    expected = [by_hand(aligner, p, w, 8) for p, w in zip(PROMPTS, weights.astype("f").tolist(), strict=True)]
    assert aligner.generate(PROMPTS, weights=PerRow(weights), max_new_tokens=8) == expected


def test_shapes_of_weights(fitted):
    one = fitted.generate(PROMPTS, weights=[1, 0], max_new_tokens=6)
    three = fitted.generate(PROMPTS, weights=[[1, 0], [0.5, 0.5], [0, 1]], max_new_tokens=6)
    assert [texts[0] for texts in three] == one
    assert [len(texts) for texts in three] == [3, 3, 3, 3]
    by_name = fitted.generate(PROMPTS, weights={"brevity": 1}, max_new_tokens=6)
    assert by_name == [texts[2] for texts in three]
    assert fitted.generate(PROMPTS, max_new_tokens=6) == [texts[1] for texts in three]


def test_scores_have_the_shape_of_weights(fitted, few):
    prompts, responses, labels = few
    one = fitted.score(prompts, responses, weights=[1, 0])
    both = fitted.score(prompts, responses, weights=[[1, 0], [0, 1]])
    own = fitted.score(prompts, responses, weights=PerRow(np.tile([1.0, 0.0], (len(prompts), 1))))
    for a, b, c in zip(one, both, own, strict=True):
        assert a.shape == (4,)
        assert b.shape == (4, 2)
        assert np.array_equal(a, b[:, 0])
        assert np.array_equal(a, c)
    assert fitted.score(["p"], [["only one"]])[0].shape == (1,)
    assert fitted.accuracy(prompts, responses, labels).shape == (2,)
    assert fitted.accuracy(prompts, responses, labels, weights=np.eye(2)).shape == (2, 2)


def test_drawing_repeats_by_its_seed(fitted):
    options = {"do_sample": True, "max_new_tokens": 12}
    one = fitted.generate(PROMPTS, **options, random_state=1)
    assert one == fitted.generate(PROMPTS, **options, random_state=1)
    assert one != fitted.generate(PROMPTS, **options, random_state=2)


def test_prompts_of_any_length(fitted):
    texts = fitted.generate(["", "y" * 5000], max_new_tokens=4)
    assert len(texts) == 2
    # Both see the last characters alone.
    assert texts[1] == fitted.generate(["z" * 100 + "y" * 5000], max_new_tokens=4)[0]
    with pytest.warns(UserWarning, match="1 of 1 responses were cut to 254 tokens"):
        fitted.score(["p"], [["y" * 5000]])
