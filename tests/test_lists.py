"""Ragged query lists: any ids, any row order, and the way back."""

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperrank.lists import QueryLists

#: Kinds of ids, as makers from a small whole number; distinct numbers make distinct ids.
KINDS: dict[str, Callable[[int], Any]] = {
    "int": int,
    "float": lambda i: i + 0.5,
    "str": lambda i: f"query {i}",
    "tuple": lambda i: (i, "q"),
    "date": lambda i: datetime.date(2026, 1, 1 + i),
    "timestamp": lambda i: pd.Timestamp(2026, 1, 1 + i),
    "int or str": lambda i: i if i % 2 else str(i),
    "beyond int64": lambda i: 2**64 + i,
    "uint64": lambda i: 2**63 + i,
}
NUMBERS = st.lists(st.integers(0, 9), max_size=40)


@pytest.mark.parametrize("kind", KINDS)
@given(numbers=NUMBERS)
def test_grouping_is_right_for_ids_of_any_kind(kind: str, numbers: list[int]) -> None:
    qid = [KINDS[kind](i) for i in numbers]
    lists = QueryLists.from_qid(qid)
    by_appearance = list(dict.fromkeys(qid))
    assert lists.ids.tolist() == by_appearance
    assert lists.sizes.tolist() == [qid.count(i) for i in by_appearance]
    rows = [row for i in by_appearance for row, other in enumerate(qid) if other == i]
    assert lists.order.tolist() == rows
    assert lists.qid.tolist() == qid
    assert lists.index.tolist() == [by_appearance.index(qid[row]) for row in rows]
    assert (lists.n_rows, lists.n_lists) == (len(qid), len(by_appearance))
    assert lists.is_grouped == (rows == sorted(rows))


@given(numbers=NUMBERS, width=st.sampled_from([None, 1, 3]))
def test_group_and_ungroup_undo_each_other(numbers: list[int], width: int | None) -> None:
    lists = QueryLists.from_qid(numbers)
    shape = (len(numbers),) if width is None else (len(numbers), width)
    rows = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    assert np.array_equal(lists.group(rows), rows[lists.order])
    assert np.array_equal(lists.ungroup(lists.group(rows)), rows)
    assert np.array_equal(lists.group(lists.ungroup(rows)), rows)


