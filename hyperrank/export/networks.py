"""Rankers as torch modules from features, weights and temperature to scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hyperrank.export.features import ServedTransform, standardize_one_list
from hyperrank.export.references import BoosterKeys, served_reference
from hyperrank.networks import ConditionedScorer
from hyperrank.rankers import BaseRanker, HyperDPORanker, MixedScoresRanker, SoupRanker
from hyperrank.rankers.reward_model import RewardModel
from hyperrank.rankers.reward_soup import RewardSoup
from hyperrank.reference import NoReference, Reference, ScoresReference

__all__ = ["ServedRanker", "served_ranker"]


class ServedRanker(nn.Module):
    """Scores of the rows of one list.

    Parameters
    ----------
    rewards : module or None
        Features and weights to rewards; None for a ranker that is its reference alone.
    reference : module or None
        Features to the reference's scores.
    pull : float
        What rewards are multiplied by at temperature 1.
    n_parts : int
        Scores per document that the reference gives: 0 for none, 1, or one per objective.
    takes_scores : bool
        Whether the reference's scores are an input.
    trained : tuple of two floats or None, default None
        The range of temperatures that the rewards know.
    """

    pull: Tensor
    trained: Tensor

    def __init__(
        self,
        rewards: nn.Module | None,
        reference: nn.Module | None,
        *,
        pull: float,
        n_parts: int,
        takes_scores: bool,
        trained: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        self.rewards, self.reference = rewards, reference
        self.n_parts, self.takes_scores = n_parts, takes_scores
        # No plain numbers, which the exporter would round to float32.
        self.register_buffer("pull", torch.tensor(pull, dtype=torch.float64))
        self.knows_temperature = trained is not None
        if trained is not None:
            self.register_buffer("trained", torch.tensor(trained, dtype=torch.float64))

    @property
    def input_names(self) -> list[str]:
        """Names of the arguments of `forward`, in order."""
        names = {
            "X": self.rewards is not None or self.reference is not None,
            "weights": True,
            "temperature": self.rewards is not None,
            "ref_scores": self.takes_scores,
        }
        return [name for name, is_taken in names.items() if is_taken]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Scores of shape (n, k), float64."""
        given = dict(zip(self.input_names, inputs, strict=True))
        weights = given["weights"]
        base = self._mixed_reference(given, weights)
        if self.rewards is None:
            assert base is not None
            return base
        temperature = given["temperature"].double()
        rewards = self.rewards(given["X"], self._beside(weights, temperature)).double()
        pulled = temperature * self.pull * rewards
        return pulled if base is None else base + pulled

    def _beside(self, weights: Tensor, temperature: Tensor) -> Tensor:
        """What conditions the rewards: as `hyperrank.rankers.tempering.beside_weights` puts it together."""
        if not self.knows_temperature:
            return weights
        low, high = self.trained[:1], self.trained[1:]
        place = 2 * torch.log(torch.maximum(temperature, low) / low) / torch.log(high / low) - 1
        column = place.to(weights.dtype).expand(weights.shape[0])
        return torch.cat([weights, column[:, None]], dim=1)

    def _mixed_reference(self, given: dict[str, Tensor], weights: Tensor) -> Tensor | None:
        """Reference scores under the weights, shape (n, 1) or (n, k)."""
        if self.n_parts == 0:
            return None
        parts = given["ref_scores"] if self.reference is None else self.reference(given["X"])
        if parts.ndim == 1:
            parts = parts[:, None]
        if parts.shape[1] != weights.shape[1]:
            return parts
        # Term by term as `Reference.mix` does it; and onnxruntime 1.22 fails at products of doubles.
        mixed = parts[:, :1] * weights[:, 0].double()
        for number in range(1, parts.shape[1]):
            mixed = mixed + parts[:, number : number + 1] * weights[:, number].double()
        return mixed


