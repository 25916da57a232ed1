"""Fits of several processes together: ``python process_cases.py RANK SIZE FOLDER``; or in one by itself.

Each case gives what JSON knows, and every process writes what its cases gave to a file.
"""

import json
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed, nn

from hyperrank import (
    AdamW,
    CheckpointFile,
    EarlyStopping,
    HyperDPORanker,
    LinearScalarizationRanker,
    TradeOffs,
    datasets,
)
from hyperrank.cli._command import Console
from hyperrank.cli.fit import interruptible
from hyperrank.datasets import RankingData
from hyperrank.losses import PlackettLuce
from hyperrank.networks import MLP, ConditionedScorer, Transformer
from hyperrank.rankers.dpo import train as trained
from hyperrank.training import Checkpoint, alone, process_group
from hyperrank.training.loop import Steps

CASES: dict[str, Callable[[], dict[str, Any]]] = {}
#: Enough to learn something in a second, and nothing that differs between processes by chance.
SHORT: dict[str, Any] = {
    "reference": None,
    "network": MLP(dropout=0.0, hidden=(16, 16)),
    "max_epochs": 4,
    "optimizer": AdamW(batch_docs=120),
    "booster_params": {"num_iterations": 5},
    "random_state": 3,
}
TRADE_OFFS = [[1.0, 0.0], [0.3, 0.7]]


