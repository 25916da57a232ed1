"""Options of training as objects: optimiser, trade-offs, early stopping, checkpoint file."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from hyperrank._checks import Params, check_number
from hyperrank.files import storable

T = TypeVar("T")
TemperatureRange = tuple[float, float]
#: Given the entries of all epochs so far, whether training stops. Entries have ``epoch``, ``loss``,
#: ``seconds`` and, where the validation data were scored, ``score``.
StoppingRule: TypeAlias = Callable[[Sequence[dict[str, float]]], bool]
#: Bound of options that torch takes as float32.
LARGEST = 1e38


@storable
@dataclass
class AdamW(Params):
    """AdamW on batches of queries, with a running average of the parameters.

    Parameters
    ----------
    learning_rate : float or "auto", default "auto"
        Peak rate, after a warm-up and before a cosine decay. By default 8e-3, for a transformer 2e-3.
    weight_decay : float, default 1e-2
        Decoupled weight decay.
    average_decay : float, default 0.99
        Decay per step of the running average of the parameters, which is the result; 0 keeps the last ones.
    batch_docs : int or "auto", default "auto"
        Documents per batch, about: by default 1,024, and from 200,000 rows on 8,192. Queries stay whole up
        to 2,048 documents; longer ones are split at random.

    References
    ----------
    Loshchilov, Hutter: Decoupled Weight Decay Regularization, ICLR 2019.

    Examples
    --------
    >>> from hyperrank import HyperDPORanker
    >>> HyperDPORanker(optimizer=AdamW(learning_rate=1e-3)).set_params(optimizer__weight_decay=0).optimizer
    AdamW(learning_rate=0.001, weight_decay=0, average_decay=0.99, batch_docs='auto')
    """

    learning_rate: float | str = "auto"
    weight_decay: float = 1e-2
    average_decay: float = 0.99
    batch_docs: int | str = "auto"

    def _resolve(self, n_rows: int, learning_rate: float) -> AdamW:
        """Options checked, those that are "auto" chosen for training rows and by the network's rate."""
        rate, batch_docs = self.learning_rate, self.batch_docs
        if rate == "auto":
            rate = learning_rate
        if batch_docs == "auto":
            batch_docs = 1024 if n_rows < 200_000 else 8192
        return AdamW(
            learning_rate=check_number("learning_rate", rate, above=0, below=LARGEST, or_auto=True),
            weight_decay=check_number("weight_decay", self.weight_decay, at_least=0, below=LARGEST),
            average_decay=check_number("average_decay", self.average_decay, at_least=0, below=1),
            batch_docs=int(check_number("batch_docs", batch_docs, at_least=1, whole=True, or_auto=True)),
        )


@storable
@dataclass
class TradeOffs(Params):
    r"""Distribution of the trade-offs at which a network is trained.

    Parameters
    ----------
    alpha : float, default 1.0
        Concentration of the Dirichlet distribution of the weights: 1 is uniform, lower values favour the
        corners.
    n_draws : int, default 2
        Weights drawn per query and step; they share the unconditioned part of the network.
    temperature_range : (float, float), optional
        Range around 1 of temperatures that are an input of the network, for ``loss="listnet"`` with a
        reference. At each of them the network learns mostly what the reference leaves open. Predict then
        refuses temperatures outside the range, except 0. The reference is fitted four more times, each
        without some of the queries; one fitted elsewhere should not have been trained on these queries. By
        default the temperature is not an input, but a factor of the rewards.

    Examples
    --------
    >>> from hyperrank import HyperDPORanker
    >>> ranker = HyperDPORanker(trade_offs=TradeOffs(temperature_range=(0.5, 2.0)))
    """

    alpha: float = 1.0
    n_draws: int = 2
    temperature_range: TemperatureRange | None = None

    def _resolve(self) -> TradeOffs:
        """Options checked."""
        return TradeOffs(
            alpha=check_number("alpha", self.alpha, above=0),
            n_draws=int(check_number("n_draws", self.n_draws, at_least=1, whole=True)),
            temperature_range=_check_range(self.temperature_range),
        )


def _check_range(value: Any) -> TemperatureRange | None:
    """A range of temperatures as numbers, or None; a ValueError unless 0 < low <= 1 <= high."""
    if value is None:
        return None
    pair = np.asarray(value, dtype=object)
    is_pair = pair.shape == (2,) and all(isinstance(v, int | float | np.number) for v in pair)
    if not (is_pair and 0 < pair[0] <= 1 <= pair[1] < np.inf and pair[0] < pair[1]):
        raise ValueError(
            "temperature_range must be None or two numbers (low, high) with 0 < low <= 1 <= high and "
            f"low < high; got {value!r}."
        )
    return float(pair[0]), float(pair[1])


