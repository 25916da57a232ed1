"""Fixtures for the benchmarks: short training, few lists, LETOR text."""

from __future__ import annotations

import numpy as np
import pytest

import hyperrank
from benchmarks.fronts.methods import METHODS
from benchmarks.fronts.sources import Synthetic

NETWORK = {"max_epochs": 1, "network__hidden": (8, 8), "reference": "lightgbm"}
TREES = {"num_boost_round": 2}


@pytest.fixture(scope="session")
def short_params():
    """Parameters that make every method's training short."""
    trees = {
        key: {"booster_params": TREES} for key, method in METHODS.items() if hasattr(hyperrank, method.ranker)
    }
    networks = {key: NETWORK for key, method in METHODS.items() if method.is_dpo}
    alone = {key: value for key, value in NETWORK.items() if key != "reference"}
    return {key: trees.get(key, {}) | networks.get(key, {}) for key in METHODS} | {"hyperdpo-network": alone}


@pytest.fixture(scope="session")
def few():
    """A few short lists of the generator."""
    return Synthetic(
        ["objective_0", "objective_1"], 2, {"n_queries": 24, "list_size": (4, 8), "n_features": 6}
    )


@pytest.fixture
def write_letor():
    """Write LETOR text with labels 0 to 2 and random features."""

    def write(path, qids, n_features, *, n_documents=6, seed=0):
        rng = np.random.default_rng([seed, *qids])
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = []
        for qid in qids:
            for document in range(n_documents):
                label = rng.integers(3) if document else 2
                values = rng.integers(1, 1000, n_features)
                features = " ".join(f"{j}:{value}" for j, value in enumerate(values, start=1))
                lines.append(f"{label} qid:{qid} {features}")
        path.write_text("\n".join(lines) + "\n")

    return write
