"""Conditionings: the ways in which weights reach a language model, and their registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hyperrank.networks import HyperPrompt


@dataclass(frozen=True)
class Surroundings:
    """The model that a conditioning is made for."""

    objectives: tuple[str, ...]
    hidden_size: int
    initial: Tensor
    width: int
    n_layers: int
    rank: int


class Conditioning(nn.Module):
    """One way in which weights reach the model, by prompt vectors or through adapters."""

    n_vectors: int = 0

    def prompt(self, weights: Tensor) -> Tensor | None:
        """Prompt vectors of shape (B, n_vectors, d) for weights of shape (B, m)."""
        return None

    def reference_prompt(self) -> Tensor | None:
        """Prompt vectors that the reference sees, shape (n_vectors, d)."""
        return None

    def cores(self, weights: Tensor) -> Tensor | None:
        """Matrices between the two of each adapted layer, shape (n_layers, B, rank, rank)."""
        return None

    def text(self, weights: Sequence[float]) -> str:
        """Text before the prompt."""
        return ""


class PromptTuning(Conditioning):
    """Hyper prompts (arXiv 2410.08316); the reference is the model under the initial, constant one."""

    def __init__(self, around: Surroundings) -> None:
        super().__init__()
        self.n_vectors, size = around.initial.shape
        m, width, initial = len(around.objectives), around.width, around.initial
        self.hyper = HyperPrompt(m, self.n_vectors, size, width=width, embeddings=initial)
        self.initial: Tensor
        self.register_buffer("initial", around.initial.detach().clone().float())

    def prompt(self, weights: Tensor) -> Tensor:
        """Prompt vectors made of the weights."""
        vectors: Tensor = self.hyper(weights)
        return vectors

    def reference_prompt(self) -> Tensor:
        """The initial prompt."""
        return self.initial


class WeightsAsText(Conditioning):
    """Weights as a line of text before the prompt: the cheap baseline, trained through its adapters."""

    def __init__(self, around: Surroundings) -> None:
        super().__init__()
        self.objectives = around.objectives

    def text(self, weights: Sequence[float]) -> str:
        """Such as ``[harmlessness: 70%, brevity: 30%]`` and a line break."""
        shares = zip(self.objectives, weights, strict=True)
        return "[" + ", ".join(f"{name}: {100 * share:.0f}%" for name, share in shares) + "]\n"


class LoraCore(Conditioning):
    r"""LoRA with a core of the weights: :math:`\Delta W = B \, C(w) \, A`, C from identity, B from zero."""

    def __init__(self, around: Surroundings) -> None:
        super().__init__()
        self.n_objectives = len(around.objectives)
        self.shape = (around.n_layers, around.rank, around.rank)
        self.inner = nn.Linear(self.n_objectives, around.width)
        self.outer = nn.Linear(around.width, around.n_layers * around.rank**2)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def cores(self, weights: Tensor) -> Tensor:
        """Cores made of the weights."""
        centered = self.n_objectives * weights.to(self.inner.weight.dtype) - 1.0
        moved = self.outer(nn.functional.silu(self.inner(centered))).unflatten(-1, self.shape)
        return moved.transpose(0, 1) + torch.eye(self.shape[1], device=moved.device)


class LoraMixture(Conditioning):
    r"""One LoRA adapter per objective, mixed by the weights: :math:`\Delta W = \sum_j m w_j B_j A_j`."""

    def __init__(self, around: Surroundings) -> None:
        super().__init__()
        self.n_objectives, self.n_layers = len(around.objectives), around.n_layers
        if around.n_layers and around.rank < self.n_objectives:
            raise ValueError(
                f"conditioning='mixture' shares the adapters' rank among the {self.n_objectives} objectives: "
                f"r must be at least that; got r={around.rank}."
            )
        self.objective_of_rank: Tensor
        shared_out = torch.arange(around.rank) * self.n_objectives // max(around.rank, 1)
        self.register_buffer("objective_of_rank", shared_out, persistent=False)

    def cores(self, weights: Tensor) -> Tensor:
        """Diagonal cores: the weights of the objectives that the ranks belong to."""
        scales = self.n_objectives * weights.float()[:, self.objective_of_rank]
        return torch.diag_embed(scales).expand(self.n_layers, -1, -1, -1)


_REGISTRY: dict[str, Callable[[Surroundings], Conditioning]] = {
    "hyper_prompt": PromptTuning,
    "text": WeightsAsText,
    "lora": LoraCore,
    "mixture": LoraMixture,
}


def register_conditioning(name: str, factory: Callable[[Surroundings], Conditioning]) -> None:
    """Add a conditioning under a name for ``HyperPromptAligner(conditioning=name)``.

    Parameters
    ----------
    name : str
        Replaces one of the same name.
    factory : callable
        ``Surroundings -> Conditioning``, such as a subclass of `Conditioning`.

    Examples
    --------
    >>> class AdaptersAlone(Conditioning):
    ...     def __init__(self, around): super().__init__()
    >>> register_conditioning("none", AdaptersAlone)
    """
    _REGISTRY[name] = factory


def make_conditioning(name: str, around: Surroundings) -> Conditioning:
    """Make a conditioning for a model."""
    made = conditioning_factory(name)(around)
    if not made.n_vectors and not around.n_layers:
        raise ValueError(f"conditioning={name!r} is trained through adapters: give adapters={{'r': 8}}.")
    return made


def conditioning_factory(name: str) -> Callable[[Surroundings], Conditioning]:
    """Look up a conditioning."""
    if not isinstance(name, str) or name not in _REGISTRY:
        raise ValueError(f"conditioning must be one of {sorted(_REGISTRY)}; got {name!r}.")
    return _REGISTRY[name]
