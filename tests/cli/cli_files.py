"""Small files of every kind with the same content, and a model of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import hyperrank
from hyperrank import HyperDPORanker, datasets
from hyperrank.networks import MLP

FEATURES = [f"feature_{j}" for j in range(1, 7)]
LABELS = ["relevance", "clicks"]
#: A fit of a second, and the same in Python.
SHORT = (
    "--reference lightgbm --seed 0 --set max_epochs=1 --set network__hidden=[8,8] "
    '--set booster_params={\\"num_iterations\\":5}'
)
SHORT_IN_PYTHON = {
    "reference": "lightgbm",
    "random_state": 0,
    "max_epochs": 1,
    "network": MLP(hidden=[8, 8]),
    "booster_params": {"num_iterations": 5},
}


@dataclass(frozen=True)
class Files:
    """A folder with train and test data as CSV, Parquet, LETOR text and store, and a model of the former."""

    folder: Path
    train: pd.DataFrame
    test: pd.DataFrame
    ranker: HyperDPORanker

    @property
    def model(self) -> Path:
        return self.folder / "model.safetensors"

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


def frame(seed: int) -> pd.DataFrame:
    data = datasets.make_multilabel_ranking(
        n_queries=30, list_size=(2, 12), n_features=6, n_objectives=2, random_state=seed
    )
    table = pd.DataFrame(data.X, columns=FEATURES)
    labels = pd.DataFrame(data.Y, columns=LABELS)
    return pd.concat([pd.Series(data.qid, name="qid"), table, labels], axis=1)


def letor_lines(table: pd.DataFrame) -> str:
    """LETOR text whose seventh feature is the label ``clicks``."""
    lines = []
    for row in table.to_dict("records"):
        values = [row[name] for name in [*FEATURES, "clicks"]]
        pairs = " ".join(f"{j}:{float(value)!r}" for j, value in enumerate(values, start=1))
        lines.append(f"{row['relevance']:g} qid:{row['qid']} {pairs}\n")
    return "".join(lines)


def fitted(table: pd.DataFrame, **options: object) -> HyperDPORanker:
    ranker = HyperDPORanker(**{**SHORT_IN_PYTHON, **options}, objectives=LABELS)
    return ranker.fit(table[FEATURES], table[LABELS].to_numpy(), qid=table["qid"].to_numpy())


def same_scores(path: Path, files: Files, **weights: float) -> bool:
    """Whether a model scores the test rows as the one fitted in Python, to the bit."""
    ranker = hyperrank.load(path)
    X = files.test[FEATURES].set_axis(list(ranker.feature_names_in_), axis=1)
    qid = files.test["qid"].to_numpy()
    found = ranker.predict(X, qid=qid, weights=weights or None)
    expected = files.ranker.predict(files.test[FEATURES], qid=qid, weights=weights or None, temperature=1)
    return bool(np.array_equal(found, expected))
