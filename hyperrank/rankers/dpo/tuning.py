"""Tuning on held-out queries before the whole fit: boosters, epochs with dropout, reward scale."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._progress import ProgressBar
from hyperrank.boosters import booster_scores, fit_boosters
from hyperrank.boosters.search import BoosterSearch, search_mixed_scores
from hyperrank.lists import within_list_deviations
from hyperrank.metrics import Metric
from hyperrank.networks import MLP
from hyperrank.rankers.data import FitInputs, LabelledLists, sample_rows
from hyperrank.rankers.dpo.config import MAX_RANKING_ROUNDS, FitConfig, Phase, Tuning, tuning_phase
from hyperrank.rankers.dpo.reference import REFERENCE_ROWS, FittedReference, fit_reference, surely_better
from hyperrank.rankers.dpo.train import train_reward_model
from hyperrank.reference.base import mix
from hyperrank.reference.fit import PAIR_PARAMS, SummedReference, is_fitted_here, stand_in
from hyperrank.reference.per_objective import GivenScorers
from hyperrank.simplex import lattice_near
from hyperrank.training import Checkpoint

#: Lists below which nothing is tuned: the few that could be held out would choose by chance. There networks
#: are packed ensembles instead.
MIN_LISTS = MLP.few_queries
#: Lists at most that tuning trains on, and that it evaluates; more would choose the same.
MAX_TRAINING_LISTS, MAX_EVALUATION_LISTS = 2000, 500
#: Rows at most, about, of each: tuning on a few hundred long lists is not to take as long as the fit.
MAX_TRAINING_ROWS, MAX_EVALUATION_ROWS = 1 << 19, 1 << 17
#: Share of the lists that are evaluated where no validation lists are at hand.
EVALUATION_SHARE = 0.2
#: Parameters of boosters that are tried, on top of the default ones, and the rounds after which they are
#: evaluated. Trees of more leaves would be scored several times slower (`TreeEnsemble`).
CAPACITIES: Sequence[tuple[dict[str, Any], Sequence[int]]] = (
    ({}, (int(PAIR_PARAMS["num_boost_round"]),)),
    ({"num_leaves": 31, "learning_rate": 0.1}, (100, 200, 400)),
)
#: Rows, about, that these are trained on at most.
CAPACITY_ROWS = 1 << 17
#: Dropout of an mlp, and how many times the shortest training; the next is tried while it pays.
CANDIDATES = ((0.5, 1), (0.3, 2), (0.2, 4), (0.1, 8))
#: Reward scales that are tried, as multiples of the default one: from nearly the reference alone to nearly
#: the network alone.
REWARD_SCALES = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
#: Trade-offs at which candidates are evaluated.
N_WEIGHTS = 21

#: Utility of each held-out list by multiple of the reward scale; inf is the network alone.
Utilities = dict[float, NDArray[np.float64]]


def tune(inputs: FitInputs, config: FitConfig, checkpoint: Checkpoint) -> FitConfig:
    """Choose on held-out lists what the parameters leave open."""
    config = search_boosters(inputs, config, checkpoint)
    if not (config.tunes_capacity or config.tunes_epochs or config.tunes_reward_scale):
        return config
    tuning = checkpoint.on_rank_zero(Phase.TUNING, partial(_tune, inputs, config))
    if tuning is None:
        return config
    config = config.with_tuning(tuning)
    if config.verbose > 0 and checkpoint.processes.is_rank_zero and sys.stderr is not None:
        with suppress(OSError, ValueError):  # stderr may be closed
            print(_summary(tuning, config), file=sys.stderr)
    return config


def _summary(tuning: Tuning, config: FitConfig) -> str:
    """What was chosen and why, in a line."""
    chosen = []
    if tuning.booster_candidates:
        leaves = tuning.booster_params.get("num_leaves")
        default, *larger = (entry["utility"] for entry in tuning.booster_candidates)
        chosen.append(
            f"{stand_in(config.reference)} of {f'{leaves} leaves' if leaves else 'default size'} "
            f"(utility {default:.4f} of small regressions, {max(larger):.4f} of large ones)"
        )
    chosen.append(f"{tuning.max_epochs} epochs, dropout {tuning.dropout:g}")
    chosen.append(f"reward scale x {tuning.reward_scale_factor:g}")
    if tuning.reference_utility is not None:
        chosen.append(f"utility of the reference alone {tuning.reference_utility:.4f}")
    chosen.append(f"of the best network over it {max(entry['utility'] for entry in tuning.candidates):.4f}")
    return f"tuning on held-out queries: {', '.join(chosen)}"


def search_boosters(inputs: FitInputs, config: FitConfig, checkpoint: Checkpoint) -> FitConfig:
    """Search for booster parameters by cross-validation, where that is asked for.

    Parameters and returns as of `tune`.
    """
    if not config.tunes_boosters:
        return config
    search = checkpoint.on_rank_zero(Phase.BOOSTER_SEARCH, lambda _: _search_boosters(inputs, config))
    return config.with_booster_search(search)


def _search_boosters(inputs: FitInputs, config: FitConfig) -> BoosterSearch:
    one_objective = config.reference == "lightgbm"
    sample = sample_rows(inputs, REFERENCE_ROWS, config.seed)
    data = sample.training
    return search_mixed_scores(
        np.asarray(data.X),
        data.Y[:, [config.reference_objective]] if one_objective else data.Y,
        data.lists,
        metric=config.metric,
        seed=config.seed,
        list_weight=sample.list_weight,
        n_jobs=config.n_jobs,
        verbose=config.verbose,
        categorical=tuple(config.categories),
    )


def _tune(inputs: FitInputs, config: FitConfig, checkpoint: Checkpoint) -> Tuning | None:
    """Boosters, epochs, dropout and reward scale; None where there is too little to tune on."""
    if isinstance(config.reference, GivenScorers):
        inputs = inputs.without_ref_scores()  # boosters stand in for them
    split = split_for_tuning(inputs, np.random.default_rng([config.seed, 1]))
    if split is None:
        return None
    which, evaluated = split
    training = replace(inputs.take_into_memory(which), validation=None)
    short = config.for_tuning(len(training.training.X))
    chosen: dict[str, Any] = {}
    if config.tunes_capacity:
        tune_capacity = partial(_tune_capacity, training, short, evaluated)
        chosen = checkpoint.phase(Phase.TUNING_BOOSTERS, tune_capacity)
    fitted = None
    if is_fitted_here(short.reference):
        fitted, chosen = _fit_reference(training, short, evaluated, chosen, checkpoint)
    evaluation = TuningEvaluation.of(evaluated, fitted, config)
    dropout = float(config.network.dropout)
    candidates = [(dropout, 1)]
    if config.tunes_epochs:
        # As shares of the network's own dropout, where it is one that begins with less.
        share = dropout / CANDIDATES[0][0]
        candidates = [(dropout * share, factor) for dropout, factor in CANDIDATES]
    with ProgressBar(short.training.max_epochs, verbose=config.verbose, desc="tuning") as bar:
        tuning = tune_epochs(
            training, short, evaluation, candidates, config.training.max_epochs, checkpoint, bar
        )
    return replace(tuning, **chosen)


def _fit_reference(
    inputs: FitInputs,
    config: FitConfig,
    evaluated: LabelledLists,
    chosen: dict[str, Any],
    checkpoint: Checkpoint,
) -> tuple[FittedReference, dict[str, Any]]:
    """The reference without the lists that evaluate, of the boosters chosen; and what is chosen then.

    Of larger boosters regressions are tried alone too: where lists are many they are often as good.
    """
    params = chosen.get("booster_params")
    if not params:
        return fit_reference(inputs, config, checkpoint, Phase.TUNING_REFERENCE), chosen
    config = replace(config, booster_params=params, max_ranking_rounds=MAX_RANKING_ROUNDS)
    fitted = fit_reference(inputs, config, checkpoint, Phase.TUNING_REFERENCE)
    if config.reference != "booster_pairs":
        return fitted, chosen
    assert isinstance(fitted.reference, SummedReference)
    _, *members = fitted.reference.members
    alone = SummedReference.of(members, inputs.training, config.reference_objective)
    regressions = replace(fitted, reference=alone)
    utilities = [TuningEvaluation.of(evaluated, one, config).of_reference for one in (regressions, fitted)]
    if surely_better(*utilities):
        return regressions, {**chosen, "reference": "booster_regressions"}
    return fitted, chosen


def _tune_capacity(inputs: FitInputs, config: FitConfig, evaluated: LabelledLists) -> dict[str, Any]:
    """Parameters of boosters, {} for the default ones, and all that were tried: of `Tuning`.

    Regressions on the grades stand for all boosters: they take a fraction of the time of ranking ones.
    """
    inputs = sample_rows(inputs, CAPACITY_ROWS, config.seed)
    data, m = inputs.training, inputs.training.Y.shape[1]
    objectives, weights = list(range(m)), lattice_near(m, N_WEIGHTS)
    if config.reference == "lightgbm":
        objectives, weights = [config.reference_objective], np.eye(m)[[config.reference_objective]]
    evaluation = TuningEvaluation(evaluated, config.metric, weights, None, 1.0, ())
    tried: list[tuple[dict[str, Any], NDArray[np.float64]]] = []
    for params, rounds in CAPACITIES:
        boosters = fit_boosters(
            np.asarray(data.X),
            data.Y,
            data.lists,
            objectives=objectives,
            params={**PAIR_PARAMS, **params, "objective": "regression", "num_boost_round": rounds[-1]},
            seed=config.seed,
            list_weight=inputs.list_weight,
            n_jobs=config.n_jobs,
        )
        X = np.asarray(evaluated.X)
        for n in rounds:
            scores = np.column_stack([booster_scores(booster, X, n) for booster in boosters])
            scores /= within_list_deviations(scores, evaluated.lists)
            utility = evaluation.utility(scores @ weights[:, objectives].T)
            tried.append(({**params, "num_boost_round": n} if params else {}, utility))
    (small, of_small), *larger = tried
    highest = max((utility for _, utility in larger), key=_mean)
    # Pairs take larger trees and more rounds better than regressions alone do: a mean that is higher will do,
    # and the most rounds that are not surely worse.
    chosen = next(params for params, utility in reversed(larger) if not surely_better(highest, utility))
    if _mean(highest) <= _mean(of_small):
        chosen = small
    candidates = [{**params, "utility": _mean(utility)} for params, utility in tried]
    return {"booster_params": chosen, "booster_candidates": candidates}


@dataclass(frozen=True)
class TuningEvaluation:
    """Evaluation of candidates on held-out lists."""

    data: LabelledLists
    metric: Metric
    weights: NDArray[np.float64]
    reference: NDArray[np.float64] | None
    reward_scale: float
    multiples: Sequence[float]

    @classmethod
    def of(cls, data: LabelledLists, fitted: FittedReference | None, config: FitConfig) -> TuningEvaluation:
        """Evaluation beside a reference that has not seen the lists; None is for the network alone."""
        weights = lattice_near(data.Y.shape[1], N_WEIGHTS)
        scores, scale = None, 1.0
        if fitted is not None:
            scores = mix(data.reference_scores(fitted.reference), weights)
            scale = fitted.reward_scale
        multiples = REWARD_SCALES if config.tunes_reward_scale else (1.0,)
        return cls(data, config.metric, weights, scores, scale, multiples)

    def utilities(self, rewards: NDArray[np.floating[Any]]) -> Utilities:
        """Utility of each list under each reward scale, and under the network alone."""
        out = {np.inf: self.utility(rewards)}
        if self.reference is not None:
            out |= {
                multiple: self.utility(self.reference + multiple * self.reward_scale * rewards)
                for multiple in self.multiples
            }
        return out

    @property
    def of_reference(self) -> NDArray[np.float64]:
        """Utility of each list under the reference alone."""
        assert self.reference is not None
        return self.utility(self.reference)

    def utility(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Utility of each list, shape (q,): the weighted metrics, mean over trade-offs; NaN for none."""
        values = self.metric(scores, self.data.Y, qid=self.data.lists.in_place, per_query=True)
        counts = self.weights * ~np.isnan(values)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.nansum(counts * values, axis=(1, 2)) / counts.sum(axis=(1, 2)))


