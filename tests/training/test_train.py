"""The loop: it learns, keeps the best, repeats itself to the bit, and touches nothing else."""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training_helpers import Constant, data_of, network_of, run, same_bits, state_of

from hyperrank.losses import listnet, plackett_luce, weighted_loss
from hyperrank.training import ListTensors, loop, with_generator
from hyperrank.training.checkpoint import Optimiser


def test_the_loss_falls_on_what_can_be_learned() -> None:
    result = run(network_of(), data_of(), max_epochs=20)
    losses = [entry["loss"] for entry in result.history]
    assert [entry["epoch"] for entry in result.history] == list(range(1, 21))
    assert all(entry["seconds"] > 0 for entry in result.history)
    assert losses[-1] < 0.8 * losses[0]
    assert "score" not in result.history[0]
    assert math.isnan(result.best_score)
    assert result.best_epoch == 20


@pytest.mark.parametrize("n_members", [1, 2])
def test_the_objectives_come_apart(n_members: int) -> None:
    network, data = network_of(n_members=n_members), data_of()
    run(network, data, max_epochs=40)
    with torch.no_grad():
        by_member = network.train()(data.features, torch.eye(2)).unflatten(1, (2, n_members))
    for scores in by_member.unbind(dim=2):
        correlation = np.corrcoef(np.column_stack([scores, data.features[:, :2]]).T)[:2, 2:]
        assert correlation[0, 0] > correlation[0, 1] + 0.3
        assert correlation[1, 1] > correlation[1, 0] + 0.3


def scripted(scores: list[float], states: list[dict[str, Tensor]]) -> Callable[[nn.Module], float]:
    left: Iterator[float] = iter(scores)

    def evaluate(network: nn.Module) -> float:
        assert not network.training
        states.append(state_of(network))
        return next(left)

    return evaluate


@pytest.mark.parametrize("average_decay", [0.0, 0.9])
def test_the_best_state_is_restored_and_patience_stops(average_decay: float) -> None:
    network, states = network_of(), []
    evaluate = scripted([0.1, 0.5, 0.4, 0.5, math.nan, 9.0], states)
    options = {"max_epochs": 6, "patience": 3, "average_decay": average_decay}
    result = run(network, data_of(), evaluate=evaluate, **options)
    assert (result.best_epoch, result.best_score) == (2, 0.5)
    assert len(result.history) == 5
    assert [entry["score"] for entry in result.history[:4]] == [0.1, 0.5, 0.4, 0.5]
    assert same_bits(state_of(network), states[1])
    assert not same_bits(states[1], states[4])
    assert not network.training


def test_without_patience_the_run_goes_on_to_its_end() -> None:
    network, states = network_of(), []
    evaluate = scripted([5.0, 1, 1, 7, 1], states)
    result = run(network, data_of(), evaluate=evaluate, patience=None)
    assert (result.best_epoch, result.best_score, len(result.history)) == (4, 7.0, 5)
    assert same_bits(state_of(network), states[3])


def test_a_callback_may_ask_to_stop_and_the_best_state_is_still_restored() -> None:
    network, states = network_of(), []
    evaluate = scripted([1.0, 2.0, 1.5], states)
    result = run(network, data_of(), evaluate=evaluate, on_epoch=lambda entry: entry["epoch"] == 3)
    assert (len(result.history), result.best_epoch) == (3, 2)
    assert same_bits(state_of(network), states[1])


def test_scores_that_are_all_nan_leave_the_last_parameters() -> None:
    network, states = network_of(), []
    result = run(network, data_of(), evaluate=scripted([math.nan] * 5, states))
    assert same_bits(state_of(network), states[-1])
    assert result.best_epoch == 5


