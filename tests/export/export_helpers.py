"""Running exported files, and comparing them with predict."""

import numpy as np

SOME_WEIGHTS = np.array([[0.7, 0.3], [0.0, 1.0], [0.25, 0.75]])


def served(session, X, weights, temperature=1.0, ref_scores=None):
    """Scores of a file."""
    given = {
        "X": np.asarray(X, dtype=np.float32),
        "weights": np.asarray(weights, dtype=np.float32),
        "temperature": np.array([temperature], dtype=np.float32),
        "ref_scores": ref_scores,
    }
    (scores,) = session.run(["scores"], {put.name: given[put.name] for put in session.get_inputs()})
    return scores


def assert_same(found, expected):
    """Scores that differ by at most a 100,000th of the largest score, or of 1."""
    assert found.shape == expected.shape
    assert found.dtype == np.float64
    assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())