def split_for_tuning(
    inputs: FitInputs, rng: np.random.Generator
) -> tuple[NDArray[np.int64], LabelledLists] | None:
    """Numbers of the lists to train on and the lists to evaluate on; None if nothing can be tuned.

    That is with too few lists, or where those to train on would lack an objective's labels.
    """
    data, validation = inputs.training, inputs.validation
    n_lists = data.lists.n_lists
    if n_lists < MIN_LISTS:
        return None
    order = rng.permutation(n_lists)
    if validation is not None:
        training = _up_to(MAX_TRAINING_ROWS, order[:MAX_TRAINING_LISTS], data)
        chosen = rng.permutation(validation.lists.n_lists)[:MAX_EVALUATION_LISTS]
        evaluated = validation.take(_up_to(MAX_EVALUATION_ROWS, chosen, validation))
    else:
        n_evaluated = min(MAX_EVALUATION_LISTS, round(EVALUATION_SHARE * n_lists))
        training = _up_to(MAX_TRAINING_ROWS, order[n_evaluated:][:MAX_TRAINING_LISTS], data)
        evaluated = data.take(_up_to(MAX_EVALUATION_ROWS, order[:n_evaluated], data))
    weight = inputs.list_weight
    counts = np.ones(len(training), dtype=bool) if weight is None else weight[training] > 0
    is_known = np.logical_or.reduceat(~np.isnan(data.Y), data.lists.offsets[:-1], axis=0)
    return (training, evaluated) if is_known[training[counts]].any(axis=0).all() else None