def test_averaging_is_a_running_mean_of_the_parameters_after_each_step() -> None:
    data, epochs = data_of((5, 5)), 30
    plain, seen = Constant(), [torch.zeros(4)]
    run(
        plain,
        data,
        evaluate=lambda n: seen.append(n.slope.detach().clone()) or 0.0,
        max_epochs=epochs,
        patience=None,
    )
    assert len(seen) == epochs + 1  # one batch per epoch: every step is seen
    expected = seen[0]
    for step, slope in enumerate(seen[1:], start=1):
        decay = min(0.7, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * slope
    averaged = Constant()
    result = run(averaged, data, average_decay=0.7, max_epochs=epochs)
    torch.testing.assert_close(averaged.slope.detach(), expected)
    assert not torch.allclose(expected, seen[-1], rtol=1e-3)
    assert result.best_epoch == epochs


def test_looking_through_the_average_does_not_disturb_training() -> None:
    def last(evaluate: Any) -> tuple[list[float], dict[str, Tensor]]:
        network = network_of()
        result = run(network, data_of(), average_decay=0.9, evaluate=evaluate, patience=None)
        return [entry["loss"] for entry in result.history], state_of(network)

    rising = iter(range(100))
    losses, state = last(None)
    seen_losses, seen_state = last(lambda _: float(next(rising)))
    assert losses == seen_losses
    assert same_bits(state, seen_state)


@pytest.mark.parametrize("loss", [listnet, plackett_luce])
def test_the_same_seeds_give_the_same_bits(loss: Any) -> None:
    def once(seed: int) -> tuple[dict[str, Tensor], list[float]]:
        network = network_of(dropout=0.3)
        result = run(network, data_of(), loss=loss, seed=seed, average_decay=0.9)
        return state_of(network), [entry["loss"] for entry in result.history]

    first, again, other = once(1), once(1), once(2)
    assert same_bits(first[0], again[0])
    assert first[1] == again[1]
    assert not same_bits(first[0], other[0])


@pytest.mark.parametrize("loss", [listnet, partial(plackett_luce, top_k=2)])
def test_the_fused_loss_trains_as_the_plain_one_does(loss: Any) -> None:
    data = data_of()
    data.labels[:] = data.features[:, :2].abs()  # without ties there is one order
    data.labels[3::5, 0] = torch.nan
    query_weight = torch.arange(1.0, 21.0)
    data = ListTensors(data.features, data.labels, data.lists, query_weight)
    states = []
    for either in (loss, lambda *arguments, **options: loss(*arguments, **options)):
        network = network_of()
        run(network, data, loss=either, scale=torch.tensor([0.5, 2.0]))
        assert (data.prepared is None) == (either is not loss)
        states.append(state_of(network))
    for name, tensor in states[0].items():
        # A bias on all scores has no gradient but rounding, which the optimiser blows up.
        if name != "head.bias":
            torch.testing.assert_close(tensor, states[1][name], rtol=1e-3, atol=1e-4)
    assert not same_bits(states[0], state_of(network_of()))


def test_numpys_and_torchs_global_generators_stay_as_they_are() -> None:
    network, generator = network_of(dropout=0.3), torch.Generator()
    loss = with_generator(plackett_luce, generator)
    # `run` seeds torch's.
    before = torch.manual_seed(0).get_state(), np.random.get_state()[1].tolist()  # type: ignore[index, union-attr] # noqa: NPY002
    run(network, data_of(), loss=loss, generator=generator)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]  # type: ignore[index, union-attr] # noqa: NPY002


class FlakyLoss:
    """ListNet that is NaN at some calls, which are numbered from 1."""

    def __init__(self, bad: set[int]) -> None:
        self.bad, self.calls = bad, 0
        self.slopes: list[Tensor] = []
        self.network = Constant()

    def __call__(self, scores: Tensor, labels: Tensor, offsets: Tensor, *, reduction: str) -> Tensor:
        self.calls += 1
        self.slopes.append(self.network.slope.detach().clone())
        losses = listnet(scores, labels, offsets, reduction=reduction)
        return losses * torch.nan if self.calls in self.bad else losses


def test_a_step_with_a_nan_loss_is_skipped() -> None:
    loss = FlakyLoss({2, 4})
    result = run(loss.network, data_of((5, 5)), loss=loss)
    moved = [
        not torch.equal(a, b)
        for a, b in zip(loss.slopes, [*loss.slopes[1:], loss.network.slope], strict=True)
    ]
    assert moved == [True, False, True, False, True]
    assert loss.network.slope.isfinite().all()
    assert [math.isnan(entry["loss"]) for entry in result.history] == [False, True, False, True, False]


def test_ten_bad_steps_in_a_row_are_the_end() -> None:
    loss = FlakyLoss(set(range(3, 100)))
    with pytest.raises(FloatingPointError, match="NaN or infinite in 10 steps in a row, at step 12: lower"):
        run(loss.network, data_of((5, 5)), loss=loss, max_epochs=50)
    nine = FlakyLoss(set(range(1, 10)) | set(range(11, 20)))
    run(nine.network, data_of((5, 5)), loss=nine, max_epochs=20)
    assert nine.calls == 20


