"""The data that benchmarks run on."""

from __future__ import annotations

from collections.abc import Sequence

from hyperrank import datasets
from hyperrank.datasets import RankingData

__all__ = ["sample_or_generated"]


def sample_or_generated(objectives: Sequence[str]) -> RankingData:
    """Load the MSLR sample, or say in one line why not and generate data of its size."""
    try:
        return datasets.fetch_mslr_sample(objectives=objectives)
    except datasets.FetchError as error:
        reason = " ".join(str(error).split())
        print(f"Generated data instead of real ones, so figures differ from those quoted: {reason}\n")
    return datasets.make_multilabel_ranking(
        n_queries=86, list_size=(60, 200), n_features=60, n_objectives=len(objectives), random_state=0
    )
