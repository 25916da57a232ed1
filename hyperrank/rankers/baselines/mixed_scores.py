"""Mixed scores: one ranker per objective, their scores mixed by the weights at predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank._categories import categorical_of
from hyperrank._checks import check_random_state
from hyperrank.boosters.search import search_mixed_scores
from hyperrank.boosters.training import is_search
from hyperrank.metrics import parse_metric
from hyperrank.rankers.base import BaseRanker
from hyperrank.rankers.data import GroupedFeatures, warn_of_counts
from hyperrank.rankers.inputs import read_labelled, read_list_weight, resolve_objective, takes_qid
from hyperrank.reference import Reference, ReferenceData
from hyperrank.reference.base import mix
from hyperrank.reference.fit import fit_reference
from hyperrank.reference.models import fit_models
from hyperrank.weights import RowWeights


@dataclass(eq=False, repr=False)
class MixedScoresRanker(BaseRanker):
    r"""One ranker per objective, whose standardised scores are mixed by the weights at predict time.

    .. math:: s(x, w) = \sum_j w_j \, s_j(x) / \sigma_j

    with :math:`\sigma_j` the deviation of objective j's scores from their list's mean on the training data.
    Cheap and strong, and what `HyperDPORanker` starts from with ``reference="boosters"``.

    Parameters
    ----------
    estimator : estimator, optional
        What is cloned and fitted to each objective: anything with ``fit`` and ``predict``, given queries as
        ``qid``, ``group_id`` or ``group`` if it takes them. By default LightGBM's lambdarank.
    reference_objective : int or str, default 0
        The objective whose booster is the ranker that constraints of a front are relative to.
    objectives, categorical_features, metric, n_jobs
        As in `HyperDPORanker`.
    booster_params : mapping or "search", optional
        Native LightGBM parameters, on top of `hyperrank.boosters.BOOSTER_PARAMS`. ``"search"`` compares a
        few, and their rounds, by the hypervolume of the front in a cross-validation over the queries.
    random_state : int, RandomState or None, default None
        Makes fit repeatable. With the same one, `HyperDPORanker` starts from these very boosters if it
        trains on the same lists.

    Attributes
    ----------
    objectives_, n_features_in_, feature_names_in_
        As of `HyperDPORanker`.
    reference_ : hyperrank.reference.BoosterReference or hyperrank.reference.MixedModelsReference
        The rankers and the scales of their scores.
    booster_search_ : hyperrank.boosters.search.BoosterSearch
        What ``booster_params="search"`` found.

    Examples
    --------
    >>> from hyperrank import MixedScoresRanker, datasets
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = MixedScoresRanker(objectives=data.names, random_state=0).fit(data.X, data.Y, qid=data.qid)
    >>> ranker.predict(data.X, weights=[[1, 0], [0.5, 0.5]]).shape == (len(data.X), 2)
    True
    """

    estimator: Any = None
    _: KW_ONLY
    reference_objective: int | str = 0
    objectives: Sequence[str] | None = None
    categorical_features: str | Sequence[Any] | None = "from_dtype"
    booster_params: Mapping[str, Any] | str | None = None
    metric: str = "ndcg@10"
    n_jobs: int | None = None
    random_state: Any = None

    @takes_qid
    def fit(
        self, X: Any, y: Any, *, qid: ArrayLike | None = None, query_weight: ArrayLike | None = None
    ) -> MixedScoresRanker:
        """Fit one ranker per objective.

        Parameters
        ----------
        X, y, qid, query_weight
            As for `HyperDPORanker.fit`.

        Returns
        -------
        MixedScoresRanker
            Itself.

        Raises
        ------
        ValueError
            If data or options are not as described; always before any training starts.
        """
        data = read_labelled(
            self,
            X,
            y,
            qid,
            reset=True,
            objectives=self.objectives,
            keeps_frame=self.estimator is not None,
        )
        metric = parse_metric(self.metric)
        warn_of_counts(self.data_summary_, metric)
        list_weight = read_list_weight(query_weight, data.lists)
        options: dict[str, Any] = {
            "seed": int(check_random_state(self.random_state).randint(2**31 - 1)),
            "list_weight": list_weight,
            "n_jobs": self.n_jobs,
            "categorical": categorical_of(self),
        }
        main = resolve_objective(self.reference_objective, data.names)
        training = ReferenceData(data.X, data.lists, data.frame, None, data.Y, main, **options)
        if self.estimator is not None:
            self._check_estimator(list_weight)
            self.reference_: Reference = fit_models(self.estimator, training)
        else:
            params: Any = self.booster_params
            if is_search(params):
                self.booster_search_ = search_mixed_scores(
                    np.asarray(data.X), data.Y, data.lists, metric=metric, **options
                )
                params = self.booster_search_.params
            self.reference_ = fit_reference("boosters", replace(training, booster_params=params))
        self.objectives_ = data.names
        return self

    def _check_estimator(self, list_weight: Any) -> None:
        if not hasattr(self.estimator, "fit") or not hasattr(self.estimator, "predict"):
            raise ValueError(
                f"estimator must have fit and predict, or be None; got {type(self.estimator).__name__}."
            )
        if self.booster_params is not None or list_weight is not None:
            raise ValueError("booster_params and query_weight are for boosters alone; estimator is given.")

    @property
    def _knows_lists(self) -> bool:
        return self.reference_.knows_lists

    @property
    def _needs_frame(self) -> bool:
        return self.reference_.needs_frame

    def _scores(self, data: GroupedFeatures, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        mixed = mix(data.reference_scores(self.reference_), weights)
        return np.broadcast_to(mixed, (len(data.X), len(weights)))

    def _scores_by_row(self, data: GroupedFeatures, row_weights: RowWeights) -> NDArray[np.float64]:
        return mix(data.reference_scores(self.reference_), row_weights)

    def _reference_scores(self, data: GroupedFeatures) -> NDArray[np.float64]:
        return self.reference_.main_scores(data.reference_scores(self.reference_))
