"""Temperature-conditioned training: the range of temperatures, and the reference's logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TemperatureRange = tuple[float, float]


def check_temperature(temperature: float, trained: TemperatureRange) -> None:
    """Refuse a temperature that the network was not trained at; 0, the reference itself, needs no network."""
    low, high = trained
    if temperature != 0 and not low <= temperature <= high:
        raise ValueError(
            f"temperature must lie within temperature_range, {low:g} to {high:g}, or be 0 for the "
            f"reference itself; got {temperature!r}."
        )


def condition_weights(
    weights: NDArray[np.float64], temperature: float, trained: TemperatureRange
) -> NDArray[np.float64]:
    """What conditions the network: weights of shape (k, m), and where the temperature lies in the range."""
    place = log_position(max(temperature, trained[0]), *trained)
    return np.column_stack([weights, np.full(len(weights), place)])


def log_position(temperature: float | NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Where a temperature lies in a range on a log scale, from -1 to 1."""
    return np.asarray(2 * np.log(np.asarray(temperature) / low) / np.log(high / low) - 1)


@dataclass(frozen=True)
class ReferenceLogits:
    """Reference scores of the training rows in units of reward, and the temperatures to train at."""

    scores: Tensor  # (n, m), or (n, 1) where weights do not mix them
    low: float
    high: float

    def take(self, rows: Tensor) -> ReferenceLogits:
        """Those of some documents."""
        return ReferenceLogits(self.scores[rows], self.low, self.high)

    def draw_temperatures(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float64]:
        """Temperatures, uniform on a log scale."""
        return np.exp(rng.uniform(np.log(self.low), np.log(self.high), shape))

    def condition(self, weights: Tensor, temperatures: Tensor) -> Tensor:
        """What conditions the network: weights of shape (q, k, m), and the place of each temperature."""
        place = 2 * torch.log(temperatures / self.low) / np.log(self.high / self.low) - 1
        return torch.cat([weights, place[..., None]], dim=-1)

    def at(self, weights: Tensor, temperatures: Tensor, index: Tensor) -> Tensor:
        """What rewards are added to at the weights and temperature of each draw, shape (n, k)."""
        is_one = self.scores.shape[1] == 1
        mixed = self.scores if is_one else (self.scores[:, None] * weights.index_select(0, index)).sum(dim=-1)
        return mixed / temperatures.index_select(0, index)
