"""Text: as transformers makes it of one prompt, whatever else is in the batch."""

import copy
import time

import architectures
import numpy as np
import pytest
import torch
from alignment_helpers import SHORT

from hyperrank import PerRow
from hyperrank.alignment import HyperPromptAligner

PROMPTS = ["a", "Tell me of bees. ", "What then? ", "x" * 40]


@torch.no_grad()
def by_hand(aligner, prompt, weights, n):
    """The likeliest tokens one by one, everything computed anew for each."""
    model, tokenizer = aligner.policy_.model, aligner.encoder_.tokenizer
    vectors = aligner.policy_.conditioning.prompt(torch.tensor([weights]))
    ids = tokenizer(prompt).input_ids
    start = len(ids)
    while len(ids) < start + n and ids[-1] != tokenizer.eos_token_id:
        embeds = model.get_input_embeddings()(torch.tensor([ids]))
        embeds = torch.cat([embeds[:, :1], vectors, embeds[:, 1:]], dim=1)
        ids.append(int(model(inputs_embeds=embeds).logits[0, -1].argmax()))
    return tokenizer.decode(ids[start:], skip_special_tokens=True)


@pytest.mark.parametrize("family", ["llama", "gpt2", "opt", "bloom", "gpt_neox"])
def test_batches_give_what_each_prompt_gives_alone(tiny, few, family):
    options = {**SHORT, "n_tokens": 3, "max_steps": 1, "max_length": 100}
    aligner = HyperPromptAligner(architectures.tiny_of(family), tiny[1], **options).fit(*few)
    with torch.no_grad():
        outer = aligner.policy_.conditioning.hyper.outer
        outer.weight.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
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


def test_scores_have_the_shape_of_weights(conditioned, few):
    prompts, responses, labels = few
    one = conditioned.score(prompts, responses, weights=[1, 0])
    both = conditioned.score(prompts, responses, weights=[[1, 0], [0, 1]])
    own = conditioned.score(prompts, responses, weights=PerRow(np.tile([1.0, 0.0], (len(prompts), 1))))
    for a, b, c in zip(one, both, own, strict=True):
        assert a.shape == (4,)
        assert b.shape == (4, 2)
        assert np.array_equal(a, b[:, 0])
        assert np.array_equal(a, c)
    assert conditioned.score(["p"], [["only one"]])[0].shape == (1,)
    assert conditioned.accuracy(prompts, responses, labels).shape == (2,)
    assert conditioned.accuracy(prompts, responses, labels, weights=np.eye(2)).shape == (2, 2)
    assert conditioned.log_ratio(prompts, responses, weights=np.eye(2)).shape == (2,)


def test_several_samples_repeat_by_their_seed(fitted):
    options = {"n_samples": 3, "max_new_tokens": 12, "weights": [[1, 0], [0, 1]]}
    one = fitted.generate(PROMPTS, **options, random_state=1)
    assert [[len(texts) for texts in of_prompt] for of_prompt in one] == [[3, 3]] * 4
    assert len({text for of_prompt in one for texts in of_prompt for text in texts}) > 20
    assert one == fitted.generate(PROMPTS, **options, random_state=1)
    assert one != fitted.generate(PROMPTS, **options, random_state=2)
    drawn = fitted.generate(
        PROMPTS, do_sample=True, temperature=0.7, top_p=0.9, max_new_tokens=4, random_state=0
    )
    assert [type(text) for text in drawn] == [str] * 4


def test_the_generation_config_of_the_model_is_honored(tiny, few):
    """Each of a list of end-of-turn tokens ends a text, and drawing is what the model says."""
    model = copy.deepcopy(tiny[0])
    free = HyperPromptAligner(model, tiny[1], **SHORT).fit(*few)
    text = free.generate(["Hi"], max_new_tokens=24)[0]
    ends = [257, ord(next(letter for letter in text[3:] if letter.isascii()))]
    model.generation_config.eos_token_id = ends
    stopped = HyperPromptAligner(model, tiny[1], **SHORT).fit(*few)
    found = stopped.generate(["Hi"], max_new_tokens=24)[0]
    assert len(found) < len(text)
    assert text.startswith(found)
    model.generation_config.do_sample = True
    drawing = HyperPromptAligner(model, tiny[1], **SHORT).fit(*few)
    drawn = {drawing.generate(["Hi"], max_new_tokens=24, random_state=n)[0] for n in range(3)}
    assert len(drawn) == 3
    assert drawing.generate(["Hi"], max_new_tokens=24, do_sample=False)[0] == found


def test_stop_texts_end_a_response(fitted):
    text = fitted.generate(["Hi"], max_new_tokens=24, weights=[1, 0])[0]
    stop = text[4:6]
    assert (
        fitted.generate(["Hi"], max_new_tokens=24, weights=[1, 0], stop=stop)[0] == text[: text.index(stop)]
    )
    assert fitted.generate(["Hi"], max_new_tokens=24, weights=[1, 0], stop=["never", stop])[0] in text


def test_texts_are_streamed_and_errors_reach_the_reader(conditioned):
    expected = conditioned.generate(["Hi"], max_new_tokens=12, weights=[1, 0])[0]
    pieces = list(conditioned.stream("Hi", max_new_tokens=12, weights=[1, 0]))
    assert "".join(pieces) == expected
    with pytest.raises((TypeError, ValueError), match="nothing"):
        list(conditioned.stream("Hi", max_new_tokens=12, nothing=3))
    with pytest.raises(ValueError, match="stream takes one trade-off"):
        conditioned.stream("Hi", weights=[[1, 0], [0, 1]])


def test_a_reader_that_leaves_ends_the_text(fitted):
    calls = []
    hook = fitted.policy_.model.register_forward_hook(lambda *_: calls.append(time.sleep(0.01)))
    pieces = fitted.stream("Hi", max_new_tokens=400, do_sample=True, eos_token_id=[], random_state=3)
    next(pieces)
    pieces.close()
    fitted.generate(["Hi"], max_new_tokens=1)  # takes its turn after it
    hook.remove()
    assert len(calls) < 200


def test_prompts_of_any_length(fitted):
    texts = fitted.generate(["", "y" * 5000], max_new_tokens=4)
    assert len(texts) == 2
    # Both see the last characters alone.
    assert texts[1] == fitted.generate(["z" * 100 + "y" * 5000], max_new_tokens=4)[0]
