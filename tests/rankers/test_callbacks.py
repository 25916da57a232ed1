"""What is seen of a fit: its phases, its history, callbacks, and the importances of features."""

import io
import pickle
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import hyperrank
from hyperrank import Callback, HyperDPORanker, datasets
from hyperrank.networks import MLP

#: Beta is tuned, on networks trained for an epoch.
OPTIONS = {
    "objectives": ("relevance", "clicks"),
    "booster_params": {"num_iterations": 2, "num_threads": 1},
    "network": MLP(hidden=(8, 8)),
    "max_epochs": 3,
    "random_state": 0,
}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "callbacks.md"


@pytest.fixture(scope="module")
def data():
    return datasets.make_multilabel_ranking(
        n_queries=110, list_size=4, n_features=5, n_objectives=2, random_state=0
    )


@pytest.fixture(scope="module")
def validation(data):
    return {"X_val": data.X[-40:], "y_val": data.Y[-40:], "qid_val": data.qid[-40:]}


def fit(data, validation, **options):
    return HyperDPORanker(**OPTIONS, **options).fit(data.X, data.Y, qid=data.qid, **validation)


class Recorder(Callback):
    def __init__(self):
        self.calls = []

    def on_fit_begin(self, ranker):
        self.calls.append(("begin", len(ranker.history_)))

    def on_epoch_end(self, ranker, entry):
        assert ranker.history_[-1] == entry
        self.calls.append(("epoch", len(ranker.history_)))

    def on_fit_end(self, ranker):
        assert ranker.best_epoch_
        self.calls.append(("end", len(ranker.history_)))


@pytest.fixture(scope="module")
def recorder():
    return Recorder()


@pytest.fixture(scope="module")
def fitted(data, validation, recorder):
    """A ranker, and what its fit wrote to a log."""
    stderr, sys.stderr = sys.stderr, io.StringIO()
    try:
        ranker = fit(data, validation, callbacks=[recorder], verbose=1)
        return ranker, sys.stderr.getvalue()
    finally:
        sys.stderr = stderr


BOOSTERS = [f"{kind} boosters: 100% 4/4" for kind in ("ranking", "regression", "regression in the list")]


def test_a_log_has_a_line_for_each_phase(fitted):
    lines = [re.sub(r" \[.*", "", line) for line in fitted[1].splitlines()]
    chosen = [line for line in lines if line.startswith("tuning on held-out queries: 3 epochs, dropout 0.5,")]
    assert lines == ["reading", *BOOSTERS, "tuning: 100% 3/3", *chosen, *BOOSTERS, "training: 100% 3/3"]
    assert len(chosen) == 1


def test_a_front_is_a_phase_too(fitted, data, capfd):
    fitted[0].pareto_front(data.X, data.Y, qid=data.qid, weights=[[1, 0], [0, 1]])
    assert capfd.readouterr().err.startswith("front: 100% 1/1 [")


def test_callbacks_follow_a_fit_whose_history_grows(fitted, recorder):
    epochs = [("epoch", n) for n in (1, 2, 3)]
    assert recorder.calls == [("begin", 0), *epochs, ("end", 3)]


def test_entries_have_the_metrics_of_validation_under_other_names_too(fitted):
    ranker = fitted[0]
    last = ranker.history_[-1]
    assert list(last) == ["epoch", "loss", "score", "validation/relevance", "validation/clicks", "seconds"]
    assert last["score"] < min(last["validation/relevance"], last["validation/clicks"]) <= 1
    assert ranker.best_iteration_ == ranker.best_epoch_
    results = ranker.evals_result_
    assert results["training"]["loss"] == [entry["loss"] for entry in ranker.history_]
    assert list(results["validation"]) == ["hypervolume", "relevance", "clicks"]
    assert max(results["validation"]["hypervolume"]) == ranker.best_score_


def test_without_validation_there_is_the_loss_alone(data):
    ranker = HyperDPORanker(reference=None, max_epochs=1, network=MLP(hidden=(8, 8)), random_state=0)
    ranker.fit(data.X[:80], data.Y[:80], qid=data.qid[:80])
    assert ranker.evals_result_ == {"training": {"loss": [ranker.history_[0]["loss"]]}}


