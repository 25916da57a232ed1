"""Execution of a plan, with resuming: finished runs are skipped, failed ones repeated."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from tqdm.auto import tqdm

from benchmarks import machine
from benchmarks.fronts.grid import SUITE_WEIGHTS
from benchmarks.fronts.methods import FREE, PAPER
from benchmarks.fronts.plan import Run, plan
from benchmarks.fronts.processes import RunFailed, end_processes, in_own_process
from benchmarks.fronts.settings import Setting
from benchmarks.fronts.store import Store
from benchmarks.fronts.worker import execute

__all__ = ["run_all", "run_settings"]

#: ``(function, *arguments) -> result``, or `RunFailed`.
Executor = Callable[..., Any]


def run_all(runs: Sequence[Run], store: Store, executor: Executor = in_own_process, *, jobs: int = 1) -> int:
    """Run what is not finished yet.

    Parameters
    ----------
    runs : sequence of Run
    store : Store
        Where they go, each as soon as it is finished.
    executor : callable, default `in_own_process`
        What calls the function of a run.
    jobs : int, default 1
        Runs at a time, each on its share of the cores.

    Returns
    -------
    int
        How many runs failed.

    Raises
    ------
    KeyboardInterrupt
        If interrupted; what is finished is in the store.
    """
    store.open()
    finished = store.finished()
    left = [run for run in runs if not store.is_finished(run, finished)]
    clock = _Clock(left, jobs)
    for records in finished.values():
        clock.note(next(iter(records.values())))
    failed = 0
    shown = "{l_bar}{bar}| {n_fmt}/{total_fmt} runs [{elapsed}{postfix}]"
    with tqdm(total=len(runs), initial=len(runs) - len(left), bar_format=shown, dynamic_ncols=True) as bar:
        for run, outcome in _outcomes(left, partial(_attempt, executor, store.folder, jobs), jobs):
            if isinstance(outcome, RunFailed):
                failed += 1
                bar.write(f"FAILED {run}: {outcome}")
                outcome = [_failure(run, str(outcome))]
            store.append(outcome)
            clock.done(run, outcome)
            for record in outcome if outcome[0]["status"] == "ok" else ():
                bar.write(_line(record))
            bar.update()
            bar.set_postfix_str(clock.left())
    return failed


def run_settings(
    settings: Mapping[str, Setting],
    methods: Sequence[str],
    out: Path,
    *,
    n_weights: int = SUITE_WEIGHTS,
    max_folds: int | None = None,
    jobs: int = 1,
    executor: Executor = in_own_process,
) -> int:
    """Run all settings, one fold of each at a time, so that an early end leaves a whole table.

    Parameters
    ----------
    settings : mapping of str to Setting
        Each stored in a folder of its name.
    methods : sequence of str
        Keys; where data have a main objective of its own, those of the paper's form alone.
    out : Path
    n_weights : int, default 10
    max_folds : int, optional
        Of each setting, repetitions included.
    jobs, executor
        As for `run_all`.

    Returns
    -------
    int
        How many runs failed.
    """
    planned = {}
    for name, setting in settings.items():
        source = setting.make(n_folds=setting.n_folds)
        source.n_repeats = setting.n_repeats
        source.check()
        chosen = [key for key in methods if key in (FREE if source.main is None else PAPER)]
        planned[name] = plan(source, chosen, n_seeds=1, n_weights=n_weights) if chosen else []
    last = max((run.fold for runs in planned.values() for run in runs), default=-1)
    failed = 0
    for fold in range(min(last + 1, max_folds or last + 1)):
        for name, runs in planned.items():
            of_fold = [run for run in runs if run.fold == fold]
            if of_fold:
                print(f"{name}, fold {fold + 1}", flush=True)
                failed += run_all(of_fold, Store(out / name), executor, jobs=jobs)
    return failed


Outcome = list[dict[str, Any]] | RunFailed


def _attempt(executor: Executor, folder: Path, jobs: int, run: Run) -> Outcome:
    try:
        records: list[dict[str, Any]] = executor(execute, run, folder, jobs)
    except RunFailed as error:
        return error
    return records


def _outcomes(
    runs: Sequence[Run], attempt: Callable[[Run], Outcome], jobs: int
) -> Iterator[tuple[Run, Outcome]]:
    """Runs with what came of them, in the order in which they end."""
    with ThreadPoolExecutor(jobs) as pool:
        waiting = deque(runs)
        going: dict[Future[Outcome], Run] = {}
        try:
            while waiting or going:
                while waiting and len(going) < jobs and _may_start(waiting[0], going.values()):
                    run = waiting.popleft()
                    going[pool.submit(attempt, run)] = run
                for task in wait(going, return_when=FIRST_COMPLETED).done:
                    yield going.pop(task), task.result()
        except BaseException:
            end_processes()
            raise


def _may_start(run: Run, going: Iterable[Run]) -> bool:
    """Whether a run need not wait for the reference of its fold."""
    return run.needs not in {other.key for other in going}


def _failure(run: Run, message: str) -> dict[str, Any]:
    return {
        **run.identity,
        "key": run.key,
        "front": run.fronts[0],
        "status": "failed",
        "error": message,
        "commit": machine.commit(),
    }


def _line(record: Mapping[str, Any]) -> str:
    return (
        f"fold {record['fold'] + 1}  seed {record['seed']}  {record['front']:18} hypervolume "
        f"{record['hypervolume']:.4g}  {record['objectives'][0]} {record['corners'][0]:.3f}  "
        f"fit {record['fit_seconds']:6.1f} s"
    )


@dataclass
class _Clock:
    """Time left, by the median of what runs of each method took."""

    runs: list[Run]
    jobs: int
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def note(self, record: Mapping[str, Any]) -> None:
        if record["status"] == "ok":
            spent = record["fit_seconds"] + record["predict_seconds"]
            self.seconds.setdefault(record["method"], []).append(spent)

    def done(self, run: Run, records: Sequence[Mapping[str, Any]]) -> None:
        self.runs = [other for other in self.runs if other is not run]
        self.note(records[0])

    def left(self) -> str:
        """About how long the runs left take; empty while nothing is known."""
        if not self.seconds:
            return ""
        typical = {method: median(spent) for method, spent in self.seconds.items()}
        # A method that has not been run yet is taken for the mean of the others.
        other = sum(typical.values()) / len(typical)
        total = sum(typical.get(run.method, other) for run in self.runs) / self.jobs
        return f"about {total / 60:.0f} min left" if total >= 90 else f"about {total:.0f} s left"