CONTAINERS: dict[str, Callable[[list[str]], Any]] = {
    "list": list,
    "tuple": tuple,
    "generator": iter,
    "array": np.array,
    "object array": lambda ids: np.array(ids, dtype=object),
    "column": lambda ids: np.array(ids).reshape(-1, 1),
    "series": pd.Series,
    "series with an index of its own": lambda ids: pd.Series(ids, index=range(7, 7 + len(ids))),
    "string series": lambda ids: pd.Series(ids, dtype="string"),
    "object series": lambda ids: pd.Series(ids, dtype=object),
    "categorical series": lambda ids: pd.Series(pd.Categorical(ids, categories=["a", "b", "c", "unused"])),
    "index": pd.Index,
    "frame": lambda ids: pd.DataFrame({"qid": ids}),
    "polars": pl.Series,
    "polars categorical": lambda ids: pl.Series(ids, dtype=pl.Categorical),
    "bytes": lambda ids: [i.encode() for i in ids],
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_ids_in_any_container(container: str) -> None:
    lists = QueryLists.from_qid(CONTAINERS[container](["b", "a", "b", "c", "a"]))
    assert lists.order.tolist() == [0, 2, 1, 4, 3]
    assert lists.offsets.tolist() == [0, 2, 4, 5]
    assert [i.decode() if isinstance(i, bytes) else i for i in lists.ids] == ["b", "a", "c"]


def test_equal_numbers_are_one_query_whatever_their_type() -> None:
    assert QueryLists.from_qid([1, "1", 1.0, np.int64(1), "1"]).sizes.tolist() == [3, 2]


def test_large_integers_are_not_rounded_together() -> None:
    assert QueryLists.from_qid([2**63, 1, 2**63 + 1]).n_lists == 3
    assert QueryLists.from_qid(np.array([2**63, 2**63 + 1], dtype=np.uint64)).n_lists == 2


def test_grouped_rows_are_not_copied() -> None:
    rows = np.arange(4)
    lists = QueryLists.from_qid([5, 5, 3, 3])
    assert lists.is_grouped
    assert lists.group(rows) is rows
    assert lists.ungroup(rows) is rows


@pytest.mark.parametrize(
    "qid", [[], np.array([]), pd.Series([], dtype="string"), pl.Series([], dtype=pl.Int64)]
)
def test_no_rows(qid: Any) -> None:
    lists = QueryLists.from_qid(qid, n_rows=0)
    assert (lists.n_rows, lists.n_lists, lists.offsets.tolist()) == (0, 0, [0])
    assert lists.group(np.zeros((0, 3))).shape == (0, 3)
    assert len(lists.sizes) == len(lists.index) == len(lists.qid) == 0
    assert lists.is_grouped


def test_without_ids_all_rows_are_one_list() -> None:
    lists = QueryLists.from_qid(None, n_rows=3)
    assert (lists.offsets.tolist(), lists.qid.tolist()) == ([0, 3], [0, 0, 0])
    with pytest.raises(ValueError, match="n_rows is needed"):
        QueryLists.from_qid(None)


def test_grouping_a_million_rows() -> None:
    qid = np.random.default_rng(0).integers(0, 50_000, size=1_000_000)
    lists = QueryLists.from_qid(qid)
    grouped = lists.group(qid)
    assert np.array_equal(grouped, np.repeat(lists.ids, lists.sizes))
    assert np.array_equal(lists.sizes, np.bincount(qid)[lists.ids])


@pytest.mark.parametrize(
    "qid",
    [
        [1.0, 2.0, float("nan"), None],
        [1, "a", None, None],
        ["a", "b", None, float("nan")],
        np.array(["2026-01-01", "2026-01-02", "NaT", "NaT"], dtype="M8[D]"),
        [pd.Timestamp(0), pd.Timestamp(1), pd.NaT, pd.NaT],
        pd.Series([1, 2, None, None], dtype="Int64"),
        pd.Series([1, 2, None, None]),
        pd.Series(["a", "b", None, None], dtype="string"),
        pd.Series(["a", "b", None, None], dtype="category"),
        pl.Series([1, 2, None, None]),
        pl.Series(["a", "b", None, None]),
    ],
    ids=lambda qid: f"{type(qid).__module__.split('.')[0]} {getattr(qid, 'dtype', qid)}",
)
def test_missing_ids_are_refused_with_their_row(qid: Any) -> None:
    with pytest.raises(
        ValueError, match="qid is missing for 2 of 4 rows, first at row 2: every row needs the id"
    ):
        QueryLists.from_qid(qid)


@pytest.mark.parametrize(
    ("qid", "message"),
    [
        ([1, 2, 3], "qid has 3 entries, but there are 4 rows: give one id per row"),
        (np.ones((4, 2)), r"qid must be one-dimensional, one id per row; got shape \(4, 2\)"),
        (np.array(7), r"qid must be one-dimensional, one id per row; got shape \(\)"),
        (7, "qid must hold one id per row; got the single value 7"),
        ("abcd", "qid must hold one id per row; got the single value 'abcd'"),
        ([[1], [1], [2], [2]], "qid holds ids that cannot be hashed: unhashable type: 'list'"),
        ([np.ones(2)] * 4, "qid holds ids that are not single values"),
    ],
)
def test_refused_ids(qid: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QueryLists.from_qid(qid, n_rows=4)


@given(sizes=st.lists(st.integers(0, 5), max_size=10))
def test_from_sizes(sizes: list[int]) -> None:
    lists = QueryLists.from_sizes(sizes)
    assert lists.sizes.tolist() == sizes
    assert lists.ids.tolist() == list(range(len(sizes)))
    assert lists.qid.tolist() == [number for number, size in enumerate(sizes) for _ in range(size)]
    assert lists.is_grouped


def test_small_integer_sizes_do_not_overflow() -> None:
    assert QueryLists.from_sizes(np.full(3, 200, dtype=np.uint8)).n_rows == 600


@pytest.mark.parametrize(
    ("sizes", "ids", "message"),
    [
        ([1.0, 2.0], None, "sizes must be a 1-D sequence of integers; got float64"),
        ([[1, 2]], None, r"sizes must be a 1-D sequence of integers; got int64 \(1, 2\)"),
        ([1, -2], None, "sizes must not be negative; got -2 at 1"),
        ([1, 2], np.array(["a"]), "ids has 1 entries for 2 lists"),
    ],
)
def test_refused_sizes(sizes: Any, ids: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QueryLists.from_sizes(sizes, ids=ids)


@given(numbers=st.lists(st.integers(0, 9), min_size=1, max_size=40), data=st.data())
def test_take_picks_whole_lists(numbers: list[int], data: st.DataObject) -> None:
    lists = QueryLists.from_qid(numbers)
    which = data.draw(st.lists(st.integers(0, lists.n_lists - 1), max_size=8))
    rows, taken = lists.take(which)
    grouped = lists.group(np.arange(len(numbers)))
    expected = [grouped[lists.offsets[q] : lists.offsets[q + 1]] for q in which]
    assert grouped[rows].tolist() == [row for part in expected for row in part.tolist()]
    assert taken.sizes.tolist() == [len(part) for part in expected]
    assert taken.ids.tolist() == lists.ids[which].tolist()
    assert taken.is_grouped


@pytest.mark.parametrize("which", [[True, False], [0.5], [[0]]])
def test_take_refuses_what_is_no_list_number(which: Any) -> None:
    with pytest.raises(ValueError, match="which must be a 1-D sequence of numbers of lists"):
        QueryLists.from_sizes([2, 1]).take(which)


def test_wrong_lengths_are_refused() -> None:
    lists = QueryLists.from_sizes([2, 1])
    with pytest.raises(ValueError, match="4 rows given, but the query lists have 3"):
        lists.group(np.zeros(4))
    with pytest.raises(ValueError, match="2 values given, but the query lists have 3 rows"):
        lists.ungroup(np.zeros((2, 5)))


@given(
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    n_rows=st.integers(1, 20),
    seed=st.integers(0, 2**31),
)
def test_runs_are_all_lists_whole_and_in_order(sizes, n_rows, seed):
    qid = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    lists = QueryLists.from_qid(qid)
    runs = list(lists.runs(n_rows))
    assert [row for rows, _ in runs for row in range(rows.start, rows.stop)] == list(range(len(qid)))
    assert [size for _, part in runs for size in part.sizes] == lists.sizes.tolist()
    assert [name for _, part in runs for name in part.ids] == lists.ids.tolist()
    # A run ends with the list that begins last in its share of the rows.
    assert all(rows.start + part.offsets[-2] < rows.start // n_rows * n_rows + n_rows for rows, part in runs)


@given(
    sizes=st.lists(st.integers(0, 25), min_size=1, max_size=8),
    longest=st.integers(1, 12),
    seed=st.integers(0, 2**31),
)
def test_parts_of_long_lists_have_their_rows_and_others_stay(sizes, longest, seed):
    lists = QueryLists.from_sizes(sizes)
    parts = lists.split(longest, np.random.default_rng(seed))
    assert parts.sizes.max() <= longest
    assert (np.bincount(parts.ids, weights=parts.sizes, minlength=len(sizes)) == sizes).all()
    assert (np.bincount(parts.ids) == [max(1, -(-size // longest)) for size in sizes]).all()
    assert (lists.index[parts.order] == parts.ids[parts.index]).all()
    for number in np.flatnonzero(lists.sizes <= longest):
        rows = slice(*lists.offsets[number : number + 2])
        assert (parts.order[rows] == np.arange(rows.start, rows.stop)).all()
    for number in range(len(sizes)):
        own = parts.sizes[parts.ids == number]
        assert own.max() - own.min() <= 1
