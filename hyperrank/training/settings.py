"""How a network is trained, in one place."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TrainingSettings"]


@dataclass(frozen=True)
class TrainingSettings:
    """What the loop needs to know besides network, data and loss.

    Attributes
    ----------
    max_epochs : int
        Passes over the data at most; the learning rate decays over as many.
    batch_docs : int
        Documents per batch, about; lists stay whole.
    learning_rate, weight_decay : float
        Of AdamW, at the peak of the schedule.
    max_norm : float
        Gradients longer than this are shortened to it.
    average_decay : float
        Decay per step of the running average of the parameters, which is what is evaluated and kept;
        0 keeps the last parameters themselves.
    n_draws : int
        Weights drawn per list and step.
    alpha : float
        Concentration of the Dirichlet distribution they are drawn from.
    patience : int or None
        Evaluations without improvement after which training stops; None never stops.
    eval_every : int
        Epochs between evaluations.
    """

    max_epochs: int = 100
    batch_docs: int = 1024
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    max_norm: float = 1.0
    average_decay: float = 0.0
    n_draws: int = 4
    alpha: float = 1.0
    patience: int | None = 10
    eval_every: int = 1
