"""What a run survives: Ctrl-C, memory that does not reach, gradients that are not finite."""

import signal
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn
from training_helpers import Constant, data_of, network_of, run

from hyperrank import AdamW, HyperDPORanker
from hyperrank.datasets import make_multilabel_ranking
from hyperrank.networks import MLP
from hyperrank.training.loop import Steps


class Small(nn.Module):
    """A network on a machine whose memory ends at a number of documents."""

    def __init__(self, limit: int, error: Exception) -> None:
        super().__init__()
        self.inner, self.limit, self.error, self.seen = network_of(), limit, error, []

    def forward(self, features, weights, index):
        if len(features) > self.limit:
            raise self.error
        self.seen.append(len(features))
        return self.inner(features, weights, index)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    ],
    ids=["cuda", "python", "cpu"],
)
def test_steps_become_smaller_where_memory_does_not_reach(error) -> None:
    network = Small(25, error)
    with pytest.warns(UserWarning, match="out of memory at .* documents in a step") as warned:
        result = run(network, data_of(), batch_docs=80, max_epochs=4)
    assert max(network.seen) <= 25
    # All lists are still seen in each epoch, and what failed once is not tried again.
    assert sum(network.seen) == 4 * 4 * 32
    assert len(warned) == 1
    assert result.history[-1]["loss"] < result.history[0]["loss"]


def test_a_list_that_memory_does_not_reach_for_is_named() -> None:
    network = Small(10, MemoryError())
    with (
        pytest.warns(UserWarning, match="from now on"),
        pytest.raises(MemoryError, match="a single query of 12 documents: lower n_draws"),
    ):
        run(network, data_of())


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        run(Small(10, RuntimeError("shapes do not fit")), data_of())


def test_skipped_steps_are_counted() -> None:
    network, data = Constant(), data_of()
    data.features[data.lists.offsets[3] : data.lists.offsets[4]] = torch.nan  # of one list alone
    assert run(network, data, max_epochs=2, batch_docs=13).skipped_steps == 2


def interrupting(epoch: int) -> Callable[[dict[str, float]], None]:
    """Ctrl-C at the end of an epoch."""

    def interrupt(entry: dict[str, float]) -> None:
        if entry["epoch"] == epoch:
            raise KeyboardInterrupt

    return interrupt


def test_a_step_that_is_left_out_spoils_none_after_it() -> None:
    data = data_of()
    data.features[data.lists.offsets[3]] = torch.nan  # a list of one document
    result = run(network_of(), data, max_epochs=12, batch_docs=13)
    assert result.skipped_steps == 12
    assert result.history[-1]["loss"] < result.history[0]["loss"]


@pytest.mark.parametrize("average_decay", [0.0, 0.9])
def test_an_interrupted_run_ends_like_a_shorter_one(average_decay) -> None:
    options = {"average_decay": average_decay, "max_epochs": 9}
    broken, stopped = network_of(), network_of()
    result = run(broken, data_of(), on_epoch=interrupting(3), keep_on_interrupt=True, **options)
    run(stopped, data_of(), on_epoch=lambda entry: entry["epoch"] == 3, **options)
    assert result.is_interrupted
    assert len(result.history) == 3
    for a, b in zip(broken.parameters(), stopped.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not broken.training


def test_an_interrupt_is_raised_where_nobody_asked_to_keep_anything() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(network_of(), data_of(), on_epoch=interrupting(1))


def test_an_interrupt_before_the_first_step_is_raised() -> None:
    class Never(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network_of()

        def forward(self, *_):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Never(), data_of(), keep_on_interrupt=True)


def test_ctrl_c_leaves_a_fitted_ranker(monkeypatch) -> None:
    over, steps = Steps.over, []

    def interrupted(self, which):
        steps.append(which)
        if len(steps) == 3:
            signal.raise_signal(signal.SIGINT)
        return over(self, which)

    monkeypatch.setattr(Steps, "over", interrupted)
    data = make_multilabel_ranking(n_queries=10, n_objectives=2, random_state=0)
    ranker = HyperDPORanker(
        None, max_epochs=9, network=MLP((4,)), optimizer=AdamW(batch_docs=10**6), random_state=0, verbose=1
    )
    with pytest.warns(UserWarning, match="interrupted after 2 whole epochs: the ranker is fitted"):
        ranker.fit(data.X, data.Y, qid=data.qid)
    assert len(ranker.history_) == 2
    assert np.isfinite(ranker.predict(data.X)).all()


def test_a_whole_fit_warns_of_nothing() -> None:
    data = make_multilabel_ranking(n_queries=10, n_objectives=2, random_state=0)
    ranker = HyperDPORanker(None, max_epochs=1, random_state=0).fit(data.X, data.Y, qid=data.qid)
    assert np.isfinite(ranker.predict(data.X)).all()
