"""A fitted ranker as an ONNX file."""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from hyperrank._version import __version__
from hyperrank.export.networks import ServedRanker, served_ranker
from hyperrank.export.references import BoosterKeys
from hyperrank.export.trees import fill_in_trees
from hyperrank.files import write_atomically
from hyperrank.rankers import BaseRanker

__all__ = ["to_onnx"]

#: Of ONNX's own operators; runtimes from the end of 2024 know it.
OPSET = 20
#: Sizes of the rows that the graph is traced with: no other size in it is likely to be the same by chance.
N_TRACED, K_TRACED = 7, 5


def to_onnx(ranker: BaseRanker, path: str | Path, *, include_reference: bool = True) -> Path:
    """Write a fitted ranker to an ONNX file, which scores as its ``predict`` does.

    All rows of a request are one list, as where ``predict`` is given no ``qid``: where features are
    standardised within the list, score one query at a time. Inputs, of any number of rows n and trade-offs k:

    - ``X``, float32 of shape (n, d), NaN where missing;
    - ``weights``, float32 of shape (k, m), each row on the simplex, which the file does not check;
    - ``temperature``, float32 of shape (1,): 0 gives the reference, 1 what was trained. The file does
      not check that it lies in the `temperature_range` of a ranker that has one;
    - ``ref_scores``, float64 of shape (n,), or (n, m) for a reference with one score per objective: only
      where the reference is not in the file.

    The output is ``scores``, float64 of shape (n, k).

    Parameters
    ----------
    ranker : HyperDPORanker, SoupRanker or MixedScoresRanker
        Fitted.
    path : path
        Of the file, which is replaced if it exists, whole or not at all.
    include_reference : bool, default True
        Whether the reference is in the file: boosters that were fitted here, or models of LightGBM's. Of a
        reference outside give the scores: ``predict`` gives them at temperature 0, and those of a reference
        with one score per objective under the weights of `hyperrank.simplex.corners`.

    Returns
    -------
    Path

    Raises
    ------
    NotFittedError
        Before fit.
    ImportError
        If ONNX is not installed: ``pip install "hyperrank[onnx]"``.
    ValueError
        If the ranker holds one model per trade-off, or its reference cannot be joined to the graph.
    OSError
        If the file cannot be written.

    Notes
    -----
    Its metadata hold ``class``, ``hyperrank_version``, and as JSON ``objectives``, ``feature_names`` (null
    where they have none), ``default_weights`` and ``inputs``.

    Features are compared with the boosters' thresholds in float32, where a LightGBM model that was fitted
    elsewhere sees what the caller of ``predict`` passes.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import onnxruntime
    >>> from hyperrank import HyperDPORanker, datasets, export
    >>> data = datasets.make_multilabel_ranking(n_queries=60, n_objectives=2, random_state=0)
    >>> ranker = HyperDPORanker(max_epochs=1, random_state=0).fit(data.X, data.Y, qid=data.qid)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     session = onnxruntime.InferenceSession(export.to_onnx(ranker, f"{folder}/ranker.onnx"))
    >>> X, weights = data.X[data.qid == data.qid[0]], np.array([[0.7, 0.3], [0.2, 0.8]])
    >>> inputs = {"X": X, "weights": weights.astype("f"), "temperature": np.ones(1, "f")}
    >>> (scores,) = session.run(None, inputs)
    >>> bool(np.abs(scores - ranker.predict(X, weights=weights)).max() < 1e-5)
    True
    """
    check_is_fitted(ranker)
    onnx = _onnx()
    keys = BoosterKeys()
    # A copy on the CPU: a ranker that was trained on a GPU stays there.
    served = copy.deepcopy(served_ranker(ranker, keys, include_reference=include_reference)).cpu().eval()
    model = _exported(served, ranker)
    fill_in_trees(model.graph, keys.made)
    _describe(model, ranker, served.input_names)
    onnx.checker.check_model(model, full_check=True)
    return write_atomically(path, model.SerializeToString())


def _onnx() -> Any:
    """The package, where all that the exporter needs is installed."""
    try:
        import_module("onnxscript")
        return import_module("onnx")
    except ImportError as error:
        raise ImportError(f'{error}: pip install "hyperrank[onnx]" brings what to_onnx needs.') from error


def _exported(served: ServedRanker, ranker: BaseRanker) -> Any:
    """The graph as torch exports it."""
    n, k = torch.export.Dim("n"), torch.export.Dim("k")
    sizes: dict[str, Any] = {"X": {0: n}, "weights": {0: k}, "temperature": {}, "ref_scores": {0: n}}
    names = served.input_names
    examples = _examples(ranker.n_features_in_, len(ranker.objectives_), served.n_parts)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            served,
            tuple(examples[name] for name in names),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=names,
            output_names=["scores"],
            dynamic_shapes=(tuple(sizes[name] for name in names),),
        )
    assert program is not None
    return program.model_proto


def _examples(n_features: int, n_objectives: int, n_parts: int) -> dict[str, Tensor]:
    """Inputs to trace the graph with."""
    parts = (N_TRACED,) if n_parts < 2 else (N_TRACED, n_parts)
    return {
        "X": torch.zeros(N_TRACED, n_features),
        "weights": torch.full((K_TRACED, n_objectives), 1 / n_objectives),
        "temperature": torch.ones(1),
        "ref_scores": torch.zeros(parts, dtype=torch.float64),
    }


def _describe(model: Any, ranker: BaseRanker, inputs: list[str]) -> None:
    """Say in the file what it is, in the place of what the exporter noted of this machine."""
    from onnx import helper

    graph = model.graph
    for part in (
        model,
        graph,
        *graph.node,
        *graph.input,
        *graph.output,
        *graph.value_info,
        *graph.initializer,
    ):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    names = getattr(ranker, "feature_names_in_", None)
    m = len(ranker.objectives_)
    model.producer_name, model.producer_version = "hyperrank", __version__
    properties = {
        "class": type(ranker).__name__,
        "hyperrank_version": __version__,
        "objectives": json.dumps(list(ranker.objectives_)),
        "feature_names": json.dumps(None if names is None else [str(name) for name in names]),
        "default_weights": json.dumps([1 / m] * m),
        "inputs": json.dumps(inputs),
    }
    helper.set_model_props(model, properties)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of its own insides."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
