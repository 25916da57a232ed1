"""The benchmark of categories: its data have them, and every view of them is measured."""

import numpy as np

from benchmarks.categorical import VIEWS, Ranked, generated, table_of


def test_every_view_is_measured(tmp_path):
    data = generated(tmp_path)
    assert data.categories == ["item"]
    assert data.X.item.nunique() == 1000
    some = data.qid < 12
    small = Ranked(data.X[some].reset_index(drop=True), data.Y[some], data.qid[some], data.names)
    rows = table_of(small, n_folds=2, rankers=["MixedScoresRanker"])
    assert [row["categories"] for row in rows] == list(VIEWS)
    assert set(rows[0]) == {"ranker", "categories", "hypervolume", *data.names, "CPU s"}
    numbers = VIEWS["as numbers"](small.X)
    assert np.array_equal(numbers["item"], small.X["item"].cat.codes)
    assert "item" not in VIEWS["left out"](small.X)
