"""ONNX export of fitted rankers."""

from __future__ import annotations

import copy
import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from hyperrank._categories import Categories
from hyperrank._checks import import_extra
from hyperrank._environment import isolated
from hyperrank._version import __version__
from hyperrank.export.modules import (
    ServedObjectives,
    ServedTransform,
    fill_in_trees,
    number_trees,
    served_reference,
    standardize_one_list,
)
from hyperrank.files import check_suffix, check_writable, write_atomically
from hyperrank.networks import ConditionedScorer
from hyperrank.networks.feature_transforms import row_of
from hyperrank.rankers import BaseRanker, HyperDPORanker, MixedScoresRanker, SoupRanker
from hyperrank.rankers.baselines.soup import RewardSoup
from hyperrank.rankers.dpo.reward_model import RewardModel
from hyperrank.reference import NoReference, PerObjectiveReference, Reference, ScoresReference


class ServedRanker(nn.Module):
    """Scores of the rows of one list: reference, and rewards times `reward_scale` and temperature.

    `n_passed` scores of the reference per document are an input; with none of them and no module there is
    no reference. `trained` is the range of temperatures that the rewards know.
    """

    reward_scale: Tensor
    trained: Tensor | None

    def __init__(
        self,
        rewards: nn.Module | None,
        reference: nn.Module | None,
        *,
        reward_scale: float,
        n_passed: int,
        trained: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        self.rewards, self.reference, self.n_passed = rewards, reference, n_passed
        # No plain numbers, which the exporter would round to float32.
        self.register_buffer("reward_scale", torch.tensor(reward_scale, dtype=torch.float64))
        known = None if trained is None else torch.tensor(trained, dtype=torch.float64)
        self.register_buffer("trained", known)

    @property
    def input_names(self) -> list[str]:
        """Names of the arguments of `forward`, in order."""
        names = {
            "X": self.rewards is not None or self.reference is not None,
            "weights": True,
            "temperature": self.rewards is not None,
            "ref_scores": self.n_passed > 0,
        }
        return [name for name, is_taken in names.items() if is_taken]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Scores of shape (n, k), float64."""
        named = dict(zip(self.input_names, inputs, strict=True))
        weights = named["weights"]
        base = self._mixed_reference(named, weights)
        if self.rewards is None:
            assert base is not None
            return base
        temperature = named["temperature"].double()
        rewards = self.rewards(named["X"], self._condition(weights, temperature)).double()
        change = temperature * self.reward_scale * rewards
        return change if base is None else base + change

    def _condition(self, weights: Tensor, temperature: Tensor) -> Tensor:
        """What conditions the rewards: as `condition_weights` puts it together."""
        if self.trained is None:
            return weights
        low, high = self.trained[:1], self.trained[1:]
        place = 2 * torch.log(torch.maximum(temperature, low) / low) / torch.log(high / low) - 1
        column = place.to(weights.dtype).expand(weights.shape[0])
        return torch.cat([weights, column[:, None]], dim=1)

    def _mixed_reference(self, named: dict[str, Tensor], weights: Tensor) -> Tensor | None:
        """Reference scores under the weights, shape (n, 1) or (n, k)."""
        if isinstance(self.reference, ServedObjectives):
            temperature = named["temperature"].double()
            scores = self.reference(named["X"], temperature, named.get("ref_scores"))
        elif self.reference is not None:
            scores = self.reference(named["X"])
        elif self.n_passed:
            scores = named["ref_scores"]
        else:
            return None
        if scores.ndim == 1:
            scores = scores[:, None]
        if scores.shape[1] != weights.shape[1]:
            return scores
        # Term by term as `Reference.mix` does it; and onnxruntime 1.22 fails at products of doubles.
        mixed = scores[:, :1] * weights[:, 0].double()
        for number in range(1, scores.shape[1]):
            mixed = mixed + scores[:, number : number + 1] * weights[:, number].double()
        return mixed


class ServedRewards(nn.Module):
    """Rewards of the rows of one list under any weights, as `RewardModel.rewards` gives them."""

    def __init__(self, model: RewardModel) -> None:
        super().__init__()
        self.transform = ServedTransform(model.transform)
        self.query_standardize = model.query_standardize
        self.network = MixedNetwork(model) if isinstance(model, RewardSoup) else model.network

    def forward(self, features: Tensor, weights: Tensor) -> Tensor:
        """Rewards of shape (n, k)."""
        inputs = self.transform(features)
        if self.query_standardize:
            n_plain = inputs.shape[1] - self.transform.n_categorical
            plain = inputs[:, :n_plain]
            standardized = standardize_one_list(plain, may_miss=False)
            inputs = torch.cat([plain, standardized, inputs[:, n_plain:]], dim=1)
        scores: Tensor = self.network(inputs, weights)
        return scores


class MixedNetwork(nn.Module):
    """The network whose parameters are the mean of several networks', for each row of weights."""

    def __init__(self, soup: RewardSoup) -> None:
        super().__init__()
        trunk = (f"trunk.{number}" for number in range(len(soup.network.trunk)))
        self.hidden_layers = [*trunk, "conditioned.shared"]
        self.ingredients = soup.ingredients
        self.n_tables = len(soup.network.categories.tables)
        self.n_members = soup.network.n_members

    def forward(self, features: Tensor, weights: Tensor) -> Tensor:
        """Scores of shape (n, k)."""
        n_plain = features.shape[1] - self.n_tables
        hidden = features[None, :, :n_plain]
        for number in range(self.n_tables):
            tables = self._mixed(f"categories.tables.{number}", weights)
            rows = row_of(features[:, n_plain + number], tables[0])
            embedded = tables.index_select(1, rows)
            hidden = torch.cat([hidden.expand(embedded.shape[0], -1, -1), embedded], dim=2)
        for layer in self.hidden_layers:
            hidden = nn.functional.silu(self._linear(layer, hidden, weights))
        return self._linear("head", hidden, weights)[:, :, 0].T / self.n_members

    def _linear(self, layer: str, hidden: Tensor, weights: Tensor) -> Tensor:
        """A mixed layer, shape (k, n, n_out), of input of shape (k, n, n_in) or (1, n, n_in)."""
        matrix, bias = self._mixed(f"{layer}.weight", weights), self._mixed(f"{layer}.bias", weights)
        return torch.matmul(hidden, matrix.transpose(1, 2)) + bias[:, None]

    def _mixed(self, name: str, weights: Tensor) -> Tensor:
        """A parameter under each row of weights, mixed in double precision, shape (k, ...)."""
        ingredients = self.ingredients[name]
        flat = weights.double() @ ingredients.double().flatten(1)
        return flat.to(ingredients.dtype).reshape(-1, *ingredients.shape[1:])


def served_ranker(ranker: BaseRanker, *, include_reference: bool) -> ServedRanker:
    """The module of a fitted ranker, or a ValueError if it does not hold all trade-offs in one graph."""
    if not isinstance(ranker, HyperDPORanker | SoupRanker | MixedScoresRanker):
        raise ValueError(
            f"{type(ranker).__name__} cannot be exported: HyperDPORanker, SoupRanker and MixedScoresRanker "
            "can, which hold every trade-off in one model."
        )
    reference: Reference = ranker.reference_
    rewards = None if isinstance(ranker, MixedScoresRanker) else _served_rewards(ranker.model_)
    served, n_passed = None, 0
    if isinstance(reference, PerObjectiveReference):
        served = served_reference(reference, ranker.n_features_in_, include_scorers=include_reference)
        n_passed = reference.needs_scores if include_reference else len(reference.scorers)
    elif isinstance(reference, NoReference):
        pass
    elif include_reference and not isinstance(reference, ScoresReference):
        served = served_reference(reference, ranker.n_features_in_)
    else:
        n_passed = 1 if reference.main is None else len(ranker.objectives_)
    return ServedRanker(
        rewards,
        served,
        reward_scale=float(getattr(ranker, "reward_scale_", 0.0)),
        n_passed=n_passed,
        trained=getattr(ranker, "temperature_range_", None),
    )


def _served_rewards(model: Any) -> ServedRewards:
    if type(model.network) is not ConditionedScorer:
        raise ValueError(f"a network of the kind {type(model.network).__name__} cannot be exported.")
    return ServedRewards(model)


#: Of ONNX's own operators; runtimes from the end of 2024 know it.
OPSET = 20
#: Sizes of the rows that the graph is traced with: no other size in it is likely to be the same by chance.
N_TRACED, K_TRACED = 7, 5


@isolated()
def to_onnx(ranker: BaseRanker, path: str | Path, *, include_reference: bool = True) -> Path:
    """Write a fitted ranker to an ONNX file with the scores of its ``predict``.

    All rows of a request are one list, as where ``predict`` is given no ``qid``: where features are
    standardised within the list, score one query at a time. Inputs, of any number of rows n and trade-offs k:

    - ``X``, float32 of shape (n, d), NaN where missing; of categorical features the codes: the places, from
      0, of the values that the metadata lists, and NaN for all others;
    - ``weights``, float32 of shape (k, m), each row on the simplex, which the file does not check;
    - ``temperature``, float32 of shape (1,): 0 gives the reference, 1 what was trained. The file does
      not check that it lies in the `temperature_range` of a ranker that has one;
    - ``ref_scores``, float64 of shape (n,), or (n, m) for a reference with one score per objective: only
      where the reference is not in the file. Of a mapping, what the scorers predict that are not.

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
        with one score per objective under the weights of `hyperrank.simplex.corners`. Of a mapping the
        scorers alone are left outside.

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
    where they have none), ``default_weights`` and ``inputs``, and ``categories``: for the
    position of each categorical feature, as text, its values, in the order of their codes.

    Features are compared with the boosters' thresholds in float32, where a LightGBM model that was fitted
    elsewhere sees what the caller of ``predict`` passes.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import onnxruntime
    >>> from hyperrank import HyperDPORanker, datasets, export
    >>> data = datasets.make_multilabel_ranking(n_queries=20, n_objectives=2, random_state=0)
    >>> ranker = HyperDPORanker("lightgbm", query_standardize=False, max_epochs=1, random_state=0)
    >>> ranker = ranker.fit(data.X, data.Y, qid=data.qid)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     session = onnxruntime.InferenceSession(export.to_onnx(ranker, f"{folder}/ranker.onnx"))
    >>> X, weights = data.X[data.qid == data.qid[0]], np.array([[0.7, 0.3], [0.2, 0.8]])
    >>> inputs = {"X": X, "weights": weights.astype("f"), "temperature": np.ones(1, "f")}
    >>> (scores,) = session.run(None, inputs)
    >>> bool(np.abs(scores - ranker.predict(X, weights=weights)).max() < 1e-5)
    True
    """
    if not isinstance(ranker, BaseRanker):
        raise TypeError(f"expected a fitted ranker of hyperrank's; got a {type(ranker).__name__}.")
    check_is_fitted(ranker)
    check_suffix(path, ".onnx")
    check_writable(path)
    import_extra("onnxscript", "onnx")  # which torch exports by
    onnx = import_extra("onnx", "onnx")
    # A copy on the CPU: a ranker that was trained on a GPU stays there.
    served = copy.deepcopy(served_ranker(ranker, include_reference=include_reference)).cpu().eval()
    sums = number_trees(served)
    model = _exported(served, ranker)
    fill_in_trees(model.graph, sums)
    _describe(model, ranker, served.input_names)
    onnx.checker.check_model(model, full_check=True)
    return write_atomically(path, model.SerializeToString())


def _exported(served: ServedRanker, ranker: BaseRanker) -> Any:
    """The graph as torch exports it."""
    n, k = torch.export.Dim("n"), torch.export.Dim("k")
    sizes: dict[str, Any] = {"X": {0: n}, "weights": {0: k}, "temperature": {}, "ref_scores": {0: n}}
    names = served.input_names
    examples = _examples(ranker.n_features_in_, len(ranker.objectives_), served.n_passed)
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


def _examples(n_features: int, n_objectives: int, n_scores: int) -> dict[str, Tensor]:
    """Inputs to trace the graph with."""
    shape = (N_TRACED,) if n_scores < 2 else (N_TRACED, n_scores)
    return {
        "X": torch.zeros(N_TRACED, n_features),
        "weights": torch.full((K_TRACED, n_objectives), 1 / n_objectives),
        "temperature": torch.ones(1),
        "ref_scores": torch.zeros(shape, dtype=torch.float64),
    }


def _describe(model: Any, ranker: BaseRanker, inputs: list[str]) -> None:
    """Say in the file what it is, in the place of what the exporter noted of this machine."""
    from onnx import helper

    graph = model.graph
    parts = chain(graph.node, graph.input, graph.output, graph.value_info, graph.initializer)
    for part in (model, graph, *parts):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    names = getattr(ranker, "feature_names_in_", None)
    categories: Categories | None = getattr(ranker, "categories_", None)
    m = len(ranker.objectives_)
    model.producer_name, model.producer_version = "hyperrank", __version__
    properties = {
        "class": type(ranker).__name__,
        "hyperrank_version": __version__,
        "objectives": json.dumps(list(ranker.objectives_)),
        "feature_names": json.dumps(None if names is None else [str(name) for name in names]),
        "default_weights": json.dumps([1 / m] * m),
        "inputs": json.dumps(inputs),
        "categories": json.dumps({} if categories is None else categories.values),
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
