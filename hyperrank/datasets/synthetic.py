"""Synthetic ranking data: conflicting objectives, and items that recur across lists of users."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._checks import _as_tuple, check_number
from hyperrank.datasets.ranking_data import RankingData
from hyperrank.lists import QueryLists

#: Share of a measured variable that is error.
ERROR_SHARE = 0.1
#: Shares of the features that belong to the query, are counts, or have heavy tails; the rest are normal.
QUERY_FEATURES, COUNT_FEATURES, HEAVY_FEATURES = 0.15, 0.25, 0.25
#: Share of rows in which a count is zero whatever the document is like.
ZERO_SHARE = 0.3

Column = NDArray[np.float32]


def draw_features(
    rng: np.random.Generator,
    lists: QueryLists,
    documents: Column,
    queries: Column,
    n_features: int,
    missing: float,
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Measure hidden variables in turn; features (n, n_features) float32, named by kind and number."""
    kinds = _kinds(n_features)
    X = np.empty((lists.n_rows, n_features), dtype=np.float32)
    for j, kind in enumerate(kinds):
        source = queries if kind == "query" else documents
        measured = _measure(rng, source[:, j % source.shape[1]])
        column = _warp(rng, kind, measured)
        if missing:
            column[rng.random(len(column), dtype=np.float32) < missing] = np.nan
        X[:, j] = column[lists.index] if kind == "query" else column
    return X, tuple(f"{kind}_{kinds[:j].count(kind)}" for j, kind in enumerate(kinds))