def test_a_function_stops_training_by_true_and_the_fit_by_raising(data, validation):
    ranker = fit(data, validation, reference=None, callbacks=[lambda entry: entry["epoch"] == 2])
    assert len(ranker.history_) == 2

    class GaveUpError(Exception):
        pass

    def give_up(entry):
        entry.clear()
        raise GaveUpError

    ranker = HyperDPORanker(**OPTIONS, reference=None, callbacks=[give_up])
    with pytest.raises(GaveUpError):
        ranker.fit(data.X, data.Y, qid=data.qid)
    assert [entry["epoch"] for entry in ranker.history_] == [1]


@pytest.mark.parametrize("wrong", [5, [None], [Callback], "log"], ids=str)
def test_what_is_not_a_callback_is_refused(data, wrong):
    with pytest.raises(ValueError, match=r"callbacks must be a list of hyperrank\.Callback"):
        HyperDPORanker(callbacks=wrong).fit(data.X, data.Y, qid=data.qid)


def test_clones_share_callbacks_and_files_have_none(fitted, recorder, tmp_path):
    ranker = fitted[0]
    assert clone(ranker).callbacks == [recorder]
    assert hyperrank.load(ranker.save(tmp_path / "ranker.safetensors")).callbacks is None


def test_importances_name_the_features_that_move_the_score(data):
    """Labels by the first feature; another is the same for all documents of a query."""
    X = data.X.copy()
    X[:, 4] = data.qid % 7
    y = np.clip(np.round(X[:, :1] + 1), 0, 4)
    ranker = HyperDPORanker(booster_params={"num_iterations": 20}, max_epochs=2, random_state=0)
    ranker.fit(X[:320], y[:320], qid=data.qid[:320])
    importances = ranker.feature_importances_
    assert importances.shape == (5,)
    assert importances.sum() == pytest.approx(1)
    assert importances[0] > 0.8
    assert importances[4] == 0
    ranker.fit(X[:320], np.clip(np.round(X[:320, 1:2] + 1), 0, 4), qid=data.qid[:320])
    assert ranker.feature_importances_[1] > 0.8


def test_importances_are_in_files_and_pickles(fitted, tmp_path):
    ranker = fitted[0]
    loaded = hyperrank.load(ranker.save(tmp_path / "ranker.safetensors"))
    np.testing.assert_array_equal(loaded.feature_importances_, ranker.feature_importances_)
    again = pickle.loads(pickle.dumps(ranker.set_params(callbacks=None)))
    np.testing.assert_array_equal(again.feature_importances_, ranker.feature_importances_)
    assert not hasattr(HyperDPORanker(), "feature_importances_")


class TrialPrunedError(Exception):
    pass


class Trial:
    def __init__(self):
        self.reports = []

    def suggest_float(self, name, low, high, log):
        return low

    def report(self, value, step):
        self.reports.append((step, value))

    def should_prune(self):
        return len(self.reports) == 2


class Writer:
    curves: dict[str, list[int]] = {}  # noqa: RUF012 - one for all, to be looked at

    def __init__(self, folder):
        self.folder = folder

    def add_scalar(self, name, value, step):
        self.curves.setdefault(name, []).append(step)

    def close(self):
        self.curves["closed"] = [self.folder]


def test_recipes_of_the_page(data, validation, monkeypatch):
    """Optuna, MLflow and TensorBoard are stood in for by as much of them as the recipes use."""
    logged = []
    modules = {
        "optuna": {"TrialPruned": TrialPrunedError},
        "mlflow": {"log_metrics": lambda metrics, step: logged.append((step, *metrics))},
        "torch.utils.tensorboard": {"SummaryWriter": Writer},
    }
    for name, content in modules.items():
        module = types.ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    session = {}
    for code in re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(code, session)
    trial = Trial()
    with pytest.raises(TrialPrunedError):
        session["objective"](trial)
    assert [step for step, _ in trial.reports] == [1, 2]
    recipes = [session["log_to_mlflow"], session["TensorBoard"]("runs/1")]
    names = list(fit(data, validation, reference=None, callbacks=recipes).history_[0])
    assert logged == [(step, *names) for step in (1, 2, 3)]
    assert Writer.curves == {**{name: [1, 2, 3] for name in names}, "closed": ["runs/1"]}
    # MLflow's rule for names of metrics.
    assert all(re.fullmatch(r"[\w\-. :/]+", name) for name in names)
