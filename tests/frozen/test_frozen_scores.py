"""Scores under a seed, which no change of the inside moves."""

import json

import numpy as np
import pytest
from freeze import SCORES, SEEDED, seeded_scores

FROZEN = json.loads(SCORES.read_text())


@pytest.mark.parametrize("name", SEEDED)
def test_scores_under_a_seed(name):
    """To a tolerance: processors round differently, and training carries that on."""
    np.testing.assert_allclose(seeded_scores(name), FROZEN[name], rtol=1e-4, atol=1e-5)
