"""The reference in training, for a network that knows at which temperature it is served."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Anchor", "log_position"]


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