def condition_weights(
    weights: NDArray[np.float64], temperature: float, trained: TemperatureRange | None
) -> NDArray[np.float64]:
    """Weights (k, m) and where the temperature lies in the range, if any, which condition a network.

    A ValueError for one that the network was not trained at; 0, the reference itself, needs no network.
    """
    if trained is None:
        return weights
    low, high = trained
    if temperature != 0 and not low <= temperature <= high:
        raise ValueError(
            f"temperature must lie within temperature_range, {low:g} to {high:g}, or be 0 for the "
            f"reference itself; got {temperature!r}."
        )
    place = 2 * np.log(max(temperature, low) / low) / np.log(high / low) - 1
    return np.column_stack([weights, np.full(len(weights), place)])


@storable
@dataclass
class CheckpointFile(Params):
    """File in which an unfinished fit is stored.

    Parameters
    ----------
    path : path
        The file.
    every : float, default 60.0
        Seconds between checkpoints during training; earlier phases end with one each.
    keep : bool, default False
        Whether to keep the file when the fit is complete, to delete it after saving the ranker.

    Examples
    --------
    >>> from hyperrank import HyperDPORanker
    >>> ranker = HyperDPORanker(checkpoint=CheckpointFile("fit.checkpoint", every=600))
    """

    path: str | os.PathLike[str]
    every: float = 60.0
    keep: bool = False


@storable
@dataclass
class EarlyStopping(Params):
    """Stop training when the validation score has not improved for some evaluations.

    The fitted network has the parameters of the best score.

    Parameters
    ----------
    patience : int, default 5
        Evaluations in a row without an improvement after which training stops.
    min_delta : float, default 0.0
        Smallest rise of the score that counts as an improvement.
    fraction : float, default 0.1
        Share of the queries that is held out if no validation data are given.

    Examples
    --------
    >>> rule = EarlyStopping(patience=2)
    >>> history = [{"score": score} for score in (0.3, 0.5, 0.4, 0.5)]
    >>> [rule(history[:n]) for n in (1, 2, 3, 4)]
    [False, False, False, True]
    """

    patience: int = 5
    min_delta: float = 0.0
    fraction: float = 0.1

    def _check(self) -> EarlyStopping:
        """Refuse parameters that are out of range."""
        check_number("patience", self.patience, at_least=1, whole=True)
        check_number("min_delta", self.min_delta, at_least=0)
        check_number("fraction", self.fraction, above=0, below=1)
        return self

    def __call__(self, history: Sequence[dict[str, float]]) -> bool:
        """Whether training stops after the epochs of a history."""
        best, since = -math.inf, 0
        for entry in history:
            if "score" not in entry:
                continue
            if entry["score"] > best + self.min_delta:  # which NaN never is
                best, since = entry["score"], 0
            else:
                since += 1
        return since >= self.patience


def resolve_stopping(early_stopping: Any) -> tuple[StoppingRule | None, float]:
    """Rule (None for none) and share of held-out queries that ``early_stopping`` means, or a ValueError."""
    if isinstance(early_stopping, EarlyStopping):
        return early_stopping._check(), float(early_stopping.fraction)
    if early_stopping is False:
        return None, EarlyStopping().fraction
    if early_stopping is True or (isinstance(early_stopping, str) and early_stopping == "auto"):
        return EarlyStopping(), EarlyStopping().fraction
    if not callable(early_stopping) or isinstance(early_stopping, type):
        raise ValueError(
            "early_stopping must be True, False, 'auto', EarlyStopping(patience=5) or a function of the "
            f"history of the epochs; got {early_stopping!r}."
        )
    fraction = getattr(early_stopping, "fraction", EarlyStopping().fraction)
    return early_stopping, check_number("early_stopping.fraction", fraction, above=0, below=1)


def get_optimizer(optimizer: str | AdamW) -> AdamW:
    """The optimiser of a parameter, "adamw" or an `AdamW`."""
    return _by_name("optimizer", optimizer, "adamw", AdamW, "AdamW(learning_rate=1e-3)")


def get_trade_offs(trade_offs: str | TradeOffs) -> TradeOffs:
    """The trade-offs of a parameter, "uniform" or a `TradeOffs`."""
    return _by_name("trade_offs", trade_offs, "uniform", TradeOffs, "TradeOffs(alpha=0.5)")


def _by_name(parameter: str, value: Any, name: str, kind: type[T], example: str) -> T:
    if isinstance(value, kind):
        return value
    if not isinstance(value, str) or value != name:
        raise ValueError(f"{parameter} must be {name!r} or an object such as {example}; got {value!r}.")
    return kind()


def get_checkpoint_file(checkpoint: Any) -> CheckpointFile:
    """The checkpoint file of a parameter, a path or a `CheckpointFile`."""
    file = checkpoint if isinstance(checkpoint, CheckpointFile) else CheckpointFile(checkpoint)
    if not isinstance(file.path, str | os.PathLike):
        raise ValueError(
            "checkpoint must be None, the path of a file, or CheckpointFile(path, every=60); "
            f"got {checkpoint!r}."
        )
    return file
