"""Functions, files and stack depth of a default fit, beside scikit-learn's HistGradientBoostingRegressor.

Run ``python -m benchmarks.fit_trace``; ``--files`` also lists each file with the functions that were called.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType

import sklearn
from sklearn.ensemble import HistGradientBoostingRegressor

import hyperrank
from hyperrank import HyperDPORanker, datasets

__all__ = ["Calls", "main", "trace_calls"]


@dataclass
class Calls:
    """Functions of one package that were called, and the most of its frames on the stack at once."""

    folder: Path
    codes: set[CodeType] = field(default_factory=set)
    deepest: int = 0

    @property
    def by_file(self) -> dict[str, list[str]]:
        """Names of the functions called in each file, comprehensions and lambdas left out."""
        files = defaultdict(set)
        for code in self.codes:
            if not code.co_name.startswith("<"):
                files[str(Path(code.co_filename).relative_to(self.folder))].add(code.co_qualname)
        return {file: sorted(files[file]) for file in sorted(files)}

    @property
    def n_functions(self) -> int:
        """Number of distinct functions called."""
        return sum(map(len, self.by_file.values()))


@contextmanager
def trace_calls(folder: Path) -> Iterator[Calls]:
    """Record the calls of Python functions defined under a folder, in all threads started meanwhile."""
    calls = Calls(folder)
    prefix = f"{folder}/"
    local = threading.local()

    def record(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(prefix):
            return
        depth = getattr(local, "depth", 0) + (1 if event == "call" else -1)
        local.depth = depth
        if event == "call":
            calls.codes.add(code)
            calls.deepest = max(calls.deepest, depth)

    threading.setprofile(record)
    sys.setprofile(record)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _read(arguments)
    data = datasets.make_multilabel_ranking(n_queries=options.queries, random_state=0)

    def ours() -> object:
        return HyperDPORanker(random_state=0).fit(data.X, data.Y, qid=data.qid)

    def theirs() -> object:
        return HistGradientBoostingRegressor(random_state=0).fit(data.X, data.Y[:, 0])

    print(f"{'fit of':<32}{'functions':>10}{'files':>7}{'deepest stack':>15}")
    for name, package, fit in (
        ("HyperDPORanker", hyperrank, ours),
        ("HistGradientBoostingRegressor", sklearn, theirs),
    ):
        calls = _traced(fit, Path(str(package.__file__)).parent)
        print(f"{name:<32}{calls.n_functions:>10}{len(calls.by_file):>7}{calls.deepest:>15}")
        if options.files:
            for file, functions in calls.by_file.items():
                print(f"    {file}: {', '.join(functions)}")
    return 0


def _traced(fit: Callable[[], object], folder: Path) -> Calls:
    """Trace a second fit, when everything has been imported."""
    fit()
    with trace_calls(folder) as calls:
        fit()
    return calls


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit_trace", description=__doc__)
    parser.add_argument("--queries", type=int, default=120, help="queries of the generated data")
    parser.add_argument("--files", action="store_true", help="list files and functions")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
