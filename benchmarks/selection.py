"""Reliability of selections: trade-offs chosen on validation queries, measured on test queries.

Of each fold's training queries two thirds train and one third chooses: the trade-off that is best for the
other objectives among those that keep a share of the reference's main objective, by the means alone or with
confidence. On the fold's test queries: the share that is kept there, and how many standard errors (of the
paired difference over queries, those of choosing and of testing together) it lies from the limit.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.fronts.sources import Source, Synthetic
from benchmarks.markdown import markdown_table
from benchmarks.validation import DATA, validation_fold
from hyperrank import HyperDPORanker, ParetoFront
from hyperrank.datasets import RankingData
from hyperrank.front import InfeasibleLimitsError, Selection

__all__ = ["Kept", "followed", "main", "rows_of"]

#: The limit, as a share of the reference's main objective.
KEPT = 0.98
#: Ways of choosing: options of `ParetoFront.select` by what the table calls them.
WAYS: Mapping[str, dict[str, Any]] = {"by the means": {}, "confidence=.9": {"confidence": 0.9}}
#: One-sided 5% of a normal distribution.
SURE = 1.645


@dataclass(frozen=True)
class Kept:
    """What became of one selection.

    Attributes
    ----------
    share : float
        Of the reference's main objective, kept on test queries.
    errors : float
        Standard errors by which it lies above the limit there; below where negative.
    gained : float
        Mean over the other objectives of the value there over the reference's.
    """

    share: float
    errors: float
    gained: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; gives the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks.selection", description=__doc__)
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA), metavar="NAME")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    options = parser.parse_args(arguments)
    for name in options.data:
        source = Synthetic() if name == "synthetic" else DATA[name][0]()
        found: dict[str, list[Kept | None]] = {way: [] for way in WAYS}
        for number in range(options.folds):
            for seed in options.seeds:
                for way, kept in followed(source, number, seed).items():
                    found[way].append(kept)
        runs = f"{options.folds} folds, {len(options.seeds)} seed(s)"
        print(f"\n## {name}, {runs}\n\n{markdown_table(rows_of(found))}", flush=True)
    print(f"\n{machine.provenance('python -m benchmarks.selection')}")
    return 0


def followed(source: Source, number: int, seed: int) -> dict[str, Kept | None]:
    """Of one fit and each way of choosing what is kept on test queries; None where nothing was eligible."""
    train, aside = validation_fold(source, number)
    test = source.fold(number).test
    ranker = HyperDPORanker(objectives=train.names, random_state=seed).fit(train.X, train.Y, qid=train.qid)
    chosen_on = _front(ranker, aside)
    found: dict[str, Kept | None] = {}
    for way, given in WAYS.items():
        try:
            selection = chosen_on.select(at_least={train.names[0]: KEPT}, **given)
        except InfeasibleLimitsError:
            found[way] = None
            continue
        looked_at = _front(ranker, test, selection)
        found[way] = _kept(chosen_on, selection.index, looked_at)
    return found


def rows_of(found: Mapping[str, Sequence[Kept | None]]) -> list[dict[str, str]]:
    """Rows of a table, one for each way of choosing."""
    rows = []
    for way, runs in found.items():
        known = [kept for kept in runs if kept is not None]
        row = {"chosen": way, "runs": str(len(runs)), "nothing eligible": str(len(runs) - len(known))}
        if known:
            share, errors, gained = (np.array(column) for column in zip(*map(_numbers, known), strict=True))
            row |= {
                "share kept on test": f"{share.mean():.3f} ± {share.std(ddof=min(1, len(share) - 1)):.3f}",
                f"at least {KEPT}": f"{np.mean(share >= KEPT):.0%}",
                "within sampling error": f"{np.mean(errors >= -SURE):.0%}",
                "others over the reference": f"{gained.mean():.3f}",
            }
        rows.append(row)
    return rows


def _numbers(kept: Kept) -> tuple[float, float, float]:
    return kept.share, kept.errors, kept.gained


def _front(ranker: HyperDPORanker, data: RankingData, weights: Selection | None = None) -> ParetoFront:
    return ranker.pareto_front(data.X, data.Y, qid=data.qid, weights=weights)


def _kept(chosen_on: ParetoFront, index: int, looked_at: ParetoFront) -> Kept:
    assert looked_at.reference is not None
    ratio = looked_at.points.to_numpy()[0] / looked_at.reference.to_numpy()
    beyond, error = _beyond(looked_at, 0)
    _, of_choosing = _beyond(chosen_on, index)
    return Kept(float(ratio[0]), beyond / float(np.hypot(error, of_choosing)), float(ratio[1:].mean()))


def _beyond(front: ParetoFront, index: int) -> tuple[float, float]:
    """How far the main objective lies above its limit, mean over queries, and the standard error."""
    assert front.per_query is not None
    assert front.reference_per_query is not None
    values = front.per_query[index, :, 0] - KEPT * front.reference_per_query[:, 0]
    values = values[~np.isnan(values)]
    return float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)


if __name__ == "__main__":
    raise SystemExit(main())
