"""A run of the loop that is interrupted after any batch continues to the same bits."""

import signal

import numpy as np
import pytest
import torch
from training_helpers import data_of, network_of, run, same_bits, state_of

from hyperrank._progress import ProgressBar
from hyperrank.files import ModelFileError, read_model_file, write_model_file
from hyperrank.losses import plackett_luce
from hyperrank.training import Checkpoint
from hyperrank.training.loop import Steps


class KilledError(Exception):
    """Stands for whatever ends a process."""


class Dying(Checkpoint):
    """Ends the process after so many batches, once it has written."""

    left = 10**9

    def maybe_save(self, run) -> None:
        super().maybe_save(run)
        self.left -= 1
        if self.left == 0:
            raise KilledError


def opened(path, left=10**9):
    checkpoint = Dying.read(path, 0) if path.exists() else Dying(path, 0)
    checkpoint.about, checkpoint.left = {"seed": 0}, left
    return checkpoint


def front_like(network):
    """A score that rises, falls and rises, so that the best state is an old one for a while."""
    front_like.calls += 1
    return float(next(network.parameters()).sum().detach()) + np.sin(2.0 * front_like.calls)


front_like.calls = 0


def whole_and_broken(tmp_path, at, *, dropout=0.0, **options):
    """The same run twice: in one go, and broken off after `at` batches and taken up with all made anew."""
    calls = options.pop("evaluates", False)
    results = []
    for breaks in (False, True):
        front_like.calls = 0
        evaluate = {"evaluate": front_like} if calls else {}
        network, path = network_of(dropout=dropout), tmp_path / "run"
        if breaks:
            with pytest.raises(KilledError):
                run(network, data_of(), checkpoint=opened(path, at), **evaluate, **options)
            network = network_of(dropout=dropout, seed=99)
            result = run(network, data_of(), checkpoint=opened(path), seed=98, **evaluate, **options)
            path.unlink()
        else:
            result = run(network, data_of(), **evaluate, **options)
        results.append((network, result))
    return results


def assert_same(whole, broken):
    assert same_bits(state_of(whole[0]), state_of(broken[0]))
    for one, other in zip(whole[1].history, broken[1].history, strict=True):
        assert one["loss"] == other["loss"]
        assert one.get("score") == other.get("score")
    for name in ("best_epoch", "skipped_steps"):
        assert getattr(whole[1], name) == getattr(broken[1], name)


#: Batches, and ends of epochs, at which a run of three epochs is asked for a checkpoint.
OFFERS = 3 * (3 + 1)


@pytest.mark.parametrize("at", range(1, OFFERS + 1))
def test_broken_off_after_any_batch(tmp_path, at):
    options = {"max_epochs": 3, "dropout": 0.3, "average_decay": 0.9, "evaluates": True}
    assert_same(*whole_and_broken(tmp_path, at, **options))


@pytest.mark.parametrize("at", [2, 5])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": plackett_luce},  # whose tied orders are torch's chance
        {"batch_docs": 11},  # a list is longer than a batch
        {"evaluates": True, "patience": 1, "max_epochs": 8},
        {"evaluates": True, "average_decay": 0.5},
    ],
    ids=["plain", "ties", "long", "stopped", "averaged"],
)
def test_whatever_the_run_is_like(tmp_path, at, options):
    assert_same(*whole_and_broken(tmp_path, at, **options))


def test_what_one_of_several_processes_wrote_goes_on_in_one(tmp_path):
    whole, path = run(network_of(), data_of()), tmp_path / "run"
    with pytest.raises(KilledError):
        run(network_of(), data_of(), checkpoint=opened(path, 2))
    head, content = read_model_file(path)
    losses = content["training"]["losses"]
    # Its own share of each batch's loss, and how large that is.
    content["training"]["losses"] = np.stack([0.4 * losses, np.full_like(losses, 0.4)], axis=1)
    write_model_file(path, content, head={key: head[key] for key in ("class", "hyperrank")})
    found = run(network_of(), data_of(), checkpoint=opened(path))
    np.testing.assert_allclose([e["loss"] for e in found.history], [e["loss"] for e in whole.history])


def test_steps_that_were_left_out_or_made_smaller_stay_so(tmp_path):
    def small(checkpoint):
        data, network = data_of(), network_of()
        data.features[data.lists.offsets[3] : data.lists.offsets[4]] = torch.nan
        forward, seen = network.forward, []

        def limited(features, weights, index):
            if len(features) > 25:
                raise MemoryError
            seen.append(len(features))
            return forward(features, weights, index)

        network.forward = limited
        result = run(network, data, batch_docs=80, checkpoint=checkpoint, max_epochs=2)
        return (network, result), seen

    with pytest.warns(UserWarning, match="out of memory"):
        whole, _ = small(None)
    with pytest.raises(KilledError), pytest.warns(UserWarning, match="out of memory"):
        small(opened(tmp_path / "run", 2))
    # That memory does not reach is known: no warning, which would be an error here.
    broken, seen = small(opened(tmp_path / "run"))
    assert max(seen) <= 25
    assert whole[1].skipped_steps > 0
    assert_same(whole, broken)


