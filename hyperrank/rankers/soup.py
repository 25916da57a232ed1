"""The rival that averages parameters: one network per objective, mixed into one at predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.rankers.inputs import GroupedFeatures
from hyperrank.rankers.options import check_number
from hyperrank.rankers.reward_soup import RewardSoup
from hyperrank.rankers.separate_networks import NetworkTrainer, SeparateNetworksRanker
from hyperrank.rankers.specialized import Specializable
from hyperrank.simplex import corners

__all__ = ["SoupRanker"]


class SoupRanker(Specializable, SeparateNetworksRanker):
    r"""One network per objective, their parameters averaged by the weights at predict (rewarded soups).

    .. math:: r(x, w) = r_{\theta(w)}(x), \qquad \theta(w) = \sum_j w_j \, \theta_j, \qquad
              \theta_j = \arg\min_\theta L_j(\theta)

    All networks start from the same one, since the mean of networks from different basins is worthless. It is
    trained on equal weights for a share of the epochs, `pretraining`, before one network per objective
    branches off. Everything but the conditioning is as in `HyperDPORanker`: the same trunk, transforms, loss,
    optimiser and batches, as many epochs for each network, those before the branching included, and the same
    reference. Like it, this ranker holds every trade-off.

    Parameters
    ----------
    reference : None, "booster_pairs", "boosters", "lightgbm", "scores" or model, default "booster_pairs"
        The ranker to start from, as in `HyperDPORanker`; None is a soup of networks alone.
    pretraining : float, default 0.5
        Share of the epochs, from 0 to below 1, in which one common network is trained on equal weights; with
        0 all networks start from the same random one. At least one epoch is left to each objective.
    reference_objective, objectives, loss, gain, top_k, ties, beta, hidden, dropout, feature_transform
        As in `HyperDPORanker`.
    query_standardize, booster_params, normalize_objectives, max_epochs, batch_docs, learning_rate
        As in `HyperDPORanker`.
    weight_decay, average_decay, validation_fraction, patience, metric, device, n_jobs, random_state
        As in `HyperDPORanker`.
    early_stopping : bool or "auto", default "auto"
        As there, but each network is stopped by the metric of its own objective, and the common one by the
        mean over objectives.
    verbose : int, default 0
        1 shows a progress bar over the networks, 2 another for each.

    Attributes
    ----------
    objectives_ : tuple of str
        Names of the objectives.
    reference_ : hyperrank.reference.Reference
        The reference ranker, ready to score.
    pull_ : float
        What rewards are multiplied by in scores: the reference's deviation over beta.
    model_ : hyperrank.rankers.reward_soup.RewardSoup
        Transform, and the networks of all objectives.
    common_history_ : list of dict
        Loss, seconds and validation score by epoch, of the common network.
    histories_ : list of list of dict
        The same of each objective's network.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Their names, where `X` was a frame.

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

    def __init__(
        self,
        reference: Any = "booster_pairs",
        *,
        pretraining: float = 0.5,
        reference_objective: int | str = 0,
        objectives: Sequence[str] | None = None,
        loss: str = "listnet",
        gain: str = "exp2",
        top_k: int | None = None,
        ties: str = "random",
        beta: float | str = "auto",
        hidden: Sequence[int] = (128, 128),
        dropout: float | str = "auto",
        feature_transform: str = "quantile",
        query_standardize: bool | str = "auto",
        booster_params: Mapping[str, Any] | str | None = None,
        normalize_objectives: bool = True,
        max_epochs: int | str = "auto",
        batch_docs: int | str = "auto",
        learning_rate: float | str = "auto",
        weight_decay: float = 1e-2,
        average_decay: float = 0.99,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        patience: int = 5,
        metric: str = "ndcg@10",
        device: str = "auto",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.reference = reference
        self.pretraining = pretraining
        self.reference_objective = reference_objective
        self.objectives = objectives
        self.loss = loss
        self.gain = gain
        self.top_k = top_k
        self.ties = ties
        self.beta = beta
        self.hidden = hidden
        self.dropout = dropout
        self.feature_transform = feature_transform
        self.query_standardize = query_standardize
        self.booster_params = booster_params
        self.normalize_objectives = normalize_objectives
        self.max_epochs = max_epochs
        self.batch_docs = batch_docs
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.average_decay = average_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.metric = metric
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _check_options(self, names: tuple[str, ...]) -> None:
        check_number("pretraining", self.pretraining, at_least=0, below=1)

    def _train(self, trainer: NetworkTrainer) -> dict[str, Any]:
        m, epochs = len(trainer.data.names), trainer.plan.settings.max_epochs
        common = min(round(self.pretraining * epochs), epochs - 1)
        start, common_history = None, []
        if common:
            start, result = trainer.train(np.full(m, 1 / m), max_epochs=common)
            common_history = result.history
        # Without a common network all start from the same random one: the seed's.
        trained = [
            trainer.train(corner, start=start, max_epochs=epochs - common)
            for corner in trainer.shown(corners(m))
        ]
        return {
            "model_": RewardSoup([model for model, _ in trained]),
            "common_history_": common_history,
            "histories_": [result.history for _, result in trained],
        }

    def _rewards(self, data: GroupedFeatures, weights: NDArray[np.float64]) -> NDArray[np.float32]:
        return self.model_.rewards(data.X, data.lists.in_place, weights)
