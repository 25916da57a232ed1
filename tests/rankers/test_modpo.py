"""MODPO: its loss by brute force, its optimum in closed form, its corners, and the floor of its divisor."""

import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import SEEDS, examples
from torch import nn

from hyperrank import (
    EarlyStopping,
    HyperDPORanker,
    LinearScalarizationRanker,
    MODPORanker,
    QueryKFold,
    QueryLists,
    datasets,
)
from hyperrank.losses import listnet, margin_reward, plackett_luce
from hyperrank.metrics import ndcg
from hyperrank.networks import MLP
from hyperrank.rankers.baselines import _networks as separate_networks
from hyperrank.simplex import corners, dirichlet_weights, lattice
from hyperrank.training import ListTensors, Margin, TrainingSettings, document_batches, train

FEW_TREES = {"num_boost_round": 8}
QUICK = {"max_epochs": 3, "network": MLP(hidden=(8, 8)), "booster_params": FEW_TREES, "random_state": 0}


def fitted(small, weights=3, **params) -> MODPORanker:
    return MODPORanker(weights, **{**QUICK, **params}).fit(small.X, small.Y, qid=small.qid)


# ---- the loss -------------------------------------------------------------------------------------------


def brute_force(rewards, others, mix, main, labels, sizes) -> float:
    """MODPO with ListNet's loss, in plain numpy, document by document."""
    total, first = 0.0, 0
    for size in sizes:
        rows = range(first, first + size)
        inner = []
        for i in rows:
            margin = sum(mix[j] * others[j][i] for j in range(len(mix)) if j != main)
            inner.append((rewards[i] - margin) / mix[main])
        gains = [2.0 ** labels[i] - 1 for i in rows]
        if sum(gains) > 0:
            norm = np.logaddexp.reduce(inner)
            total -= sum(g / sum(gains) * (value - norm) for g, value in zip(gains, inner, strict=True))
        first += size
    return total


@examples(40)
@given(seed=SEEDS)
def test_the_loss_is_modpos(seed):
    rng = np.random.default_rng(seed)
    m, sizes = int(rng.integers(1, 5)), rng.integers(1, 7, size=rng.integers(1, 5))
    n, main = int(sizes.sum()), int(rng.integers(m))
    mix = dirichlet_weights(1, m, alpha=2, rng=rng)[0]
    rewards, others = rng.normal(size=n), rng.normal(size=(m, n)) * 3
    labels = rng.integers(0, 5, size=n).astype(float)
    margin = sum((mix[j] * others[j] for j in range(m) if j != main), np.zeros(n))
    found = listnet(
        margin_reward(torch.from_numpy(rewards), torch.from_numpy(margin), mix[main]),
        torch.from_numpy(labels),
        torch.tensor([0, *sizes]).cumsum(0),
        reduction="sum",
    )
    assert found.dtype == torch.float64
    assert float(found) == pytest.approx(brute_force(rewards, others, mix, main, labels, sizes), rel=1e-9)


@pytest.mark.parametrize("loss", [listnet, plackett_luce])
def test_a_pair_has_the_loss_of_the_paper(loss):
    """-log sigmoid of the difference of rewards less that of margins, over the main weight."""
    rewards, margins = torch.tensor([0.3, -0.2]).double(), torch.tensor([0.5, 0.1]).double()
    found = loss(margin_reward(rewards, margins, 0.4), torch.tensor([1.0, 0.0]), torch.tensor([0, 2]))
    expected = -torch.log(torch.sigmoid((torch.tensor(0.5) - torch.tensor(0.4)).double() / 0.4))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


@examples(15)
@given(seed=SEEDS)
def test_the_optimum_is_the_mix_of_rewards(seed):
    """There the gradient vanishes: r = w_main log p + the margins, with log p the main objective's own."""
    rng = np.random.default_rng(seed)
    n, weight = int(rng.integers(2, 9)), float(rng.uniform(0.05, 1))
    labels, margins = torch.from_numpy(rng.uniform(0.1, 3, size=n)), torch.from_numpy(rng.normal(size=n))
    gains = 2**labels - 1
    optimum = weight * torch.log(gains / gains.sum()) + margins
    optimum.requires_grad_()
    listnet(margin_reward(optimum, margins, weight), labels, torch.tensor([0, n])).backward()
    torch.testing.assert_close(optimum.grad, torch.zeros(n).double(), atol=1e-12, rtol=0)


