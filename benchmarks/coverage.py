"""Coverage of ``select(confidence=...)``: how often a promised limit is kept, where the truth is known.

A ranker is fitted, and its values by query on held-out queries are taken for the population. From that, few
queries are drawn with replacement, again and again; the trade-off that is best for the other objectives among
those that keep a share of the reference's main objective is chosen on them, with confidence; and whether it
keeps the share on the whole population is counted. A promise is broken where it does not.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.fronts.sources import Source
from benchmarks.markdown import markdown_table
from benchmarks.validation import DATA, validation_fold
from hyperrank import HyperDPORanker, ParetoFront, datasets
from hyperrank.datasets import RankingData
from hyperrank.front import InfeasibleLimitsError
from hyperrank.networks import MLP

__all__ = ["main", "population", "promises"]

#: The limit, as a share of the reference's main objective, and the confidence asked for.
SHARE, CONFIDENCE = 0.98, 0.9
#: Queries that are drawn.
SIZES = (4, 8, 12, 25, 50, 200)
GENERATED = "generated"
#: Quick fits: what is measured is the promise, not the ranker.
QUICK: Mapping[str, Any] = {"max_epochs": 8, "beta": 0.1, "network": MLP((32,), dropout=0.0)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; gives the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks.coverage", description=__doc__)
    names = [GENERATED, *DATA]
    parser.add_argument("--data", nargs="+", choices=names, default=[GENERATED], metavar="NAME")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), metavar="QUERIES")
    options = parser.parse_args(arguments)
    for name in options.data:
        for reference in ("lightgbm", "booster_pairs"):
            front = population(None if name == GENERATED else DATA[name][0](), reference)
            assert front.per_query is not None
            rows = [promises(front, n, options.draws) for n in options.sizes]
            held_out = f"{front.per_query.shape[1]:,} held-out queries, {len(front)} trade-offs"
            print(f"\n## {name}, reference {reference}: {held_out}\n\n{markdown_table(rows)}", flush=True)
    print(f"\n{machine.provenance('python -m benchmarks.coverage')}")
    return 0


def population(source: Source | None, reference: str) -> ParetoFront:
    """The front of a ranker on all queries that it was not trained on."""
    if source is None:
        sizes: dict[str, Any] = {"n_queries": 2200, "list_size": (10, 40), "n_features": 20}
        data = datasets.make_multilabel_ranking(n_objectives=3, conflict=0.6, random_state=3, **sizes)
        train, held_out = data.split((0.1, 0.9), random_state=0)
        parts = [held_out]
    else:
        train, aside = validation_fold(source, 0)
        parts = [aside, source.fold(0).test]
    ranker = HyperDPORanker(reference, objectives=train.names, random_state=0, **QUICK)
    ranker.fit(train.X, train.Y, qid=train.qid)
    fronts = [_front(ranker, part) for part in parts]
    return _with_queries(fronts[0], np.concatenate([_values(front) for front in fronts], axis=1))


def promises(front: ParetoFront, n_queries: int, n_draws: int) -> dict[str, str]:
    """A row of the table: what was promised on so many queries, and what of it was true."""
    values = _values(front)
    truth = np.nanmean(values[:, :, 0], axis=1)
    is_kept = truth[:-1] >= SHARE * truth[-1] - 1e-9
    assert front.temperatures is not None
    rng = np.random.default_rng(n_queries)
    alone, sure, others = [], [], 0
    for _ in range(n_draws):
        drawn = _with_queries(front, values[:, rng.integers(values.shape[1], size=n_queries)])
        limits = {front.names[0]: SHARE}
        alone.append(bool(is_kept[drawn.select(limits, n_resamples=1).index]))
        try:
            row = drawn.select(limits, confidence=CONFIDENCE, n_resamples=500).index
        except InfeasibleLimitsError:
            continue
        sure.append(bool(is_kept[row]))
        others += front.temperatures[row] > 0
    n_broken = len(sure) - sum(sure)  # none of them by the reference, which keeps its own shares
    return {
        "queries": str(n_queries),
        "kept by select alone": f"{np.mean(alone):.0%}",
        f"chosen with confidence {CONFIDENCE:g}": f"{len(sure) / n_draws:.0%}",
        "other than the reference": f"{others / n_draws:.0%}",
        "kept": f"{np.mean(sure):.0%}" if sure else "",
        "kept by others than the reference": f"{1 - n_broken / others:.0%}" if others else "",
        "promises broken, of all draws": f"{n_broken / n_draws:.1%}",
    }


def _front(ranker: HyperDPORanker, data: RankingData) -> ParetoFront:
    return ranker.pareto_front(data.X, data.Y, qid=data.qid)


def _values(front: ParetoFront) -> np.ndarray:
    """Values by query of all trade-offs and, last, of the reference, without queries that do not count."""
    assert front.per_query is not None
    assert front.reference_per_query is not None
    values = np.concatenate([front.per_query, front.reference_per_query[None]])
    return values[:, ~np.isnan(values).any(axis=(0, 2))]


def _with_queries(front: ParetoFront, values: np.ndarray) -> ParetoFront:
    """The same trade-offs measured on other queries."""
    return ParetoFront(
        values[:-1].mean(axis=1, dtype=np.float64),
        front.weights,
        names=front.names,
        temperature=front.temperatures,
        per_query=values[:-1],
        reference=values[-1].mean(axis=0, dtype=np.float64),
        reference_per_query=values[-1],
    )


if __name__ == "__main__":
    raise SystemExit(main())
