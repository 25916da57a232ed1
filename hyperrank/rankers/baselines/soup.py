"""Rewarded soups: one network per objective, their parameters averaged at predict."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperrank._checks import check_number
from hyperrank.files import storable
from hyperrank.lists import QueryLists
from hyperrank.rankers.baselines._networks import NetworkTrainer, SeparateNetworksRanker
from hyperrank.rankers.dpo.reward_model import RewardModel
from hyperrank.rankers.dpo.train import TradeOffTask
from hyperrank.rankers.specialized import SpecializableRanker
from hyperrank.simplex import corners
from hyperrank.weights import RowWeights, rows_by_weights


@storable
class RewardSoup(RewardModel):
    """Rewards by the network whose parameters are the mean of several networks', by the weights asked for.

    The `models`, one per objective, are of one architecture; features go through the first one's transform.
    """

    def __init__(self, models: Sequence[RewardModel]) -> None:
        first = models[0]
        super().__init__(
            first.transform, first.network, first.device, query_standardize=first.query_standardize
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
        super().__setstate__(state)
        # A copy, since arrays that joblib maps from a file must not be written to.
        self.ingredients = {name: torch.tensor(array) for name, array in state["ingredients"].items()}

    def mixed(self, weights: Tensor) -> RewardModel:
        """The model whose parameters are mixed by weights of shape (m,)."""
        network = copy.deepcopy(self.network)
        # Term by term in double precision: the same bits for the same weights, and at a corner those of
        # that objective's own network.
        mixed = {}
        for name, ingredients in self.ingredients.items():
            pairs = zip(weights.tolist(), ingredients, strict=True)
            mixed[name] = sum(weight * ingredient.double() for weight, ingredient in pairs)
        network.load_state_dict(mixed)
        return RewardModel(self.transform, network, self.device, query_standardize=self.query_standardize)

    def at(self, weights: NDArray[np.float64]) -> RewardModel:
        """The model of the mixed network, which takes weights of one objective."""
        return self.mixed(torch.from_numpy(weights).to(self.device, torch.float32)).at(weights)

    def scores(self, features: Tensor, lists: QueryLists, weights: Tensor, n_threads: int = 1) -> Tensor:
        """Scores of shape (n, k) for what the networks see, in fixed-size chunks."""
        parts = [self.mixed(mix).scores(features, lists, mix[None], n_threads) for mix in weights]
        return torch.cat(parts, dim=1)

    def scores_by_row(
        self, features: Tensor, lists: QueryLists, row_weights: RowWeights, n_threads: int = 1
    ) -> Tensor:
        """Scores of shape (n,), each row by the network that is mixed for its weights."""
        out = features.new_empty(len(features))
        for mix, rows in rows_by_weights(row_weights):
            at = torch.from_numpy(mix).to(self.device, torch.float32)
            chosen = torch.from_numpy(rows).to(features.device)
            out[chosen] = self.scores(features[chosen], lists, at[None], n_threads)[:, 0]
        return out


@dataclass(eq=False, repr=False)
class SoupRanker(SeparateNetworksRanker, SpecializableRanker):
    r"""One network per objective, with parameters averaged by the weights at predict time (rewarded soups).

    .. math:: r(x, w) = r_{\theta(w)}(x), \qquad \theta(w) = \sum_j w_j \, \theta_j, \qquad
              \theta_j = \arg\min_\theta L_j(\theta)

    All networks start from the same one, since the mean of networks from different basins is worthless. It is
    trained on equal weights for a share of the epochs, `pretraining`, before one network per objective
    branches off. Everything but the conditioning is as in `HyperDPORanker`: the same trunk, transforms, loss,
    optimiser and batches, as many epochs for each network, those before the branching included, and the same
    reference. Like it, this ranker holds every trade-off.

    Parameters
    ----------
    reference : None, str or model, default "booster_pairs"
        The ranker to start from, as in `HyperDPORanker`; None is a soup of networks alone.
    pretraining : float, default 0.5
        Share of the epochs, from 0 to below 1, in which one common network is trained on equal weights; with
        0 all networks start from the same random one. At least one epoch is left to each objective.
    reference_objective, objectives, loss, beta, normalize_objectives, metric, categorical_features
        As in `HyperDPORanker`.
    feature_transform, query_standardize, booster_params, max_epochs, optimizer, device, n_jobs, random_state
        As in `HyperDPORanker`.
    network, verbose
        As in `LinearScalarizationRanker`.
    early_stopping : bool, "auto", EarlyStopping or callable, default "auto"
        As in `HyperDPORanker`, but each network is stopped by the metric of its own objective, and the
        common one by the mean over objectives.

    Attributes
    ----------
    objectives_, reference_, reward_scale_, tuning_, n_features_in_, feature_names_in_
        As of `HyperDPORanker`.
    model_ : hyperrank.rankers.baselines.soup.RewardSoup
        Transform, and the networks of all objectives.
    common_history_ : list of dict
        Loss, seconds and validation score by epoch, of the common network.
    histories_ : list of list of dict
        The same of each objective's network.

    Notes
    -----
    Held-out hypervolume on the MSLR sample with relevance, quality and dwell, 21 weights, the mean of 8 runs
    (3 folds under one seed, 5 under another), over the default reference and of the soup alone:

    =========== ======= ======= ======= =======
    pretraining    0      0.25    0.5     0.75
    =========== ======= ======= ======= =======
    boosters     .1385   .1401   .1400   .1404
    None         .1277   .1307   .1306   .1294
    =========== ======= ======= ======= =======

    A common network pays; how long it is trained matters little: the standard error of the difference between
    0.5 and 0.75 is .0007.

    References
    ----------
    Rame, Couairon, Shukor, Dancette, Gaya, Soulier, Cord: Rewarded soups: towards Pareto-optimal alignment by
    interpolating weights fine-tuned on diverse rewards, NeurIPS 2023, arXiv 2306.04488.

    Examples
    --------
    >>> from hyperrank import SoupRanker, datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = SoupRanker(objectives=data.names, max_epochs=4, random_state=0)
    >>> ranker = ranker.fit(data.X, data.Y, qid=data.qid)
    >>> ranker.predict(data.X, weights=[[1, 0], [0.37, 0.63]]).shape == (len(data.X), 2)
    True
    """

    _: KW_ONLY
    pretraining: float = 0.5

    def _check_options(self, names: tuple[str, ...]) -> None:
        check_number("pretraining", self.pretraining, at_least=0, below=1)

    def _train(self, trainer: NetworkTrainer) -> None:
        m, epochs = len(trainer.inputs.training.names), trainer.config.training.max_epochs
        common = min(round(self.pretraining * epochs), epochs - 1)
        start, common_history = None, []
        if common:
            equal = np.full(m, 1 / m)
            start, result = trainer.train(TradeOffTask(equal, equal), max_epochs=common)
            common_history = result.history
        # Without a common network all start from the same random one: the seed's.
        trained = [
            trainer.train(TradeOffTask(corner, corner), start=start, max_epochs=epochs - common)
            for corner in trainer.progress(corners(m))
        ]
        self.model_ = RewardSoup([model for model, _ in trained])
        self.common_history_ = common_history
        self.histories_ = [result.history for _, result in trained]
