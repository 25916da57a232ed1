"""The ranker that is trained once and holds the whole Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank._checks import check_verbose
from hyperrank._progress import ProgressBar
from hyperrank.rankers.data import FitInputs, few_rows, warn_of_counts
from hyperrank.rankers.dpo.callbacks import (
    Callback,
    CallbackSupportMixin,
    EpochFunction,
    FitCallbacks,
    with_callbacks,
)
from hyperrank.rankers.dpo.config import FitConfig
from hyperrank.rankers.dpo.reference import FittedReference, fit_reference
from hyperrank.rankers.dpo.resume import agree_on_fit, warn_of_interrupt
from hyperrank.rankers.dpo.reward_model import RewardModel
from hyperrank.rankers.dpo.train import ValidationScores, train_reward_model
from hyperrank.rankers.dpo.tuning import search_boosters, tune
from hyperrank.rankers.inputs import one_validation, read_fit_inputs, takes_qid
from hyperrank.rankers.specialized import SpecializableRanker
from hyperrank.reference.fit import needs_frame
from hyperrank.training import Checkpoint, CheckpointFile, TradeOffs, process_group
from hyperrank.training.options import condition_weights, get_checkpoint_file


@dataclass(eq=False, repr=False)
class HyperDPORanker(CallbackSupportMixin, SpecializableRanker):
    r"""Ranker for several objectives that is trained once and takes the trade-off at predict time.

    One network, conditioned on weights w on the simplex, is trained by Plackett-Luce preference
    optimisation (DPO) against a reference ranker, over weights drawn from the whole simplex:

    .. math:: \min_\theta \; \mathbb{E}_{w \sim Dir(\alpha)} \sum_j w_j \, L_j(r), \qquad
              r = \tfrac{\beta}{\sigma} \, (s(x, w) - s_{ref}(x, w))

    The network outputs the reward r, so that the score is

    .. math:: s(x, w) = s_{ref}(x, w) + t \, \tfrac{\sigma}{\beta} \, r(x, w)

    where :math:`\sigma` is the reference's deviation within a list and t the `temperature` of `predict`. At 0
    the score is the reference's own; the higher, the further it moves towards the objectives.

    Parameters
    ----------
    reference : None, str, model or mapping of objective to scorer, default "booster_pairs"
        **What is learnt.** The ranker to start from:

        - ``"booster_pairs"``: for each objective a LightGBM ranker and LightGBM regressions on the grades,
          fitted here; their standardised scores are mixed by the weights, so the reference is itself a front.
        - ``"booster_regressions"``, ``"boosters"``: the regressions alone, or the rankers alone. Tuning may
          use the regressions in place of the pairs.
        - ``"lightgbm"``: one LightGBM ranker, fitted here on `reference_objective`.
        - ``"scores"``: scores that are passed as `ref_scores` to fit and predict.
        - a model with ``predict``, used as it is; an unfitted estimator is cloned and fitted here on
          `reference_objective`.
        - a mapping from objectives, by name or number, to a scorer each: a fitted model, the path of a
          LightGBM text file, the name of a column of `X`, or ``"scores"``. At temperature 0 such an objective
          is ranked by its scorer, to the bit, and the others by ``"booster_pairs"`` fitted here. As the
          temperature rises to 0.3, the boosters of all objectives take the scorers' place, except where
          `X_val` shows that the scorer is better.
        - None: the network ranks alone.

        Boosters fitted here are trained on at most a million rows.
    reference_objective : int or str, default 0
        The objective that the reference is fitted on, and that limits relative to the reference refer to.
    objectives : sequence of str, optional
        Names of the objectives; by default the column names of `y`, or objective_0, objective_1, ...
    loss : str, object such as `hyperrank.losses.PlackettLuce`, or callable, default "listnet"
        Loss of the rewards within a list: ``"listnet"``, ``"plackett_luce"`` (these two train fastest),
        ``"lambda_loss"``, ``"approx_ndcg"``, ``"pairwise_logistic"``, an object with options such as
        ``PlackettLuce(top_k=10, ties="rating")``, or a function. See `hyperrank.losses`.
    beta : float or "auto", default "auto"
        How closely scores are held to the reference, whose scores count in units of their deviation within
        a list. It may be changed after training through `temperature`: an optimum at beta is one at every
        beta. By default 1 where the reference is itself a front or there is none, and 0.1 where it
        gives one score, which does not know the other objectives; with 100 queries or more, and a reference
        that is fitted here, tuning on held-out queries may find a better one.
    normalize_objectives : bool, default True
        Whether each loss is divided by its value under the reference, so that equal weights have equal
        influence.
    metric : str, default ``"ndcg@10"``
        Metric of fronts and scores.
    network : {"mlp", "transformer"}, MLP or Transformer, default "mlp"
        **The network.** ``"mlp"`` scores each document alone, apart from what `query_standardize` adds;
        ``"transformer"`` scores the list as a whole, with its documents as tokens and the weights as prompt
        vectors. Options are those of `hyperrank.networks.MLP` and `hyperrank.networks.Transformer`, as in
        ``MLP(hidden=(64, 64), conditioning="concat", dropout=0.2)``. A transformer fitted on one list, as
        without query ids, scores each document alone.
    categorical_features : "from_dtype", sequence of str, int or bool, or None, default "from_dtype"
        Categorical features. By default the columns of a frame with a categorical type (pandas ``category``,
        polars ``Categorical`` and ``Enum``, Arrow dictionaries); otherwise names, positions or a mask of
        columns of text or numbers. Categories are matched by value, whatever their order or type; missing
        and unknown ones form one category. None treats categories of numbers as numbers.
    feature_transform : {"quantile", "standard", "log", "none"}, default "quantile"
        Transform of the features before the network. All of them handle missing values (NaN).
    query_standardize : bool or "auto", default "auto"
        Whether features standardised within their query are added, for ranking boosters fitted here too.
        A document's score then depends on the others of its query. By default, if fit gets query ids.
    booster_params : mapping or "search", optional
        Native LightGBM parameters for boosters fitted here; ``"search"`` looks for them by cross-validation.
        By default trees of 15 leaves in pairs and 7 in others, or of 31 and more rounds where tuning finds
        these better.
    trade_offs : "uniform" or TradeOffs, default "uniform"
        **Training.** Weights, and temperatures, that the network is trained at; see `hyperrank.TradeOffs`.
    max_epochs : int or "auto", default "auto"
        Largest number of passes over the data. By default between 20 on small data and 4 on millions of rows,
        and up to eight times as many if dropout is left to tuning too and tuning finds that they pay off.
    tuning : bool, default True
        Whether parameters at their defaults are tuned on held-out queries before the whole fit, if there are
        100 queries or more: the size of boosters fitted here, and whether regressions alone are better than
        pairs; epochs and dropout of the network; and the reward scale, from nearly the reference alone to
        nearly the network alone. A fifth of the queries (500 at most) are held out; boosters and up to four
        networks, each trained twice as long as the one before, are trained on the others (2,000 queries,
        524,288 rows at most). This takes one to three times as long as the rest of the fit. ``tuning_`` holds
        what was tried, and ``verbose=1`` prints what was chosen.
    optimizer : "adamw" or AdamW, default "adamw"
        Learning rate, batches and the averaging of parameters; see `hyperrank.AdamW`.
    early_stopping : bool, "auto", EarlyStopping or callable, default "auto"
        Whether training stops when the hypervolume of the validation front no longer improves, and the best
        state is kept. Without `X_val`, some of the queries are held out for this. By default, with `X_val` or
        from 1,000 queries on. See `hyperrank.EarlyStopping`; a rule of your own is a function of the
        history of epochs.
    warm_start : bool, default False
        Whether fit continues from the network of the last fit, with its reference and transforms, whose
        options then have no effect.
    device : str, default "auto"
        **The run.** Where to train: a GPU if there is one, or a device in torch's notation.
    n_jobs : int, optional
        Boosters trained at a time; all cores by default.
    random_state : int, RandomState or None, default None
        Makes fit repeatable, to the bit on one machine. Global generators are not touched.
    verbose : int, default 0
        1 shows each phase: a bar with the time left in terminals and notebooks, a line in logs.
    callbacks : sequence of Callback or callable, optional
        `hyperrank.Callback` objects, or functions that are called with the entry of each epoch (``epoch``,
        ``loss``, ``seconds``, and validation results). Returning True stops training, raising aborts the fit.
    checkpoint : path or CheckpointFile, optional
        File that holds an unfinished fit, for ``fit(..., resume=True)``; see `hyperrank.CheckpointFile`.
        It is removed when fit is done.

    Attributes
    ----------
    objectives_ : tuple of str
        Names of the objectives.
    reference_ : hyperrank.reference.Reference
        The reference ranker, ready to score.
    temperature_range_ : tuple of two floats or None
        Temperatures that the network was trained at.
    reward_scale_ : float
        Factor of the rewards in scores: the reference's deviation over beta.
    model_ : hyperrank.rankers.dpo.reward_model.RewardModel
        Transforms and network.
    history_ : list of dict
        An entry per epoch, which grows during fit: ``epoch``, ``loss``, ``seconds``; with validation data
        ``score``, the hypervolume, and ``validation/NAME``, each objective's highest metric on the front.
    tuning_ : hyperrank.rankers.dpo.config.Tuning or None
        What tuning on held-out queries tried and chose; None without tuning.
    best_epoch_, best_score_ : int, float
        The epoch whose parameters are kept, and its validation hypervolume (NaN without validation).
        ``best_iteration_`` is an alias of the first.
    data_summary_ : dict
        Rows, queries, list sizes, missing features and labels of the data that it was first fitted on.
    categories_ : hyperrank.rankers.inputs.Categories
        Categories of each categorical feature, if there are any.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of str
        Their names, if `X` was a frame.

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

    __metadata_request__partial_fit = {"qid": True}  # noqa: RUF012 - scikit-learn reads the class attribute

    _: KW_ONLY
    trade_offs: str | TradeOffs = "uniform"
    tuning: bool = True
    warm_start: bool = False
    callbacks: Sequence[Callback | EpochFunction] | None = None
    checkpoint: str | Path | CheckpointFile | None = None

    @with_callbacks
    @takes_qid
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
        eval_set: Any = None,
        eval_qid: Any = None,
        resume: bool = False,
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
            Validation data for early stopping.
        ref_scores, ref_scores_val : array-like of shape (n,) or (n, k), optional
            Scores of the reference, for ``reference="scores"``; a column for each of k such objectives.
        query_weight : array-like of shape (n,), optional
            Weight of the query of each row in training; the same for all rows of a query.
        eval_set, eval_qid
            Validation data in the form of LightGBM and XGBoost: ``[(X_val, y_val)]`` and ``[qid_val]``.
        resume : bool, default False
            Whether to continue from the file `checkpoint`, to the same bits as an uninterrupted fit. Without
            such a file, fit starts over.

        Returns
        -------
        HyperDPORanker
            Itself.

        Raises
        ------
        ValueError
            If data or options are not as described, or the checkpoint is damaged or of another fit; always
            before training starts.
        """
        params, callbacks = self.get_params(deep=False), FitCallbacks(self, X, y, qid)
        continues = self.warm_start and hasattr(self, "model_")
        with process_group() as processes:
            checkpoint = Checkpoint.open(self.checkpoint, resume=resume, processes=processes)
            verbose = check_verbose(self.verbose) if processes.is_rank_zero else 0
            with ProgressBar(verbose=verbose, desc="reading"):
                inputs = read_fit_inputs(
                    self,
                    X,
                    y,
                    qid,
                    validation=one_validation(X_val, y_val, qid_val, ref_scores_val, eval_set, eval_qid),
                    ref_scores=ref_scores,
                    query_weight=query_weight,
                    objectives=self.objectives_ if continues else self.objectives,
                    keeps_frame=needs_frame(self.reference),
                    reset=not continues,
                )
            config = FitConfig.from_params(params, inputs)
            warn_of_counts(self.data_summary_, config.metric, config.loss)
            start = self.model_ if continues else None
            if checkpoint.path is not None or processes.size > 1:
                config = agree_on_fit(params, inputs, config, checkpoint, start=start)
            inputs = config.hold_out(inputs)
            if continues:
                config = self._continue(inputs, config, checkpoint)
                reference = FittedReference(self.reference_, self.reward_scale_)
            else:
                with checkpoint.resuming():
                    config = tune(inputs, config, checkpoint)
                    reference = fit_reference(inputs, config, checkpoint)
                self.tuning_ = config.tuning
            return self._train(inputs, reference, config, checkpoint, start, callbacks)

    @with_callbacks
    @takes_qid
    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        qid: ArrayLike | None = None,
        ref_scores: ArrayLike | None = None,
        query_weight: ArrayLike | None = None,
    ) -> Self:
        """Train one more epoch on new queries; the first call is a whole fit.

        Reference, boosters and transforms stay as the first call made them.

        Parameters
        ----------
        X, y, qid, ref_scores, query_weight
            As for `fit`.

        Returns
        -------
        HyperDPORanker
            Itself.
        """
        if not hasattr(self, "model_"):
            return self.fit(X, y, qid=qid, ref_scores=ref_scores, query_weight=query_weight)
        callbacks = FitCallbacks(self, X, y, qid)
        params = {**self.get_params(deep=False), "early_stopping": False, "max_epochs": 1}
        with process_group() as processes:
            inputs = read_fit_inputs(
                self,
                X,
                y,
                qid,
                ref_scores=ref_scores,
                query_weight=query_weight,
                objectives=self.objectives_,
                keeps_frame=self._needs_frame,
                reset=False,
            )
            checkpoint = Checkpoint(processes=processes)
            config = FitConfig.from_params(params, inputs)
            if processes.size > 1:
                config = agree_on_fit(params, inputs, config, checkpoint, start=self.model_)
            config = self._continue(inputs, config, checkpoint)
            reference = FittedReference(self.reference_, self.reward_scale_)
            return self._train(inputs, reference, config, checkpoint, self.model_, callbacks, is_unseen=True)

    def _continue(self, inputs: FitInputs, config: FitConfig, checkpoint: Checkpoint) -> FitConfig:
        """What the network of the last fit cannot do otherwise, and the booster parameters found then."""
        config = config.continuing(self.temperature_range_)
        if config.tunes_boosters and hasattr(self, "booster_search_"):
            config = config.with_booster_search(self.booster_search_)
        return search_boosters(inputs, config, checkpoint)

    def _train(
        self,
        inputs: FitInputs,
        reference: FittedReference,
        config: FitConfig,
        checkpoint: Checkpoint,
        start: RewardModel | None,
        callbacks: FitCallbacks,
        *,
        is_unseen: bool = False,
    ) -> Self:
        """Train the network, and store everything that was fitted."""
        processes = checkpoint.processes
        predicting = {
            "objectives_": inputs.training.names,
            "reference_": reference.reference,
            "reward_scale_": reference.reward_scale,
            "temperature_range_": config.temperature_range,
        }
        if processes.is_rank_zero:
            n_epochs = config.training.max_epochs - len(checkpoint.history)
            callbacks.begin(n_epochs, predicting, checkpoint.history)
        self.model_, result = train_reward_model(
            inputs,
            reference,
            config,
            checkpoint,
            validation=ValidationScores.of(inputs.validation, reference, processes),
            start=start,
            is_unseen=is_unseen,
            keep_on_interrupt=True,
            on_epoch=callbacks.epoch,
        )
        self.objectives_ = inputs.training.names
        self.reference_, self.reward_scale_ = reference.reference, reference.reward_scale
        self.temperature_range_ = config.temperature_range
        if config.booster_search is not None:
            self.booster_search_ = config.booster_search
        if result.is_interrupted:
            warn_of_interrupt(result, checkpoint.path)
        elif checkpoint.path is not None and not get_checkpoint_file(self.checkpoint).keep:
            checkpoint.remove()
        self._sample = few_rows(inputs.validation or inputs.training, config.seed)
        self.__dict__.pop("feature_importances_", None)
        self.history_ = result.history
        self.best_epoch_, self.best_score_ = result.best_epoch, result.best_score
        if processes.is_rank_zero:
            callbacks.end()
        return self

    @property
    def best_iteration_(self) -> int:
        """Alias of ``best_epoch_``, by LightGBM's name."""
        return self.best_epoch_

    @property
    def evals_result_(self) -> dict[str, dict[str, list[float]]]:
        """The history in LightGBM's layout.

        ``training`` has the ``loss`` of each epoch; ``validation``, where there was one, ``hypervolume`` and
        each objective's highest metric on the front.
        """
        result: dict[str, dict[str, list[float]]] = {"training": {"loss": []}}
        for entry in self.history_:
            result["training"]["loss"].append(entry["loss"])
            if "score" in entry:
                validation = result.setdefault("validation", {})
                validation.setdefault("hypervolume", []).append(entry["score"])
                for key, value in entry.items():
                    if key.startswith("validation/"):
                        validation.setdefault(key.partition("/")[2], []).append(value)
        return result

    @cached_property
    def feature_importances_(self) -> NDArray[np.float64]:
        """Share of each feature in the score at equal weights, shape (d,); they add up to 1.

        Permutation importance without labels: what the score changes by, as a mean square within queries,
        where the feature's values are permuted within queries. A feature that is the same for a whole query
        cannot change a ranking by itself and has 0. It is computed when it is first asked for, or the ranker
        is saved, on about 256 rows that fit keeps in memory: validation rows where there are some.
        `explain` measures by labels, between trade-offs, on rows of your own.
        """
        sample = getattr(self, "_sample", None)
        if sample is None:
            raise AttributeError(
                f"this {type(self).__name__} has no feature_importances_: it is not fitted, or was saved "
                "by a version that had none."
            )
        from hyperrank.explain.permutation import score_importances

        return score_importances(self, sample)

    def _condition(self, weights: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
        return condition_weights(weights, temperature, self.temperature_range_)