class ServedRewards(nn.Module):
    """Rewards of the rows of one list under any weights, as `RewardModel.rewards` gives them."""

    def __init__(self, model: RewardModel, keys: BoosterKeys) -> None:
        super().__init__()
        self.boosters = keys.served(model.boosters) if model.boosters else None
        self.transform = ServedTransform(model.transform)
        self.query_standardize = model.query_standardize
        self.network = MixedNetwork(model) if isinstance(model, RewardSoup) else model.network

    def forward(self, features: Tensor, weights: Tensor) -> Tensor:
        """Rewards of shape (n, k)."""
        if self.boosters is not None:
            features = torch.cat([features, self.boosters(features).to(features.dtype)], dim=1)
        seen = self.transform(features)
        if self.query_standardize:
            seen = torch.cat([seen, standardize_one_list(seen, may_miss=False)], dim=1)
        scores: Tensor = self.network(seen, weights)
        return scores


class MixedNetwork(nn.Module):
    """The network whose parameters are the mean of several networks', for each row of weights.

    Parameters
    ----------
    soup : RewardSoup
        Of networks that do not know the weights.
    """

    def __init__(self, soup: RewardSoup) -> None:
        super().__init__()
        trunk = (f"trunk.{number}" for number in range(len(soup.network.trunk)))
        self.hidden_layers = [*trunk, "conditioned.shared"]
        self.ingredients = soup.ingredients

    def forward(self, features: Tensor, weights: Tensor) -> Tensor:
        """Scores of shape (n, k)."""
        hidden = features[None]
        for layer in self.hidden_layers:
            hidden = nn.functional.silu(self._linear(layer, hidden, weights))
        return self._linear("head", hidden, weights)[:, :, 0].T

    def _linear(self, layer: str, hidden: Tensor, weights: Tensor) -> Tensor:
        """A mixed layer, shape (k, n, n_out), of input of shape (k, n, n_in) or (1, n, n_in)."""
        matrix, bias = self._mixed(f"{layer}.weight", weights), self._mixed(f"{layer}.bias", weights)
        return torch.matmul(hidden, matrix.transpose(1, 2)) + bias[:, None]

    def _mixed(self, name: str, weights: Tensor) -> Tensor:
        """A parameter under each row of weights, mixed in double precision, shape (k, ...)."""
        ingredients = self.ingredients[name]
        flat = weights.double() @ ingredients.double().flatten(1)
        return flat.to(ingredients.dtype).reshape(-1, *ingredients.shape[1:])


def served_ranker(ranker: BaseRanker, keys: BoosterKeys, *, include_reference: bool) -> ServedRanker:
    """The module of a fitted ranker.

    Raises
    ------
    ValueError
        If it is none of the kinds that hold every trade-off in one graph, or its reference cannot be joined.
    """
    if not isinstance(ranker, HyperDPORanker | SoupRanker | MixedScoresRanker):
        raise ValueError(
            f"{type(ranker).__name__} cannot be exported: HyperDPORanker, SoupRanker and MixedScoresRanker "
            "can, which hold every trade-off in one model."
        )
    reference: Reference = ranker.reference_
    rewards = None if isinstance(ranker, MixedScoresRanker) else _served_rewards(ranker.model_, keys)
    n_parts = 0 if isinstance(reference, NoReference) else 1
    if reference.main is not None:
        n_parts = len(ranker.objectives_)
    is_outside = isinstance(reference, ScoresReference) or not include_reference
    is_joined = n_parts > 0 and not is_outside
    return ServedRanker(
        rewards,
        served_reference(reference, ranker.n_features_in_, keys) if is_joined else None,
        pull=float(getattr(ranker, "pull_", 0.0)),
        n_parts=n_parts,
        takes_scores=n_parts > 0 and is_outside,
        trained=getattr(ranker, "temperature_range_", None),
    )


def _served_rewards(model: Any, keys: BoosterKeys) -> ServedRewards:
    if type(model.network) is not ConditionedScorer:
        raise ValueError(f"a network of the kind {type(model.network).__name__} cannot be exported.")
    return ServedRewards(model, keys)
