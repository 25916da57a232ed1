"""Networks of one family, mixed by their parameters: the model of `SoupRanker`."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperrank.assigned import MixedRows
from hyperrank.files import storable
from hyperrank.lists import QueryLists
from hyperrank.rankers.by_row import rows_by_mix
from hyperrank.rankers.reward_model import RewardModel

__all__ = ["RewardSoup"]


@storable
class RewardSoup(RewardModel):
    """Rewards by the network whose parameters are the mean of several networks', by the weights asked for.

    Parameters
    ----------
    models : sequence of RewardModel
        One per objective, of one architecture, trained on features of one transform: that of the first.
    """

    def __init__(self, models: Sequence[RewardModel]) -> None:
        first = models[0]
        super().__init__(
            first.transform,
            first.network,
            first.device,
            boosters=first.boosters,
            query_standardize=first.query_standardize,
        )
        #: For each parameter those of all networks, shape (m, ...), on the CPU: not all devices know doubles.
        self.ingredients = {
            name: torch.stack([model.network.state_dict()[name].detach().cpu() for model in models])
            for name in first.network.state_dict()
        }

    def __getstate__(self) -> dict[str, Any]:
        """Plain arrays, numbers and text, as of `RewardModel`."""
        arrays = {name: tensor.numpy() for name, tensor in self.ingredients.items()}
        return {**super().__getstate__(), "ingredients": arrays}

    def __setstate__(self, state: dict[str, Any]) -> None:
        model = RewardModel.__new__(RewardModel)
        model.__setstate__(state)
        vars(self).update(vars(model))
        # A copy, since arrays that joblib maps from a file must not be written to.
        self.ingredients = {name: torch.tensor(array) for name, array in state["ingredients"].items()}

    def mixed(self, weights: Tensor) -> RewardModel:
        """The model whose parameters are mixed by weights of shape (m,)."""
        network = copy.deepcopy(self.network)
        # Term by term in double precision: the same bits for the same weights, and at a corner those of
        # that objective's own network.
        network.load_state_dict(
            {
                name: sum(
                    weight * ingredient.double()
                    for weight, ingredient in zip(weights.tolist(), ingredients, strict=True)
                )
                for name, ingredients in self.ingredients.items()
            }
        )
        return RewardModel(
            self.transform,
            network,
            self.device,
            boosters=self.boosters,
            query_standardize=self.query_standardize,
        )

    def at(self, weights: NDArray[np.float64]) -> RewardModel:
        """The model of the mixed network, which takes weights of one objective."""
        mixed = self.mixed(torch.from_numpy(weights).to(self.device, torch.float32))
        return mixed.at(weights)

    def scores(self, features: Tensor, lists: QueryLists, weights: Tensor, n_threads: int = 1) -> Tensor:
        """Scores of shape (n, k) for what the networks see, in tiles."""
        parts = [self.mixed(mix).scores(features, lists, mix[None], n_threads) for mix in weights]
        return torch.cat(parts, dim=1)

    def scores_by_row(
        self, features: Tensor, lists: QueryLists, mixes: MixedRows, n_threads: int = 1
    ) -> Tensor:
        """Scores of shape (n,), each row by the network that is mixed for its weights."""
        out = features.new_empty(len(features))
        for mix, rows in rows_by_mix(mixes):
            at = torch.from_numpy(mix).to(self.device, torch.float32)
            chosen = torch.from_numpy(rows).to(features.device)
            out[chosen] = self.scores(features[chosen], lists, at[None], n_threads)[:, 0]
        return out
