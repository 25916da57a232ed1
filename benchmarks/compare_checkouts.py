"""Speed of two checkouts side by side: fit, predict, losses and readers, in alternating processes.

Each task runs in a process of its own, first with one checkout on the path and then with the other, several
times in turn, so that a machine that slows down slows both. CPU seconds are compared: wall time on a shared
machine says little. Only public names are used, so that the script runs on either side of a redesign.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

__all__ = ["TASKS", "main"]

#: Rows of the table that may differ between two processes of the same code on a noisy machine.
REPETITIONS = 5


def _data() -> Any:
    from hyperrank import datasets

    return datasets.make_multilabel_ranking(
        n_queries=90, list_size=(10, 100), n_features=60, n_objectives=3, random_state=0
    )


def _timed(work: Callable[[], Any], repetitions: int) -> float:
    """CPU seconds of one call, the median of several."""
    found = []
    for _ in range(repetitions):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return median(found)


def time_fit() -> float:
    """A fit of some 3,500 rows in four epochs."""
    from hyperrank import HyperDPORanker

    data = _data()
    return _timed(lambda: HyperDPORanker(max_epochs=4, random_state=0).fit(data.X, data.Y, qid=data.qid), 1)


def time_predict() -> float:
    """100 documents at one trade-off, as a server asks."""
    from hyperrank import HyperDPORanker

    data = _data()
    ranker = HyperDPORanker(max_epochs=1, random_state=0).fit(data.X, data.Y, qid=data.qid)
    X = data.X[:100]
    qid = [0] * 100
    ranker.predict(X, qid=qid, weights=[0.5, 0.3, 0.2])
    return _timed(lambda: ranker.predict(X, qid=qid, weights=[0.5, 0.3, 0.2]), 200)


def time_front() -> float:
    """A front of 66 trade-offs over all rows."""
    from hyperrank import HyperDPORanker

    data = _data()
    ranker = HyperDPORanker(max_epochs=1, random_state=0).fit(data.X, data.Y, qid=data.qid)
    return _timed(lambda: ranker.pareto_front(data.X, data.Y, qid=data.qid), 3)


def time_losses() -> float:
    """ListNet and Plackett-Luce with gradients, 20 times each."""
    import torch

    from hyperrank import losses

    data = _data()
    labels = torch.from_numpy(data.Y)
    sizes = torch.unique_consecutive(torch.from_numpy(data.qid), return_counts=True)[1]
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    scores = torch.randn(len(labels), requires_grad=True)

    def steps() -> None:
        for loss in (losses.listnet, losses.plackett_luce):
            for _ in range(20):
                loss(scores, labels, offsets).sum().backward()

    steps()
    return _timed(steps, 5)


def time_reader() -> float:
    """LETOR text of 20,000 documents."""
    from hyperrank import datasets

    data = datasets.make_multilabel_ranking(n_queries=200, list_size=100, n_features=60, random_state=0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.txt")
        with path.open("w") as file:
            for x, y, q in zip(data.X.tolist(), data.Y[:, 0].tolist(), data.qid.tolist(), strict=True):
                values = " ".join(f"{number}:{value:.6g}" for number, value in enumerate(x, 1))
                file.write(f"{y:.0f} qid:{q} {values}\n")
        return _timed(lambda: datasets.load_letor(path), 3)


TASKS: dict[str, Callable[[], float]] = {
    "fit": time_fit,
    "predict": time_predict,
    "front": time_front,
    "losses": time_losses,
    "reader": time_reader,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print a table; gives the exit status."""
    parser = argparse.ArgumentParser("python benchmarks/compare_checkouts.py", description=__doc__)
    parser.add_argument("checkouts", nargs="*", type=Path, metavar="CHECKOUT", help="two folders")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--repetitions", type=int, default=REPETITIONS)
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.task:
        print(json.dumps(TASKS[options.task]()))
        return 0
    if len(options.checkouts) != 2:
        parser.error("two checkouts are compared: give two folders that hold hyperrank/.")
    before, after = options.checkouts
    print("| task | before, ms | after, ms | after / before, median (range) |\n|---|---|---|---|")
    for task in options.tasks:
        pairs = [(_run(task, before), _run(task, after)) for _ in range(options.repetitions)]
        ratios = sorted(b / a for a, b in pairs)
        medians = " | ".join(f"{1000 * median(side):.2f}" for side in zip(*pairs, strict=True))
        print(
            f"| {task} | {medians} | {median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) |", flush=True
        )
    return 0


def _run(task: str, checkout: Path) -> float:
    """CPU seconds of a task with one checkout's package."""
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--task", task]
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    raise SystemExit(main())
