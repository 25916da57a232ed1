"""One query under two trade-offs: which documents move, and which features move them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from hyperrank._checks import check_number, check_random_state
from hyperrank._columns import n_rows_of, row_labels
from hyperrank.explain.explanation import spelled_trade_off
from hyperrank.explain.permutation import ScoredTradeOffs, feature_names, permutations, permuted_copies
from hyperrank.front.pareto_front import ParetoFront
from hyperrank.lists import QueryLists, ranks_within_lists
from hyperrank.memmap import take_rows
from hyperrank.rankers.data import GroupedFeatures
from hyperrank.rankers.inputs import read_features, split_qid

#: Documents and reasons shown at most.
SHOWN, REASONS = 10, 3
#: Permutations of each feature, by default.
REPEATS = 4

#: Scores of grouped rows.
Score = Callable[[GroupedFeatures], NDArray[np.floating[Any]]]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Rankings of one query under two trade-offs, made by ``ranker.compare``.

    Attributes
    ----------
    query : object
        Its id; None where none was given.
    a, b : str
        The trade-offs.
    documents : Index of length n
        The documents, in the order of their rows.
    ranks : ndarray of shape (n, 2), int64
        From 1.
    scores : ndarray of shape (n, 2)
        In deviations from the mean of the query, so that those of two trade-offs are of one unit.
    contributions : DataFrame of shape (n, d)
        How much of the change of a document's score is due to the value that a feature has in it: the change,
        less what it is on average where the document has the values of others of the query. Features that
        work together each have what they do together. Without columns where it was not looked for.
    """

    query: Any
    a: str
    b: str
    documents: pd.Index
    ranks: NDArray[np.int64]
    scores: NDArray[np.float64]
    contributions: pd.DataFrame

    def to_frame(self, top_k: int | None = SHOWN, *, n_features: int = REASONS) -> pd.DataFrame:
        """Documents in the order of `b`.

        Parameters
        ----------
        top_k : int or None, default 10
            Documents among the first so many of either ranking; None gives all.
        n_features : int, default 3
            Features named in ``because``.

        Returns
        -------
        DataFrame
            By ``document``: ``rank_a``, ``rank_b``, ``change``, above 0 where it rises, ``score_a``,
            ``score_b``, and ``because``, the features that move it most and what each contributes.
        """
        table = pd.DataFrame(
            {
                "rank_a": self.ranks[:, 0],
                "rank_b": self.ranks[:, 1],
                "change": self.ranks[:, 0] - self.ranks[:, 1],
                "score_a": self.scores[:, 0],
                "score_b": self.scores[:, 1],
                "because": [_reasons(row, n_features) for _, row in self.contributions.iterrows()],
            },
            index=self.documents.rename("document"),
        )
        shown = np.ones(len(table), bool) if top_k is None else self.ranks.min(axis=1) <= top_k
        return table[shown].sort_values("rank_b")

    def __repr__(self) -> str:
        return f"{self._summary()}\n{self.to_frame().to_string(float_format='{:.2f}'.format)}"

    def _repr_html_(self) -> str:
        return f"<p>{escape(self._summary())}</p>{self.to_frame().to_html(float_format='{:.2f}'.format)}"

    def _summary(self) -> str:
        of = "" if self.query is None else f" of query {self.query}"
        moved = int((self.ranks[:, 0] != self.ranks[:, 1]).sum())
        return f"Comparison{of}, from {self.a} to {self.b}: {moved} of {len(self.documents)} documents move"


def _reasons(contributions: pd.Series, n: int) -> str:
    """The features that contribute most, either way."""
    largest = contributions[contributions.abs().sort_values(ascending=False, kind="stable").index[:n]]
    return ", ".join(f"{name} {value:+.2f}" for name, value in largest.items() if abs(value) >= 0.005)


