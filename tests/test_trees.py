"""Trees as tables: LightGBM's own scores to the bit, and no text that breaks the reader."""

import functools
import re

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperrank.boosters import (
    MAX_LEAVES,
    BoosterSet,
    BoosterTextError,
    TreeEnsemble,
    booster_scores,
    booster_text,
    canonical_text,
    read_booster_text,
)
from hyperrank.datasets import make_multilabel_ranking

DATA = make_multilabel_ranking(n_queries=40, list_size=(5, 40), n_features=6, random_state=0)


def with_missing(X, share, seed):
    out = np.array(X, dtype=np.float32)
    out[np.random.default_rng(seed).random(out.shape) < share] = np.nan
    return out


def grow(X, *, objective="lambdarank", rounds=20, column=0, categories="auto", **params):
    settings = {"objective": objective, "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 2, **params}
    order = np.argsort(DATA.qid, kind="stable")
    sizes = np.unique(DATA.qid, return_counts=True)[1]
    grouped = objective in ("lambdarank", "rank_xendcg")
    data = lightgbm.Dataset(
        X[order],
        DATA.Y[order, column],
        group=sizes if grouped else None,
        categorical_feature=categories,
    )
    return lightgbm.train(settings, data, rounds)


def tables_of(*boosters):
    return TreeEnsemble([read_booster_text(booster_text(booster)).trees for booster in boosters])


@pytest.mark.parametrize("leaves", [2, 3, 7, 8, 9, 16, 17, 31, 32])
@pytest.mark.parametrize("objective", ["lambdarank", "regression", "rank_xendcg"])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_scores_are_lightgbms_to_the_bit(leaves, objective, missing):
    X = with_missing(DATA.X, missing, 0)
    booster = grow(X, objective=objective, num_leaves=leaves, feature_fraction=0.7, seed=leaves)
    unseen = with_missing(3 * np.random.default_rng(1).normal(size=(1000, 6)), 0.3, 2)
    for rows in (X, unseen):
        np.testing.assert_array_equal(tables_of(booster).scores(rows)[:, 0], booster.predict(rows))


def test_rows_on_a_threshold_go_where_lightgbm_sends_them():
    X = np.round(DATA.X, 1).astype(np.float32)  # few values, so that thresholds lie close to them
    booster = grow(X, num_leaves=15)
    thresholds = {
        t for tree in read_booster_text(booster_text(booster)).trees for t in tree.threshold.tolist()
    }
    near = np.array([np.float32(t) for t in thresholds])
    steps = [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))]
    rows = np.repeat(np.concatenate(steps)[:, None], 6, axis=1)
    np.testing.assert_array_equal(tables_of(booster).scores(rows)[:, 0], booster.predict(rows))


@pytest.mark.parametrize("entries", [1, 1 << 12, 1 << 30])
def test_several_boosters_of_different_lengths_at_once(entries, monkeypatch):
    monkeypatch.setattr("hyperrank.boosters.scoring.ENTRIES_AT_ONCE", entries)
    boosters = [grow(DATA.X, rounds=n, column=j, num_leaves=5) for j, n in enumerate((1, 13, 4))]
    expected = np.column_stack([booster.predict(DATA.X) for booster in boosters])
    np.testing.assert_array_equal(tables_of(*boosters).scores(DATA.X.astype(np.float32)), expected)


