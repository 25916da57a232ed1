"""How documents of equal label are ordered, and the exact average over their orders."""

from __future__ import annotations

import torch
from torch import Tensor

from hyperrank.losses.segments import segment_index

__all__ = ["EXACT_TIES", "average_tail_sums", "label_order", "random_order", "tie_groups"]

#: Tied groups up to this size are averaged over all their orders; each costs 2**size sums.
EXACT_TIES = 10


def label_order(labels: Tensor, offsets: Tensor) -> Tensor:
    """Rows of each list by falling label, documents of equal label as they stand.

    Parameters
    ----------
    labels : Tensor of shape (n,)
        Labels without NaN.
    offsets : Tensor of shape (q + 1,), int64
        Where each list begins, and the end of the last.

    Returns
    -------
    Tensor of shape (n,), int64
        Row numbers, list after list.
    """
    by_label = torch.argsort(labels, descending=True, stable=True)
    return by_label[torch.argsort(segment_index(offsets)[by_label], stable=True)]


def random_order(labels: Tensor, offsets: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Rows of each list by falling label, documents of equal label in a fresh random order.

    Parameters
    ----------
    labels : Tensor of shape (n,)
        Labels without NaN.
    offsets : Tensor of shape (q + 1,), int64
        Where each list begins, and the end of the last.
    generator : torch.Generator, optional
        Where the random order comes from.

    Returns
    -------
    Tensor of shape (n,), int64
        Row numbers, list after list.
    """
    shuffled = torch.randperm(len(labels), generator=generator, device=labels.device)
    by_label = shuffled[torch.argsort(labels[shuffled], descending=True, stable=True)]
    return by_label[torch.argsort(segment_index(offsets)[by_label], stable=True)]


def tie_groups(sorted_labels: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Runs of equal label within each list.

    Parameters
    ----------
    sorted_labels : Tensor of shape (n,)
        Labels, falling within each list.
    offsets : Tensor of shape (q + 1,), int64
        Where each list begins, and the end of the last.

    Returns
    -------
    group_offsets : Tensor of shape (g + 1,), int64
        Where each group begins among the documents, and the end of the last.
    list_offsets : Tensor of shape (q + 1,), int64
        Where each list begins among the groups, and the end of the last.
    """
    n = len(sorted_labels)
    begins = torch.ones(n, dtype=torch.bool, device=sorted_labels.device)
    begins[1:] = sorted_labels[1:] != sorted_labels[:-1]
    begins[offsets[:-1][offsets.diff() > 0]] = True
    starts = begins.nonzero()[:, 0]
    group_offsets = torch.cat([starts, starts.new_tensor([n])])
    groups_before = torch.cat([begins.new_zeros(1, dtype=torch.int64), begins.cumsum(0)])
    return group_offsets, groups_before[offsets]


def average_tail_sums(members: Tensor, below: Tensor, n_ranks: Tensor) -> Tensor:
    r"""Expected sum of the Plackett-Luce normalisers of one tied group over all its orders.

    The documents left when the group's (s+1)-th place is filled are a uniformly random subset S of size
    g - s of the group, and everything below it; so the expectation is, exactly,

    .. math:: \sum_{s < K} \binom{g}{g-s}^{-1} \sum_{|S| = g - s} \log(e^b + \sum_{i \in S} e^{r_i})

    Parameters
    ----------
    members : Tensor of shape (G, g, k)
        Scores of G groups of the same size g.
    below : Tensor of shape (G, k)
        b, the log-sum-exp of what ranks below each group; -inf where nothing does.
    n_ranks : Tensor of shape (G,), int64
        K, how many of the group's places count.

    Returns
    -------
    Tensor of shape (G, k)
    """
    size = members.shape[1]
    # Each member doubles the subsets: all those before, and all those with it.
    tails, subset_sizes = below[:, None], torch.zeros(1, dtype=torch.int64, device=members.device)
    for place in range(size):
        tails = torch.cat([tails, torch.logaddexp(tails, members[:, place, None])], dim=1)
        subset_sizes = torch.cat([subset_sizes, subset_sizes + 1])
    n_subsets = torch.bincount(subset_sizes).to(members.dtype)
    counts = (size - subset_sizes)[None, 1:] < n_ranks[:, None]
    share = counts.to(members.dtype) / n_subsets[subset_sizes[1:]]
    return (tails[:, 1:] * share[:, :, None]).sum(dim=1)  # the empty subset is no place's
