"""Base class of rankers: scores under trade-offs, metrics, fronts, explanations, files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from hyperrank._columns import refuse_other_order
from hyperrank.lists import QueryLists
from hyperrank.metrics import Metric
from hyperrank.rankers.data import GroupedFeatures, score_in_chunks
from hyperrank.rankers.inputs import read_features, read_scores, split_qid
from hyperrank.rankers.io import load_ranker, save_ranker
from hyperrank.rankers.profile import FrontMixin, check_options, per_query_values
from hyperrank.rankers.rankings import RankingsMixin
from hyperrank.weights import PerQuery, PerRow, RowWeights, per_query_or_row, refuse_weights_of_rows

if TYPE_CHECKING:
    import dask.dataframe as dd
    from matplotlib.axes import Axes

    from hyperrank.explain.explanation import Explanation
    from hyperrank.plots import TrainingDisplay


class RankerMixin:
    """Tags of a ranker: neither classifier nor regressor, labels needed, several objectives allowed."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.estimator_type = "ranker"
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = True
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        return tags


class BaseRanker(RankingsMixin, FrontMixin, RankerMixin, BaseEstimator):
    """Base class of rankers whose trade-off is an argument of predict.

    A subclass sets ``objectives_`` in fit and gives the scores of grouped rows in ``_scores``.
    """

    # scikit-learn's metadata routing carries these without a word from the user.
    __metadata_request__fit = {"qid": True}  # noqa: RUF012 - scikit-learn reads the class attributes
    __metadata_request__predict = {"qid": True, "weights": True}  # noqa: RUF012
    __metadata_request__score = {"qid": True, "weights": True, "sample_weight": True}  # noqa: RUF012

    metric: str
    data_summary_: dict[str, Any]
    objectives_: tuple[str, ...]

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        # Of a dataclass, Dask would take the fields alone, which are the same before and after any fit.
        from dask.base import normalize_token

        return normalize_token(type(self)), normalize_token(vars(self))

    @property
    def _knows_lists(self) -> bool:
        """Whether the score of a document may depend on the others of its query."""
        return True

    def _scores_by_row(self, data: GroupedFeatures, row_weights: RowWeights) -> NDArray[np.floating[Any]]:
        """Scores of grouped rows, each under its own weights, shape (n,).

        For any ranker, and slow where many weights differ: all rows are scored under each of them.
        """
        distinct = row_weights.distinct
        scores: NDArray[np.floating[Any]] = np.zeros(len(data.X))
        for number, weights in enumerate(distinct.weights):
            rows = distinct.index == number
            scores[rows] = self._scores(data, weights[None])[rows, 0]
        return scores

    def predict(
        self,
        X: Any,
        *,
        qid: ArrayLike | None = None,
        weights: ArrayLike | Mapping[str, float] | PerQuery | PerRow | None = None,
    ) -> NDArray[np.floating[Any]]:
        """Score documents under one or several trade-offs; higher ranks first.

        Parameters
        ----------
        X, qid, weights
            As for `HyperDPORanker.predict`.

        Returns
        -------
        ndarray of shape (n,) or (n, k)
            (n, k) for k trade-offs. In the order of the rows of `X`.

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If `X` is not what fit was given, or weights are off the simplex.
        """
        return self._predict(X, qid, weights)

    def _predict(
        self, X: Any, qid: Any, weights: Any, *, ref_scores: Any = None, **options: Any
    ) -> NDArray[np.floating[Any]]:
        if "objectives_" not in vars(self):  # scikit-learn's check takes longer than small requests
            check_is_fitted(self)
        trade_offs, options = self._trade_off(weights, options)
        by_query_or_row = per_query_or_row(trade_offs, self.objectives_)
        if by_query_or_row is not None:
            return self._predict_by_row(X, qid, by_query_or_row, ref_scores, **options)
        at = self._weights(trade_offs)
        data = self._read_features(X, qid, ref_scores)
        if trade_offs is weights:
            refuse_weights_of_rows(weights, at, data.lists.n_rows)
        grouped = score_in_chunks(data, lambda chunk: self._scores(chunk, np.atleast_2d(at), **options))
        scores = data.lists.ungroup(grouped)
        return scores[:, 0] if at.ndim == 1 else scores

    def _predict_by_row(
        self, X: Any, qid: Any, weights: PerQuery | PerRow, ref_scores: Any, **options: Any
    ) -> NDArray[np.floating[Any]]:
        if isinstance(weights, PerQuery) and split_qid(X, qid)[1] is None:
            raise ValueError(
                "weights are given by query, but which rows are of which query is not: pass qid."
            )
        data = self._read_features(X, qid, ref_scores)
        if isinstance(weights, PerRow):
            refuse_other_order(weights.table, "weights", X)
        row_weights = weights._rows(data.lists, self.objectives_)
        return data.lists.ungroup(self._scores_by_row(data, row_weights, **options))

    def score(
        self,
        X: Any,
        y: Any,
        *,
        qid: ArrayLike | None = None,
        weights: ArrayLike | Mapping[str, float] | None = None,
        sample_weight: ArrayLike | None = None,
        **options: Any,
    ) -> float:
        r"""Compute the weighted mean of the objectives' metric, :math:`\sum_j w_j M_j`, at the weights w.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Features.
        y : array-like of shape (n,) or (n, m)
            Labels >= 0, NaN where unobserved.
        qid : array-like of shape (n,), optional
            Query ids; one list of all rows by default.
        weights : array-like of shape (m,) or mapping, optional
            The trade-off; equal weights by default.
        sample_weight : array-like of shape (n,), optional
            Each query is weighted by the mean over its rows.
        **options
            Passed to the scoring, such as ``temperature``.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If no list has a label above 0 in an objective with a weight above 0. (NaN would only show up in
            the results of a search.)
        """
        check_is_fitted(self)
        weights, options = self._trade_off(weights, options)
        check_options(self, options, "score")
        at = self._weights(weights)
        if at.ndim != 1:
            raise ValueError(f"score takes one trade-off; got weights of shape {at.shape}.")
        data = self._read(X, y, qid, options.pop("ref_scores", None))
        scores = score_in_chunks(data, lambda chunk: self._scores(chunk, at[None], **options))
        values = per_query_values(self._metric(), scores, data)[0]
        refuse_other_order(sample_weight, "sample_weight", X)
        value = _weighted_mean(values, list_shares(sample_weight, data.lists), at)
        if np.isnan(value):
            raise ValueError("y has no list with a label above 0 in some objective: nothing to score.")
        return value

    def explain(
        self,
        X: Any,
        y: Any = None,
        *,
        qid: ArrayLike | None = None,
        weights: ArrayLike | Mapping[str, float],
        against: ArrayLike | Mapping[str, float] | None = None,
        features: Sequence[Any] | Mapping[str, Any] | None = None,
        metric: str | Metric | None = None,
        within: str = "query",
        n_repeats: int = 5,
        max_rows: int | None = 5_000,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        **options: Any,
    ) -> Explanation:
        """Explain the rank change between two trade-offs by permuting features.

        Parameters
        ----------
        X : array-like or frame of shape (n, d)
            Features, of queries that were not trained on; a frame may carry the query ids in a column `qid`.
        y : array-like of shape (n, m), optional
            Labels >= 0, NaN where unobserved. With labels, the loss of each objective's metric is reported
            too, as in scikit-learn's permutation importance; the change of the ranking needs none.
        qid : array-like of shape (n,)
            Query ids.
        weights : array-like of shape (m,) or (2, m), mapping or Selection
            The trade-off to which the change leads; or two trade-offs, from the first to the second.
        against : array-like of shape (m,), mapping or Selection, optional
            The trade-off from which the change starts; by default the default weights of ``predict``, at the
            temperature of `weights`.
        features : sequence of str or int, or mapping of str to such, optional
            Features to permute, or named groups of features that are permuted together, since redundant
            features stand in for each other if permuted alone. By default all, one by one.
        metric : str or Metric, optional
            The metric of the ranker by default.
        within : {"query", "all"}, default "query"
            Documents among which values are permuted. Within the query, a feature that is constant in a query
            has no effect. Among ``"all"``, as in scikit-learn, documents also get values that no document of
            their query has.
        n_repeats : int, default 5
            Permutations of each feature.
        max_rows : int or None, default 5,000
            Largest number of documents; whole queries are drawn until it is reached. None takes all.
        random_state : int, RandomState or None, default None
            Makes the result repeatable.
        n_jobs : int, optional
            Processes, each with a copy of the ranker; one by default.
        verbose : int, default 0
            1 shows a progress bar.
        **options
            Passed to the scoring, such as ``temperature``.

        Returns
        -------
        Explanation

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If there is only one objective, query ids are missing, trade-offs or features are unknown, or both
            trade-offs rank all queries alike.

        Examples
        --------
        >>> from hyperrank import HyperDPORanker, datasets
        >>> data = datasets.make_multilabel_ranking(60, n_features=4, n_objectives=2, random_state=0)
        >>> ranker = HyperDPORanker(max_epochs=2, random_state=0).fit(data.X, data.Y, qid=data.qid)
        >>> found = ranker.explain(data.X, qid=data.qid, weights=[[1, 0], [0, 1]], random_state=0)
        >>> sorted(found.top(4))
        ['x0', 'x1', 'x2', 'x3']
        """
        from hyperrank.explain.permutation import explain_ranker

        return explain_ranker(
            self,
            X,
            y,
            qid=qid,
            weights=weights,
            against=against,
            features=features,
            metric=metric,
            within=within,
            n_repeats=n_repeats,
            max_rows=max_rows,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
            **options,
        )

    def plot_training(
        self, ax: Axes | None = None, *, width: float | str | None = None, name: str | None = None
    ) -> TrainingDisplay:
        """Plot the training curves; needs ``pip install hyperrank[plot]``.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Whose place to draw in; a figure of its own by default.
        width : float, "column" or "page", optional
            Inches of the figure, or those of a paper's column or page.
        name : str, optional
            A title.

        Returns
        -------
        TrainingDisplay

        Raises
        ------
        NotFittedError
            Before fit.
        TypeError
            If the ranker has no history, as those of boosters alone.
        """
        from hyperrank.plots import TrainingDisplay

        return TrainingDisplay.from_estimator(self, ax=ax, width=width, name=name)

    def predict_dask(
        self,
        X: dd.DataFrame,
        *,
        qid: str | None = None,
        weights: ArrayLike | Mapping[str, float] | PerQuery | PerRow | None = None,
        queries: str = "check",
        ref_scores: str | None = None,
        **options: Any,
    ) -> dd.Series | dd.DataFrame:
        """Score a Dask frame lazily.

        Scores are those of `predict` of the same rows at once. Where the score of a document depends on the
        others of its query (`query_standardize` on, or a transformer), each query must lie whole in one
        partition: ``X.shuffle(on="qid")`` brings queries together.

        Parameters
        ----------
        X : dask DataFrame
            Features, NaN where missing, and the query ids.
        qid : str, optional
            The column or index that holds the query ids, by default ``"qid"`` where there is one.
        weights : array-like of shape (m,) or (k, m), mapping or PerQuery, optional
            As for `predict`; `PerRow` is refused.
        queries : {"check", "whole"}, default "check"
            What to do about queries that partitions may cut, where that matters. ``"check"`` computes the
            scores, and refuses to give any if a query has rows in two partitions: no score is given before
            all are there, and one task holds the distinct query ids of all. Nothing waits where the ids are
            the index and Dask knows its divisions. ``"whole"`` skips the check.
        ref_scores : str, optional
            The column that holds the reference's scores, for ``reference="scores"``.
        **options
            Passed on to `predict`, such as ``temperature``.

        Returns
        -------
        dask Series or DataFrame
            A series ``score``, or a frame with a column for each of k trade-offs, named after it, with index
            and partitions of `X`.

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If `X` does not have the features that fit was given, weights are off the simplex, query ids are
            needed and missing, or what `predict` would refuse; when computed, also if a query is cut.
        TypeError
            If `X` is not a Dask frame: `predict` takes data in memory.
        ImportError
            Without the extra: ``pip install "hyperrank[dask]"``.

        Examples
        --------
        >>> import dask.dataframe as dd
        >>> import pandas as pd
        >>> from hyperrank import HyperDPORanker, datasets
        >>> options = {"list_size": 10, "n_objectives": 2, "random_state": 0}
        >>> data = datasets.make_multilabel_ranking(n_queries=60, **options)
        >>> frame = pd.DataFrame(data.X, columns=data.feature_names)
        >>> ranker = HyperDPORanker(max_epochs=1, random_state=0).fit(frame, data.Y, qid=data.qid)
        >>> rows = dd.from_pandas(frame.assign(qid=data.qid), chunksize=150).shuffle(on="qid")
        >>> scores = ranker.predict_dask(rows, weights=[0.7, 0.3]).compute().sort_index()
        >>> whole = ranker.predict(frame, qid=data.qid, weights=[0.7, 0.3])
        >>> bool((scores == whole).all())
        True
        """
        from hyperrank.rankers.dask import predict_dask

        return predict_dask(
            self, X, qid=qid, weights=weights, queries=queries, ref_scores=ref_scores, **options
        )

    def save(self, path: str | Path) -> Path:
        """Write the fitted ranker to a file, which `load` reads.

        The file is safetensors with JSON in its header: no pickle, nothing that could be run. It is written
        whole or not at all: a process that is killed on the way leaves an old file as it was.

        Parameters
        ----------
        path : path
            Of the file, which is replaced if it exists. Its folder must exist.

        Returns
        -------
        Path

        Raises
        ------
        NotFittedError
            Before fit.
        ModelFileError
            If the ranker holds what cannot be stored so, such as a reference model that is not LightGBM's:
            pass its scores instead, with ``reference="scores"``.
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> import hyperrank
        >>> from hyperrank import HyperDPORanker, datasets
        >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
        >>> ranker = HyperDPORanker(max_epochs=1, random_state=0).fit(data.X, data.Y, qid=data.qid)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = hyperrank.load(ranker.save(f"{folder}/model.safetensors"))
        >>> bool((again.predict(data.X) == ranker.predict(data.X)).all())
        True
        """
        return save_ranker(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a ranker of this class from a file that `save` wrote; `hyperrank.load` reads any.

        Parameters
        ----------
        path : path

        Returns
        -------
        ranker

        Raises
        ------
        ModelFileError
            If the file is damaged, cut off, of a newer format, holds another ranker, or does not score as it
            did when it was saved.
        OSError
            If it cannot be opened.
        """
        return load_ranker(path, cls)

    def _read_features(self, X: Any, qid: Any, ref_scores: Any) -> GroupedFeatures:
        """Check features against what was fitted."""
        return read_features(
            self,
            X,
            qid,
            reset=False,
            ref_scores=ref_scores,
            lists_matter=self._knows_lists,
            keeps_frame=self._needs_frame,
        )


def load(path: str | Path) -> BaseRanker:
    """Read a ranker of any kind from a file that its ``save`` wrote.

    Parameters
    ----------
    path : path

    Returns
    -------
    ranker
        Fitted; on a machine without a GPU, on the CPU.

    Raises
    ------
    ModelFileError
        If the file is damaged, cut off, of a newer format, or does not score as it did when it was saved.
    OSError
        If it cannot be opened.
    """
    return BaseRanker.load(path)


def list_shares(sample_weight: ArrayLike | None, lists: QueryLists) -> NDArray[np.float64]:
    """How much each list counts in a score: the mean of its rows' weights, by default 1."""
    if sample_weight is None:
        return np.ones(lists.n_lists)
    rows = lists.group(read_scores(sample_weight, lists.n_rows, name="sample_weight"))
    if (rows < 0).any():
        raise ValueError(f"sample_weight must not be negative; got {rows.min()}.")
    if not rows.any():
        raise ValueError("sample_weight is 0 for every row: nothing would count.")
    return np.asarray(np.add.reduceat(rows, lists.offsets[:-1]) / lists.sizes)


def _weighted_mean(values: NDArray[Any], share: NDArray[Any], weights: NDArray[Any]) -> float:
    """Mean over lists by `share`, skipping NaN, then over objectives by `weights`; NaN if none counts."""
    known = ~np.isnan(values)
    total = (known * share[:, None]).sum(axis=0)
    sums = (np.where(known, values, 0.0) * share[:, None]).sum(axis=0)
    counts = weights > 0
    with np.errstate(invalid="ignore"):
        return float((sums[counts] / total[counts]) @ weights[counts])