def compare_trade_offs(
    ranker: Any,
    X: Any,
    qid: Any,
    query: Any,
    trade_offs: tuple[Any, Any],
    *,
    n_repeats: int,
    random_state: Any,
    ref_scores: Any = None,
    **options: Any,
) -> Comparison:
    """Compare one query under two trade-offs; see `hyperrank.rankers.BaseRanker.compare`."""
    check_is_fitted(ranker)
    n_repeats = int(check_number("n_repeats", n_repeats, at_least=0, whole=True))
    frame, ids = split_qid(X, qid)
    lists = QueryLists.from_qid(ids, n_rows_of(frame))
    rows = lists.order[lists.take([_list_of(query, lists, ids)])[0]]
    data = read_features(
        ranker,
        take_rows(frame, rows),
        np.zeros(len(rows)),
        reset=False,
        ref_scores=None if ref_scores is None else np.asarray(ref_scores)[rows],
    )
    (from_text, from_scores), (to_text, to_scores) = (
        _named_scorer(ranker, each, options, data) for each in trade_offs
    )
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max + 1))
    scores, shares = _shares(
        data, lambda rows: np.column_stack([from_scores(rows), to_scores(rows)]), n_repeats, seed
    )
    documents = pd.Index(row_labels(frame, lists.n_rows)[rows], name="document")
    contributions = shares[:, 1] - shares[:, 0]
    return Comparison(
        query=None if ids is None else lists.ids[lists.index[0]] if lists.n_lists == 1 else query,
        a=from_text,
        b=to_text,
        documents=documents,
        ranks=np.column_stack([1 + ranks_within_lists(column, data.lists) for column in scores.T]),
        scores=scores,
        contributions=pd.DataFrame(contributions, documents, feature_names(ranker) if n_repeats else []),
    )


def front_contributions(
    ranker: Any, X: Any, qid: Any, front: ParetoFront, *, ref_scores: Any = None, **options: Any
) -> tuple[list[str], NDArray[np.float64]]:
    """Columns of a ranking, and contributions to the scores of grouped rows at k trade-offs, (n, k, d).

    The difference of two trade-offs is what `compare` gives with its defaults.
    """
    data = read_features(ranker, X, qid, reset=False, ref_scores=ref_scores).in_memory()
    trade_offs = ScoredTradeOffs.of(ranker, [front.weights.iloc[[i]] for i in range(len(front))], options)
    seed = int(check_random_state(0).randint(np.iinfo(np.int32).max + 1))
    queries = [data.take(np.array([i])) for i in range(data.lists.n_lists)]
    shares = [_shares(query, trade_offs.scores, REPEATS, seed)[1] for query in queries]
    return [f"contribution_{name}" for name in feature_names(ranker)], np.concatenate(shares)


def _shares(
    data: GroupedFeatures, score: Score, n_repeats: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of a query at k trade-offs, (n, k), in deviations, and what each feature adds, (n, k, d)."""
    raw = score(data)
    mean, deviation = raw.mean(axis=0), raw.std(axis=0)
    deviation[deviation == 0] = 1.0
    scores = (raw - mean) / deviation
    shares = np.zeros((*scores.shape, data.X.shape[1] if n_repeats else 0))
    orders = list(permutations(data.lists, n_repeats, within="query", seed=seed))
    for j in range(shares.shape[2]):
        for without in permuted_copies(data, [j], orders):
            shares[..., j] += (scores - (score(without) - mean) / deviation) / n_repeats
    return scores, shares


def _list_of(query: Any, lists: QueryLists, ids: Any) -> int:
    """Number of the list of a query."""
    if query is None:
        if lists.n_lists > 1:
            raise ValueError(f"qid has {lists.n_lists} queries: say by query= which to compare.")
        return 0
    if ids is None:
        raise ValueError(f"query={query!r} was given without qid, which says what rows are of it.")
    found = np.array([], dtype=np.int64)
    if np.ndim(query) == 0 or isinstance(query, tuple):
        found = np.array([j for j, of_list in enumerate(lists.ids) if of_list == query])
    if not len(found):
        some = ", ".join(map(repr, lists.ids[:5].tolist()))
        raise ValueError(f"query={query!r} is none of the {lists.n_lists} queries of qid ({some}, ...).")
    return int(found[0])


def _named_scorer(
    ranker: Any, given: Any, options: dict[str, Any], data: GroupedFeatures
) -> tuple[str, Score]:
    """What one trade-off, or the reference, is called, and what scores grouped rows under it."""
    if isinstance(given, str):
        if given != "reference":
            raise ValueError(f"a and b must be weights or 'reference'; got {given!r}.")
        if ranker._reference_scores(data) is None:
            raise ValueError("the ranker has no reference: give the trade-offs to compare as a and b.")
        return "the reference", ranker._reference_scores
    one = ScoredTradeOffs.of(ranker, [given], options)
    if len(one.weights) != 1:
        raise ValueError(f"a and b must be one trade-off each; got weights of shape {one.weights.shape}.")
    return spelled_trade_off(ranker.objectives_, one.weights[0], one.temperatures[0]), one.scores