def _up_to(n_rows: int, order: NDArray[np.int64], data: LabelledLists) -> NDArray[np.int64]:
    """The first of some lists, up to a number of rows but one in any case, in their own order."""
    n_fit = int(np.searchsorted(np.cumsum(data.lists.sizes[order]), n_rows, side="right"))
    return np.sort(order[: max(1, n_fit)])


def tune_epochs(
    inputs: FitInputs,
    config: FitConfig,
    evaluation: TuningEvaluation,
    candidates: Sequence[tuple[float, int]],
    shortest: int,
    checkpoint: Checkpoint,
    bar: ProgressBar,
) -> Tuning:
    """Train candidates, each longer than the one before, while that surely pays."""
    tuned: list[dict[str, float]] = []
    best: tuple[NDArray[np.float64], float, float, int] | None = None
    alone, gain = np.empty(0), 0.0
    for dropout, factor in candidates:
        epochs = factor * config.training.max_epochs
        candidate = replace(config, network=replace(config.network, dropout=dropout)).for_epochs(epochs)
        bar.extend(epochs if tuned else 0)
        utilities = checkpoint.phase(
            tuning_phase(epochs), partial(_train_candidate, inputs, candidate, evaluation, bar)
        )
        tuned += [
            {"dropout": dropout, "epochs": epochs, "reward_scale_factor": multiple, "utility": _mean(utility)}
            for multiple, utility in utilities.items()
        ]
        multiple = np.inf if evaluation.reference is None else _best_reward_scale(utilities)
        is_better = best is None or surely_better(utilities[multiple], best[0])
        if is_better:
            best = (utilities[multiple], multiple, dropout, factor)
        # A network that grows may come to add to a reference that it adds nothing to yet.
        if not (is_better or surely_better(utilities[np.inf], alone, errors=2)):
            break
        # The next takes longer than all before together: not where growth dwindles so fast that it has ended.
        last, gain = gain, _mean(utilities[np.inf]) - _mean(alone) if len(alone) else 0.0
        if gain < last / 2:
            break
        alone = utilities[np.inf]
    assert best is not None
    _, multiple, dropout, factor = best
    return Tuning(
        dropout,
        factor * shortest,
        1.0 if np.isinf(multiple) else multiple,
        tuned,
        reference_utility=None if evaluation.reference is None else _mean(evaluation.of_reference),
    )


def _train_candidate(
    inputs: FitInputs, config: FitConfig, evaluation: TuningEvaluation, bar: ProgressBar
) -> Utilities:
    silent = replace(config, verbose=0)
    model, _ = train_reward_model(inputs, None, silent, on_epoch=partial(_show_epoch, bar))
    data = evaluation.data
    return evaluation.utilities(model.rewards(data.X, data.lists.in_place, evaluation.weights))


def _show_epoch(bar: ProgressBar, *_: object) -> bool:
    """Count an epoch; training continues."""
    bar.advance()
    return False


def _best_reward_scale(utilities: Utilities) -> float:
    """The multiple of the highest utility, if it is surely better than the default."""
    finite = {multiple: utility for multiple, utility in utilities.items() if np.isfinite(multiple)}
    best = max(finite, key=lambda multiple: _mean(finite[multiple]))
    return best if surely_better(finite[best], finite[1.0]) else 1.0


def _mean(utility: NDArray[np.float64]) -> float:
    """Mean over the lists that can be measured; 0 for none, as where labels say nothing."""
    known = utility[~np.isnan(utility)]
    return float(known.mean()) if len(known) else 0.0