def _kinds(n_features: int) -> list[str]:
    """List the kind of each column, normal ones first."""
    shares = np.cumsum([0, QUERY_FEATURES, COUNT_FEATURES, HEAVY_FEATURES])
    edges = np.rint(shares * n_features).astype(int)
    n_query, n_count, n_heavy = np.diff(edges).tolist()
    heavy = ["lognormal"] * (n_heavy - n_heavy // 2) + ["student"] * (n_heavy // 2)
    rest = heavy + ["count"] * n_count + ["query"] * n_query
    return ["normal"] * (n_features - len(rest)) + rest


def _measure(rng: np.random.Generator, variable: Column) -> Column:
    """Add measurement error to a variable, keeping unit variance."""
    measured = rng.standard_normal(len(variable), dtype=np.float32)
    measured *= np.float32(np.sqrt(ERROR_SHARE))
    measured += np.float32(np.sqrt(1 - ERROR_SHARE)) * variable
    return measured


def _scale(rng: np.random.Generator, low: float, high: float) -> np.float32:
    """Draw a scale, log-uniform between two bounds."""
    return np.float32(np.exp(rng.uniform(np.log(low), np.log(high))))


def _warp(rng: np.random.Generator, kind: str, h: Column) -> Column:
    """A variable of unit variance as a column of some kind."""
    if kind == "lognormal":
        return _scale(rng, 0.01, 1e4) * np.exp(np.float32(1.5) * h)
    if kind == "student":
        spread = rng.standard_gamma(1.5, size=len(h), dtype=np.float32) / np.float32(1.5)
        # The smallest draws of 10^9 keep the quotient finite in float32.
        return _scale(rng, 0.01, 1e4) * h / np.sqrt(np.maximum(spread, np.float32(1e-12)))
    if kind == "count":
        counts = rng.poisson(_scale(rng, 0.5, 50.0) * np.exp(h)).astype(np.float32)
        counts[rng.random(len(h), dtype=np.float32) < ZERO_SHARE] = 0
        return counts
    return _scale(rng, 0.01, 1e4) * (h + np.float32(rng.normal()))


#: How much of the label utility's variance is between queries; real queries differ in how many good
#: documents they have.
QUERY_SHARE = 0.2
#: The least number of units in the random network that makes utility of hidden variables.
N_UNITS = 32


def _factors(
    rng: np.random.Generator, lists: QueryLists, documents: Column, queries: Column, n_factors: int
) -> NDArray[np.float32]:
    """Nonlinear functions of the hidden variables, uncorrelated within queries."""
    n_variables = documents.shape[1]
    n_units = max(N_UNITS, 4 * n_factors)
    weights = rng.normal(size=(2, n_variables, n_units)).astype(np.float32) / np.sqrt(n_variables / 2)
    readout = rng.normal(size=(n_units, n_factors)).astype(np.float32)
    bias = rng.normal(size=n_units).astype(np.float32)
    of_query = queries @ weights[1] + bias
    raw = np.empty((lists.n_rows, n_factors), dtype=np.float32)
    for start in range(0, lists.n_rows, 65536):  # all units of all documents would outweigh the features
        rows = slice(start, start + 65536)
        raw[rows] = np.tanh(documents[rows] @ weights[0] + of_query[lists.index[rows]]) @ readout
    sums = np.add.reduceat(raw, lists.offsets[:-1], axis=0)
    raw -= (sums / lists.sizes[:, None]).astype(np.float32)[lists.index]
    power, axes = np.linalg.eigh(np.cov(raw.T, bias=True).reshape(n_factors, n_factors))
    scale = np.where(power > 1e-6 * power[-1], 1 / np.sqrt(np.maximum(power, 1e-30)), 0.0)
    return np.asarray(raw @ (axes * scale).astype(np.float32))


def _mixing(n_objectives: int, conflict: float) -> NDArray[np.float32]:
    """Symmetric root of the equicorrelation matrix between objectives."""
    if n_objectives == 1:
        return np.ones((1, 1), dtype=np.float32)
    rho = 1 - conflict * n_objectives / (n_objectives - 1)
    correlation = np.full((n_objectives, n_objectives), rho)
    np.fill_diagonal(correlation, 1.0)
    power, axes = np.linalg.eigh(correlation)
    return ((axes * np.sqrt(np.maximum(power, 0))) @ axes.T).astype(np.float32)


def _observe(
    rng: np.random.Generator, lists: QueryLists, utility: NDArray[np.float32], noise: float
) -> NDArray[np.float32]:
    """Utilities with noise and the shift of the query."""
    observed = rng.standard_normal(utility.shape, dtype=np.float32)
    observed *= np.sqrt(np.float32(noise))
    observed += np.sqrt(np.float32(1 - noise)) * utility
    shift = rng.standard_normal((lists.n_lists, 1), dtype=np.float32)
    observed *= np.sqrt(np.float32(1 - QUERY_SHARE))
    observed += np.sqrt(np.float32(QUERY_SHARE)) * shift[lists.index]
    return observed


def _grade(values: NDArray[np.floating[Any]], levels: NDArray[np.float64]) -> NDArray[np.float32]:
    """Grades between the quantiles at some levels."""
    return np.searchsorted(np.quantile(values, levels), values, side="left").astype(np.float32)


#: Shares of the grades 0 to 4, those of MSLR-WEB10K.
GRADE_SHARES = (0.52, 0.32, 0.13, 0.02, 0.01)
Seed = int | np.integer | np.random.Generator | np.random.RandomState | None


def make_multilabel_ranking(
    n_queries: int = 100,
    list_size: int | tuple[int, int] = (5, 60),
    n_features: int = 20,
    n_objectives: int = 3,
    *,
    conflict: float = 0.5,
    noise: float = 0.2,
    missing_features: float = 0.0,
    missing_labels: float = 0.0,
    n_hidden: int | None = None,
    random_state: Seed = None,
) -> RankingData:
    r"""Generate queries, documents and graded labels for several objectives.

    Parameters
    ----------
    n_queries : int, default 100
        Number of queries.
    list_size : int or (int, int), default (5, 60)
        Documents per query: all the same, or between a lowest and a highest with a heavy tail.
    n_features : int, default 20
        Number of features d.
    n_objectives : int, default 3
        Number of objectives m.
    conflict : float in [0, 1], default 0.5
        0: all objectives want the same order; 1: they are opposed as far as m objectives can be.
    noise : float in [0, 1], default 0.2
        Share of the labels' variance within a query that the features cannot explain.
    missing_features, missing_labels : float in [0, 1), default 0
        Shares of entries of X and of Y that are NaN. A feature of the query is missing for all its documents.
    n_hidden : int, optional
        Hidden variables of a document, and of a query; ``max(4, n_objectives + 2)`` by default. With more of
        them utility is made of more interactions, which take more data to learn.
    random_state : int, Generator, RandomState or None
        Where the draws come from; an int makes the result reproducible. numpy's global state is not touched.

    Returns
    -------
    RankingData
        With ``X`` (n, d) and ``Y`` (n, m) float32, rows grouped by ``qid`` = 0, 1, ... (int64), objectives
        ``objective_0`` and so on, and features named after their kind: ``normal_0``, ``lognormal_0``,
        ``student_0``, ``count_0``, ``query_0``.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Document i of query q has hidden variables :math:`v_i \sim N(0, I)`, the query :math:`t_q \sim N(0, I)`.

    1. *Signal*: m factors of a random network, :math:`f_i = A \tanh(W v_i + V t_q + b)`, so that what makes a
       document good depends on the query; they are centred within the query and made uncorrelated with unit
       variance.
    2. *Conflict*: utilities :math:`u_i = C^{1/2} f_i`, where :math:`C` is 1 on the diagonal and
       :math:`\rho = 1 - \gamma\, m / (m - 1)` elsewhere for conflict :math:`\gamma`: from 1 down to
       :math:`-1/(m-1)`, the lowest correlation that m variables can have in common.
    3. *Labels*: :math:`\sqrt{1-\eta}\, u_i + \sqrt{\eta}\, \epsilon_i` for noise :math:`\eta`, plus a shift
       of the query common to its documents and objectives, cut at quantiles so that grades have the shares
       of MSLR-WEB10K. Quantiles are taken over all documents and not within the query: as in real data, some
       queries then have many good documents and some none.
    4. *Features* see one hidden variable each, :math:`h = \sqrt{.9}\, v + \sqrt{.1}\, \epsilon`, or, 15% of
       them, of :math:`t_q`. 25% are lognormal :math:`b e^{1.5 h}` or Student
       :math:`b\, h / \sqrt{\chi^2_3 / 3}`, 25% zero-inflated counts :math:`\text{Poisson}(b e^{h})` that are
       zero at least in a random 30% of rows, the rest normal :math:`a + bh`, with scales :math:`b` from 0.01
       to 10,000 (counts: 0.5 to 50).

    List sizes between bounds are log-uniform: as many lists of 10 to 20 documents as of 100 to 200. With
    bounds 1 and 900 their mean is 132, close to that of MSLR-WEB10K.

    Examples
    --------
    >>> data = make_multilabel_ranking(n_queries=50, list_size=20, conflict=1.0, noise=0.0, random_state=0)
    >>> data.X.shape, data.Y.shape, data.names[:2]
    ((1000, 20), (1000, 3), ('objective_0', 'objective_1'))
    >>> bool(np.corrcoef(data.Y.T)[0, 1] < 0)
    True
    """
    numbers = {"n_queries": n_queries, "n_features": n_features, "n_objectives": n_objectives}
    for name, number in {**numbers, "n_hidden": 1 if n_hidden is None else n_hidden}.items():
        check_number(name, number, at_least=1, whole=True)
    check_number("conflict", conflict, at_least=0, at_most=1)
    check_number("noise", noise, at_least=0, at_most=1)
    for name, share in {"missing_features": missing_features, "missing_labels": missing_labels}.items():
        check_number(name, share, at_least=0, below=1)
    rng = as_generator(random_state)
    lists = QueryLists.from_sizes(_draw_sizes(rng, n_queries, list_size))
    n_variables = n_hidden or max(4, n_objectives + 2)
    # What determines utility, and is seen only through features.
    documents = rng.standard_normal((lists.n_rows, n_variables), dtype=np.float32)
    queries = rng.standard_normal((lists.n_lists, n_variables), dtype=np.float32)
    utility = _factors(rng, lists, documents, queries, n_objectives) @ _mixing(n_objectives, conflict)
    levels = np.cumsum(GRADE_SHARES)[:-1]
    Y = np.column_stack([_grade(column, levels) for column in _observe(rng, lists, utility, noise).T])
    if missing_labels:
        Y[rng.random(Y.shape, dtype=np.float32) < missing_labels] = np.nan
    X, names = draw_features(rng, lists, documents, queries, n_features, missing_features)
    return RankingData(
        X=X,
        Y=Y,
        qid=lists.qid,
        names=tuple(f"objective_{j}" for j in range(n_objectives)),
        feature_names=names,
        description=f"Generated by make_multilabel_ranking with conflict {conflict:g} and noise {noise:g}.",
    )


def as_generator(random_state: Seed) -> np.random.Generator:
    """Make a generator of our own, seeded from whatever is given."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**32, size=4, dtype=np.uint32))
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "random_state must be a whole number of at least 0, a generator of numpy's or None; "
            f"got {random_state!r}."
        ) from error


def _draw_sizes(
    rng: np.random.Generator, n_queries: int, list_size: int | tuple[int, int]
) -> NDArray[np.int64]:
    """List sizes, log-uniform between the bounds."""
    bounds = _as_tuple(list_size)
    are_numbers = len(bounds) in (1, 2) and all(isinstance(n, int | np.integer) for n in bounds)
    if not are_numbers or not 1 <= bounds[0] <= bounds[-1]:
        raise ValueError(
            f"list_size must be at least 1, or (low, high) with 1 <= low <= high; got {list_size}."
        )
    low, high = bounds[0], bounds[-1]
    sizes = low * ((high + 1) / low) ** rng.uniform(size=n_queries)
    return np.floor(sizes).astype(np.int64).clip(low, high)


#: Share of a measured variable that is error.
ITEM_ERROR_SHARE = 0.05
#: Units of the random network that makes an item's fixed property out of its hidden variables.
N_PROPERTY_UNITS = 16
FIFTHS = np.arange(1, 5) / 5


def make_user_item_ranking(
    n_users: int = 450,
    n_items: int = 1000,
    list_size: int = 60,
    n_features: int = 24,
    *,
    noise: float = 0.3,
    random_state: Seed = None,
) -> RankingData:
    r"""Generate lists of recurring items, with one label for affinity and one fixed per item.

    Ranking in commerce and media is of this kind: the same items are in the lists of many users, one
    objective depends on user and item, another is a fixed property of the item such as price, margin or age.

    Parameters
    ----------
    n_users : int, default 450
        Number of users, each with one list.
    n_items : int, default 1000
        Number of items, of which each list holds `list_size` different ones.
    list_size : int, default 60
        Items per list.
    n_features : int, default 24
        Number of features d, at least 3: two thirds are of the item, the rest of the user.
    noise : float in [0, 1], default 0.3
        Share of the affinity's variance that the features cannot explain. The property has no noise.
    random_state : int, Generator, RandomState or None
        Where the draws come from; an int makes the result reproducible. numpy's global state is not touched.

    Returns
    -------
    RankingData
        With ``X`` (n, d) and ``Y`` (n, 2) float32, rows grouped by ``qid`` = 0, 1, ... (int64, the user), and
        objectives ``affinity`` and ``item_property``, graded 0 to 4 by fifths of all rows and of all items.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Item i has hidden variables :math:`v_i \sim N(0, I)`, user q :math:`t_q \sim N(0, I)`. Affinity is
    :math:`\sqrt{1-\eta}\, t_q^\top A v_i + \sqrt{\eta}\, \epsilon` for noise :math:`\eta`, an interaction
    that no sum of functions of single features gives. The property is :math:`b^\top \tanh(W v_i)`, the same
    in every list. Features see one hidden variable each with 5% error, drawn once for each item and user: a
    learner can tell items apart.

    Examples
    --------
    >>> data = make_user_item_ranking(n_users=20, n_items=50, list_size=10, random_state=0)
    >>> data.X.shape, data.names
    ((200, 24), ('affinity', 'item_property'))
    """
    if n_users < 1 or not 1 <= list_size <= n_items or n_features < 3:
        raise ValueError(
            "n_users must be at least 1, n_features at least 3 and list_size between 1 and n_items; got "
            f"n_users={n_users}, n_features={n_features}, list_size={list_size}, n_items={n_items}."
        )
    check_number("noise", noise, at_least=0, at_most=1)
    rng = as_generator(random_state)
    n_user_features = n_features // 3
    n_hidden = max(2, n_user_features)
    users, items = rng.standard_normal((n_users, n_hidden)), rng.standard_normal((n_items, n_hidden))
    interaction = rng.standard_normal((n_hidden, n_hidden)) / n_hidden
    readout = rng.standard_normal((n_hidden, N_PROPERTY_UNITS)), rng.standard_normal(N_PROPERTY_UNITS)
    shown = np.concatenate([rng.choice(n_items, list_size, replace=False) for _ in range(n_users)])
    qid = np.repeat(np.arange(n_users, dtype=np.int64), list_size)
    signal = np.einsum("nd,nd->n", (users @ interaction)[qid], items[shown])
    affinity = np.sqrt(1 - noise) * signal / max(signal.std(), 1e-12)
    affinity += np.sqrt(noise) * rng.standard_normal(len(qid))
    item_property = np.tanh(items @ readout[0]) @ readout[1]
    of_items, of_users = (
        _measure_items(rng, hidden, n)
        for hidden, n in ((items, n_features - n_user_features), (users, n_user_features))
    )
    names = [f"item_{j}" for j in range(of_items.shape[1])] + [f"user_{j}" for j in range(of_users.shape[1])]
    return RankingData(
        X=np.column_stack([of_items[shown], of_users[qid]]).astype(np.float32),
        Y=np.column_stack([_grade(affinity, FIFTHS), _grade(item_property, FIFTHS)[shown]]),
        qid=qid,
        names=("affinity", "item_property"),
        feature_names=tuple(names),
        description=f"Generated by make_user_item_ranking: {n_items} items in lists of {list_size}.",
    )


def _measure_items(
    rng: np.random.Generator, hidden: NDArray[np.float64], n_features: int
) -> NDArray[np.float64]:
    """Columns that see the hidden variables in turn, each with error and a skew of its own."""
    source = hidden[:, np.arange(n_features) % hidden.shape[1]]
    error = rng.standard_normal(source.shape)
    measured = np.sqrt(1 - ITEM_ERROR_SHARE) * source + np.sqrt(ITEM_ERROR_SHARE) * error
    is_skewed = np.arange(n_features) % 2 == 1
    return np.where(is_skewed, np.exp(measured), measured)
