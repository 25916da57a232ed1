"""Rankings as tables: documents by rank, and one query under two trade-offs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hyperrank._checks import check_number
from hyperrank._columns import row_labels
from hyperrank.front.pareto_front import ParetoFront
from hyperrank.lists import QueryLists
from hyperrank.rankers.inputs import split_qid

if TYPE_CHECKING:
    from hyperrank.explain.comparison import Comparison


class RankingsMixin:
    """Tables of rankings for a ranker with ``predict``."""

    predict: Callable[..., NDArray[np.floating[Any]]]

    def rank(
        self,
        X: Any,
        *,
        qid: ArrayLike | None = None,
        weights: Any = None,
        top_k: int | None = None,
        contributions: bool = False,
        **options: Any,
    ) -> pd.DataFrame:
        """Rank the documents of each query.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n, d)
            Features, NaN where missing; a frame may carry the query ids in a column ``qid``.
        qid : array-like of shape (n,), optional
            Query ids; one list by default.
        weights : ParetoFront, or as for `predict`, optional
            A trade-off, or several; of a front all, each at its temperature. Equal weights by default.
        top_k : int, optional
            How many documents of each query to give; all by default.
        contributions : bool, default False
            Of a front, what each feature contributes to a score at each trade-off, in columns
            ``contribution_<feature>``: the difference of two trade-offs is that of `compare`, and
            `ParetoFront.to_html` tells by it why documents move. Then documents that are among the first
            `top_k` at any trade-off are given at each.
        **options
            Passed on to `predict`, such as ``temperature``.

        Returns
        -------
        DataFrame
            A row per document, in the order of the ranking: ``query``; ``document``, the label of its row in
            a pandas frame, and otherwise the row's number; ``rank``, from 1; and ``score``. Several
            trade-offs are one after the other, ``trade_off`` their number. Documents of equal scores stay in
            the order of their rows.

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If `top_k` is not a whole number of at least 1, `contributions` are asked for without a front, or
            `predict` refuses what it is given.

        Examples
        --------
        >>> from hyperrank import HyperDPORanker, datasets
        >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
        >>> ranker = HyperDPORanker(max_epochs=1, random_state=0).fit(data.X, data.Y, qid=data.qid)
        >>> table = ranker.rank(data.X, qid=data.qid, weights=[0.7, 0.3], top_k=3)
        >>> table.columns.tolist(), table["rank"].head(4).tolist()
        (['query', 'document', 'rank', 'score'], [1, 2, 3, 1])
        """
        if top_k is not None:
            check_number("top_k", top_k, at_least=1, whole=True)
        if not isinstance(contributions, bool):
            raise ValueError(f"contributions must be True or False; got {contributions!r}.")
        if contributions and not isinstance(weights, ParetoFront):
            raise ValueError(
                f"contributions=True needs a front as weights; got a {type(weights).__name__}. "
                "For two trade-offs use compare."
            )
        if isinstance(weights, ParetoFront):
            at = [weights.weights.iloc[[i]] for i in range(len(weights))]
            scores = np.column_stack([self.predict(X, qid=qid, weights=row, **options) for row in at])
        else:
            scores = self.predict(X, qid=qid, weights=weights, **options)
        frame, ids = split_qid(X, qid)
        lists = QueryLists.from_qid(ids, len(scores))
        documents = lists.group(row_labels(frame, len(scores)))
        if scores.ndim == 1:
            return ranking_table(lists.group(scores), lists, documents, top_k)
        if contributions:
            from hyperrank.explain.comparison import front_contributions

            names, shares = front_contributions(self, X, qid, weights, **options)
            rows = np.arange(lists.n_rows)
            tables = [ranking_table(lists.group(column), lists, rows, None) for column in scores.T]
            best = np.min([table.sort_values("document")["rank"] for table in tables], axis=0)
            for i, table in enumerate(tables):
                kept = table[best[table["document"]] <= (top_k or lists.n_rows)].reset_index(drop=True)
                of_rows = kept.pop("document").to_numpy()
                kept.insert(1, "document", documents[of_rows])
                tables[i] = kept.join(pd.DataFrame(shares[of_rows, i]).set_axis(names, axis=1))
        else:
            tables = [ranking_table(lists.group(column), lists, documents, top_k) for column in scores.T]
        return pd.concat(tables, keys=range(len(tables)), names=["trade_off"]).reset_index("trade_off")

    def compare(
        self,
        X: Any,
        *,
        qid: ArrayLike | None = None,
        query: Any = None,
        a: Any = "reference",
        b: Any = None,
        n_repeats: int = 4,
        random_state: Any = 0,
        **options: Any,
    ) -> Comparison:
        """Compare how two trade-offs rank one query: which documents move, and which features move them.

        Parameters
        ----------
        X : array-like, sparse matrix or frame of shape (n, d)
            Features, NaN where missing; a frame may carry the query ids in a column ``qid``.
        qid : array-like of shape (n,), optional
            Query ids; one list by default.
        query : optional
            The id of the query, of those in `qid`; not needed where there is one.
        a, b : "reference", or weights as for `predict`
            The trade-offs: weights of shape (m,) or by name, a `Selection`, a row of a front's weights, or
            ``"reference"``, the ranking that training started from. By default from that to equal weights.
        n_repeats : int, default 4
            Permutations of each feature; 0 looks for no reasons, which is what takes the time.
        random_state : int, RandomState or None, default 0
            Makes the reasons repeatable.
        **options
            Passed on to the scoring, such as ``temperature`` of weights that carry none.

        Returns
        -------
        Comparison

        Raises
        ------
        NotFittedError
            Before fit.
        ValueError
            If the query is not among those of `qid`, a trade-off is not one, or there is no reference.

        Examples
        --------
        >>> from hyperrank import HyperDPORanker, datasets
        >>> data = datasets.make_multilabel_ranking(60, n_features=4, n_objectives=2, random_state=0)
        >>> ranker = HyperDPORanker(max_epochs=2, random_state=0).fit(data.X, data.Y, qid=data.qid)
        >>> moved = ranker.compare(data.X, qid=data.qid, query=7, a=[1, 0], b=[0, 1])
        >>> moved.to_frame().columns.tolist()
        ['rank_a', 'rank_b', 'change', 'score_a', 'score_b', 'because']
        """
        from hyperrank.explain.comparison import compare_trade_offs

        return compare_trade_offs(
            self, X, qid, query, (a, b), n_repeats=n_repeats, random_state=random_state, **options
        )


def ranking_table(
    scores: NDArray[np.floating[Any]], lists: QueryLists, documents: NDArray[Any], top_k: int | None
) -> pd.DataFrame:
    """Grouped rows by query and rank."""
    order = np.lexsort((-scores, lists.index))
    rank = 1 + lists.place
    table = pd.DataFrame({"query": lists.ids[lists.index], "document": documents[order]})
    table = table.assign(rank=rank, score=scores[order])
    return table if top_k is None else table[rank <= top_k].reset_index(drop=True)
