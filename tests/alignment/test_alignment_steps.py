"""A step: the loss is DPO's, in however many passes, at whatever precision, and collapse is seen."""

import numpy as np
import pytest
import torch
from alignment_helpers import by_full_logits, letter_lists

from hyperrank.alignment.fitting import new_encoder
from hyperrank.alignment.loop import _has_collapsed
from hyperrank.alignment.seeding import place_rng
from hyperrank.simplex import dirichlet_weights

pytestmark = pytest.mark.slow


def params_of(aligner):
    return {name: value.detach().clone() for name, value in aligner.policy_.trained().items()}


def test_loss_of_pairs_is_the_weighted_bradley_terry_loss(short, tiny):
    """The first step's loss against a computation from transformers' full logits in float64."""
    prompts, responses, labels = letter_lists(5, size=2)
    labels = [[[1, 0], [0, 1]]] * 5  # two objectives that always disagree
    aligner = short(max_steps=1, batch_size=5, normalize_objectives=False).fit(prompts, responses, labels)
    fresh = short(max_steps=1, batch_size=5, prompt_learning_rate=1e-12, hypernetwork_learning_rate=1e-12)
    fresh.fit(prompts, responses, labels)
    model, encoder = tiny[0], new_encoder(aligner, aligner.base_)
    order = place_rng(0, 1, 0).permutation(5)
    weights = dirichlet_weights(5, 2, rng=place_rng(0, 2, 0))
    vectors = fresh.policy_.prompt(torch.ones(2) / 2).detach()  # before training, the same for all weights
    tokens = encoder.encode(prompts, responses)
    losses, ratios = [], []
    with torch.no_grad():
        for place, q in enumerate(order):
            pair = [(tokens.prompts[q], tokens.responses[row]) for row in (2 * q, 2 * q + 1)]
            ratio = [by_full_logits(model, *s, vectors) - by_full_logits(model, *s) for s in pair]
            margin = aligner.beta * (ratio[0] - ratio[1])
            both = torch.nn.functional.softplus(torch.stack([-margin, margin]))
            losses.append(float((torch.from_numpy(weights[place]) * both).sum()))
            ratios += [float(abs(r)) / len(s[1]) for r, s in zip(ratio, pair, strict=True)]
    assert aligner.history_[0]["loss"] == pytest.approx(np.mean(losses), abs=2e-5)
    assert aligner.history_[0]["log_ratio"] == pytest.approx(np.mean(ratios), rel=1e-3)


@pytest.mark.parametrize("adapters", [None, {"r": 2}], ids=["prompt", "lora"])
def test_the_number_of_passes_does_not_change_a_step(short, few, adapters):
    """Gradients are summed over passes of any size to those of the whole step."""
    whole, parts = (
        short(batch_tokens=size, max_steps=2, ties="average", adapters=adapters).fit(*few)
        for size in (10**6, 150)
    )
    for name, value in params_of(whole).items():
        assert torch.allclose(value, params_of(parts)[name], atol=2e-4), name
    assert [e["loss"] for e in whole.history_] == pytest.approx([e["loss"] for e in parts.history_], abs=1e-4)


def test_activation_checkpointing_changes_nothing_but_memory(short, few):
    plain, saving = (short(activation_checkpointing=on, adapters={"r": 2}).fit(*few) for on in (False, True))
    for name, value in params_of(plain).items():
        assert torch.allclose(value, params_of(saving)[name], atol=1e-5), name
    assert not saving.policy_.model.model.training


def test_activations_are_in_fact_computed_again(short, few):
    counts = []
    for on in (False, True):
        aligner = short(activation_checkpointing=on, max_steps=1)
        calls = []
        layer = type(aligner.model.model.layers[0].mlp)
        forward = layer.forward
        try:
            layer.forward = lambda self, x, forward=forward, calls=calls: calls.append(1) or forward(self, x)
            aligner.fit(*few)
        finally:
            layer.forward = forward
        counts.append(len(calls))
    assert counts[1] > counts[0]


def test_bfloat16_is_close_to_float32(short, few):
    """Policy and reference alike: at the start their ratios are those of float32, up to rounding."""
    wide, narrow = (short(precision=name, max_steps=2).fit(*few) for name in ("float32", "bfloat16"))
    assert narrow.policy_.model.embedding.weight.dtype == torch.bfloat16
    assert {buffer.dtype for buffer in narrow.policy_.model.model.buffers()} == {torch.float32}
    assert all(value.dtype == torch.float32 for value in narrow.policy_.trained().values())
    assert narrow.history_[0]["loss"] == pytest.approx(wide.history_[0]["loss"], abs=0.05)
    rewards = [np.concatenate(a.score(*few[:2])) for a in (wide, narrow)]
    assert np.abs(rewards[0] - rewards[1]).max() < 0.2