@given(seed=st.integers(0, 2**31), n=st.integers(0, 700), n_threads=st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_a_row_has_the_same_bits_in_any_company(seed, n, n_threads):
    rows = with_missing(np.random.default_rng(seed).normal(size=(n, 6)), 0.1, seed)
    ensemble = tables_of(*_TWO)
    order = np.random.default_rng(seed).permutation(n)
    together = ensemble.scores(rows, n_threads=n_threads)
    np.testing.assert_array_equal(ensemble.scores(rows[order]), together[order])
    for row in order[:3]:
        np.testing.assert_array_equal(ensemble.scores(rows[row : row + 1]), together[row : row + 1])


_TWO = [grow(DATA.X, rounds=30, num_leaves=7), grow(DATA.X, objective="regression", rounds=10, num_leaves=20)]


def test_stumps_and_constant_trees():
    flat = grow(np.zeros_like(DATA.X), objective="regression", rounds=3)
    np.testing.assert_array_equal(
        tables_of(flat).scores(np.zeros((5, 6), np.float32))[:, 0], flat.predict(np.zeros((5, 6)))
    )
    assert read_booster_text(booster_text(flat)).trees[0].n_leaves == 1


RNG = np.random.default_rng(3)
CATEGORIES = np.column_stack(
    [RNG.integers(0, 100, len(DATA.X)) ** 2, RNG.integers(0, 8, len(DATA.X)), DATA.X]
)
#: What is no category that was trained on, or not one at all, and numbers that LightGBM cuts to one.
ODD = [
    np.nan,
    -1,
    -7.5,
    -0.5,
    0.5,
    3.9,
    4,
    99**2,
    99**2 + 1,
    1e6,
    2**24,
    2**31,
    2**31 - 129,
    -(2**31),
    3e38,
    -3e38,
]


@pytest.mark.parametrize("leaves", [2, 7, 31])
@pytest.mark.parametrize("objective", ["lambdarank", "regression"])
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_categories_score_as_lightgbms_to_the_bit(leaves, objective, missing):
    X = with_missing(CATEGORIES, missing, 0)
    options = {"min_data_per_group": 1, "cat_smooth": 0.1, "max_cat_to_onehot": leaves}
    booster = grow(X, objective=objective, categories=[0, 1], num_leaves=leaves, **options)
    trees = read_booster_text(booster_text(booster)).trees
    assert any(tree.categories is not None and np.diff(tree.categories.bounds).max() > 9 for tree in trees)
    unseen = np.random.default_rng(1).choice(ODD, size=(1000, 8)).astype(np.float32)
    for rows in (X, unseen):
        np.testing.assert_array_equal(tables_of(booster).scores(rows)[:, 0], booster.predict(rows))
        held = BoosterSet.of([booster])
        assert held._trees is not None
        np.testing.assert_array_equal(held.boosters[0].predict(rows), booster.predict(rows))


@pytest.mark.parametrize(
    ("X", "params"),
    [
        (CATEGORIES, {"categories": [0], "min_data_per_group": 1, "num_leaves": MAX_LEAVES + 8}),
        (DATA.X, {"num_leaves": MAX_LEAVES + 8}),
        (DATA.X, {"zero_as_missing": True}),
        (DATA.X, {"objective": "regression", "linear_tree": True}),
        (DATA.X, {"objective": "poisson"}),
        (DATA.X, {"objective": "regression", "reg_sqrt": True}),
        (DATA.X, {"objective": "regression", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}),
    ],
    ids=[
        "categories",
        "many leaves",
        "zeros missing",
        "linear leaves",
        "exponentials",
        "squares",
        "averages",
    ],
)
def test_what_tables_cannot_hold_is_left_to_lightgbm(X, params):
    booster = grow(np.asarray(X), **params)
    rows = np.asarray(X, dtype=np.float32)
    held = BoosterSet.of([booster])
    assert held._trees is None
    np.testing.assert_array_equal(held.scores(rows)[:, 0], booster_scores(booster, rows))


def test_a_set_says_what_does_not_fit():
    held = BoosterSet.of(_TWO)
    with pytest.raises(ValueError, match="rows have 5 features; the boosters know 6"):
        held.scores(np.zeros((2, 5), np.float32))
    other = grow(DATA.X[:, :3])
    with pytest.raises(ValueError, match=r"different numbers of features: \[3, 6\]"):
        BoosterSet.of([*_TWO, other])
    assert BoosterSet([]).scores(np.zeros((2, 5), np.float32)).shape == (2, 0)


def test_deep_trees_are_refused_by_the_tables():
    deep = grow(DATA.X, num_leaves=MAX_LEAVES + 8, rounds=2)
    with pytest.raises(ValueError, match="at most 32 are taken"):
        tables_of(deep)


TEXT = booster_text(_TWO[0])
BROKEN = {
    "nothing": "",
    "something else": "tree\nversion=v4\n",
    "cut off": TEXT[: len(TEXT) // 3],
    "a tree is gone": TEXT.replace("\nTree=3\n", "\nTree=4\n", 1),
    "a feature that does not exist": TEXT.replace("split_feature=", "split_feature=9", 1),
    "no such head": TEXT.replace("max_feature_idx=5", "max_feature_idx=99999999999", 1),
    "a negative number of leaves": TEXT.replace("num_leaves=7", "num_leaves=-7", 1),
    "more leaves than values": TEXT.replace("num_leaves=7", "num_leaves=8", 1),
    "a leaf that is no number": TEXT.replace("leaf_value=", "leaf_value=nan", 1),
    "a loop": TEXT.replace("left_child=", "left_child=0 0 0 0 0 0\nx=", 1),
    "an unknown decision": TEXT.replace("decision_type=", "decision_type=77 ", 1),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_texts_are_refused(what):
    with pytest.raises(BoosterTextError):
        read_booster_text(BROKEN[what])


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_mutation_of_a_text_does_worse_than_an_error(data):
    """Characters changed, lines dropped, doubled or swapped: trees come of it, or a BoosterTextError."""
    lines = TEXT.split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        kind = data.draw(st.sampled_from(["drop", "double", "swap", "characters"]))
        if kind == "drop":
            del lines[at]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "swap":
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif lines[at]:
            place = data.draw(st.integers(0, len(lines[at]) - 1))
            new = data.draw(st.text("0123456789 -=.eninf\x00é", min_size=0, max_size=3))
            lines[at] = lines[at][:place] + new + lines[at][place + 1 :]
    try:
        read = read_booster_text("\n".join(lines))
    except BoosterTextError:
        return
    if max(tree.n_leaves for tree in read.trees) <= MAX_LEAVES:
        scores = TreeEnsemble([read.trees]).scores(np.zeros((3, read.n_features), dtype=np.float32))
        assert scores.shape == (3, 1)


@functools.cache
def categorical_text():
    options = {"min_data_per_group": 1, "cat_smooth": 0.1, "rounds": 3, "num_leaves": 4}
    text = booster_text(grow(CATEGORIES[:, :2], categories=[0, 1], **options))
    assert re.search(r"\nnum_leaves=4\nnum_cat=3\n", text)
    return text


FORGED_SETS = {
    "bounds that begin after the first word": (r"\ncat_boundaries=0 ", "\ncat_boundaries=1 "),
    "bounds that descend": (r"\ncat_boundaries=0 (\d+) ", r"\ncat_boundaries=0 9\1 "),
    "bounds beyond the words": (r"(\ncat_boundaries=[^\n]*)", r"\g<1>0"),
    "a bound that is negative": (r"\ncat_boundaries=0 ", "\ncat_boundaries=0 -"),
    "too few bounds": (r"\ncat_boundaries=0 \d+ ", "\ncat_boundaries=0 "),
    "too many words": (r"\ncat_threshold=", "\ncat_threshold=1 "),
    "a word of 33 bits": (r"\ncat_threshold=\d+", "\ncat_threshold=4294967296"),
    "a word that is negative": (r"\ncat_threshold=", "\ncat_threshold=-"),
    "a word that is a fraction": (r"\ncat_threshold=\d+", "\ncat_threshold=0.5"),
    "no words": (r"\ncat_threshold=[^\n]*", ""),
    "no bounds": (r"\ncat_boundaries=[^\n]*", ""),
    "no sets": (r"\nnum_cat=\d+", "\nnum_cat=0"),
    "more sets": (r"\nnum_cat=\d+", "\nnum_cat=4"),
    "sets without end": (r"\nnum_cat=\d+", "\nnum_cat=99999999"),
    "a set of a high number": (r"\nthreshold=[^\n]*", "\nthreshold=3 3 3"),
    "a set of a negative number": (r"\nthreshold=[^\n]*", "\nthreshold=-1 -1 -1"),
    "half a set": (r"\nthreshold=[^\n]*", "\nthreshold=0.5 0.5 0.5"),
    "no number of a set": (r"\nthreshold=[^\n]*", "\nthreshold=nan nan nan"),
}


@pytest.mark.parametrize("what", FORGED_SETS)
def test_forged_sets_of_categories_are_refused(what):
    text = categorical_text()
    pattern, put = FORGED_SETS[what]
    forged = re.sub(pattern, put, text, count=1)
    assert forged != text
    for read in (read_booster_text, canonical_text):
        with pytest.raises(BoosterTextError):
            read(forged)


def test_a_small_text_takes_little_memory():
    """Zeros are words of 32 categories, and many nodes may name one set."""
    text = categorical_text()
    tree = re.search(r"\nTree=0\n.*?\n\n", text, re.DOTALL)[0]
    sizes = [int(bound) for bound in re.search(r"cat_boundaries=([^\n]*)", tree)[1].split()]
    wide = re.sub(
        r"cat_boundaries=[^\n]*", "cat_boundaries=" + " ".join(["0", *["300000"] * (len(sizes) - 1)]), tree
    )
    wide = re.sub(r"cat_threshold=[^\n]*", "cat_threshold=" + " ".join(["0"] * 300000), wide)
    held = BoosterSet([text.replace(tree, wide)])
    assert held._trees is not None
    assert held._trees._sets.words.nbytes < 2 * len(held.texts[0]) + 1000
