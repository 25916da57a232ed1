"""Soups: corners are networks of one objective, between them parameters are averaged; in practice it pays."""

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import SEEDS, examples

from hyperrank import (
    EarlyStopping,
    HyperDPORanker,
    LinearScalarizationRanker,
    QueryKFold,
    QueryLists,
    SoupRanker,
    datasets,
)
from hyperrank.networks import MLP, ConditionedScorer
from hyperrank.networks.feature_transforms import fit_transform_module
from hyperrank.rankers.baselines import _networks as separate_networks
from hyperrank.rankers.baselines.soup import RewardSoup
from hyperrank.rankers.dpo.reward_model import RewardModel
from hyperrank.simplex import corners, dirichlet_weights, lattice

FEW_TREES = {"num_boost_round": 8}
QUICK = {"max_epochs": 4, "network": MLP(hidden=(8, 8)), "booster_params": FEW_TREES, "random_state": 0}


def fitted(small, **params) -> SoupRanker:
    return SoupRanker(**{**QUICK, **params}).fit(small.X, small.Y, qid=small.qid)


def models_of(
    seed: int, m: int, *, n_features: int = 5, hidden: tuple[int, ...] = (6, 6)
) -> list[RewardModel]:
    """Networks that were never trained, on features as they are."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(30, n_features)).astype(np.float32)
    transform = fit_transform_module(X, "none", rng=rng)
    models = []
    for _ in range(m):
        network = ConditionedScorer(n_features, m, hidden=hidden, conditioning="none")
        for parameter in network.parameters():
            parameter.data = torch.from_numpy(rng.normal(size=parameter.shape)).float()
        models.append(RewardModel(transform, network.eval(), torch.device("cpu")))
    return models


def rows_of(seed: int, n: int = 20, n_features: int = 5) -> tuple[np.ndarray, QueryLists]:
    X = np.random.default_rng([seed, 1]).normal(size=(n, n_features)).astype(np.float32)
    return X, QueryLists.from_sizes([n])


@examples(15)
@given(seed=SEEDS)
def test_a_corner_is_that_objectives_network_to_the_bit(seed):
    m = 1 + seed % 5
    models = models_of(seed, m, hidden=(128, 128))
    rewards = RewardSoup(models).rewards(*rows_of(seed), corners(m))
    for j, model in enumerate(models):
        np.testing.assert_array_equal(rewards[:, j], model.rewards(*rows_of(seed), corners(m)[[0]])[:, 0])


@examples(15)
@given(seed=SEEDS)
def test_between_them_parameters_are_averaged(seed):
    """Against the same average taken in numpy, parameter by parameter."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(2, 5))
    models = models_of(seed, m)
    mix = dirichlet_weights(1, m, rng=rng)
    expected = models_of(0, m)[0]
    states = [model.network.state_dict() for model in models]
    expected.network.load_state_dict(
        {
            name: torch.from_numpy(
                np.tensordot(mix[0], np.stack([state[name].numpy() for state in states]), 1)
            )
            for name in states[0]
        }
    )
    np.testing.assert_allclose(
        RewardSoup(models).rewards(*rows_of(seed), mix),
        expected.rewards(*rows_of(seed), mix),
        rtol=1e-4,
        atol=1e-4,
    )


