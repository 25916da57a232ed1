"""The ranker that is trained once and holds the whole Pareto front."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.rankers.dpo.config import FitPlan
from hyperrank.rankers.dpo.data import CheckedFit
from hyperrank.rankers.dpo.distributed import in_processes
from hyperrank.rankers.dpo.reference import anchor_parts
from hyperrank.rankers.dpo.resume import kept_reference, opened_checkpoint
from hyperrank.rankers.dpo.reward_model import RewardModel
from hyperrank.rankers.dpo.train import fit_reward_model
from hyperrank.rankers.inputs import GroupedFeatures, one_validation
from hyperrank.rankers.specialized import Specializable
from hyperrank.training import Checkpoint, TrainingProgress, TrainingResult, current
from hyperrank.training.temperature import Range, beside_weights, refuse_outside

__all__ = ["HyperDPORanker"]

try:  # scikit-learn 1.9
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks."""

    def with_callbacks(method: Callable[..., Any]) -> Callable[..., Any]:
        """Leave the method as it is."""
        return method


class EpochCallbacks(TrainingProgress):
    """Progress that also tells scikit-learn's callbacks of each epoch.

    Parameters
    ----------
    estimator : BaseEstimator
        In fit.
    max_epochs : int
        Epochs at most.
    verbose : int
        As in `TrainingProgress`.
    fitted : mapping
        The attributes that, with the network, make the estimator one that predicts.
    data : mapping
        ``X``, ``y`` and the ``metadata`` qid of the training rows, as the caller gave them.
    done : int, default 0
        Epochs that an earlier process has trained, which callbacks do not see.
    """

    def __init__(
        self,
        estimator: Any,
        max_epochs: int,
        *,
        verbose: int,
        fitted: Mapping[str, Any],
        data: dict[str, Any],
        done: int = 0,
    ) -> None:
        # Of several processes that train together the first speaks, to callbacks too.
        self.is_first = current().is_first
        shown = verbose if self.is_first else 0
        super().__init__(max_epochs, verbose=shown, score_name="hypervolume", done=done)
        self.estimator, self.fitted, self.data = estimator, fitted, data
        self.context: Any = None

    def of(self, model: RewardModel) -> EpochCallbacks:
        """Begin, with the model that is trained."""
        self.fitted = {**self.fitted, "model_": model}
        has_callbacks = hasattr(self.estimator, "_skl_callbacks")
        if self.is_first and has_callbacks and hasattr(self.estimator, "_init_callback_context"):
            left = self.max_epochs - self.done
            self.context = self.estimator._init_callback_context(max_subtasks=left)
            self.context.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        return self

    def update(self, entry: dict[str, float]) -> bool:
        """Show an epoch and report it; True where a callback asks to stop."""
        super().update(entry)
        if self.context is None:
            return False
        epoch = self.context.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)
        stop = epoch.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=dict(self.fitted), **self.data
        )
        return bool(stop)

    def finish(self) -> None:
        """Report that fit is done."""
        if self.context is not None:
            self.context.call_on_fit_task_end(
                estimator=self.estimator, reconstruction_attributes={}, **self.data
            )


class PartialFitMixin:
    """Training one more epoch on new queries, for a ranker with ``_checked`` and ``_train``."""

    __metadata_request__partial_fit = {"qid": True}  # noqa: RUF012 - scikit-learn reads the class attribute

    conditioning: str
    objectives_: tuple[str, ...]
    model_: RewardModel
    temperature_range_: Range | None
    fit: Any
    _checked: Any
    _train: Any
    reference_: Any
    pull_: float

    @with_callbacks
    @in_processes
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
        checked = self._checked(
            X,
            y,
            qid,
            validation=(None, None, None, None),
            ref_scores=ref_scores,
            query_weight=query_weight,
            conditioning=self.conditioning,
            objectives=self.objectives_,
            reset=False,
            holds_out=False,
        )
        once = replace(checked.plan.settings, max_epochs=1)
        checked = replace(checked, plan=kept_plan(self, replace(checked.plan, settings=once)))
        return self._train(
            checked, self.reference_, self.pull_, self.model_, data=as_task(X, y, qid), is_new=True
        )


