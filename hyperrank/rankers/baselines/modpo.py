"""MODPO: networks trained on one objective, over margins of the other objectives' rewards."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hyperrank._checks import check_number
from hyperrank.rankers.baselines._networks import NetworkGridRanker, NetworkTrainer
from hyperrank.rankers.baselines._weight_grid import SAME_WEIGHTS, weight_grid
from hyperrank.rankers.data import GroupedFeatures
from hyperrank.rankers.dpo.reward_model import RewardModel
from hyperrank.rankers.dpo.train import TradeOffTask
from hyperrank.rankers.inputs import resolve_objective
from hyperrank.simplex import corners
from hyperrank.training import Margin


@dataclass(eq=False, repr=False)
class MODPORanker(NetworkGridRanker):
    r"""One network per weight vector, trained on the main objective given the other objectives' rewards.

    First one network is trained for each objective but the main one, `reference_objective`, on that objective
    alone. Their rewards :math:`r_j` are margins in the training of the network for weights w, whose listwise
    loss on the labels of the main objective sees

    .. math:: r'(x) = \frac{r_\theta(x) - \sum_{j \ne main} w_j \, r_j(x)}{w_{main}}

    so that its optimum is the mix of all objectives' rewards. Everything but the conditioning is as in
    `HyperDPORanker`: the same trunk, transforms, optimiser, epochs and batches for each network, and the same
    reference, which is fitted once for all of them.

    Where the main objective weighs nothing there is nothing left to train: the optimum is the mix of margins
    alone, and that is what is served, so that the corner of another objective is its own network.

    Parameters
    ----------
    weights : int or array-like of shape (k, m), default 21
        The trade-offs to train at, as in `LinearScalarizationRanker`.
    reference : None, str or model, default "booster_pairs"
        The ranker to start from, as in `HyperDPORanker`.
    min_main_weight : float, default 0.05
        The least that rewards are divided by, however little the main objective weighs, above 0 and below 1.
        A small divisor makes the loss of small differences of rewards large, and training unsteady.
    off_grid : {"refuse", "nearest", "interpolate"}, default "refuse"
        What is made of weights that are not held, as in `LinearScalarizationRanker`.
    reference_objective : int or str, default 0
        The main objective, which the networks are trained on, and the one that the reference ranker is for.
    objectives, loss, beta, normalize_objectives, metric, categorical_features, feature_transform
        As in `HyperDPORanker`.
    query_standardize, booster_params, max_epochs, optimizer, device, n_jobs, random_state
        As in `HyperDPORanker`.
    network, early_stopping, verbose
        As in `LinearScalarizationRanker`.

    Attributes
    ----------
    objectives_, reference_, reward_scale_, tuning_, n_features_in_, feature_names_in_
        As of `HyperDPORanker`.
    weights_, histories_
        As of `LinearScalarizationRanker`; an empty history where there is no network.
    margin_models_ : dict of str to hyperrank.rankers.dpo.reward_model.RewardModel
        Transforms and network of each objective but the main one that some trade-off weighs.
    models_ : list of hyperrank.rankers.dpo.reward_model.RewardModel or None
        Those of each trade-off; None where the mix of margins is served.

    Notes
    -----
    Held-out hypervolume on the MSLR sample with relevance, quality and dwell (3 folds, 21 weights), over the
    default reference and of the networks alone, was .1399 and .1269 with mixed margins where the main
    objective weighs nothing, .1406 and .1259 with networks trained there at a floor of 0.05, and .1407 and
    .1266 at 0.2: no difference beyond chance, for a quarter more work. The other trade-offs of that lattice
    give the main objective at least 0.2, so that no floor touches them. A factor of :math:`w_{main}` on the
    loss, which evens out the gradients of different trade-offs, changed nothing either (.1912 against .1915
    on one fold).

    References
    ----------
    Zhou, Liu, Shao, Yue, Yang, Ouyang, Qiao: Beyond One-Preference-Fits-All Alignment: Multi-Objective Direct
    Preference Optimization, Findings of ACL 2024, arXiv 2310.03708.

    Examples
    --------
    >>> from hyperrank import MODPORanker, datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = MODPORanker(weights=3, objectives=data.names, max_epochs=3, random_state=0)
    >>> ranker = ranker.fit(data.X, data.Y, qid=data.qid)
    >>> ranker.predict(data.X, weights=[[1, 0], [0.5, 0.5]]).shape == (len(data.X), 2)
    True
    """

    _: KW_ONLY
    min_main_weight: float = 0.05

    def _check_options(self, names: tuple[str, ...]) -> None:
        super()._check_options(names)
        check_number("min_main_weight", self.min_main_weight, above=0, below=1)

    def _train(self, trainer: NetworkTrainer) -> None:
        data = trainer.inputs.training
        grid = weight_grid(self.weights, data.names)
        main = resolve_objective(self.reference_objective, data.names)
        others = [j for j in range(len(data.names)) if j != main and (grid[:, j] > 0).any()]
        corner = corners(len(data.names))
        margin_models = {data.names[j]: trainer.train(TradeOffTask(corner[j], corner[j]))[0] for j in others}
        at_equal = np.full((1, len(data.names)), 1 / len(data.names))
        rewards = {
            name: model.rewards(data.X, data.lists.in_place, at_equal)[:, 0]
            for name, model in margin_models.items()
        }
        models: list[RewardModel | None] = []
        histories: list[list[dict[str, float]]] = []
        for weights in trainer.progress(grid):
            if weights[main] <= SAME_WEIGHTS:
                models.append(None)
                histories.append([])
                continue
            margin = np.zeros(len(data.X))
            for name, reward in rewards.items():
                margin += weights[data.names.index(name)] * reward
            divisor = max(float(weights[main]), float(self.min_main_weight))
            model, result = trainer.train(
                TradeOffTask(corner[main], weights, Margin(torch.from_numpy(margin), divisor))
            )
            models.append(model)
            histories.append(result.history)
        self.weights_, self.margin_models_ = grid, margin_models
        self.models_, self.histories_ = models, histories

    def _models(self) -> list[RewardModel]:
        return [model for model in (*self.models_, *self.margin_models_.values()) if model is not None]

    def _rewards_of(self, data: GroupedFeatures, row: int) -> NDArray[np.float32]:
        if self.models_[row] is not None:
            return super()._rewards_of(data, row)
        rewards = np.zeros(len(data.X), dtype=np.float32)
        for name, weight in zip(self.objectives_, self.weights_[row], strict=True):
            if weight > 0:
                model = self.margin_models_[name]
                part = model.rewards(data.X, data.lists.in_place, self.weights_[[row]])[:, 0]
                rewards += np.float32(weight) * part
        return rewards
