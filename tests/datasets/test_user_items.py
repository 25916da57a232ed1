"""The generator of recurring items: what recurs, what is fixed, what can be learnt."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from hyperrank.datasets import make_user_item_ranking


@pytest.fixture(scope="module")
def data():
    return make_user_item_ranking(n_users=120, n_items=200, list_size=40, random_state=0)


def test_items_recur_with_the_same_features_and_property(data):
    of_item = [name.startswith("item_") for name in data.feature_names]
    items, first, which = np.unique(data.X[:, of_item], axis=0, return_index=True, return_inverse=True)
    assert len(items) == 200
    assert (np.bincount(which.ravel()) > 5).all()
    np.testing.assert_array_equal(data.Y[:, 1], data.Y[first, 1][which.ravel()])
    for user in (0, 119):  # no item twice in a list
        assert len(np.unique(data.X[data.qid == user][:, of_item], axis=0)) == 40


def test_shapes_grades_and_seeds(data):
    assert data.X.shape == (4800, 24)
    assert data.names == ("affinity", "item_property")
    for column in data.Y.T:
        grades, counts = np.unique(column, return_counts=True)
        assert grades.tolist() == [0, 1, 2, 3, 4]
        assert counts.min() > 0.15 * len(column)
    again, other = (make_user_item_ranking(120, 200, 40, random_state=seed) for seed in (0, 1))
    np.testing.assert_array_equal(again.X, data.X)
    assert not np.array_equal(other.Y, data.Y)


def test_features_explain_the_property_and_part_of_the_affinity(data):
    train = data.qid < 80
    for objective, least in (("affinity", 0.1), ("item_property", 0.8)):
        y = data.Y[:, data.names.index(objective)]
        model = HistGradientBoostingRegressor(random_state=0).fit(data.X[train], y[train])
        assert model.score(data.X[~train], y[~train]) > least


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"list_size": 2000}, "list_size between 1 and n_items"),
        ({"n_users": 0}, "n_users must be at least 1"),
        ({"n_features": 2}, "n_features at least 3"),
        ({"noise": 1.5}, "noise must be a number at least 0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_user_item_ranking(**arguments)
