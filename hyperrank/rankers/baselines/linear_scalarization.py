"""Linear scalarisation: one unconditioned network per trade-off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import ArrayLike

from hyperrank.losses import ListLoss
from hyperrank.networks import MLP
from hyperrank.rankers.baselines._networks import NetworkGridRanker, NetworkTrainer
from hyperrank.rankers.baselines._weight_grid import weight_grid
from hyperrank.rankers.dpo.train import TradeOffTask
from hyperrank.training import AdamW, EarlyStopping, StoppingRule


class LinearScalarizationRanker(NetworkGridRanker):
    r"""One network per weight vector w, each trained on :math:`\sum_j w_j L_j` for that w alone.

    Everything but the conditioning is as in `HyperDPORanker`: the same trunk, transforms, loss, optimiser,
    epochs and batches for each network, and the same reference, which is fitted once for all of them. It
    knows the trade-offs it was trained at; what it makes of others `off_grid` says.

    Parameters
    ----------
    weights : int or array-like of shape (k, m), default 21
        The trade-offs to train at; a number makes an even lattice of up to as many, and at least the corners.
    reference : None, "booster_pairs", "boosters", "lightgbm", "scores" or model, default "booster_pairs"
        The ranker to start from, as in `HyperDPORanker`; None is linear scalarisation as in the literature.
    off_grid : {"refuse", "nearest", "interpolate"}, default "refuse"
        What is made of weights that are not held. ``"refuse"``: an error that names the nearest held.
        ``"nearest"``: the scores of the nearest held. ``"interpolate"``: the rewards of the nearest held of
        which they are a convex combination, mixed like that, over the reference at the very weights; beyond
        all held an error. Rewards are log-odds, and all on one scale.
    reference_objective, objectives, loss, beta, normalize_objectives, metric
        As in `HyperDPORanker`.
    categorical_features, feature_transform
        As in `HyperDPORanker`.
    query_standardize, booster_params, max_epochs, optimizer, device, n_jobs, random_state
        As in `HyperDPORanker`.
    network : "mlp" or MLP, default "mlp"
        As there; its conditioning has no effect, since none of the networks sees the weights.
    early_stopping : bool, "auto", EarlyStopping or callable, default "auto"
        As there, but each network is stopped by the mean of the metric under its own weights.
    verbose : int, default 0
        1 shows a progress bar over the networks, 2 another for each.

    Attributes
    ----------
    objectives_ : tuple of str
        Names of the objectives.
    weights_ : ndarray of shape (k, m)
        The trade-offs held.
    reference_ : hyperrank.reference.Reference
        The reference ranker, ready to score.
    reward_scale_ : float
        What rewards are multiplied by in scores: the reference's deviation over beta.
    models_ : list of hyperrank.rankers.dpo.reward_model.RewardModel
        Transforms and network of each trade-off.
    histories_ : list of list of dict
        Loss, seconds and validation score by epoch, of each network.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Their names, where `X` was a frame.

    Examples
    --------
    >>> from hyperrank import LinearScalarizationRanker, datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = LinearScalarizationRanker(weights=3, objectives=data.names, max_epochs=3, random_state=0)
    >>> ranker = ranker.fit(data.X, data.Y, qid=data.qid)
    >>> ranker.predict(data.X, weights=[[1, 0], [0.5, 0.5]]).shape == (len(data.X), 2)
    True
    """

    def __init__(
        self,
        weights: int | ArrayLike = 21,
        reference: Any = "booster_pairs",
        *,
        off_grid: str = "refuse",
        reference_objective: int | str = 0,
        objectives: Sequence[str] | None = None,
        loss: str | ListLoss = "listnet",
        beta: float | str = "auto",
        normalize_objectives: bool = True,
        metric: str = "ndcg@10",
        network: str | MLP = "mlp",
        categorical_features: str | Sequence[Any] | None = "from_dtype",
        feature_transform: str = "quantile",
        query_standardize: bool | str = "auto",
        booster_params: Mapping[str, Any] | str | None = None,
        max_epochs: int | str = "auto",
        optimizer: str | AdamW = "adamw",
        early_stopping: bool | str | EarlyStopping | StoppingRule = "auto",
        device: str = "auto",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.weights = weights
        self.reference = reference
        self.off_grid = off_grid
        self.reference_objective = reference_objective
        self.objectives = objectives
        self.loss = loss
        self.beta = beta
        self.normalize_objectives = normalize_objectives
        self.metric = metric
        self.network = network
        self.categorical_features = categorical_features
        self.feature_transform = feature_transform
        self.query_standardize = query_standardize
        self.booster_params = booster_params
        self.max_epochs = max_epochs
        self.optimizer = optimizer
        self.early_stopping = early_stopping
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _train(self, trainer: NetworkTrainer) -> None:
        grid = weight_grid(self.weights, trainer.inputs.training.names)
        trained = [trainer.train(TradeOffTask(w, w)) for w in trainer.progress(grid)]
        self.weights_ = grid
        self.models_ = [model for model, _ in trained]
        self.histories_ = [result.history for _, result in trained]
