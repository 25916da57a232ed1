"""Small learnable lists, and a short run on them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hyperrank.lists import QueryLists
from hyperrank.losses import listnet
from hyperrank.networks import ConditionedScorer
from hyperrank.training import EarlyStopping, ListTensors, TrainingResult, TrainingSettings, train


def data_of(
    sizes: tuple[int, ...] = (7, 3, 12, 1, 9) * 4, *, query_weight: Any = None, seed: int = 0
) -> ListTensors:
    """Two objectives, each the grade of one feature."""
    features = torch.randn(sum(sizes), 4, generator=torch.Generator().manual_seed(seed))
    labels = (2 * features[:, :2]).round().clamp(0, 4)
    weight = None if query_weight is None else torch.as_tensor(query_weight, dtype=torch.float32)
    return ListTensors(features, labels, QueryLists.from_sizes(sizes), weight)


def network_of(*, dropout: float = 0.0, seed: int = 0, n_members: int = 1) -> ConditionedScorer:
    torch.manual_seed(seed)
    return ConditionedScorer(4, 2, hidden=(8, 8), dropout=dropout, n_members=n_members)


class Constant(nn.Module):
    """One number per trade-off and feature: small enough to follow by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.zeros(4))

    def forward(self, features: Tensor, weights: Tensor, _: Tensor | None) -> Tensor:
        return (features @ self.slope)[:, None].expand(-1, weights.shape[-2])


def run(
    network: nn.Module,
    data: ListTensors,
    *,
    seed: int = 0,
    loss: Any = listnet,
    generator: torch.Generator | None = None,
    **options: Any,
) -> TrainingResult:
    """Train with settings and arguments of `train` mixed."""
    arguments = {
        name: options.pop(name)
        for name in ("evaluate", "on_epoch", "draw_weights", "scale", "keep_on_interrupt", "checkpoint")
        if name in options
    }
    if (patience := options.pop("patience", 10)) is not None:
        options.setdefault("stopping", EarlyStopping(patience))
    settings = TrainingSettings(**{"max_epochs": 5, "batch_docs": 40, "learning_rate": 1e-2, **options})
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    return train(
        network,
        data,
        loss=loss,
        settings=settings,
        rng=rng,
        generator=generator or torch.default_generator,
        **arguments,
    )


def state_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def same_bits(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)
