"""Every named convention against the library that it is named after."""

import lightgbm
import numpy as np
import pytest
from metric_oracles import Lists, ragged
from sklearn.metrics import ndcg_score

from hyperrank.metrics import CONVENTIONS, ndcg

# One list per trap: no ties; ties; all tied; all zero; one document, relevant and not; one relevant, last.
TRAPS = [
    ([3, 0, 2, 1, 0, 4], [0.5, 2.0, 1.5, 0.25, 3.0, -1.0]),
    ([0, 2, 1, 0, 1], [1.0, 1.0, 0.5, 0.5, 0.5]),
    ([2, 0, 0, 1], [1.0, 1.0, 1.0, 1.0]),
    ([0, 0, 0], [0.3, 0.2, 0.1]),
    ([2], [0.7]),
    ([0], [0.7]),
    ([0, 0, 0, 0, 1], [5.0, 4.0, 3.0, 2.0, 1.0]),
]
# What the libraries said of each of these lists: xgboost 3.2.0 (`base_margin` and eta=0), catboost 1.2.10
# (`catboost.utils.eval_metric`). They are not installed for the tests.
RECORDED = {
    ("xgboost", 3): [0.07171369, 0.579237461, 0.826234657, 1.0, 1.0, 1.0, 0.0],
    ("xgboost", None): [0.47990855, 0.672885339, 0.944847957, 1.0, 1.0, 1.0, 0.386852807],
    ("xgboost-minus", 3): [0.07171369, 0.579237461, 0.826234657, 0.0, 1.0, 0.0, 0.0],
    ("catboost-base", 3): [0.145079149, 0.403030284, 0.190046883, 1.0, 1.0, 1.0, 0.0],
    ("catboost-base", None): [0.560350977, 0.664144212, 0.517441834, 1.0, 1.0, 1.0, 0.386852807],
    ("catboost-exp", 3): [0.07171369, 0.458199334, 0.137705776, 1.0, 1.0, 1.0, 0.0],
}


def traps():
    labels, scores = (np.concatenate(column).astype(float) for column in zip(*TRAPS, strict=True))
    return Lists(scores, labels, np.repeat(np.arange(len(TRAPS)), [len(z) for z, _ in TRAPS]))


@pytest.mark.parametrize(("convention", "k"), RECORDED)
def test_recorded_figures(convention, k):
    lists = traps()
    found = ndcg(lists.scores, lists.labels, qid=lists.qid, k=k, convention=convention, per_query=True)
    np.testing.assert_allclose(found, RECORDED[convention, k], atol=2e-7)


@pytest.mark.parametrize(
    ("convention", "figure"),
    [
        ("xgboost", 0.752),
        ("xgboost-minus", 0.418),
        ("lightgbm", 0.752),
        ("catboost-base", 0.790),
        ("catboost-exp", 0.752),
        ("ir-measures", 0.457),
        ("ir-measures-exp", 0.418),
    ],
)
def test_one_ranking_many_numbers(convention, figure):
    """One ranking of a graded, an all-zero and a one-document list, as the libraries were measured on it."""
    labels, scores = [0, 2, 1, 3, 0, 0, 0, 1], [4.0, 3.0, 2.0, 1.0, 3.0, 2.0, 1.0, 1.0]
    found = ndcg(scores, labels, qid=[0, 0, 0, 0, 1, 1, 1, 2], k=3, convention=convention)
    assert found == pytest.approx(figure, abs=5e-4)


def lightgbm_ndcg(lists: Lists, k: int) -> float:
    """What LightGBM reports for given scores: of a booster that cannot split, started from them."""
    order = np.argsort(lists.qid, kind="stable")
    sizes = np.bincount(lists.qid)
    options = {"group": sizes[sizes > 0], "init_score": lists.scores[order]}
    data = lightgbm.Dataset(np.zeros((len(order), 1)), lists.labels[order], **options)
    parameters = {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [k],
        "verbose": -1,
        "num_threads": 1,
    }
    seen = {}
    record = lightgbm.record_evaluation(seen)
    lightgbm.train(parameters, data, 1, valid_sets=[data], valid_names=["data"], callbacks=[record])
    return seen["data"][f"ndcg@{k}"][0]


@pytest.mark.parametrize("k", [1, 5, 10])
def test_lightgbm(lists, k):
    found = ndcg(lists.scores, lists.labels, qid=lists.qid, k=k, convention="lightgbm")
    assert found == pytest.approx(lightgbm_ndcg(lists, k), abs=1e-9)


@pytest.mark.parametrize("trap", range(len(TRAPS)))
def test_lightgbm_list_by_list(trap):
    labels, scores = np.array(TRAPS[trap][0], dtype=float), np.array(TRAPS[trap][1])
    lists = Lists(scores, labels, np.zeros(len(labels), dtype=int))
    assert ndcg(scores, labels, k=3, convention="lightgbm") == pytest.approx(
        lightgbm_ndcg(lists, 3), abs=1e-9
    )


@pytest.mark.parametrize("k", [1, 5, None])
def test_sklearn(lists, k):
    found = ndcg(lists.scores, lists.labels, qid=lists.qid, k=k, convention="sklearn", per_query=True)
    seen = 0
    for value, (scores, labels) in zip(found, lists.each(), strict=True):
        if len(labels) == 1:  # refused by scikit-learn
            assert value == float(labels[0] > 0)
            continue
        assert value == pytest.approx(ndcg_score([labels], [scores], k=k), abs=1e-12)
        seen += 1
    assert seen > 40


def test_sklearn_exponential_gain():
    lists = ragged(4, tied=True)
    found = ndcg(lists.scores, lists.labels, qid=lists.qid, k=5, ties="average", empty=0, per_query=True)
    pairs = [(i, s, z) for i, (s, z) in enumerate(lists.each()) if len(z) > 1]
    for i, scores, labels in pairs:
        assert found[i] == pytest.approx(ndcg_score([2.0**labels - 1], [scores], k=5), abs=1e-12)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_convention_makes_the_three_choices(convention):
    lists, named = traps(), CONVENTIONS[convention]
    spelled = {"gain": named.gain, "empty": named.empty, "ties": named.ties}
    found = ndcg(lists.scores, lists.labels, qid=lists.qid, convention=convention)
    assert found == ndcg(lists.scores, lists.labels, qid=lists.qid, **spelled)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"gain": "exp"}, r"gain must be one of \['exp2', 'linear'\]; got 'exp'"),
        ({"ties": "random"}, "ties must be one of"),
        ({"empty": "two"}, "empty must be 'skip'"),
        ({"empty": 2}, "empty must be 'skip'"),
        ({"empty": True}, "empty must be 'skip'"),
        ({"convention": "trec"}, "convention must be one of"),
        ({"convention": "xgboost", "gain": "linear"}, "means gain='exp2', but gain='linear' was given too"),
    ],
)
def test_unknown_choices(choices, message):
    with pytest.raises(ValueError, match=message):
        ndcg([1.0], [1], **choices)
