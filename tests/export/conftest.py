import numpy as np
import pytest

from hyperrank import datasets
from hyperrank.export import to_onnx


@pytest.fixture(scope="session")
def holed():
    """Generated data, a fifth of whose values are missing, except in two columns."""
    data = datasets.make_multilabel_ranking(
        n_queries=40, list_size=(5, 30), n_features=7, n_objectives=2, conflict=0.8, random_state=5
    )
    missing = np.random.default_rng(0).random(data.X.shape) < 0.2
    missing[:, :2] = False
    data.X[missing] = np.nan
    return data


@pytest.fixture
def session_of(tmp_path):
    """What runs the file of a ranker, on one thread."""
    ort = pytest.importorskip("onnxruntime")

    def session(ranker, **options):
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = 1
        return ort.InferenceSession(to_onnx(ranker, tmp_path / "ranker.onnx", **options), settings)

    return session
