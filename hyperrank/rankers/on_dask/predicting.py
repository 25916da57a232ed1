"""The method that rankers have for Dask's collections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from hyperrank.weights import PerQuery, PerRow

__all__ = ["PredictsOnDask"]

#: What can be said of queries that partitions may cut.
QUERIES = ("check", "gather", "whole")


class PredictsOnDask:
    """A ranker that scores Dask's frames and arrays."""

    objectives_: tuple[str, ...]

    @property
    def _knows_lists(self) -> bool:
        """Whether the score of a document may depend on the others of its query."""
        return True

    def predict_dask(
        self,
        X: Any,
        *,
        qid: Any = None,
        weights: ArrayLike | Mapping[str, float] | PerQuery | PerRow | None = None,
        queries: str = "check",
        ref_scores: Any = None,
        **options: Any,
    ) -> Any:
        """Score a Dask frame or array, lazily: nothing is computed before the result is asked for.

        Scores are those of `predict` of the same rows at once. Where the score of a document depends on the
        others of its query (`query_standardize` on, or a transformer), each query must lie whole in one
        partition.

        Parameters
        ----------
        X : dask DataFrame or dask array of shape (n, d)
            Features, NaN where missing; a frame carries the query ids too.
        qid : str or dask array of shape (n,), optional
            Of a frame, the column or index that holds the query ids, by default ``"qid"`` where there is
            one; of an array, the ids, in chunks of the same rows.
        weights : array-like of shape (m,) or (k, m), mapping or PerQuery, optional
            As for `predict`; `PerRow` is refused.
        queries : {"check", "gather", "whole"}, default "check"
            What to do about queries that partitions may cut, where that matters. ``"check"`` computes the
            scores, and refuses to give any if a query has rows in two partitions: no score is given before
            all are there, and one task holds the distinct query ids of all. Nothing waits where the ids are
            the index and Dask knows its divisions. ``"gather"`` brings the rows of each query together to be
            scored and the scores back, which moves all rows between workers once; frames alone.
            ``"whole"`` takes your word that no query is cut.
        ref_scores : str or dask array of shape (n,), optional
            Of a frame, the column that holds the reference's scores, for ``reference="scores"``; of an
            array, the scores.
        **options
            Passed on to `predict`, such as ``temperature``.

        Returns
        -------
        dask Series, DataFrame or array
            Of a frame, a series ``score``, or a frame with a column for each of k trade-offs, named after
            it, with index and partitions of `X`; of an array, an array of shape (n,) or (n, k).

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If `X` has not the features that fit was given, weights are off the simplex, query ids are
            needed and not there, or what `predict` would refuse; when computed, also if a query is cut.
        TypeError
            If `X` is not one of Dask's: `predict` takes data in memory.
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
        >>> rows = dd.from_pandas(frame.assign(qid=data.qid), chunksize=150)
        >>> scores = ranker.predict_dask(rows, weights=[0.7, 0.3])
        >>> whole = ranker.predict(frame, qid=data.qid, weights=[0.7, 0.3])
        >>> bool((scores.compute() == whole).all())
        True
        """
        check_is_fitted(self)
        try:
            import dask.array
            import dask.dataframe
        except ImportError as error:
            raise ImportError(f'{error}: pip install "hyperrank[dask]" brings what it needs.') from error
        from hyperrank.rankers.on_dask import arrays, frames

        if queries not in QUERIES:
            raise ValueError(f"queries must be one of {QUERIES}; got {queries!r}.")
        if isinstance(weights, PerRow):
            raise ValueError(
                "PerRow gives weights by the number of a row, which partitions do not know: give weights by "
                "query id (PerQuery), or trade-offs for all rows."
            )
        asked: dict[str, Any] = {"qid": qid, "weights": weights, "queries": queries, "ref_scores": ref_scores}
        if isinstance(X, dask.dataframe.DataFrame):
            return frames.predict(self, X, options=options, **asked)
        if isinstance(X, dask.array.Array):
            return arrays.predict(self, X, options=options, **asked)
        raise TypeError(
            f"predict_dask takes a dask DataFrame or array; got {type(X).__module__}.{type(X).__name__}. "
            "For data in memory: predict."
        )