def kept_plan(ranker: Any, plan: FitPlan) -> FitPlan:
    """The plan with what the network of the last fit cannot do otherwise.

    Raises
    ------
    ValueError
        If that network knows the temperature, and the loss does not.
    """
    trained = ranker.temperature_range_
    if trained is not None and ranker.loss != "listnet":
        raise ValueError(
            f"the last fit had temperature_range={trained}, which needs loss='listnet' to go on; "
            f"got loss={ranker.loss!r}."
        )
    return replace(plan, booster_inputs=bool(ranker.model_.boosters), temperature_range=trained)


def warn_of_interrupt(result: TrainingResult, checkpoint: Path | None = None) -> None:
    """Say what a fit has kept that Ctrl-C ended."""
    how = "With warm_start=True, fit goes on from there."
    if checkpoint is not None and checkpoint.exists():
        how = f"fit(..., resume=True) goes on from {checkpoint} to what the whole fit would have been."
    warnings.warn(
        f"training was interrupted after {len(result.history)} whole epochs: the ranker is fitted, and holds "
        f"what it had learnt by then. {how}",
        UserWarning,
        stacklevel=4,
    )


def as_task(X: Any, y: Any, qid: Any) -> dict[str, Any]:
    """Training data as scikit-learn's callbacks want them."""
    return {"X": X, "y": y, "metadata": None if qid is None else {"qid": qid}}


