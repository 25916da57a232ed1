"""Trees as ONNX's operator, under onnxruntime, against LightGBM's own rules."""

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperrank.boosters import BoosterSet, Tree, TreeEnsemble, booster_text, read_booster_text
from hyperrank.export.modules import (
    TREES_DOMAIN,
    TREES_VERSION,
    ServedBoosters,
    tree_attributes,
    without_sets,
)

helper = pytest.importorskip("onnx.helper")
ort = pytest.importorskip("onnxruntime")
N_FEATURES = 3


def scored(outputs, X):
    """Scores of sums of trees, in the operator's double precision."""
    names = [str(number) for number in range(len(outputs))]
    nodes = [
        helper.make_node("TreeEnsemble", ["X"], [name], domain=TREES_DOMAIN, **tree_attributes(trees))
        for name, trees in zip(names, outputs, strict=True)
    ]
    double = 11
    graph = helper.make_graph(
        [*nodes, helper.make_node("Concat", names, ["Y"], axis=1)],
        "trees",
        [helper.make_tensor_value_info("X", double, ["n", X.shape[1]])],
        [helper.make_tensor_value_info("Y", double, ["n", len(outputs)])],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(TREES_DOMAIN, TREES_VERSION)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    session = ort.InferenceSession(model.SerializeToString())
    return session.run(None, {"X": X.astype(np.float64)})[0]


def a_tree(rng, n_leaves):
    """A random tree whose thresholds lie next to float32 numbers, on them and between them."""
    n = n_leaves - 1
    left, right = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    free = []
    for node in range(n):
        if node:
            parent, side = free.pop(rng.integers(len(free)))
            side[parent] = node
        free += [(node, left), (node, right)]
    for leaf, (parent, side) in enumerate(free):
        side[parent] = ~leaf
    near = rng.choice(np.array([-1.5, 0.0, 0.1, 2.0], dtype=np.float32), n).astype(np.float64)
    knows_nan = rng.random(n) < 0.5
    return Tree(
        rng.integers(0, N_FEATURES, n),
        near + rng.choice([-1e-12, 0, 1e-12], n),
        knows_nan & (rng.random(n) < 0.5),
        ~knows_nan,
        left,
        right,
        rng.normal(size=n_leaves),
    )


SIZES = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=3)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), SIZES)
def test_every_decision_is_ours(seed, sizes):
    rng = np.random.default_rng(seed)
    outputs = [[a_tree(rng, n_leaves) for n_leaves in trees] for trees in sizes]
    values = np.array([-1.5, 0.0, 0.1, 2.0, np.nan, np.inf], dtype=np.float32)
    X = rng.choice(np.concatenate([values, np.nextafter(values, np.float32(9))]), (60, N_FEATURES))
    np.testing.assert_allclose(scored(outputs, X), TreeEnsemble(outputs).scores(X), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("n_leaves", [2, 7, 100])
@pytest.mark.parametrize("missing_in_training", [False, True])
def test_boosters_score_as_in_lightgbm(n_leaves, missing_in_training):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 4)).astype(np.float32).round(2)
    holed = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    params = {"num_leaves": n_leaves, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 5}
    data = lightgbm.Dataset(holed if missing_in_training else X, X[:, 0] * X[:, 1] + X[:, 2])
    booster = lightgbm.train(params, data, num_boost_round=20)
    outputs = ServedBoosters(BoosterSet([booster_text(booster)])).sums
    np.testing.assert_allclose(scored(outputs, holed)[:, 0], booster.predict(holed), rtol=1e-12, atol=1e-12)


@given(st.integers(0, 2**32 - 1), SIZES)
def test_no_root_has_a_leaf_and_a_node_of_one_number(seed, sizes):
    """onnxruntime 1.20 to 1.23 take such roots for leaves."""
    rng = np.random.default_rng(seed)
    for trees in sizes:
        made = tree_attributes([a_tree(rng, n_leaves) for n_leaves in trees])
        for root in made["tree_roots"]:
            assert made["nodes_truenodeids"][root] != made["nodes_falsenodeids"][root]


def a_booster(**params):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 300, 2000), rng.integers(0, 9, 2000), rng.normal(size=2000)])
    labels = rng.normal(size=300)[X[:, 0].astype(int)] + X[:, 1] % 2 * X[:, 2]
    data = lightgbm.Dataset(X, labels, categorical_feature=[0, 1])
    return lightgbm.train({"verbose": -1, "num_threads": 1, **params}, data, num_boost_round=10), X


def test_sets_of_categories_are_columns():
    booster, X = a_booster(min_data_per_group=1, num_leaves=8)
    plain = BoosterSet([booster_text(booster)])
    outputs, tables = without_sets([read_booster_text(text).trees for text in plain.texts], 3)
    assert set(tables) == {0, 1}
    X[::3, 0], X[::4, 1] = np.nan, 400
    columns = [X]
    for feature, table in tables.items():
        codes = X[:, feature]
        columns.append(table[np.where(codes < len(table) - 1, codes, len(table) - 1).astype(int)])
    scores = TreeEnsemble(outputs).scores(np.hstack(columns).astype(np.float32))
    np.testing.assert_array_equal(scores[:, 0], booster.predict(X))


def test_trees_that_are_not_plain_are_refused():
    booster, _ = a_booster(linear_tree=True)
    with pytest.raises(ValueError, match="linear leaves"):
        ServedBoosters(BoosterSet([booster_text(booster)]))
