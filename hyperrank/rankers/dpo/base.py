"""What rankers trained by DPO share: a reference, rewards over it, and the pull between the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from hyperrank._checks import check_number
from hyperrank.boosters import Cached
from hyperrank.boosters.search import BoosterSearch, is_search, search_mixed_scores
from hyperrank.lists import within_list_deviation
from hyperrank.metrics import parse_metric
from hyperrank.rankers.base import BaseRanker
from hyperrank.rankers.dpo.config import Trial, automatic_epochs, network_plan
from hyperrank.rankers.dpo.data import DEVIATION_ROWS, REFERENCE_ROWS, CheckedFit, hold_out
from hyperrank.rankers.dpo.distributed import fitted_reference, own_lists, same_everywhere
from hyperrank.rankers.dpo.resume import agreed_seed, option_texts
from hyperrank.rankers.dpo.reward_model import RewardModel
from hyperrank.rankers.dpo.train import Validation
from hyperrank.rankers.dpo.tuning import run_trial, split_for_trial
from hyperrank.rankers.inputs import (
    GroupedFeatures,
    read_labelled,
    read_list_weight,
    read_validation,
    resolve_objective,
)
from hyperrank.reference import (
    NoReference,
    Reference,
    check_reference,
    is_fitted_here,
    trains_boosters,
)
from hyperrank.training import Checkpoint, current
from hyperrank.weights import MixedRows, PerQuery, PerRow, mixed_by_row

__all__ = ["DPORanker"]

#: Beta of a reference that gives one score, which knows nothing of the other objectives; DPO's custom.
SINGLE_SCORE_BETA = 0.1
#: Beta of a reference that is itself a front, until a trial finds a better one.
FRONT_BETA = 2.0


class DPORanker(BaseRanker):
    """A ranker whose scores are a reference's plus the pull of rewards learnt over it.

    A subclass sets ``objectives_``, ``reference_`` and ``pull_`` in fit and gives ``_rewards``.
    """

    __metadata_request__predict = {  # noqa: RUF012 - scikit-learn reads the class attribute
        "qid": True,
        "weights": True,
        "temperature": True,
        "ref_scores": True,
    }

    reference: Any
    beta: Any
    booster_params: Any
    dropout: Any
    max_epochs: Any
    reference_: Reference
    pull_: float
    model_: RewardModel
    booster_search_: BoosterSearch

    def predict(
        self,
        X: Any,
        *,
        qid: ArrayLike | None = None,
        weights: ArrayLike | Mapping[str, float] | PerQuery | PerRow | None = None,
        temperature: float | None = None,
        ref_scores: ArrayLike | None = None,
    ) -> NDArray[np.floating[Any]]:
        """Score documents under one or several trade-offs; higher ranks first.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n, d)
            Features, NaN where missing; a frame may carry the query ids in a column ``qid``.
        qid : array-like of shape (n,), optional
            Query ids, which matter where `query_standardize` is on or the network is a transformer; one list
            by default.
        weights : array-like of shape (m,) or (k, m), mapping, PerQuery or PerRow, optional
            One or k trade-offs on the simplex, or one by objective name; equal weights by default. A frame
            with query ids in an index or a column of the name ``qid``, or `PerQuery`, gives each query its
            own; `PerRow` each row.
        temperature : float, optional
            How hard the objectives pull away from the reference: 0 gives the reference itself, 1 (the
            default) what was trained, more goes further. The same as training with beta / temperature; for
            a ranker with a `temperature_range` it must lie in that, or be 0.
        ref_scores : array-like of shape (n,), optional
            The reference's scores, for ``reference="scores"``.

        Returns
        -------
        ndarray of shape (n,) or (n, k), float64
            (n, k) for k trade-offs. In the order of the rows of `X`.

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If `X` is not what fit was given, weights are off the simplex or unknown to the ranker, or the
            temperature is.
        """
        return self._predict(X, qid, weights, ref_scores=ref_scores, temperature=temperature)

    def _rewards(self, data: GroupedFeatures, weights: NDArray[np.float64]) -> NDArray[np.float32]:
        """Rewards of grouped rows under k weights, shape (n, k)."""
        raise NotImplementedError

    def _rewards_by_row(self, data: GroupedFeatures, mixes: MixedRows) -> NDArray[np.floating[Any]]:
        """Rewards of grouped rows, each under its own weights, shape (n,)."""
        return self.model_.rewards_by_row(data.X, data.lists.in_place, mixes)

    def _models(self) -> Sequence[RewardModel]:
        """All that give rewards."""
        return [self.model_]

    @property
    def _knows_lists(self) -> bool:
        return self.reference_.knows_lists or any(model.knows_lists for model in self._models())

    def _scores(
        self, data: GroupedFeatures, weights: NDArray[np.float64], *, temperature: float | None = None
    ) -> NDArray[np.float64]:
        base = self.reference_.mix(data.parts(self.reference_), weights)
        factor = self._factor(temperature)
        rewards = self._rewards(data, self._beside(weights, factor))
        return base + np.multiply(rewards, factor * self.pull_, dtype=np.float64)

    def _scores_by_row(
        self, data: GroupedFeatures, mixes: MixedRows, *, temperature: float | None = None
    ) -> NDArray[np.float64]:
        base = mixed_by_row(data.parts(self.reference_), mixes)
        factor = self._factor(temperature)
        beside = MixedRows(self._beside(mixes.mixes, factor), mixes.index)
        rewards = self._rewards_by_row(data, beside)
        return base + np.multiply(rewards, factor * self.pull_, dtype=np.float64)

    @staticmethod
    def _factor(temperature: float | None) -> float:
        """How hard the objectives pull."""
        return 1.0 if temperature is None else check_number("temperature", temperature, at_least=0)

    def _beside(self, weights: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
        """What conditions the rewards: weights, and the temperature where it matters."""
        return weights

    def _reference_scores(self, data: GroupedFeatures) -> NDArray[np.float64] | None:
        if isinstance(self.reference_, NoReference):
            return None
        return self.reference_.main_scores(data.parts(self.reference_))

    def _check_options(self, names: tuple[str, ...]) -> None:
        """Refuse options of the subclass's own that are wrong, before any training starts."""

    def _checked(
        self,
        X: Any,
        y: Any,
        qid: Any,
        *,
        validation: tuple[Any, Any, Any, Any],
        ref_scores: Any,
        query_weight: Any,
        conditioning: str,
        objectives: Any,
        reset: bool = True,
        holds_out: bool = True,
        checkpoint: Checkpoint | None = None,
    ) -> CheckedFit:
        """Check what was passed to fit; `validation` is X, y, qid and reference scores of it."""
        checkpoint = checkpoint or Checkpoint()
        data = read_labelled(
            self, X, y, qid, reset=reset, objectives=objectives, ref_scores=ref_scores, streams=True
        )
        data.check_ref_scores(check_reference(self.reference))
        main = resolve_objective(getattr(self, "reference_objective", 0), data.names)
        self._check_options(data.names)
        if self.beta != "auto":
            check_number("beta", self.beta, above=0, or_auto=True)
        list_weight = read_list_weight(query_weight, data.lists)
        given = read_validation(self, *validation, names=data.names, n_rows=len(data.X))
        random_state = check_random_state(getattr(self, "random_state", None))
        seed = current().of_first(lambda: int(random_state.randint(2**31 - 1)))
        seed = agreed_seed(checkpoint, self, data, given, list_weight, seed, is_new=reset)
        n_rows, n_lists = len(data.X), data.lists.n_lists
        held, kept = None, np.arange(n_lists)
        if holds_out:
            held, kept = hold_out(self, data, given, rng=np.random.default_rng(seed))
        plan = network_plan(
            self, n_rows, n_lists, conditioning=conditioning, seed=seed, stops=held is not None
        )
        checked = CheckedFit(
            training=data if len(kept) == n_lists else data.take(kept),
            held=held,
            list_weight=None if list_weight is None else list_weight[kept],
            main=main,
            plan=plan,
        )
        same_everywhere(checked, self.reference, partial(option_texts, self), is_new=reset)
        if not is_search(self.booster_params):
            return checked
        return self._searched(checked, checkpoint, again=reset)

    def _searched(self, checked: CheckedFit, checkpoint: Checkpoint, *, again: bool) -> CheckedFit:
        """Put what a search found in the place of the boosters' parameters."""
        grown = trains_boosters(self.reference) or checked.plan.booster_inputs
        if grown and (again or not hasattr(self, "booster_search_")):
            alone = self.reference == "lightgbm" and not checked.plan.booster_inputs

            def search() -> BoosterSearch:
                some = checked.at_most(REFERENCE_ROWS)
                return search_mixed_scores(
                    np.asarray(some.training.X),
                    some.training.Y[:, [checked.main]] if alone else some.training.Y,
                    some.training.lists,
                    metric=parse_metric(self.metric),
                    seed=checked.plan.seed,
                    list_weight=some.list_weight,
                    n_jobs=checked.plan.n_jobs,
                )

            self.booster_search_ = checkpoint.phase("booster_search", lambda: current().of_first(search))
        params = self.booster_search_.params if grown else None
        return replace(checked, plan=replace(checked.plan, booster_params=params))

    def _tried(self, checked: CheckedFit, checkpoint: Checkpoint | None = None) -> CheckedFit:
        """Let a trial on held-out lists choose what is left to it."""
        checkpoint = checkpoint or Checkpoint()
        work = partial(self._trial, checked, checkpoint)
        trial = checkpoint.phase("trial", lambda: current().of_first(work))
        if trial is None:
            return checked
        settings = replace(checked.plan.settings, max_epochs=trial.max_epochs)
        plan = replace(checked.plan, dropout=trial.dropout, settings=settings)
        return replace(checked, plan=plan, trial=trial)

    def _trial(self, checked: CheckedFit, checkpoint: Checkpoint) -> Trial | None:
        """Try on held-out lists what is left to a trial; None where nothing is, or nothing can be tried."""
        climbs = self.dropout == "auto" and self.max_epochs == "auto"
        # Scores of a model fitted elsewhere may be in-sample, and then better than they will be.
        has_unseen = is_fitted_here(self.reference)
        pulls = self.beta == "auto" and has_unseen
        plan = checked.plan
        rng = np.random.default_rng([plan.seed, 1])
        parts = split_for_trial(checked.training, checked.held, rng, checked.list_weight)
        if not (climbs or pulls) or parts is None:
            return None
        which, judged = parts
        some = replace(checked.of_lists(which), held=None)
        shortest = automatic_epochs(len(some.training.X)) if climbs else plan.settings.max_epochs
        some = replace(some, plan=plan.for_trial(shortest))
        reference, pull = None, 1.0
        if has_unseen:
            name = "trial: reference"
            work = partial(self._fit_reference, some, checkpoint.parts_of(name))
            reference, pull = checkpoint.phase(name, work)
        return run_trial(
            some.training,
            judged,
            some.plan,
            reference=reference,
            pull=pull,
            metric=parse_metric(self.metric),
            list_weight=some.list_weight,
            climbs=climbs,
            pulls=pulls,
            shortest=plan.settings.max_epochs,
            checkpoint=checkpoint,
        )

    def _fit_reference(self, checked: CheckedFit, cached: Cached | None = None) -> tuple[Reference, float]:
        """Fit the reference, and measure what rewards are multiplied by: its deviation over beta."""
        return fitted_reference(self.reference, partial(self._new_reference, checked, cached))

    def _new_reference(self, checked: CheckedFit, cached: Cached | None) -> tuple[Reference, float]:
        reference = checked.fit_reference(self.reference, cached)
        if isinstance(reference, NoReference):
            return reference, 1.0 if self.beta == "auto" else 1.0 / float(self.beta)
        some = checked.at_most(DEVIATION_ROWS).training
        own = reference.main_scores(some.parts(reference))
        beta = SINGLE_SCORE_BETA if reference.main is None else FRONT_BETA
        if self.beta != "auto":
            beta = float(self.beta)
        elif checked.trial is not None:
            beta /= checked.trial.pull
        return reference, within_list_deviation(own, some.lists) / beta

    def _stopping(self, checked: CheckedFit, reference: Reference, pull: float) -> Validation | None:
        """What to stop training by, with the reference's scores of it computed once."""
        if checked.held is None:
            return None
        held = own_lists(checked.held)
        parts = held.parts(reference) if len(held.X) else np.empty((0, 1))
        return Validation(
            data=held,
            metric=parse_metric(self.metric),
            mixed_reference=partial(reference.mix, parts),
            pull=pull,
        )