class TrainsOneNetwork(Specializable):
    """A ranker with one network for all trade-offs, and the training of it."""

    history_: list[dict[str, float]]
    best_epoch_: int
    best_score_: float

    def _train(
        self,
        checked: CheckedFit,
        reference: Any,
        pull: float,
        start: RewardModel | None,
        *,
        data: dict[str, Any],
        is_new: bool = False,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Train the network and take over what came of it; `is_new` where no part has seen the rows."""
        plan = checked.plan
        checkpoint = checkpoint or Checkpoint()
        kept = {
            "objectives_": checked.training.names,
            "reference_": reference,
            "pull_": pull,
            "temperature_range_": plan.temperature_range,
        }
        anchor = None
        if plan.temperature_range is not None:
            parts = partial(anchor_parts, checked, reference, pull, wanted=self.reference, is_unseen=is_new)
            anchor = checkpoint.phase("anchor", lambda: current().of_first(parts))
        progress = EpochCallbacks(
            self,
            plan.settings.max_epochs,
            verbose=plan.verbose,
            fitted=kept,
            data=data,
            done=checkpoint.epochs_done,
        )
        model, result = fit_reward_model(
            checked.training,
            plan,
            validation=self._stopping(checked, reference, pull),
            list_weight=checked.list_weight,
            start=start,
            keep_boosters=is_new,
            anchor=anchor,
            progress=progress.of,
            keep_on_interrupt=True,
            checkpoint=checkpoint,
        )
        for name, value in {**kept, "model_": model}.items():
            setattr(self, name, value)
        self._take_over(result, checkpoint)
        progress.finish()
        return self

    def _take_over(self, result: TrainingResult, checkpoint: Checkpoint) -> None:
        if result.is_interrupted:
            warn_of_interrupt(result, checkpoint.path)
        else:
            checkpoint.remove()
        self.history_ = result.history
        self.best_epoch_, self.best_score_ = result.best_epoch, result.best_score


class HyperDPORanker(CallbackSupportMixin, PartialFitMixin, TrainsOneNetwork):
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
    reference : None, "booster_pairs", "boosters", "lightgbm", "scores" or model, default "booster_pairs"
        The ranker to start from. ``"boosters"``: one LightGBM ranker per objective, fitted here, their
        standardised scores mixed by the weights, so that the reference is itself a front;
        ``"booster_pairs"``: with a regression on the grades beside each. ``"lightgbm"``: one, fitted here on
        `reference_objective`; all are grown on a million rows at most. ``"scores"``: scores that you pass as
        `ref_scores` to fit and predict. A fitted model with ``predict`` is taken as it is (an unfitted
        estimator is cloned and fitted here on `reference_objective`); None ranks by the network alone.
    reference_objective : int or str, default 0
        The objective that the reference ranker is for: the one it is fitted on, and that constraints
        relative to the reference are about.
    objectives : sequence of str, optional
        Names of the objectives; by default those of the columns of `y`, or objective_0, objective_1, ...
    loss : {"listnet", "plackett_luce", "lambda_loss", "approx_ndcg", "pairwise_logistic"}, default "listnet"
        The loss of the rewards within a list; see `hyperrank.losses`. The first two train fastest.
    gain : {"exp2", "linear"}, default "exp2"
        What a label is worth to ListNet, LambdaLoss and ApproxNDCG: 2^z - 1, or z.
    top_k : int, optional
        Ranks that count for ``"plackett_luce"`` and ``"lambda_loss"``; all by default.
    ties : {"random", "average", "rating"}, default "random"
        What ``"plackett_luce"`` makes of equal labels.
    beta : float or "auto", default "auto"
        How closely scores are held to the reference, whose scores count in units of their deviation within
        a list. It may be changed after training through `temperature`: an optimum at beta is one at every
        beta. By default 2 where the reference is itself a front, 1 where there is none, and 0.1 where it
        gives one score, which does not know the other objectives; with 100 queries or more, and a reference
        that is fitted here, a trial on held-out queries may find a better one.
    temperature_range : (float, float), optional
        Temperatures about 1 that the network is trained at and told of, for ``loss="listnet"`` over a
        reference: it then learns most of what the reference leaves open at each. Others are refused at
        predict, but 0. By default it knows none, and every temperature is a factor. The reference is fitted
        four more times for it, without some of the queries; one fitted elsewhere should not have seen them.
    conditioning : {"film", "concat", "hypernetwork"}, default "film"
        How the weights reach an ``"mlp"``.
    network : {"mlp", "transformer"} or fitted ranker, default "mlp"
        ``"mlp"`` sees each document alone (and what `query_standardize` tells it of the list);
        ``"transformer"`` a list as a whole, its documents as tokens, and the weights as prompt vectors before
        them. It is computed anew for each trade-off, and its cost grows with the square of a list's length.
        Trained on one list (as where fit is given no query ids) it sees each document alone. Of a fitted
        ranker of ``network="transformer"`` features and transformer are kept as they are, and prompts alone
        are trained.
    n_prompts : int, default 4
        Prompt vectors of a transformer.
    hidden : tuple of int, default (128, 128)
        Widths of the hidden layers; all but the last are shared by all weights. Of a transformer those of its
        layers, all the same.
    dropout : float or "auto", default "auto"
        Share of hidden units dropped in training; by default 0.5 (transformer: 0.3), or less with longer
        training where a trial finds that better (see `max_epochs`).
    feature_transform : {"quantile", "standard", "log", "none"}, default "quantile"
        What is done to features of any scale. Missing values (NaN) are handled by all of them.
    query_standardize : bool or "auto", default "auto"
        Whether features standardised within their query are added, for ranking boosters fitted here too.
        A document's score then depends on the others of its query. By default: where fit is given query ids.
    booster_inputs : bool, default False
        Whether the scores of one booster per objective, cross-fitted by query, are added to the features.
    booster_params : mapping, optional
        Native LightGBM parameters for boosters fitted here.
    normalize_objectives : bool, default True
        Whether each loss is divided by its value under the reference, so that equal weights pull equally.
    alpha : float, default 1.0
        Concentration of the Dirichlet distribution: 1 is uniform, less looks more at the corners.
    n_draws : int, default 2
        Weights drawn per query and step; they share the unconditioned part of the network.
    max_epochs : int or "auto", default "auto"
        Passes over the data at most; by default from 20 on small data to 4 on millions of rows, and up to
        eight times as many where a trial finds that they pay: with 100 queries or more, and `dropout` too
        left to it, networks are trained on a part of the queries and judged by others before the whole
        fit, twice as long each time while that makes them better.
    batch_docs : int or "auto", default "auto"
        Documents per batch; queries stay whole.
    learning_rate : float or "auto", default "auto"
        Peak learning rate of AdamW, by default 8e-3 (transformer: 2e-3), after a warm-up and before a cosine
        decay.
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
    warm_start : bool, default False
        Whether fit goes on from the network of the last fit, with its reference and transforms. Options
        of these are then without effect.
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
    checkpoint : path, optional
        File in which an unfinished fit is kept, for ``fit(..., resume=True)``. It is removed when fit ends.
    checkpoint_every : float, default 60.0
        Seconds between checkpoints in training; each phase before it ends with one.

    Attributes
    ----------
    objectives_ : tuple of str
        Names of the objectives.
    reference_ : hyperrank.reference.Reference
        The reference ranker, ready to score.
    temperature_range_ : tuple of two floats or None
        Temperatures that the network was trained at.
    pull_ : float
        What rewards are multiplied by in scores: the reference's deviation over beta.
    model_ : hyperrank.rankers.dpo.reward_model.RewardModel
        Transforms and network.
    history_ : list of dict
        Loss, seconds and validation hypervolume by epoch.
    trial_ : hyperrank.rankers.dpo.tuning.Trial or None
        What the trial tried and chose; None where there was none.
    best_epoch_, best_score_ : int, float
        The epoch whose parameters are kept, and its validation hypervolume (NaN without validation).
    training_data_ : dict
        Rows, queries, list sizes, missing features and labels of the data that it was first fitted on.
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

    temperature_range_: Range | None

    def __init__(
        self,
        reference: Any = "booster_pairs",
        *,
        reference_objective: int | str = 0,
        objectives: Sequence[str] | None = None,
        loss: str = "listnet",
        gain: str = "exp2",
        top_k: int | None = None,
        ties: str = "random",
        beta: float | str = "auto",
        temperature_range: tuple[float, float] | None = None,
        conditioning: str = "film",
        network: Any = "mlp",
        n_prompts: int = 4,
        hidden: Sequence[int] = (128, 128),
        dropout: float | str = "auto",
        feature_transform: str = "quantile",
        query_standardize: bool | str = "auto",
        booster_inputs: bool = False,
        booster_params: Mapping[str, Any] | None = None,
        normalize_objectives: bool = True,
        alpha: float = 1.0,
        n_draws: int = 2,
        max_epochs: int | str = "auto",
        batch_docs: int | str = "auto",
        learning_rate: float | str = "auto",
        weight_decay: float = 1e-2,
        average_decay: float = 0.99,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        patience: int = 5,
        warm_start: bool = False,
        metric: str = "ndcg@10",
        device: str = "auto",
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
        checkpoint: str | Path | None = None,
        checkpoint_every: float = 60.0,
    ) -> None:
        self.reference = reference
        self.reference_objective = reference_objective
        self.objectives = objectives
        self.loss = loss
        self.gain = gain
        self.top_k = top_k
        self.ties = ties
        self.beta = beta
        self.temperature_range = temperature_range
        self.conditioning = conditioning
        self.network = network
        self.n_prompts = n_prompts
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
        self.warm_start = warm_start
        self.metric = metric
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.checkpoint = checkpoint
        self.checkpoint_every = checkpoint_every

    @with_callbacks
    @in_processes
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
            Validation data, to stop training by.
        ref_scores, ref_scores_val : array-like of shape (n,), optional
            The reference's scores, for ``reference="scores"``.
        query_weight : array-like of shape (n,), optional
            How much the query of each row counts in training; the same for all rows of a query.
        eval_set, eval_qid
            Validation data as other rankers take them: ``[(X_val, y_val)]`` and ``[qid_val]``.
        resume : bool, default False
            Whether to go on from the file `checkpoint`, to the same bits as a fit that was not interrupted.
            Where there is no such file, fit begins anew.

        Returns
        -------
        HyperDPORanker
            Itself.

        Raises
        ------
        ValueError
            If data or options are not as described, or the checkpoint is damaged or another fit's; always
            before any training starts.
        """
        goes_on = self.warm_start and hasattr(self, "model_")
        checkpoint = opened_checkpoint(self, resume)
        checked = self._checked(
            X,
            y,
            qid,
            validation=(*one_validation(X_val, y_val, qid_val, eval_set, eval_qid), ref_scores_val),
            ref_scores=ref_scores,
            query_weight=query_weight,
            conditioning=self.conditioning,
            objectives=self.objectives_ if goes_on else self.objectives,
            reset=not goes_on,
            checkpoint=checkpoint,
        )
        if goes_on:
            checked = replace(checked, plan=kept_plan(self, checked.plan))
            reference, pull = self.reference_, self.pull_
        else:
            checked = self._tried(checked, checkpoint)
            reference, pull = kept_reference(
                checkpoint, self.reference, partial(self._fit_reference, checked)
            )
            self.trial_ = checked.trial
        start = self.model_ if goes_on else None
        data = as_task(X, y, qid)
        return self._train(checked, reference, pull, start, data=data, checkpoint=checkpoint)

    def _beside(self, weights: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
        trained = self.temperature_range_
        if trained is None:
            return weights
        refuse_outside(temperature, trained)
        return beside_weights(weights, temperature, trained)

    def _rewards(self, data: GroupedFeatures, weights: NDArray[np.float64]) -> NDArray[np.float32]:
        return self.model_.rewards(data.X, data.lists.in_place, weights)