def test_a_run_that_is_over_is_not_trained_again(tmp_path):
    path = tmp_path / "run"
    first = network_of()
    whole = run(first, data_of(), checkpoint=opened(path))
    again = network_of(seed=5)
    result = run(again, data_of(), checkpoint=opened(path), on_epoch=lambda _: pytest.fail("trained"))
    assert same_bits(state_of(first), state_of(again))
    assert result.history == whole.history


def test_the_bar_begins_where_the_run_did(tmp_path, terminal):
    path = tmp_path / "run"
    with pytest.raises(KilledError):
        run(network_of(), data_of(), checkpoint=opened(path, 8))
    checkpoint = opened(path)
    assert len(checkpoint.history) == 2
    with ProgressBar(5, verbose=1, leave=True, done=2) as bar:
        run(network_of(), data_of(), checkpoint=checkpoint, on_epoch=bar.show_epoch)
    bars = terminal.getvalue().replace("\n", "\r").split("\r")
    assert "2/5" in next(bar for bar in bars if bar)
    assert "5/5" in [bar for bar in bars if bar][-1]


def interrupting(monkeypatch, at, times=1):
    """Ctrl-C in the midst of a step, once or several times."""
    over, steps = Steps.over, []

    def interrupted(self, which):
        steps.append(which)
        if len(steps) == at:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return over(self, which)

    monkeypatch.setattr(Steps, "over", interrupted)
    return steps


@pytest.mark.parametrize("at", [1, 3, 15])
def test_ctrl_c_waits_for_the_end_of_the_batch(tmp_path, monkeypatch, at):
    options = {"max_epochs": 5, "dropout": 0.3, "average_decay": 0.9}
    dropout = options.pop("dropout")
    whole = network_of(dropout=dropout)
    result = run(whole, data_of(), **options)
    path = tmp_path / "run"
    steps = interrupting(monkeypatch, at)
    checkpoint = Checkpoint(path, 1e9)
    checkpoint.about = {"seed": 0}
    broken = run(
        network_of(dropout=dropout), data_of(), checkpoint=checkpoint, keep_on_interrupt=True, **options
    )
    assert broken.is_interrupted
    assert len(steps) == at
    monkeypatch.undo()
    network = network_of(dropout=dropout, seed=7)
    resumed = run(network, data_of(), checkpoint=Checkpoint.read(path, 1e9), **options)
    assert_same((whole, result), (network, resumed))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_wait(tmp_path, monkeypatch):
    path = tmp_path / "run"
    interrupting(monkeypatch, 2, times=2)
    with pytest.raises(KeyboardInterrupt):
        run(network_of(), data_of(), checkpoint=Checkpoint(path, 1e9))
    assert not path.exists()


def test_intervals_are_time_and_never_most_of_it(tmp_path, monkeypatch):
    clock, written = [0.0], []
    monkeypatch.setattr("hyperrank.training.checkpoint.time.monotonic", lambda: clock[0])

    def write(path, content, *, head):
        written.append(clock[0])
        clock[0] += 7.0

    monkeypatch.setattr("hyperrank.training.checkpoint.write_model_file", write)

    class Passing(Steps):
        def over(self, which):
            clock[0] += 10.0
            return super().over(which)

    monkeypatch.setattr("hyperrank.training.loop.Steps", Passing)
    run(network_of(), data_of(), checkpoint=Checkpoint(tmp_path / "run", 30.0), max_epochs=20)
    assert written[0] == 30.0
    gaps = np.diff(written) - 7.0
    assert len(gaps) > 2
    assert (gaps >= 20 * 7.0).all()


def forged(path, **changes):
    """A checkpoint whose training says something else."""
    with pytest.raises(KilledError):
        run(network_of(), data_of(), checkpoint=opened(path, 2))
    checkpoint = opened(path)
    training = {**checkpoint.training, **changes}
    head = {"class": "fit checkpoint", "hyperrank": __import__("hyperrank").__version__}
    content = {"about": {"seed": 0}, "phases": {}, "training": training}
    write_model_file(path, content, head=head)
    return Checkpoint.read(path, 60)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": {}},
        {"network": {"weight": np.zeros(3)}},
        {"best": [1]},
        {"rng": {"now": {"bit_generator": "MT19937"}, "before": None}},
        {"torch": {"cpu": np.zeros(3, dtype=np.uint8)}},
        {"optimiser": {"0": "no"}},
        {"steps": None},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_states_of_other_networks_are_refused(tmp_path, changes):
    checkpoint = forged(tmp_path / "run", **changes)
    with pytest.raises(ModelFileError, match=r"is not a complete checkpoint: .*Delete it to start over"):
        run(network_of(), data_of(), checkpoint=checkpoint)
