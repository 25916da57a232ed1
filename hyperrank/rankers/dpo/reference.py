"""The reference ranker of a fit, the scale of rewards over it, and its scores as training sees them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hyperrank.boosters import Cached
from hyperrank.files import ModelFileError, storable
from hyperrank.lists import within_list_deviation
from hyperrank.metrics import Metric
from hyperrank.rankers.data import FitInputs, LabelledLists, sample_rows
from hyperrank.rankers.dpo.config import FitConfig, Phase
from hyperrank.reference import NoReference, PerObjectiveReference, Reference, ReferenceData
from hyperrank.reference.fit import fit_reference as fit_reference_model
from hyperrank.reference.fit import is_fitted_here, stand_in, trains_boosters
from hyperrank.reference.per_objective import GivenScorers
from hyperrank.training import Checkpoint

#: Beta of a reference that gives one score, which knows nothing of the other objectives; DPO's custom.
SINGLE_SCORE_BETA = 0.1
#: Beta of a reference that is itself a front, unless tuning finds a better one.
FRONT_BETA = 1.0
#: Rows, about, that boosters of a reference are trained on at most.
REFERENCE_ROWS = 1 << 20
#: Rows, about, that the reference's deviation is estimated from.
DEVIATION_ROWS = 1 << 18
#: Shares of the queries that a reference is fitted without, to score them.
N_FOLDS = 4
#: Training lists at most that scorers are compared with validation lists on.
MAX_LISTS_TO_JUDGE = 500
#: Standard errors, and the ratio, by which a scorer that has seen lists is better on them.
FAR, FAR_SHARE = 4.0, 1.1
#: Reference scores this far below the best of their list, in units of reward, are told apart no further:
#: exponentials of them vanish at any temperature.
FARTHEST = 1e4


@storable
@dataclass(frozen=True)
class FittedReference:
    """A reference that is ready to score, and the scale of rewards over it."""

    reference: Reference
    #: What rewards are multiplied by in scores: the reference's deviation within a list over beta.
    reward_scale: float


def fit_reference(
    inputs: FitInputs, config: FitConfig, checkpoint: Checkpoint, phase: Phase = Phase.REFERENCE
) -> FittedReference:
    """Fit the reference, and measure the scale of rewards over it."""
    fit = partial(_fit_reference, inputs, config, phase)
    if config.reference is None or isinstance(config.reference, str):
        return checkpoint.on_rank_zero(phase, fit)
    is_mapping = isinstance(config.reference, GivenScorers)
    if is_fitted_here(config.reference) and not is_mapping:
        fitted = checkpoint.phase(phase, partial(fit, checkpoint))
    else:
        fitted = fit(checkpoint)
        scale = fitted.reward_scale
        if checkpoint.phase(Phase.REWARD_SCALE, lambda: scale) != scale:
            raise ModelFileError(
                f"{checkpoint.path} is the checkpoint of another fit: the model given as reference scores "
                "the training rows otherwise. Give the same one, or delete the file to start over."
            )
    kind = "scorers" if is_mapping else type(config.reference).__name__
    checkpoint.processes.check_same(
        {f"scores of the reference {kind}": repr(fitted.reward_scale)},
        "Fit it before and pass it fitted, or set its random_state.",
    )
    return fitted


def _fit_reference(
    inputs: FitInputs, config: FitConfig, phase: Phase, checkpoint: Checkpoint
) -> FittedReference:
    if isinstance(config.reference, GivenScorers):
        reference: Reference = _complete(config.reference, inputs, config, phase, checkpoint)
    else:
        reference = _fit_model(
            inputs, config, lambda name, train: checkpoint.phase(f"{phase}: {name}", train)
        )
    return FittedReference(reference, _reward_scale(reference, inputs, config))


def _complete(
    given: GivenScorers, inputs: FitInputs, config: FitConfig, phase: Phase, checkpoint: Checkpoint
) -> PerObjectiveReference:
    """The user's scorers and boosters; checkpoints hold the boosters alone."""
    boosters = replace(config, reference=stand_in(given))
    fit = partial(_fit_reference, inputs.without_ref_scores(), boosters, phase)
    fitted = checkpoint.on_rank_zero(phase, fit)
    reference = given.complete(fitted.reference, _reference_data(inputs, config))
    if config.temperature_range is not None:
        # The network learns what is missing at each temperature over the scorers alone.
        reference.keep_alone([*given.scorers])
    elif inputs.validation is not None and config.validation_fraction is None:
        _validate_scorers(given, reference, inputs.training, inputs.validation, config.metric)
    return reference


