"""The ranker that is trained once and holds the whole Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from hyperrank.metrics import parse_metric
from hyperrank.rankers.base import BaseRanker
from hyperrank.rankers.fitting import Validation, fit_reward_model
from hyperrank.rankers.holdout import hold_out, read_list_weight, read_validation
from hyperrank.rankers.inputs import GroupedFeatures, LabelledLists, read_labelled
from hyperrank.rankers.options import check_number, network_plan, resolve_objective
from hyperrank.reference import (
    NoReference,
    Reference,
    check_reference,
    fit_reference,
    within_list_deviation,
)

__all__ = ["HyperDPORanker"]


class HyperDPORanker(BaseRanker):
    r"""A ranker for several objectives that is trained once and takes the trade-off at predict.

    One network, conditioned on weights w on the simplex, is trained by Plackett-Luce preference
    optimisation (DPO) against a reference ranker, over weights drawn from the whole simplex:

    .. math:: \min_\theta \; \mathbb{E}_{w \sim Dir(\alpha)} \sum_j w_j \, L_j(r), \qquad
              r = \tfrac{\beta}{\sigma} \, (s(x, w) - s_{ref}(x, w))

    The network gives the reward r itself, so that the score is

    .. math:: s(x, w) = s_{ref}(x, w) + t \, \tfrac{\sigma}{\beta} \, r(x, w)

    with :math:`\sigma` the reference's deviation within a list and t the `temperature` of `predict`: 0 is
    the reference, and more pulls harder on the objectives.

    Parameters
    ----------
    reference : None, "boosters", "lightgbm", "scores" or model, default "boosters"
        The ranker to start from. ``"boosters"``: one LightGBM ranker per objective, fitted here, their
        standardised scores mixed by the weights, so that the reference is itself a front. ``"lightgbm"``:
        one, fitted here on `reference_objective`. ``"scores"``: scores that you pass as `ref_scores` to
        fit and predict. A fitted model with ``predict`` is taken as it is (an unfitted estimator is
        cloned and fitted here on `reference_objective`); None ranks by the network alone.
    reference_objective : int or str, default 0
        The objective that the reference ranker is for: the one it is fitted on, and that constraints
        relative to the reference are about.
    objectives : sequence of str, optional
        Names of the objectives; by default those of the columns of `y`, or objective_0, objective_1, ...
    loss : {"listnet", "plackett_luce"}, default "listnet"
        The listwise loss of the rewards.
    gain : {"exp2", "linear"}, default "exp2"
        What a label is worth to ListNet: 2^z - 1, or z.
    top_k : int, optional
        Ranks that count for ``"plackett_luce"``; all by default.
    ties : {"random", "average", "rating"}, default "random"
        What ``"plackett_luce"`` makes of equal labels.
    beta : float or "auto", default "auto"
        How closely scores are held to the reference, whose scores count in units of their deviation within
        a list. It may be changed after training through `temperature`: an optimum at beta is one at every
        beta. By default 1 where the reference is itself a front or there is none, and 0.1 where it gives
        one score, which does not know the other objectives.
    conditioning : {"film", "concat", "hypernetwork"}, default "film"
        How the weights reach the network.
    hidden : tuple of int, default (128, 128)
        Widths of the hidden layers; all but the last are shared by all weights.
    dropout : float, default 0.5
        Share of hidden units dropped in training.
    feature_transform : {"quantile", "standard", "log", "none"}, default "quantile"
        What is done to features of any scale. Missing values (NaN) are handled by all of them.
    query_standardize : bool or "auto", default "auto"
        Whether features standardised within their query are added. Then a document's score depends on
        the others of its query. By default: where fit is given query ids.
    booster_inputs : bool, default False
        Whether the scores of one booster per objective, cross-fitted by query, are added to the features.
    booster_params : mapping, optional
        Native LightGBM parameters for boosters fitted here.
    normalize_objectives : bool, default True
        Whether each loss is divided by its value under the reference, so that equal weights pull equally.
    alpha : float, default 1.0
        Concentration of the Dirichlet distribution: 1 is uniform, less looks more at the corners.
    n_draws : int, default 4
        Weights drawn per query and step; they share the unconditioned part of the network.
    max_epochs : int or "auto", default "auto"
        Passes over the data at most; by default from 40 on small data to 5 on millions of rows.
    batch_docs : int or "auto", default "auto"
        Documents per batch; queries stay whole.
    learning_rate : float, default 2e-3
        Peak learning rate of AdamW, after a warm-up and before a cosine decay.
    weight_decay : float, default 1e-2
        Weight decay of AdamW.
    average_decay : float, default 0.99
        Decay per step of the running average of parameters that is kept; 0 keeps the last ones.
    early_stopping : bool or "auto", default "auto"
        Whether training stops by the hypervolume of the validation front, whose best state is kept. Without
        `X_val` a share of the queries is held out for it. By default: with `X_val`, or from 1,000 queries on.
    validation_fraction : float, default 0.1
        Share of the queries to hold out.
    patience : int, default 5
        Epochs without a better validation front after which training stops.
    metric : str, default "ndcg@10"
        What fronts and scores are measured in.
    device : str, default "auto"
        Where to train: a GPU where there is one, or what torch calls it.
    n_jobs : int, optional
        Boosters grown at a time; all cores by default.
    random_state : int, RandomState or None, default None
        Makes fit repeatable, to the bit on one machine. The global generators are not touched.
    verbose : int, default 0
        1 shows a progress bar.

    Attributes
    ----------
    objectives_ : tuple of str
        Names of the objectives.
    reference_ : hyperrank.reference.Reference
        The reference ranker, ready to score.
    pull_ : float
        What rewards are multiplied by in scores: the reference's deviation over beta.
    model_ : hyperrank.rankers.reward_model.RewardModel
        Transforms and network.
    history_ : list of dict
        Loss, seconds and validation hypervolume by epoch.
    best_epoch_, best_score_ : int, float
        The epoch whose parameters are kept, and its validation hypervolume (NaN without validation).
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Their names, where `X` was a frame.

    References
    ----------
    Ren, Xiao, Shavlovsky, Ying, Rahmanian: HyperDPO, arXiv 2410.08316.
    Rafailov et al.: Direct Preference Optimization, arXiv 2305.18290.

    Examples
    --------
    >>> from hyperrank import HyperDPORanker, datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = HyperDPORanker(objectives=data.names, max_epochs=3, random_state=0)
    >>> ranker = ranker.fit(data.X, data.Y, qid=data.qid)
    >>> ranker.predict(data.X, weights=[0.7, 0.3]).shape == (len(data.X),)
    True
    >>> ranker.predict(data.X, weights=[[1, 0], [0, 1]]).shape == (len(data.X), 2)
    True
    """

    def __init__(
        self,
        reference: Any = "boosters",
        *,
        reference_objective: int | str = 0,
        objectives: Sequence[str] | None = None,
        loss: str = "listnet",
        gain: str = "exp2",
        top_k: int | None = None,
        ties: str = "random",
        beta: float | str = "auto",
        conditioning: str = "film",
        hidden: Sequence[int] = (128, 128),
        dropout: float = 0.5,
        feature_transform: str = "quantile",
        query_standardize: bool | str = "auto",
        booster_inputs: bool = False,
        booster_params: Mapping[str, Any] | None = None,
        normalize_objectives: bool = True,
        alpha: float = 1.0,
        n_draws: int = 4,
        max_epochs: int | str = "auto",
        batch_docs: int | str = "auto",
        learning_rate: float = 2e-3,
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
        self.reference_objective = reference_objective
        self.objectives = objectives
        self.loss = loss
        self.gain = gain
        self.top_k = top_k
        self.ties = ties
        self.beta = beta
        self.conditioning = conditioning
        self.hidden = hidden
        self.dropout = dropout
        self.feature_transform = feature_transform
        self.query_standardize = query_standardize
        self.booster_inputs = booster_inputs
        self.booster_params = booster_params
        self.normalize_objectives = normalize_objectives
        self.alpha = alpha
        self.n_draws = n_draws
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

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        qid: ArrayLike | None = None,
        X_val: Any = None,
        y_val: Any = None,
        qid_val: ArrayLike | None = None,
        ref_scores: ArrayLike | None = None,
        ref_scores_val: ArrayLike | None = None,
        query_weight: ArrayLike | None = None,
    ) -> HyperDPORanker:
        """Train on queries with labels for every objective.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n, d)
            Features, NaN where missing; a frame may carry the query ids in a column ``qid``.
        y : array-like or frame of shape (n,) or (n, m)
            Labels >= 0, more is better; NaN where unobserved.
        qid : array-like of shape (n,), optional
            Query ids of any kind, in any order; one list of all rows by default.
        X_val, y_val, qid_val
            Validation data, to stop training by.
        ref_scores, ref_scores_val : array-like of shape (n,), optional
            The reference's scores, for ``reference="scores"``.
        query_weight : array-like of shape (n,), optional
            How much the query of each row counts in training; the same for all rows of a query.

        Returns
        -------
        HyperDPORanker
            Itself.

        Raises
        ------
        ValueError
            If data or options are not as described; always before any training starts.
        """
        data = read_labelled(self, X, y, qid, reset=True, objectives=self.objectives, ref_scores=ref_scores)
        data.check_ref_scores(check_reference(self.reference))
        main = resolve_objective(self.reference_objective, data.names)
        if self.beta != "auto":
            check_number("beta", self.beta, above=0)
        list_weight = read_list_weight(query_weight, data.lists)
        given = read_validation(self, X_val, y_val, qid_val, ref_scores_val, names=data.names)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        held, kept = hold_out(self, data, given, rng=np.random.default_rng(seed))
        plan = network_plan(
            self,
            len(data.X),
            data.lists.n_lists,
            conditioning=self.conditioning,
            seed=seed,
            stops=held is not None,
        )
        training = data if len(kept) == data.lists.n_lists else data.take(kept)
        list_weight = None if list_weight is None else list_weight[kept]
        reference = fit_reference(
            self.reference,
            training.X,
            training.Y,
            training.lists,
            frame=training.frame,
            main=main,
            params=self.booster_params,
            seed=seed,
            list_weight=list_weight,
            n_jobs=self.n_jobs,
        )
        pull = self._pull(reference, training)
        model, result = fit_reward_model(
            training,
            plan,
            validation=None if held is None else self._validation(held, reference, pull),
            list_weight=list_weight,
        )
        self.objectives_ = data.names
        self.reference_, self.pull_, self.model_ = reference, pull, model
        self.history_ = result.history
        self.best_epoch_, self.best_score_ = result.best_epoch, result.best_score
        return self

    def predict(
        self,
        X: Any,
        *,
        qid: ArrayLike | None = None,
        weights: ArrayLike | Mapping[str, float] | None = None,
        temperature: float | None = None,
        ref_scores: ArrayLike | None = None,
    ) -> NDArray[np.floating[Any]]:
        """Score documents under one or several trade-offs; higher ranks first.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n, d)
            Features, NaN where missing; a frame may carry the query ids in a column ``qid``.
        qid : array-like of shape (n,), optional
            Query ids, which matter only where `query_standardize` is on; one list by default.
        weights : array-like of shape (m,) or (k, m), or mapping of objective to weight, optional
            Trade-offs on the simplex; equal weights by default.
        temperature : float, optional
            How hard the objectives pull away from the reference: 0 gives the reference itself, 1 (the
            default) what was trained, more goes further. The same as training with beta / temperature.
        ref_scores : array-like of shape (n,), optional
            The reference's scores, for ``reference="scores"``.

        Returns
        -------
        ndarray of shape (n,) or (n, k), float64
            In the order of the rows of `X`.

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If `X` is not what fit was given, or weights are off the simplex.
        """
        return self._predict(X, qid, weights, ref_scores=ref_scores, temperature=temperature)

    def _scores(
        self, data: GroupedFeatures, weights: NDArray[np.float64], *, temperature: float | None = None
    ) -> NDArray[np.float64]:
        factor = 1.0 if temperature is None else check_number("temperature", temperature, at_least=0)
        base = self.reference_.mix(data.parts(self.reference_), weights)
        rewards = self.model_.rewards(data.X, data.lists.in_place, weights)
        return base + np.float64(factor * self.pull_) * rewards

    def _reference_scores(self, data: GroupedFeatures) -> NDArray[np.float64] | None:
        if isinstance(self.reference_, NoReference):
            return None
        return self.reference_.own_scores(data.parts(self.reference_))

    def _pull(self, reference: Reference, training: LabelledLists) -> float:
        """What rewards are multiplied by in scores: the reference's deviation over beta."""
        own = reference.own_scores(training.parts(reference))
        if isinstance(reference, NoReference):
            return 1.0 if self.beta == "auto" else 1.0 / float(self.beta)
        beta = float(self.beta) if self.beta != "auto" else (0.1 if reference.main is None else 1.0)
        return within_list_deviation(own, training.lists) / beta

    def _validation(self, held: LabelledLists, reference: Reference, pull: float) -> Validation:
        return Validation(
            data=held,
            metric=parse_metric(self.metric),
            mixed_reference=partial(reference.mix, held.parts(reference)),
            pull=pull,
        )
