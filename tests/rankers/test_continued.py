"""Going on from an earlier fit, validation data under other names, and scikit-learn's callbacks."""

import threading

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.model_selection import GridSearchCV

from hyperrank import HyperDPORanker, QueryKFold, datasets
from hyperrank.networks import MLP

QUICK = {"max_epochs": 3, "network": MLP(hidden=(8, 8)), "random_state": 0}


def test_warm_start_goes_on_from_the_last_fit(small, unseen):
    cold = HyperDPORanker(**QUICK).fit(small.X, small.Y, qid=small.qid)
    warm = HyperDPORanker(warm_start=True, **QUICK).fit(small.X, small.Y, qid=small.qid)
    np.testing.assert_array_equal(warm.predict(unseen.X), cold.predict(unseen.X))
    reference, first_loss = warm.reference_, warm.history_[0]["loss"]
    warm.fit(small.X, small.Y, qid=small.qid)
    assert warm.reference_ is reference
    assert warm.history_[0]["loss"] < first_loss
    cold.fit(small.X, small.Y, qid=small.qid)
    assert cold.history_[0]["loss"] == first_loss


def test_partial_fit_learns_from_new_queries(small, unseen):
    ranker = HyperDPORanker(**QUICK)
    ranker.partial_fit(small.X, small.Y, qid=small.qid)
    assert len(ranker.history_) == 3
    before, transform = ranker.predict(unseen.X), ranker.model_.transform
    ranker.partial_fit(unseen.X, unseen.Y, qid=unseen.qid)
    assert len(ranker.history_) == 1
    assert ranker.model_.transform is transform
    assert not np.array_equal(ranker.predict(unseen.X), before)
    np.testing.assert_array_equal(
        ranker.predict(unseen.X, temperature=0),
        HyperDPORanker(**QUICK).fit(small.X, small.Y, qid=small.qid).predict(unseen.X, temperature=0),
    )


def test_going_on_with_other_data_is_refused(small):
    ranker = HyperDPORanker(warm_start=True, **QUICK).fit(small.X, small.Y, qid=small.qid)
    with pytest.raises(ValueError, match=r"y has 1 columns, but the objectives are \['objective_0'"):
        ranker.fit(small.X, small.Y[:, 0], qid=small.qid)
    with pytest.raises(ValueError, match="7 features"):
        ranker.partial_fit(small.X[:, :7], small.Y, qid=small.qid)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_names_of_objectives_are_kept_by_arrays(small, method):
    names = ("relevance", "clicks")
    ranker = HyperDPORanker("lightgbm", reference_objective="clicks", warm_start=True, **QUICK)
    ranker.fit(small.X, pd.DataFrame(small.Y, columns=names), qid=small.qid)
    getattr(ranker, method)(small.X, small.Y, qid=small.qid)
    assert ranker.objectives_ == names
    assert ranker.predict(small.X, weights={"clicks": 1.0}).shape == (len(small.X),)


def test_eval_set_is_validation_data_under_another_name(small, unseen):
    own = HyperDPORanker(**QUICK).fit(
        small.X, small.Y, qid=small.qid, X_val=unseen.X, y_val=unseen.Y, qid_val=unseen.qid
    )
    for given in ([(unseen.X, unseen.Y)], (unseen.X, unseen.Y)):
        other = HyperDPORanker(**QUICK).fit(
            small.X, small.Y, qid=small.qid, eval_set=given, eval_qid=[unseen.qid]
        )
        assert other.best_score_ == own.best_score_
    one_row = HyperDPORanker(**QUICK)
    row = np.flatnonzero((unseen.Y > 0).all(axis=1))[:1]
    one_row.fit(small.X, small.Y, qid=small.qid, eval_set=[(unseen.X[row], unseen.Y[row])], eval_qid=["a"])
    assert np.isfinite(one_row.best_score_)
    for wrong in ([], [(unseen.X, unseen.Y)] * 2, [unseen.X], unseen.X, pd.DataFrame(unseen.X), 5, "ab"):
        with pytest.raises(ValueError, match="eval_set must be one pair"):
            HyperDPORanker().fit(small.X, small.Y, eval_set=wrong)
    with pytest.raises(ValueError, match="as X_val and as eval_set"):
        HyperDPORanker().fit(
            small.X, small.Y, X_val=unseen.X, y_val=unseen.Y, eval_set=[(unseen.X, unseen.Y)]
        )


def test_validation_data_that_a_search_would_cut_are_noticed():
    data = datasets.make_multilabel_ranking(n_queries=12, list_size=5, n_features=4, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        ranker = HyperDPORanker(**QUICK).set_fit_request(qid=True, X_val=True, y_val=True, qid_val=True)
        search = GridSearchCV(ranker, {"trade_offs__alpha": [1.0]}, cv=QueryKFold(2), refit=False)
        with pytest.warns(UserWarning, match="exactly as many rows as X .30."):
            search.fit(data.X, data.Y, qid=data.qid, X_val=data.X, y_val=data.Y, qid_val=data.qid)


def test_callbacks_see_every_epoch(small):
    callback = pytest.importorskip("sklearn.callback")
    monitor = callback.ScoringMonitor(scoring={"score": lambda r, X, y, qid: r.score(X, y, qid=qid)})
    ranker = HyperDPORanker(reference=None, **QUICK).set_callbacks(monitor)
    ranker.fit(small.X, small.Y, qid=small.qid)
    log = monitor.get_logs().data_as_pandas
    epochs = log[log["task_name"] == "epoch"]
    assert len(epochs) == 3
    assert epochs["score"].between(0, 1).all()
    assert epochs["score"].nunique() > 1


def test_callbacks_end_with_each_call(small, unseen):
    """A progress bar that is not told of the end keeps the interpreter from leaving."""
    callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    before = threading.enumerate()
    ranker = HyperDPORanker(reference=None, **QUICK).set_callbacks(callback.ProgressBar())
    for data in (small, unseen):
        ranker.partial_fit(data.X, data.Y, qid=data.qid)
        assert not hasattr(ranker, "_callback_fit_ctx")
    waiting = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    assert not waiting


def test_progress_bar_under_a_search(small, capsys):
    callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            HyperDPORanker(reference=None, **QUICK), {"trade_offs__alpha": [1.0]}, cv=QueryKFold(2)
        )
        search.set_callbacks(callback.ProgressBar())
        search.fit(small.X, small.Y, qid=small.qid)
    assert "GridSearchCV" in capsys.readouterr().out


def test_frames_from_transformers_keep_their_names(small, unseen):
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().set_output(transform="pandas")
    frame = scaler.fit_transform(pd.DataFrame(small.X, columns=small.feature_names))
    ranker = HyperDPORanker(**QUICK).fit(frame, small.Y, qid=small.qid)
    assert list(ranker.feature_names_in_) == list(small.feature_names)
    swapped = scaler.transform(pd.DataFrame(unseen.X, columns=small.feature_names)).iloc[:, ::-1]
    with pytest.raises(ValueError, match="feature names should match"):
        ranker.predict(swapped)
