"""The reference in training, for a network that knows at which temperature it is served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Anchor", "Range", "beside_weights", "check_range", "log_position", "refuse_outside"]

Range = tuple[float, float]


def check_range(value: Any, *, loss: str, reference: Any) -> Range | None:
    """Check the option ``temperature_range``.

    Raises
    ------
    ValueError
        If it is not two numbers above 0 about 1, or loss or reference have no temperature to know.
    """
    if value is None:
        return None
    given = np.asarray(value, dtype=object)
    is_pair = given.shape == (2,) and all(isinstance(v, int | float | np.number) for v in given)
    if not (is_pair and 0 < given[0] <= 1 <= given[1] < np.inf and given[0] < given[1]):
        raise ValueError(
            "temperature_range must be None or two numbers (low, high) with 0 < low <= 1 <= high and "
            f"low < high; got {value!r}."
        )
    if loss != "listnet":
        raise ValueError(f"temperature_range needs loss='listnet'; got loss={loss!r}.")
    if reference is None:
        raise ValueError(
            "temperature_range needs a reference: without one, scores are the same at every temperature "
            "up to a factor; got reference=None."
        )
    return float(given[0]), float(given[1])


def refuse_outside(temperature: float, trained: Range) -> None:
    """Refuse a temperature that the network was not trained at; 0, the reference itself, needs no network.

    Raises
    ------
    ValueError
        If it is outside.
    """
    low, high = trained
    if temperature != 0 and not low <= temperature <= high:
        raise ValueError(
            f"temperature must lie within temperature_range, {low:g} to {high:g}, or be 0 for the "
            f"reference itself; got {temperature!r}."
        )


def beside_weights(weights: NDArray[np.float64], temperature: float, trained: Range) -> NDArray[np.float64]:
    """What conditions the network: weights of shape (k, m), and where the temperature lies in the range."""
    place = log_position(max(temperature, trained[0]), *trained)
    return np.column_stack([weights, np.full(len(weights), place)])


def log_position(temperature: float | NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Where a temperature lies in a range on a log scale, from -1 to 1.

    Examples
    --------
    >>> log_position(1.0, 0.25, 4.0).tolist()
    0.0
    """
    return np.asarray(2 * np.log(np.asarray(temperature) / low) / np.log(high / low) - 1)


@dataclass(frozen=True)
class Anchor:
    """Reference scores of the training rows in units of reward, and the temperatures to train at.

    Attributes
    ----------
    parts : Tensor of shape (n, 1) or (n, m)
        Scores of the reference over the pull, as rewards are added to them at temperature 1; one column
        per objective where weights mix them.
    low, high : float
        The range of temperatures.
    """

    parts: Tensor
    low: float
    high: float

    def take(self, rows: Tensor) -> Anchor:
        """Those of some documents."""
        return Anchor(self.parts[rows], self.low, self.high)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        """Temperatures, evenly on a log scale."""
        return np.exp(rng.uniform(np.log(self.low), np.log(self.high), shape))

    def beside(self, weights: Tensor, temperatures: Tensor) -> Tensor:
        """What conditions the network: weights of shape (q, k, m), and the place of each temperature."""
        place = 2 * torch.log(temperatures / self.low) / np.log(self.high / self.low) - 1
        return torch.cat([weights, place[..., None]], dim=-1)

    def held(self, weights: Tensor, temperatures: Tensor, index: Tensor) -> Tensor:
        """What rewards are added to at each draw's temperature, shape (n, k), in units of reward."""
        is_one = self.parts.shape[1] == 1
        mixed = self.parts if is_one else (self.parts[:, None] * weights.index_select(0, index)).sum(dim=-1)
        return mixed / temperatures.index_select(0, index)
