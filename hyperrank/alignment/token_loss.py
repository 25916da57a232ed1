"""Log-probabilities of given tokens without the logits of all of them at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

__all__ = ["token_log_probs"]

#: Logits that are held at a time: 64 MiB in float32.
CHUNK_LOGITS = 1 << 24


def token_log_probs(
    hidden: Tensor, head: Callable[[Tensor], Tensor], targets: Tensor, n_vocabulary: int
) -> Tensor:
    r"""Log-probability of each target under the logits of its hidden state, chunk by chunk.

    .. math:: \ell_i = z_{i, t_i} - \log \sum_v \exp z_{i, v}, \qquad z_i = head(h_i)

    In the backward pass the logits of a chunk are computed again, so that at most `CHUNK_LOGITS` of them
    are held in either direction.

    Parameters
    ----------
    hidden : Tensor of shape (n, d)
        Hidden states.
    head : callable
        Hidden states to logits.
    targets : Tensor of shape (n,), int64
    n_vocabulary : int
        Logits of each hidden state.

    Returns
    -------
    Tensor of shape (n,), float32
        float64 where the hidden states are.

    Examples
    --------
    >>> import torch
    >>> token_log_probs(torch.zeros(2, 3), torch.nn.Linear(3, 4, bias=False), torch.tensor([0, 3]), 4)
    tensor([-1.3863, -1.3863], grad_fn=<CatBackward0>)
    """

    def chunk(states: Tensor, wanted: Tensor) -> Tensor:
        return -cross_entropy(head(states), wanted)

    size = max(1, CHUNK_LOGITS // n_vocabulary)
    pieces = zip(hidden.split(size), targets.split(size), strict=True)
    if not torch.is_grad_enabled():
        return torch.cat([chunk(states, wanted) for states, wanted in pieces])
    return torch.cat([checkpoint(chunk, *piece, use_reentrant=False) for piece in pieces])


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each row in at least float32, whatever autocast is about."""
    with torch.autocast(logits.device.type, enabled=False):
        wide = logits if logits.dtype == torch.float64 else logits.float()
        return functional.cross_entropy(wide, targets, reduction="none")