@examples(15)
@given(seed=SEEDS)
def test_a_soup_of_linear_networks_mixes_scores(seed):
    """Networks that differ in their last, linear layer alone are linear in their parameters."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(2, 5))
    models = models_of(seed, m)
    for model in models[1:]:
        for name, parameter in model.network.named_parameters():
            if not name.startswith("head"):
                parameter.data = models[0].network.state_dict()[name]
    soup = RewardSoup(models)
    row_weights = dirichlet_weights(6, m, rng=rng)
    alone = soup.rewards(*rows_of(seed), corners(m))
    np.testing.assert_allclose(
        soup.rewards(*rows_of(seed), row_weights), alone @ row_weights.T, rtol=1e-4, atol=1e-4
    )


@examples(8)
@given(seed=SEEDS)
def test_trade_offs_do_not_touch_each_other(seed):
    """Bit for bit: one at a time, many at once, in any order; and the networks stay as they were."""
    rng = np.random.default_rng(seed)
    models = models_of(seed, 3, hidden=(128, 128))
    soup = RewardSoup(models)
    before = pickle.dumps(soup)
    row_weights = dirichlet_weights(4, 3, rng=rng)
    X, lists = rows_of(seed, 300)
    together = soup.rewards(X, lists, row_weights)
    for column, mix in zip(together.T, row_weights, strict=True):
        np.testing.assert_array_equal(soup.rewards(X, lists, mix[None])[:, 0], column)
    np.testing.assert_array_equal(soup.rewards(X, lists, row_weights[::-1].copy())[:, ::-1], together)
    assert pickle.dumps(soup) == before


@pytest.mark.parametrize("reference", [None, "boosters"])
def test_without_pretraining_corners_are_linear_scalarisations_corners(reference, small, unseen):
    """The same random start, batches and dropout: the same bits."""
    ours = fitted(small, pretraining=0, reference=reference)
    theirs = LinearScalarizationRanker(corners(2), **QUICK, reference=reference)
    theirs.fit(small.X, small.Y, qid=small.qid)
    np.testing.assert_array_equal(
        ours.predict(unseen.X, qid=unseen.qid, weights=corners(2)),
        theirs.predict(unseen.X, qid=unseen.qid, weights=corners(2)),
    )
    assert ours.common_history_ == []


@pytest.mark.parametrize(
    ("pretraining", "max_epochs", "common"), [(0, 4, 0), (0.5, 4, 2), (0.25, 4, 1), (0.99, 4, 3), (0.9, 1, 0)]
)
def test_each_network_has_the_budget_of_ours(pretraining, max_epochs, common, small):
    ranker = fitted(small, pretraining=pretraining, max_epochs=max_epochs)
    assert len(ranker.common_history_) == common
    assert [len(history) for history in ranker.histories_] == [max_epochs - common] * 2


def test_networks_branch_off_the_common_one(small, monkeypatch):
    """The one that linear scalarisation trains on equal weights in as many epochs."""
    calls, plain = [], separate_networks.NetworkTrainer.train

    def train_and_tell(self, task, **options):
        model, result = plain(self, task, **options)
        calls.append((task.weights.tolist(), options.get("start"), copy.deepcopy(model.network)))
        return model, result

    monkeypatch.setattr(separate_networks.NetworkTrainer, "train", train_and_tell)
    fitted(small, pretraining=0.75)
    assert [mix for mix, _, _ in calls] == [[0.5, 0.5], [1, 0], [0, 1]]
    assert calls[0][1] is None
    common = LinearScalarizationRanker([[0.5, 0.5]], **{**QUICK, "max_epochs": 3})
    expected = common.fit(small.X, small.Y, qid=small.qid).models_[0].network.state_dict()
    for network in (calls[0][2], calls[1][1].network, calls[2][1].network):
        for name, parameter in network.state_dict().items():
            assert torch.equal(parameter, expected[name])


def test_a_longer_common_way_keeps_networks_together(small):
    apart = []
    for pretraining in (0.0, 0.9):
        ranker = fitted(small, pretraining=pretraining, max_epochs=20)
        apart.append(sum(((i[0] - i[1]) ** 2).sum() for i in ranker.model_.ingredients.values()))
    assert apart[1] < 0.5 * apart[0]


def test_it_holds_the_whole_simplex(small, unseen):
    ranker = fitted(small)
    asked = np.vstack([lattice(2, 7), [[0.123456, 0.876544]]])
    scores = ranker.predict(unseen.X, qid=unseen.qid, weights=asked)
    assert len(np.unique(scores, axis=1).T) == len(asked)
    assert len(ranker.pareto_front(unseen.X, unseen.Y, qid=unseen.qid)) == 66


def test_corners_know_their_objective(small):
    ranker = fitted(small, reference=None, max_epochs=20, network=MLP(hidden=(32, 32)))
    front = ranker.pareto_front(small.X, small.Y, qid=small.qid, weights=lattice(2, 4))
    assert (front.points.to_numpy().argmax(axis=0) == [0, 4]).all()


def test_networks_stop_by_their_own_objective(small, unseen):
    ranker = SoupRanker(**{**QUICK, "max_epochs": 8, "early_stopping": EarlyStopping(patience=1)}).fit(
        small.X, small.Y, qid=small.qid, X_val=unseen.X, y_val=unseen.Y, qid_val=unseen.qid
    )
    for mix, history in zip(corners(2), ranker.histories_, strict=True):
        best = max(entry["score"] for entry in history)
        reached = ranker.score(unseen.X, unseen.Y, qid=unseen.qid, weights=mix)
        assert reached == pytest.approx(best, abs=1e-6)
    assert all("score" in entry for entry in ranker.common_history_)


@pytest.mark.parametrize("pretraining", [-0.1, 1.0, 2, float("nan"), "half", None])
def test_pretraining_is_checked_before_training(pretraining, small, monkeypatch):
    monkeypatch.setattr(
        "hyperrank.rankers.dpo.reference.fit_reference_model",
        lambda *_, **__: pytest.fail("training started"),
    )
    with pytest.raises(ValueError, match=r"pretraining must be a (finite )?number at least 0 and below 1"):
        fitted(small, pretraining=pretraining)


@pytest.mark.slow
def test_on_real_data_a_common_start_pays(shared_data, monkeypatch):
    """Near to ours on held-out queries, and far better than networks from starts of their own."""
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    data = datasets.fetch_mslr_sample(objectives=("relevance", "quality", "dwell"))
    splits = QueryKFold(5, shuffle=True, random_state=0).split(data.X, data.Y, groups=data.qid)
    train, test = next(iter(splits))
    training = {"X": data.X[train], "y": data.Y[train], "qid": data.qid[train]}
    held_out = {"X": data.X[test], "Y": data.Y[test], "qid": data.qid[test]}

    # Of packed ensembles strangers lose less: their mean is over members already.
    options = {"network": MLP(hidden=(128, 128)), "random_state": 0}
    ours = HyperDPORanker(**options).fit(**training)
    soup = SoupRanker(**options).fit(**training)
    at = lattice(3, 5)
    volume = soup.pareto_front(**held_out, weights=at).hypervolume()
    assert volume > 0.95 * ours.pareto_front(**held_out, weights=at).hypervolume()

    equal = [[1 / 3, 1 / 3, 1 / 3]]
    alone = SoupRanker(None, **options).fit(**training)
    common = alone.pareto_front(**held_out, weights=equal).points.to_numpy().mean()
    strangers = [
        LinearScalarizationRanker([corner], None, **{**options, "random_state": seed}).fit(**training)
        for seed, corner in enumerate(corners(3))
    ]
    alone.model_ = RewardSoup([stranger.models_[0] for stranger in strangers])
    blind = alone.pareto_front(**held_out, weights=equal).points.to_numpy().mean()
    assert common > blind + 0.02