def test_nothing_moves_without_the_prompt(short, few):
    """With a learning rate of nothing the policy is prompt and model, and all weights give the same."""
    aligner = short(prompt_learning_rate=1e-12, hypernetwork_learning_rate=1e-12).fit(*few)
    one, other = (np.concatenate(aligner.score(*few[:2], weights=w)) for w in ([1, 0], [0, 1]))
    assert np.allclose(one, other, atol=1e-5)


def test_one_trade_off_alone_can_be_trained(short, few):
    aligner = short(weights={"brevity": 1.0})
    aligner.fit(*few)
    assert aligner.history_[0]["loss"] > 0


def test_global_generators_are_left_alone(short, few):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002
    short(sample_tokens=3).fit(*few)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_fits_repeat_to_the_bit(short, few):
    one, other = (short(sample_tokens=3, random_state=5).fit(*few) for _ in range(2))
    assert one.history_ == other.history_
    for name, value in params_of(one).items():
        assert torch.equal(value, params_of(other)[name])
    another = short(random_state=6).fit(*few)
    assert not torch.equal(params_of(one)["prompt.base"], params_of(another)["prompt.base"])


def test_history_shows_texts_by_objective(short, few):
    aligner = short(sample_tokens=5, log_every=2, max_steps=5, sample_prompts=["x", "y"]).fit(*few)
    logged = [entry["step"] for entry in aligner.history_ if "samples" in entry]
    assert logged == [2, 4, 5]
    samples = aligner.history_[1]["samples"]
    assert list(samples) == ["letters", "brevity"]
    assert all(len(texts) == 2 for texts in samples.values())


def test_collapse_stops_training_and_the_last_good_state_is_kept(short, few):
    # Far larger steps than are good for anything.
    wild = {
        "prompt_learning_rate": 3.0,
        "hypernetwork_learning_rate": 3.0,
        "beta": 0.01,
        "adapters": {"r": 8},
    }
    aligner = short(**wild, adapter_learning_rate=0.3, max_steps=40, log_every=3, max_log_ratio=0.3)
    with pytest.warns(
        UserWarning, match=r"training was stopped at step \d+: .* max_log_ratio=0.3 nats per token"
    ):
        aligner.fit(*few)
    assert aligner.collapsed_
    n_steps = len(aligner.history_)
    assert 10 <= n_steps < 40
    # What is kept is what a run that ends there arrives at.
    kept = (n_steps - 1) // 3 * 3
    stop = short(**wild, adapter_learning_rate=0.3, max_steps=40, log_every=3, max_log_ratio=None)
    stop.fit(*few, callback=lambda entry: entry["step"] == kept)
    for name, value in params_of(aligner).items():
        assert torch.equal(value, params_of(stop)[name])


def test_what_counts_as_collapse():
    entries = [{"log_ratio": 1.0}] * 9
    assert not _has_collapsed([*entries, {"log_ratio": 1.0}], 1.0)
    assert _has_collapsed([*entries, {"log_ratio": 1.1}], 1.0)
    assert not _has_collapsed([{"log_ratio": 99.0}] * 9, 1.0)
    assert not _has_collapsed([{"log_ratio": 99.0}] * 10, None)


def test_gradients_that_are_not_finite_are_left_out_until_it_is_too_many(short, few, monkeypatch):
    from hyperrank.alignment import steps

    true, calls = steps.weighted_loss, []

    def broken(*args, **kwargs):
        calls.append(1)
        return true(*args, **kwargs) * (np.nan if len(calls) < 4 else 1.0)

    monkeypatch.setattr(steps, "weighted_loss", broken)
    aligner = short(max_steps=6).fit(*few)
    assert all(torch.isfinite(value).all() for value in params_of(aligner).values())
    monkeypatch.setattr(steps, "weighted_loss", lambda *args, **kwargs: true(*args, **kwargs) * np.nan)
    with pytest.raises(
        FloatingPointError, match="in 10 steps in a row, at step 10: lower the learning rates"
    ):
        short(max_steps=20).fit(*few)


@pytest.mark.parametrize("loss", ["listnet", "pairwise_logistic"])
def test_other_losses(short, few, loss):
    prompts, responses, labels = few
    positive = [np.add(rows, [0, 40]) for rows in labels]
    aligner = short(loss=loss, gain="linear").fit(prompts, responses, positive)
    assert np.isfinite([entry["loss"] for entry in aligner.history_]).all()


def test_edges_of_data(short):
    """One prompt; equal responses; unobserved labels; lists of other lengths."""
    nan = np.nan
    aligner = short().fit([""], [["", "a"]], [[[1, 0], [0, 1]]])
    assert aligner.score([""], [["a"]])[0].shape == (1,)
    labels = [[[1, nan], [1, 2], [0, 1]], [[nan, nan], [nan, nan]]]
    aligner.fit(["p", "q"], [["same", "same", "other"], ["x", "x"]], labels)
    rewards = aligner.score(["p"], [["same", "same", "other"]])[0]
    assert rewards[0] == pytest.approx(rewards[1], abs=1e-5)
