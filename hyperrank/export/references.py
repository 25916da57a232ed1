"""Reference rankers as torch modules from features to what the weights mix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperrank.boosters import BoosterSet, model_text
from hyperrank.export.features import join_standardized
from hyperrank.export.trees import ServedBoosters
from hyperrank.reference import (
    BoosterReference,
    MixedModelsReference,
    ModelReference,
    Reference,
    SummedReference,
)

__all__ = ["BoosterKeys", "served_reference"]

#: What to do about models that are none of LightGBM's.
_OUTSIDE = (
    "cannot be joined to the graph: pass include_reference=False, and give its scores as ref_scores to "
    "whatever runs the file."
)


class BoosterKeys:
    """Gives every set of boosters of one graph a key, and remembers the sets."""

    def __init__(self) -> None:
        self.made: list[ServedBoosters] = []

    def served(self, boosters: BoosterSet) -> ServedBoosters:
        """The module of a set of boosters."""
        self.made.append(ServedBoosters(boosters, key=len(self.made)))
        return self.made[-1]


class ServedParts(nn.Module):
    """Sums of boosters' scores, each divided by scales, as `Reference.parts` gives them.

    Parameters
    ----------
    members : sequence of ServedBoosters or ServedParts
        Their scores are added.
    scales : ndarray of shape (m,)
    query_standardize : bool, default False
        Whether the members see the features standardised over all rows beside the features.
    """

    scales: Tensor

    def __init__(
        self,
        members: Sequence[nn.Module],
        scales: NDArray[np.float64],
        *,
        query_standardize: bool = False,
    ) -> None:
        super().__init__()
        self.members, self.query_standardize = nn.ModuleList(members), query_standardize
        self.register_buffer("scales", torch.tensor(scales, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        """Scores of shape (n, 1) or (n, m), float64."""
        seen = join_standardized(features) if self.query_standardize else features
        first, *others = self.members
        total: Tensor = first(seen)
        for member in others:
            total = total + member(seen)
        return total / self.scales


def served_reference(reference: Reference, n_features: int, keys: BoosterKeys) -> nn.Module:
    """The module of a reference.

    Raises
    ------
    ValueError
        If it holds models that cannot be joined to the graph.
    """
    if isinstance(reference, SummedReference):
        members = [served_reference(member, n_features, keys) for member in reference.members]
        return ServedParts(members, reference.scales)
    if isinstance(reference, BoosterReference):
        boosters = keys.served(reference.boosters)
        return ServedParts([boosters], reference.scales, query_standardize=reference.query_standardize)
    if isinstance(reference, MixedModelsReference):
        return ServedParts([_models(reference.models, n_features, keys)], reference.scales)
    if isinstance(reference, ModelReference):
        return ServedParts([_models([reference.model], n_features, keys)], np.ones(1))
    raise ValueError(f"a reference of the kind {type(reference).__name__} {_OUTSIDE}")


def _models(models: Sequence[object], n_features: int, keys: BoosterKeys) -> ServedBoosters:
    """The module of models that were fitted by LightGBM."""
    texts = [model_text(model) for model in models]
    for model, text in zip(models, texts, strict=True):
        if text is None:
            raise ValueError(f"a reference model of the kind {type(model).__name__} {_OUTSIDE}")
    boosters = BoosterSet([text for text in texts if text is not None])
    if boosters.n_features != n_features:
        raise ValueError(
            f"the reference model has {boosters.n_features} features, the ranker {n_features}: it {_OUTSIDE}"
        )
    return keys.served(boosters)
