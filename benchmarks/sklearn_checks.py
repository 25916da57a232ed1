"""scikit-learn's estimator checks, on HyperDPORanker and other libraries' rankers.

Every estimator is checked as scikit-learn checks its own: with the defaults of its constructor, but for size
and threads, and without query ids, which the checks know nothing of. A second line for each baseline hands it
one list of all rows, so that what it fails for lack of groups can be told from the rest.

    python -m benchmarks.sklearn_checks        the counts
    python -m benchmarks.sklearn_checks -v     and the checks failed
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import sklearn
from sklearn.utils.estimator_checks import check_estimator

import hyperrank
from benchmarks import one_list
from hyperrank.networks import MLP


@dataclass(frozen=True)
class Candidate:
    """An estimator to check: the library it needs, and how to make it of the library's module."""

    name: str
    library: str
    make: Callable[[Any], Any]


@dataclass(frozen=True)
class Outcome:
    """Names of the checks by what became of them."""

    name: str
    version: str
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    skipped: tuple[str, ...]


#: Sizes that make the baselines quick and quiet.
TREES: dict[str, Any] = {"n_estimators": 5, "n_jobs": 1}
CATBOOST: dict[str, Any] = {
    "iterations": 5,
    "thread_count": 1,
    "verbose": False,
    "allow_writing_files": False,
}

CANDIDATES = [
    Candidate(
        "HyperDPORanker",
        "hyperrank",
        lambda hyperrank: hyperrank.HyperDPORanker(
            max_epochs=2, network=MLP(hidden=(8, 8)), n_jobs=1, random_state=0
        ),
    ),
    Candidate(
        "MixedScoresRanker",
        "hyperrank",
        lambda hyperrank: hyperrank.MixedScoresRanker(n_jobs=1, random_state=0),
    ),
    Candidate("LGBMRanker", "lightgbm", lambda lightgbm: lightgbm.LGBMRanker(verbose=-1, **TREES)),
    Candidate("LGBMRanker, one list", "lightgbm", lambda _: one_list.OneListLGBMRanker(verbose=-1, **TREES)),
    Candidate("XGBRanker", "xgboost", lambda xgboost: xgboost.XGBRanker(**TREES)),
    Candidate("XGBRanker, one list", "xgboost", lambda _: one_list.OneListXGBRanker(**TREES)),
    Candidate("CatBoostRanker", "catboost", lambda catboost: catboost.CatBoostRanker(**CATBOOST)),
    Candidate("CatBoostRanker, one list", "catboost", lambda _: one_list.OneListCatBoostRanker(**CATBOOST)),
]


def run(candidate: Candidate) -> Outcome | None:
    """All of scikit-learn's checks on a candidate; None where its library is missing."""
    try:
        library = importlib.import_module(candidate.library)
    except ImportError:
        return None
    found: dict[str, list[str]] = {"passed": [], "failed": [], "skipped": []}
    # Baselines print and warn at will while they fail.
    quiet = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        warnings.simplefilter("ignore")
        for result in check_estimator(candidate.make(library), on_skip=None, on_fail=None):
            found[result["status"]].append(result["check_name"])
    kinds = {kind: tuple(names) for kind, names in found.items()}
    return Outcome(candidate.name, library.__version__, **kinds)


def table(outcomes: dict[str, Outcome | None]) -> str:
    """The counts of each candidate, a line each."""
    rows = []
    for name, outcome in outcomes.items():
        if outcome is None:
            rows.append([name, "not installed", "-", "-", "-"])
        else:
            kinds = (outcome.passed, outcome.failed, outcome.skipped)
            rows.append([name, outcome.version, *(str(len(names)) for names in kinds)])
    frame = pd.DataFrame(rows, columns=["ranker", "version", "passed", "failed", "skipped"])
    return frame.to_string(index=False)


def main(arguments: list[str] | None = None, candidates: list[Candidate] | None = None) -> None:
    """Check every candidate and print what came of it."""
    parser = argparse.ArgumentParser(description="scikit-learn's estimator checks on rankers.")
    parser.add_argument("-v", "--verbose", action="store_true", help="also name the checks failed")
    options = parser.parse_args(arguments)
    outcomes = {c.name: run(c) for c in (CANDIDATES if candidates is None else candidates)}
    print(f"scikit-learn {sklearn.__version__}, hyperrank {hyperrank.__version__}\n")
    print(table(outcomes))
    print("\nHow many checks there are depends on what an estimator says it is and takes.")
    for outcome in outcomes.values() if options.verbose else ():
        if outcome is not None:
            print(f"\n{outcome.name} failed: {', '.join(outcome.failed) or 'none'}.")


if __name__ == "__main__":
    main()