def _validate_scorers(
    given: GivenScorers,
    reference: PerObjectiveReference,
    training: LabelledLists,
    validation: LabelledLists,
    metric: Metric,
) -> None:
    """Keep scorers alone that are surely better so on validation lists of the caller.

    Warns of those that are far better on training lists, which they then have seen.
    """
    alone, joined = (_metrics_by_list(reference, validation, t, metric) for t in (0.0, 1.0))
    reference.keep_alone([j for j in given.scorers if surely_better(alone[:, j], joined[:, j])])
    some = np.linspace(0, training.lists.n_lists - 1, min(training.lists.n_lists, MAX_LISTS_TO_JUDGE))
    seen = _metrics_by_list(reference, training.take(np.unique(some.astype(np.int64))), 0.0, metric)
    for j in given.scorers:
        a, b = (values[~np.isnan(values[:, j]), j] for values in (seen, alone))
        if min(len(a), len(b)) < 2:
            continue
        error = float(np.hypot(a.std(ddof=1) / len(a) ** 0.5, b.std(ddof=1) / len(b) ** 0.5))
        if a.mean() > max(b.mean() + FAR * error, FAR_SHARE * b.mean()):
            warnings.warn(
                f"the reference of {training.names[j]!r} has visibly seen the training queries: {metric} is "
                f"{a.mean():.3f} on them and {b.mean():.3f} on the validation queries. The rewards are "
                "learnt without its scores, so that this does no harm to them; but fronts and limits promise "
                "too much on queries that it has seen.",
                UserWarning,
                stacklevel=2,
            )


def _metrics_by_list(
    reference: PerObjectiveReference, data: LabelledLists, temperature: float, metric: Metric
) -> NDArray[np.float64]:
    """The metric of each objective under its own scores, shape (q, m)."""
    scores = data.reference_scores(reference, temperature)
    by_list = metric(scores, data.Y, qid=data.lists.in_place, per_query=True)
    return np.einsum("qjj->qj", by_list)


def surely_better(a: NDArray[np.float64], b: NDArray[np.float64], *, errors: float = 1) -> bool:
    """Whether a's mean over lists is above b's by more than the standard error of the difference, or two."""
    difference = (a - b)[~np.isnan(a - b)]
    if len(difference) < 2:
        return False
    return float(difference.mean()) > errors * float(difference.std(ddof=1)) / len(difference) ** 0.5


def _fit_model(inputs: FitInputs, config: FitConfig, cached: Cached | None = None) -> Reference:
    """The reference that the config names, fitted to the training lists, or to a sample of very many."""
    return fit_reference_model(config.reference, _reference_data(inputs, config, cached))


def _reference_data(inputs: FitInputs, config: FitConfig, cached: Cached | None = None) -> ReferenceData:
    if trains_boosters(config.reference):
        inputs = sample_rows(inputs, REFERENCE_ROWS, config.seed)
    data = inputs.training
    return ReferenceData(
        data.X,
        data.lists,
        data.frame,
        data.ref_scores,
        data.Y,
        config.reference_objective,
        booster_params=config.booster_params,
        max_ranking_rounds=config.max_ranking_rounds,
        query_standardize=config.query_standardize,
        seed=config.seed,
        list_weight=inputs.list_weight,
        n_jobs=config.n_jobs,
        cached=cached,
        verbose=config.verbose,
        categorical=tuple(config.categories),
    )


def _reward_scale(reference: Reference, inputs: FitInputs, config: FitConfig) -> float:
    """The reference's deviation within a list over beta."""
    if isinstance(reference, NoReference):
        return 1.0 if config.beta is None else 1.0 / config.beta
    beta = SINGLE_SCORE_BETA if reference.main is None else FRONT_BETA
    if config.beta is not None:
        beta = config.beta
    elif config.tuning is not None:
        beta /= config.tuning.reward_scale_factor
    sample = sample_rows(inputs, DEVIATION_ROWS, config.seed).training
    scores = reference.main_scores(sample.reference_scores(reference))
    return within_list_deviation(scores, sample.lists) / beta


def reference_logits(
    inputs: FitInputs, fitted: FittedReference, config: FitConfig, *, is_unseen: bool
) -> NDArray[np.float32]:
    """Reference scores of the training rows as training may see them, in units of reward.

    A reference that is fitted here is fitted again without each quarter of the queries and asked about
    them. One that came from elsewhere is asked as it is: it should not have seen these queries.
    """
    training = inputs.training
    if is_unseen or not is_fitted_here(config.reference):
        scores = training.reference_scores(fitted.reference)
    else:
        scores = _cross_fitted_scores(inputs, config)
    best = np.maximum.reduceat(scores, training.lists.offsets[:-1])
    below = (scores - best[training.lists.index]) / fitted.reward_scale
    return np.maximum(below, -FARTHEST).astype(np.float32)


def _cross_fitted_scores(inputs: FitInputs, config: FitConfig) -> NDArray[np.float64]:
    """Scores of each part of the queries by a reference that was fitted without it."""
    training, weight = inputs.training, inputs.list_weight
    rng = np.random.default_rng([config.seed, 2])
    fold = rng.permutation(training.lists.n_lists) % N_FOLDS
    by_fold: dict[int, NDArray[np.float64]] = {}
    for number in np.unique(fold).tolist():
        others = np.flatnonzero(fold != number)
        counting = others if weight is None else others[weight[others] > 0]
        is_observed = ~np.isnan(training.Y[training.lists.take(counting)[0]])
        if is_observed.any(axis=0).all():  # every objective can be learnt
            reference = _fit_model(inputs.take(others), config)
            by_fold[number] = training.take(np.flatnonzero(fold == number)).reference_scores(reference)
    width = max((scores.shape[1] for scores in by_fold.values()), default=1)
    out = np.zeros((len(training.X), width))
    for number, scores in by_fold.items():
        out[(fold == number)[training.lists.index]] = scores
    return out
