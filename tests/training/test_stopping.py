"""Early stopping: the default rule, a rule of the user's, and what is refused."""

import math

import pytest
from sklearn.base import clone
from training_helpers import data_of, network_of, run

from hyperrank.training import EarlyStopping, resolve_stopping


def stops_at(rule: EarlyStopping, scores: list[float]) -> int:
    """The first epoch after which training stops; 0 for none."""
    history = [{"epoch": n, "score": score} for n, score in enumerate(scores, start=1)]
    return next((n for n in range(1, len(history) + 1) if rule(history[:n])), 0)


@pytest.mark.parametrize(
    ("options", "scores", "expected"),
    [
        ({"patience": 2}, [0.3, 0.5, 0.4, 0.5, 0.6], 4),
        ({"patience": 2}, [0.3, 0.5, 0.4, 0.6, 0.5, 0.5], 6),
        ({"patience": 1}, [math.nan, 0.3], 1),
        ({"patience": 2}, [math.nan, 0.3, math.nan, 0.2], 4),
        ({"patience": 2, "min_delta": 0.1}, [0.3, 0.35, 0.39, 0.6], 3),
        ({"patience": 2, "min_delta": 0.1}, [0.3, 0.35, 0.45, 0.46, 0.5], 5),
        ({"patience": 3}, [0.1, 0.2, 0.3, 0.4], 0),
    ],
)
def test_patience_and_least_improvement(options, scores, expected):
    assert stops_at(EarlyStopping(**options), scores) == expected


def test_epochs_without_a_score_do_not_count():
    history = [{"score": 0.5}, {"loss": 1.0}, {"loss": 1.0}, {"score": 0.4}]
    assert not EarlyStopping(patience=2)(history)
    assert EarlyStopping(patience=1)(history)


def test_it_is_an_estimator_that_searches_can_set():
    rule = clone(EarlyStopping(min_delta=0.1)).set_params(patience=3)
    assert rule.get_params() == {"patience": 3, "min_delta": 0.1, "fraction": 0.1}


def test_a_rule_of_the_users_ends_training():
    rule = lambda history: history[-1:] != [] and history[-1]["epoch"] == 2  # noqa: E731
    result = run(network_of(), data_of(), max_epochs=5, stopping=rule)
    assert len(result.history) == 2
    assert resolve_stopping(rule) == (rule, 0.1)


def test_what_a_parameter_resolves_to():
    assert resolve_stopping(False) == (None, 0.1)
    given = EarlyStopping(patience=2, fraction=0.3)
    assert resolve_stopping(given) == (given, 0.3)
    for value in (True, "auto"):
        rule, fraction = resolve_stopping(value)
        assert rule.get_params() == EarlyStopping().get_params()
        assert fraction == 0.1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3, "early_stopping must be True, False, 'auto', EarlyStopping"),
        ("never", "got 'never'"),
        (EarlyStopping, "early_stopping must be"),
        (EarlyStopping(patience=0), "patience must be a whole number at least 1"),
        (EarlyStopping(min_delta=-1), "min_delta must be"),
        (EarlyStopping(fraction=1), "fraction must be"),
    ],
)
def test_what_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        resolve_stopping(given)
