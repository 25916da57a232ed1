"""Implicit rewards of a policy, and how often they agree with labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from hyperrank.alignment.batches import pad_left, rows_of, token_batches
from hyperrank.alignment.policy import Policy
from hyperrank.alignment.tokens import TokenLists

__all__ = ["policy_log_probs", "preference_accuracy"]


def policy_log_probs(
    policy: Policy, tokens: TokenLists, weights: NDArray[np.float64], *, pad: int, batch_tokens: int
) -> NDArray[np.float64]:
    """Log-probability of each response under k trade-offs of its list.

    Parameters
    ----------
    policy : Policy
    tokens : TokenLists
    weights : ndarray of shape (q, k, m)
    pad : int
    batch_tokens : int
        Padded tokens per pass.

    Returns
    -------
    ndarray of shape (n, k), float64
    """
    values = np.empty((len(tokens.responses), weights.shape[1]))
    for lists in token_batches(tokens.lengths, tokens.offsets, batch_tokens):
        rows = rows_of(lists, tokens.offsets)
        batch = pad_left(tokens, rows, pad).to(policy.model.device)
        mixes = torch.from_numpy(weights[tokens.list_of_row[rows]]).to(policy.model.device, torch.float32)
        with torch.inference_mode():
            for k in range(weights.shape[1]):
                values[rows, k] = policy.log_probs(batch, mixes[:, k]).double().cpu().numpy()
    return values


def preference_accuracy(labels: Sequence[ArrayLike], rewards: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Of pairs with different labels the share that rewards order alike, by objective.

    Parameters
    ----------
    labels : sequence of array-like of shape (n_responses, m)
        NaN where unobserved.
    rewards : sequence of array-like of shape (n_responses,)
        As `HyperPromptAligner.score` gives them under one trade-off.

    Returns
    -------
    ndarray of shape (m,), float64
        Equal rewards count half; NaN for an objective without a preference.

    Examples
    --------
    >>> preference_accuracy([[[1, 0], [0, 2]], [[1, 1], [0, 1]]], [[0.3, 0.1], [0.1, 0.2]]).tolist()
    [0.5, 0.0]
    """
    right: NDArray[np.float64] | None = None
    for of_list, reward in zip(labels, rewards, strict=True):
        z, r = np.asarray(of_list, dtype=np.float64), np.asarray(reward, dtype=np.float64)
        z = z[:, None] if z.ndim == 1 else z
        if r.shape != z.shape[:1]:
            raise ValueError(
                f"rewards of shape {r.shape} for labels of shape {z.shape}; wanted one per response."
            )
        above = z[:, None, :] > z[None, :, :]
        agreed = (0.5 * (1 + np.sign(r[:, None] - r[None, :])))[:, :, None]
        counted = np.stack([(above * agreed).sum(axis=(0, 1)), above.sum(axis=(0, 1))])
        right = counted if right is None else right + counted
    if right is None:
        raise ValueError("there are no lists.")
    return np.asarray(np.divide(right[0], right[1], out=np.full(len(right[0]), np.nan), where=right[1] > 0))