def case(function: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
    CASES[function.__name__] = function
    return function


def data(seed: int, n_queries: int = 41) -> RankingData:
    return datasets.make_multilabel_ranking(
        n_queries=n_queries, list_size=(1, 40), n_features=6, n_objectives=2, random_state=seed
    )


def weights_of(some: RankingData) -> np.ndarray:
    place = np.unique(some.qid, return_inverse=True)[1]
    return np.random.default_rng(0).uniform(0, 3, place.max() + 1)[place]


def told(ranker: HyperDPORanker, rows: RankingData) -> dict[str, Any]:
    """What a fitted ranker knows and gives."""
    return {
        "scores": ranker.predict(rows.X, qid=rows.qid, weights=TRADE_OFFS).tolist(),
        "losses": [entry["loss"] for entry in ranker.history_],
        "fronts": [entry.get("score", 0.0) for entry in ranker.history_],
        "best_epoch": ranker.best_epoch_,
        "reward_scale": ranker.reward_scale_,
    }


def fitted(n_val: int = 0, resume: bool = False, spoiled: float = 0.0, **options: Any) -> dict[str, Any]:
    """Fit to the data of all cases; `spoiled` is added to the features that stop it."""
    some, held = data(0), data(1, max(n_val, 1))
    rest = {"X_val": held.X + spoiled, "y_val": held.Y, "qid_val": held.qid} if n_val else {}
    ranker = HyperDPORanker(**{**SHORT, **options})
    ranker.fit(some.X, some.Y, qid=some.qid, query_weight=weights_of(some), resume=resume, **rest)
    return told(ranker, some)


@case
def validated() -> dict[str, Any]:
    return fitted(
        n_val=13,
        max_epochs=8,
        early_stopping=EarlyStopping(patience=2),
        optimizer=AdamW(learning_rate=0.03, average_decay=0.0, batch_docs=120),
    )


@case
def one_validation_list() -> dict[str, Any]:
    return fitted(n_val=1, max_epochs=2)


@case
def boosters() -> dict[str, Any]:
    return fitted(reference="boosters", max_epochs=2)


@case
def temperature_range() -> dict[str, Any]:
    return fitted(reference="boosters", trade_offs=TradeOffs(temperature_range=(0.5, 2.0)), max_epochs=2)


@case
def transformer() -> dict[str, Any]:
    return fitted(network=Transformer(hidden=(8,), dropout=0.0), max_epochs=2)


@case
def rating() -> dict[str, Any]:
    network = MLP((16, 16), "hypernetwork", dropout=0.0, n_members=2)
    return fitted(loss=PlackettLuce(ties="rating"), network=network, max_epochs=2)


@case
def unconditioned() -> dict[str, Any]:
    return fitted(network=MLP((16, 16), "none", dropout=0.0), loss="pairwise_logistic", max_epochs=2)


@case
def one_list() -> dict[str, Any]:
    rows = np.flatnonzero(data(0).qid == data(0).qid[-1])
    some = data(0).take(rows)
    ranker = HyperDPORanker(**{**SHORT, "feature_transform": "log"}).fit(some.X, some.Y)
    return told(ranker, some)


@case
def continued() -> dict[str, Any]:
    some, more = data(0), data(2)
    ranker = HyperDPORanker(**{**SHORT, "max_epochs": 1}).partial_fit(some.X, some.Y, qid=some.qid)
    ranker.partial_fit(more.X, more.Y, qid=more.qid)
    ranker.set_params(warm_start=True).fit(some.X, some.Y, qid=some.qid)
    return told(ranker, some)


@case
def model_reference() -> dict[str, Any]:
    from sklearn.tree import DecisionTreeRegressor

    return fitted(reference=DecisionTreeRegressor(max_depth=3, random_state=0), max_epochs=1)


@case
def by_chance() -> dict[str, Any]:
    """No seed, tuning, dropout, random ties: another fit each time, but one for all processes."""
    some = data(0, 110)
    chosen = {"reference": "lightgbm", "network": MLP((16, 16), dropout=0.3), "random_state": None}
    ranker = HyperDPORanker(**{**SHORT, **chosen, "max_epochs": 2, "loss": "plackett_luce"})
    ranker.fit(some.X, some.Y, qid=some.qid)
    assert ranker.tuning_ is not None, "the reward scale was to be tuned"
    return {**told(ranker, some), "tried": ranker.tuning_.candidates}


@case
def baseline() -> dict[str, Any]:
    some = data(0)
    ranker = LinearScalarizationRanker(
        weights=TRADE_OFFS, max_epochs=1, network=MLP(hidden=(8,)), random_state=0
    )
    ranker.fit(some.X, some.Y, qid=some.qid)
    return {"scores": ranker.predict(some.X, qid=some.qid, weights=TRADE_OFFS).tolist()}


@case
def little_memory() -> dict[str, Any]:
    """The last process has memory for few documents."""
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    whole = ConditionedScorer.modulate

    def limited(self: Any, features: Any, moves: Any, index: Any = None) -> Any:
        if torch.is_grad_enabled() and len(features) > 45 and rank == 1:
            raise MemoryError
        return whole(self, features, moves, index)

    ConditionedScorer.modulate = limited
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            return {**fitted(), "warnings": [str(w.message) for w in said]}
    finally:
        ConditionedScorer.modulate = whole


class Watched(trained.ProgressBar):
    """Does something when an epoch ends; set as class attributes."""

    at, act = 0, staticmethod(lambda: None)
    seen = 0

    def show_epoch(self, entry: dict[str, float]) -> None:
        type(self).seen += 1
        if entry["epoch"] == self.at:
            self.act()
        super().show_epoch(entry)


def watched(at: int, act: Callable[[], None], **options: Any) -> dict[str, Any]:
    own = trained.ProgressBar
    Watched.at, Watched.act, Watched.seen = at, staticmethod(act), 0
    trained.ProgressBar = Watched
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = fitted(**options)
        return {**found, "seen": Watched.seen, "warnings": [str(w.message) for w in said]}
    finally:
        trained.ProgressBar = own


@case
def resumed() -> dict[str, Any]:
    """Interrupted when an epoch ends, and gone on with from the file of the first process alone."""
    path = Path(tempfile.mkdtemp(), "fit.checkpoint")
    kept = {"checkpoint": CheckpointFile(str(path), every=0.0)}
    broken = watched(2, lambda: os.kill(os.getpid(), signal.SIGINT), **kept)
    is_first = not distributed.is_initialized() or distributed.get_rank() == 0
    assert len(broken["losses"]) == 2
    assert path.exists() == is_first
    found = fitted(resume=True, **kept)
    assert len(found["losses"]) == SHORT["max_epochs"]
    assert not path.exists()
    del found["losses"][1]  # of that epoch the others' part is lost
    return found


@case
def taken_up_by_others() -> dict[str, Any]:
    """What one process began continues in several."""
    path = Path(tempfile.mkdtemp(), "fit.checkpoint")
    kept = {"checkpoint": CheckpointFile(str(path), every=0.0)}
    if not distributed.is_initialized() or distributed.get_rank() == 0:
        with alone():
            _ended_after(1, **kept)
    return fitted(resume=True, **kept)


@case
def kept_at_ctrl_c() -> dict[str, Any]:
    """The last process alone hears Ctrl-C, in the midst of an epoch, long before a checkpoint is due."""
    path = Path(tempfile.mkdtemp(), "fit.checkpoint")
    kept = {"checkpoint": CheckpointFile(str(path), every=1e6)}
    is_together = distributed.is_initialized()
    rank, size = (distributed.get_rank(), distributed.get_world_size()) if is_together else (0, 1)
    _ended_after(10 if rank == size - 1 else 0, **kept)
    assert path.exists() == (rank == 0)
    if path.exists():
        state = Checkpoint.read(path, 0).training
        assert state is not None
        assert (len(state["history"]), state["epoch"], state["batch"]) == (2, 3, 2)
    found = fitted(resume=True, **kept)
    del found["losses"][2]  # of that epoch the others' part is lost
    return found


@case
def interrupted() -> dict[str, Any]:
    """Ctrl-C where the first process has finished its second epoch."""
    return watched(2, lambda: os.kill(os.getpid(), signal.SIGINT), max_epochs=50)


@case
def failing_callback() -> dict[str, Any]:
    return watched(2, lambda: 1 / 0)


@case
def failing_alone() -> dict[str, Any]:
    """The last process fails in the middle of its training."""
    if distributed.is_initialized() and distributed.get_rank() == 1:
        return _with_forward(lambda *_: 1 / 0)
    return fitted()


@case
def other_rows() -> dict[str, Any]:
    """Each process is given rows of its own, as other libraries want them."""
    some = data(0)
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    part = some.take(np.flatnonzero(np.unique(some.qid, return_inverse=True)[1] % 2 == rank))
    return told(HyperDPORanker(**SHORT).fit(part.X, part.Y, qid=part.qid), some)


@case
def other_fits_before() -> dict[str, Any]:
    """Only the first process has loaded what the fit is to continue from."""
    some = data(0)
    ranker = HyperDPORanker(**{**SHORT, "max_epochs": 1, "warm_start": True})
    if distributed.is_initialized() and distributed.get_rank() == 0:
        with alone():
            ranker.fit(some.X, some.Y, qid=some.qid)
    return told(ranker.fit(some.X, some.Y, qid=some.qid), some)


@case
def other_references() -> dict[str, Any]:
    from sklearn.tree import DecisionTreeRegressor

    rank = distributed.get_rank() if distributed.is_initialized() else 0
    return fitted(reference=DecisionTreeRegressor(max_depth=2) if rank else None)


@case
def other_loss() -> dict[str, Any]:
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    return fitted(loss="plackett_luce" if rank else "listnet")


@case
def other_validation() -> dict[str, Any]:
    rank = distributed.get_rank() if distributed.is_initialized() else 0
    return fitted(n_val=13, spoiled=0.5 * rank)


@case
def by_the_command() -> dict[str, Any]:
    """Within the group that a command has joined; the file is gone in the end."""
    with process_group() as processes, interruptible(Console(quiet=True), None):
        path = Path(processes.on_rank_zero(tempfile.mkdtemp), "fit.checkpoint")
        found = fitted(checkpoint=CheckpointFile(path, every=0), max_epochs=1)
    assert not path.exists()
    return found


@case
def wrong_option() -> dict[str, Any]:
    return fitted(loss="nothing")


@case
def by_itself() -> dict[str, Any]:
    """One process fits, and the others do something else."""
    if distributed.is_initialized() and distributed.get_rank() == 1:
        return {"losses": []}
    with alone():
        return fitted(max_epochs=1)


def _ended_after(n_batches: int, **options: Any) -> None:
    """A fit that Ctrl-C ends in the midst of an epoch."""
    over, left = Steps.over, [n_batches]  # 0 for never

    def counted(self: Steps, which: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            signal.raise_signal(signal.SIGINT)
        return over(self, which)

    Steps.over = counted  # type: ignore[method-assign]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted(**options)
    finally:
        Steps.over = over  # type: ignore[method-assign]


def _with_forward(function: Callable[..., Any]) -> dict[str, Any]:
    whole = nn.Linear.forward
    nn.Linear.forward = function  # type: ignore[method-assign]
    try:
        return fitted()
    finally:
        nn.Linear.forward = whole  # type: ignore[method-assign]


def outcome(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a case gives, or the error that it ends with."""
    try:
        return run()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main(rank: int, size: int, folder: Path, names: list[str]) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=size)
    warnings.simplefilter("error")
    # Of libraries about each other, at the import in one process alone: the others would wait for it.
    warnings.simplefilter("ignore", DeprecationWarning)
    found = {name: outcome(CASES[name]) for name in names or CASES}
    (folder / f"found{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
