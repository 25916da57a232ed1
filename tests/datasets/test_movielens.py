"""MovieLens 100k: labels and features against counts by hand, and against the real files."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from hyperrank.datasets import FetchError, fetch, fetch_movielens_100k

USERS = """user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token
1\t20\tM\twriter\t1
2\t30\tF\twriter\t1
3\t50\tF\twriter\t1
"""
ITEMS = """item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq
7\tSeven "and\t1990\tDrama War
8\tEight\t1995\tComedy
9\tNine\t\tunknown
"""
RATINGS = """user_id:token\titem_id:token\trating:float\ttimestamp:float
1\t7\t5\t0
1\t8\t1\t0
2\t8\t3\t0
2\t7\t4\t0
3\t9\t2\t0
3\t7\t1\t0
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    contents = {fetch.INTERACTIONS: RATINGS, fetch.ITEMS: ITEMS, fetch.USERS: USERS}
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    digests = {name: hashlib.sha256(content.encode()).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(fetch, "MOVIELENS", replace(fetch.MOVIELENS, digests=digests))
    return fetch_movielens_100k(data_home=tmp_path)


def test_a_third_of_the_users_gives_statistics_and_no_list(small):
    (left_out,) = {1, 2, 3} - set(small.qid.tolist())
    column = dict(zip(small.feature_names, small.X.T, strict=True))
    given = {1: {7: 5, 8: 1}, 2: {8: 3, 7: 4}, 3: {9: 2, 7: 1}}
    rows = [(user, item) for user in sorted(set(given) - {left_out}) for item in sorted(given[user])]
    expected = [given[left_out].get(item, np.nan) for _, item in rows]
    np.testing.assert_array_equal(column["rating_mean"], expected)
    assert column["age"].tolist() == [{1: 20, 2: 30, 3: 50}[user] for user, _ in rows]
    assert column["genre_War"].tolist() == [float(item == 7) for _, item in rows]
    np.testing.assert_array_equal(small.Y[:, 0], [given[user][item] - 1 for user, item in rows])


def test_labels_of_films(small):
    by_rating = {}
    for (_, item), y in zip(_rows(small), small.Y, strict=True):
        by_rating.setdefault(item, set()).add(tuple(y[1:].tolist()))
    assert all(len(values) == 1 for values in by_rating.values())  # properties of the film alone
    year = {item: next(iter(values))[0] for item, values in by_rating.items()}
    assert year[7] == 0
    assert year.get(8, 2) == 2  # one of two known years lies below it: 5 * 1 // 2
    assert np.isnan(year.get(9, np.nan))


def _rows(data):
    items = {(1, 5): 7, (1, 1): 8, (2, 3): 8, (2, 4): 7, (3, 2): 9, (3, 1): 7}
    for user, rating in zip(data.qid.tolist(), data.Y[:, 0].tolist(), strict=True):
        yield user, items[user, int(rating) + 1]


def test_objectives_are_selected(small, tmp_path):
    data = fetch_movielens_100k(objectives=["long_tail", "rating"], data_home=tmp_path)
    assert data.names == ("long_tail", "rating")
    np.testing.assert_array_equal(data.Y, small.Y[:, [2, 0]])
    with pytest.raises(ValueError, match=r"unknown objectives \['price'\]"):
        fetch_movielens_100k(objectives=["price"], data_home=tmp_path)


def test_absent_files_name_the_ways_out(tmp_path):
    with pytest.raises(FetchError, match=r"MovieLens 100k .* is not, or not whole.*HYPERRANK_DATA"):
        fetch_movielens_100k(data_home=tmp_path, download=False)


@pytest.mark.network
def test_download_for_real(tmp_path):
    data = fetch_movielens_100k(data_home=tmp_path)
    assert data.X.shape == (67268, 28)
    assert len(np.unique(data.qid)) == 629
    assert np.isnan(data.Y).sum() == 11