def test_wrong_margins_are_refused():
    with pytest.raises(ValueError, match=r"margins have shape \(2,\); expected \(3,\)"):
        margin_reward(torch.zeros(3, 1), torch.zeros(2), 0.5)
    for weight in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="weight must be above 0"):
            margin_reward(torch.zeros(3), torch.zeros(3), weight)


class Slope(nn.Module):
    """One number per feature."""

    def __init__(self, values):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(values))

    def forward(self, features, weights, index):
        return (features @ self.slope)[:, None]


def test_the_training_loop_sees_the_margins_of_its_batch():
    """The first epoch's loss, at a rate too small to move anything, is the mean by brute force."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 6, size=12)
    n = int(sizes.sum())
    features, margins = rng.normal(size=(n, 2)), rng.normal(size=n)
    labels = rng.integers(0, 4, size=(n, 2)).astype(float)
    data = ListTensors(
        torch.from_numpy(features).float(),
        torch.from_numpy(labels).float(),
        QueryLists.from_sizes(sizes),
        margin=Margin(torch.from_numpy(margins).float(), 0.25),
    )
    settings = TrainingSettings(max_epochs=1, batch_docs=n // 3, learning_rate=1e-12, n_draws=1)
    result = train(
        Slope([1.0, -0.5]),
        data,
        loss=listnet,
        settings=settings,
        rng=np.random.default_rng(1),
        generator=torch.default_generator,
        draw_weights=lambda k: np.tile([1.0, 0.0], (k, 1)),
    )
    batches = []
    offsets = np.append(0, np.cumsum(sizes))
    # The same batches again, from the same generator.
    for which in document_batches(sizes, n // 3, np.random.default_rng(1)):
        rows = np.concatenate([np.arange(offsets[q], offsets[q + 1]) for q in which])
        total = brute_force(
            features[rows] @ [1.0, -0.5],
            [None, margins[rows] / 0.75],
            [0.25, 0.75],
            0,
            labels[rows, 0],
            sizes[which],
        )
        batches.append(total / len(which))
    assert len(batches) > 1
    assert result.history[0]["loss"] == pytest.approx(np.mean(batches), rel=1e-5)


# ---- the ranker -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("main", [0, 1])
@pytest.mark.parametrize("reference", [None, "boosters"])
def test_corners_are_networks_of_one_objective(main, reference, small, unseen):
    """Bit for bit those that linear scalarisation trains with the same seed, the main one and the others."""
    options = {"reference": reference, "reference_objective": main}
    ours = fitted(small, **options)
    theirs = LinearScalarizationRanker(corners(2), **QUICK, **options).fit(small.X, small.Y, qid=small.qid)
    np.testing.assert_array_equal(
        ours.predict(unseen.X, qid=unseen.qid, weights=corners(2)),
        theirs.predict(unseen.X, qid=unseen.qid, weights=corners(2)),
    )
    assert ours.models_[1] is not None
    assert ours.models_[2 * (1 - main)] is None
    assert list(ours.margin_models_) == [f"objective_{1 - main}"]


def three(small):
    return np.column_stack([small.Y, (small.X[:, 0] > 0).astype(float)])


def test_where_the_main_objective_weighs_nothing_margins_are_mixed(small, unseen):
    ranker = MODPORanker([[0, 0.3, 0.7], [0, 1, 0], [0, 0, 1]], reference=None, **QUICK)
    ranker.fit(small.X, three(small), qid=small.qid)
    assert ranker.models_ == [None] * 3
    assert ranker.histories_ == [[]] * 3
    mixed, *alone = ranker.predict(unseen.X, qid=unseen.qid, weights=ranker.weights_).T
    np.testing.assert_allclose(mixed, 0.3 * alone[0] + 0.7 * alone[1], rtol=1e-5, atol=1e-6)


def test_only_needed_margins_are_trained(small):
    ranker = MODPORanker([[1, 0, 0], [0.5, 0, 0.5]], **QUICK, objectives=("a", "b", "c"))
    ranker.fit(small.X, three(small), qid=small.qid)
    assert list(ranker.margin_models_) == ["c"]


def trained_with(monkeypatch, small, **params) -> list:
    """The margins that networks are trained with."""
    margins, plain = [], separate_networks.NetworkTrainer.train

    def train_and_tell(self, task, **options):
        margins.append((task.weights.tolist(), task.margin))
        return plain(self, task, **options)

    monkeypatch.setattr(separate_networks.NetworkTrainer, "train", train_and_tell)
    ranker = MODPORanker(**{**QUICK, "reference": None, **params})
    ranker.fit(small.X, three(small), qid=small.qid)
    return ranker, margins


def test_margins_are_the_others_rewards_in_their_weights(monkeypatch, small):
    weights = [[0.5, 0.2, 0.3], [0.03, 0.97, 0], [1, 0, 0]]
    ranker, calls = trained_with(monkeypatch, small, weights=weights, min_main_weight=0.1)
    assert [mix for mix, _ in calls] == [[0, 1, 0], [0, 0, 1], *[[1, 0, 0]] * 3]
    assert [margin.weight for _, margin in calls[2:]] == [0.5, 0.1, 1.0]
    lists = QueryLists.from_qid(small.qid)
    X = lists.group(small.X.astype(np.float32))
    rewards = [
        model.rewards(X, lists.in_place, np.full((1, 3), 1 / 3))[:, 0].astype(float)
        for model in ranker.margin_models_.values()
    ]
    for (_, margin), mix in zip(calls[2:], weights, strict=True):
        np.testing.assert_allclose(margin.values, mix[1] * rewards[0] + mix[2] * rewards[1], rtol=1e-6)


def test_the_floor_matters_below_it_alone(small, unseen):
    weights = [[0.5, 0.5], [0.04, 0.96]]
    low, high = (
        fitted(small, weights, min_main_weight=floor).predict(unseen.X, qid=unseen.qid, weights=weights)
        for floor in (0.01, 0.3)
    )
    np.testing.assert_array_equal(low[:, 0], high[:, 0])
    assert (low[:, 1] != high[:, 1]).any()


def test_trade_offs_are_learnt_in_sequence(small):
    """What the network between two corners knows of the other objective, it has from margins alone."""
    ranker = fitted(small, reference=None, max_epochs=25, network=MLP(hidden=(32, 32)))
    scores = ranker.predict(small.X, qid=small.qid, weights=ranker.weights_)
    points = ndcg(scores, small.Y, qid=small.qid, k=10)
    assert points[0, 0] > points[1, 0] > points[2, 0]
    assert points[0, 1] < points[1, 1] < points[2, 1]


def test_networks_stop_by_their_own_weights(small, unseen):
    ranker = MODPORanker(3, **{**QUICK, "max_epochs": 6, "early_stopping": EarlyStopping(patience=1)}).fit(
        small.X, small.Y, qid=small.qid, X_val=unseen.X, y_val=unseen.Y, qid_val=unseen.qid
    )
    for mix, history in list(zip(ranker.weights_, ranker.histories_, strict=True))[:2]:
        best = max(entry["score"] for entry in history)
        reached = ranker.score(unseen.X, unseen.Y, qid=unseen.qid, weights=mix)
        assert reached == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize("floor", [0, -0.1, 1.0, float("nan"), "low", None])
def test_the_floor_is_checked_before_training(floor, small, monkeypatch):
    monkeypatch.setattr(
        "hyperrank.rankers.dpo.reference.fit_reference_model",
        lambda *_, **__: pytest.fail("training started"),
    )
    with pytest.raises(ValueError, match=r"min_main_weight must be a (finite )?number above 0 and below 1"):
        fitted(small, min_main_weight=floor)


@pytest.mark.slow
def test_on_real_data_it_comes_near_to_ours(shared_data, monkeypatch):
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    data = datasets.fetch_mslr_sample(objectives=("relevance", "quality", "dwell"))
    splits = QueryKFold(5, shuffle=True, random_state=0).split(data.X, data.Y, groups=data.qid)
    train_rows, test = next(iter(splits))
    hypervolumes = []
    for ranker in (MODPORanker(6, random_state=0), HyperDPORanker(random_state=0)):
        ranker.fit(data.X[train_rows], data.Y[train_rows], qid=data.qid[train_rows])
        front = ranker.pareto_front(data.X[test], data.Y[test], qid=data.qid[test], weights=lattice(3, 2))
        hypervolumes.append(front.hypervolume())
    assert hypervolumes[0] > 0.95 * hypervolumes[1]