def test_lists_of_weight_zero_do_not_influence_the_parameters() -> None:
    sizes, weight = (6, 2, 5, 40, 7, 3) * 3, [1.0, 0.0, 2.0, 0.0, 1.0, 0.0] * 3

    def trained(seed_of_the_unweighted: int) -> dict[str, Tensor]:
        data, other = data_of(sizes, query_weight=weight), data_of(sizes, seed=seed_of_the_unweighted)
        unweighted = torch.tensor(weight)[torch.from_numpy(data.lists.index)] == 0
        data.features[unweighted] = other.features[unweighted]
        data.labels[unweighted] = other.labels[unweighted]
        network = network_of()
        run(network, data, batch_docs=30)
        return state_of(network)

    assert same_bits(trained(1), trained(2))
    network = network_of()
    run(network, data_of(sizes), batch_docs=30)
    assert not same_bits(state_of(network), trained(1))


def test_a_list_counts_by_its_weight_across_batches_too() -> None:
    """A list alone in its batch must not count as much as a heavier one alone in another."""
    data = data_of((8, 8), query_weight=[9.0, 1.0])
    steps: list[Tensor] = []
    network = Constant()
    network.slope.register_hook(lambda gradient: steps.append(gradient.clone()))
    run(network, data, max_epochs=1, batch_docs=8, learning_rate=1e-12, n_draws=1, draw_weights=half)
    alone: list[Tensor] = []
    for rows in (slice(0, 8), slice(8, 16)):
        fresh = Constant()
        weights = torch.full((1, 1, 2), 0.5)
        value = weighted_loss(
            fresh(data.features[rows], weights, None),
            data.labels[rows],
            torch.tensor([0, 8]),
            weights,
            loss=listnet,
        )
        alone.append(torch.autograd.grad(value, fresh.slope)[0])
    torch.testing.assert_close(torch.stack(steps).mean(dim=0), 0.9 * alone[0] + 0.1 * alone[1])


@pytest.mark.parametrize("weight", [None, [1.0, 3.0, 0.5, 2.0, 0.0] * 4])
def test_parts_of_a_batch_make_its_gradient_together(weight: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained(at_once: int) -> tuple[dict[str, Tensor], list[float]]:
        monkeypatch.setattr(loop, "DOCUMENTS_AT_ONCE", at_once)
        network = network_of().double()
        data = data_of(query_weight=weight)
        data.features, data.labels = data.features.double(), data.labels.double()
        result = run(network, data, batch_docs=60, max_epochs=3)
        return state_of(network), [entry["loss"] for entry in result.history]

    (whole, losses), (parts, of_parts) = trained(1000), trained(9)
    assert not same_bits(whole, parts)  # several parts indeed
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=1e-6, atol=1e-9)
    assert of_parts == pytest.approx(losses, rel=1e-6)


def half(n: int) -> np.ndarray:
    return np.full((n, 2), 0.5)


def test_each_list_draws_its_own_weights_several_times() -> None:
    asked: list[int] = []

    def draw(n: int) -> np.ndarray:
        asked.append(n)
        return half(n)

    run(network_of(), data_of((5,) * 8), draw_weights=draw, n_draws=3, batch_docs=20, max_epochs=2)
    assert asked == [12, 12, 12, 12]


def test_the_scale_divides_each_objectives_loss() -> None:
    def first_loss(scale: Tensor | None) -> float:
        return run(Constant(), data_of((5, 5)), max_epochs=1, scale=scale).history[0]["loss"]

    assert first_loss(torch.tensor([2.0, 2.0])) == pytest.approx(first_loss(None) / 2)


def test_unlabelled_objectives_and_single_documents_are_no_trouble() -> None:
    data = data_of((1, 1, 1, 4))
    data.labels[:, 1] = torch.nan
    network = network_of()
    result = run(network, data, loss=plackett_luce)
    assert all(math.isfinite(entry["loss"]) for entry in result.history)
    assert all(tensor.isfinite().all() for tensor in state_of(network).values())


def test_the_optimiser_is_torchs_and_leaves_parameters_without_gradient() -> None:
    start = torch.linspace(-1, 1, 6)
    used, unused, expected = (nn.Parameter(start.clone()) for _ in range(3))
    ours = Optimiser([used, unused], weight_decay=0.1)
    theirs = torch.optim.AdamW([expected], lr=0.05, weight_decay=0.1)
    for step in range(5):
        for parameter in (used, expected):
            parameter.grad = torch.sin(parameter.detach() * (step + 1))
        ours.step(0.05)
        theirs.step()
    assert torch.equal(used, expected)
    assert torch.equal(unused, start)
