"""Plackett-Luce: the negative log-likelihood of the order that the labels give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from hyperrank._checks import check_number
from hyperrank.files import storable
from hyperrank.losses._segments import (
    losses_by_objective,
    reverse_logcumsumexp,
    segment_index,
    segment_logsumexp,
    segment_sum,
)
from hyperrank.losses.base import Loss, register_loss

#: Tied groups up to this size are averaged over all their orders; each costs 2**size sums.
EXACT_TIES = 10


def label_order(labels: Tensor, offsets: Tensor, first: Tensor | None = None) -> Tensor:
    """Row numbers of each list by falling label, shape (n,); equal labels as they stand, or as in `first`."""
    by_label = torch.argsort(labels if first is None else labels[first], descending=True, stable=True)
    by_label = by_label if first is None else first[by_label]
    return by_label[torch.argsort(segment_index(offsets)[by_label], stable=True)]


def tie_groups(sorted_labels: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Offsets (g + 1,) of the runs of equal label, and (q + 1,) of the lists among the runs."""
    n = len(sorted_labels)
    begins = torch.ones(n, dtype=torch.bool, device=sorted_labels.device)
    begins[1:] = sorted_labels[1:] != sorted_labels[:-1]
    begins[offsets[:-1][offsets.diff() > 0]] = True
    starts = begins.nonzero()[:, 0]
    group_offsets = torch.cat([starts, starts.new_tensor([n])])
    groups_before = torch.cat([begins.new_zeros(1, dtype=torch.int64), begins.cumsum(0)])
    return group_offsets, groups_before[offsets]


def average_tail_sums(members: Tensor, below: Tensor, n_ranks: Tensor) -> Tensor:
    r"""Expected sum of the Plackett-Luce normalisers of tied groups over all their orders, shape (G, k).

    Of G groups of the same size g, with scores `members` (G, g, k), of which K = `n_ranks` (G,) places count.
    The documents left when a group's (s+1)-th place is filled are a uniformly random subset S of size g - s
    and everything below, whose log-sum-exp is b = `below` (G, k); so the expectation is, exactly,

    .. math:: \sum_{s < K} \binom{g}{g-s}^{-1} \sum_{|S| = g - s} \log(e^b + \sum_{i \in S} e^{r_i})
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


def plackett_luce(
    scores: Tensor,
    labels: Tensor,
    offsets: Tensor,
    *,
    top_k: int | None = None,
    ties: str = "random",
    generator: torch.Generator | None = None,
    reduction: str = "mean",
) -> Tensor:
    r"""Plackett-Luce negative log-likelihood (ListMLE) on flat, ragged lists.

    .. math:: L = -\sum_{k=1}^{K} \log \frac{\exp r_{\pi(k)}}{\sum_{l \ge k} \exp r_{\pi(l)}}

    where the order :math:`\pi` sorts a list by falling label. Documents whose label is NaN are
    unobserved and leave that objective's list. For two documents this is DPO's Bradley-Terry loss.

    Parameters
    ----------
    scores, labels, offsets, reduction
        As for `listnet`; labels may be negative.
    top_k : int, optional
        K: only the first K ranks count; all by default.
    ties : {"random", "average", "rating"}
        What an order is where labels are equal. ``"random"``: a fresh random order of the tied documents
        in every call. ``"average"``: the exact mean over all their orders; any number of ties for
        ``top_k=1``, groups of up to 10 documents within the first K ranks otherwise. ``"rating"``: the
        likelihood that each pick has the highest grade left, one pick per grade (Zhu & Klabjan 2020);
        a grade counts when its first document is among the first K ranks.
    generator : torch.Generator, optional
        Where random orders come from; torch's global one by default.

    Returns
    -------
    Tensor of shape ([q,] [k,] [m])
        As for `listnet`.

    Raises
    ------
    ValueError
        If shapes do not fit, an option is unknown, or ties are too many to be averaged exactly.

    References
    ----------
    Xia, Liu, Wang, Zhang, Li: Listwise Approach to Learning to Rank, ICML 2008.
    Zhu, Klabjan: Listwise Learning to Rank by Exploring Unique Ratings, WSDM 2020.

    Examples
    --------
    >>> import torch
    >>> scores, labels = torch.tensor([2.0, 1.0, 0.0]), torch.tensor([2.0, 1.0, 1.0])
    >>> plackett_luce(scores, labels, torch.tensor([0, 3]), ties="average")
    tensor(1.2209)
    >>> plackett_luce(scores, labels, torch.tensor([0, 3]), ties="rating")
    tensor(0.4076)
    """
    if ties not in ("random", "average", "rating"):
        raise ValueError(f"ties must be 'random', 'average' or 'rating'; got {ties!r}.")
    if top_k is not None:
        check_number("top_k", top_k, at_least=1, whole=True)

    def of_objective(scores: Tensor, labels: Tensor, offsets: Tensor) -> Tensor:
        if ties != "random":
            order = label_order(labels, offsets)
            of_grades = _of_ratings if ties == "rating" else _of_all_orders
            return of_grades(scores[order], labels[order], offsets, top_k)
        shuffled = torch.randperm(len(labels), generator=generator, device=labels.device)
        rank = torch.arange(len(labels), device=labels.device) - offsets[:-1][segment_index(offsets)]
        return _of_picks(scores[label_order(labels, offsets, shuffled)], offsets, rank, top_k)

    return losses_by_objective(scores, labels, offsets, of_objective, reduction)


@storable
@dataclass
class PlackettLuce(Loss):
    """Plackett-Luce negative log-likelihood; formula and papers: `plackett_luce`.

    Parameters
    ----------
    top_k : int, optional
        Ranks that count; all by default.
    ties : {"random", "average", "rating"}, default "random"
        Order of equal labels: drawn in each call, the mean over all orders, or one pick per grade.

    Examples
    --------
    >>> import torch
    >>> scores, labels = torch.tensor([2.0, 1.0, 0.0]), torch.tensor([2.0, 1.0, 1.0])
    >>> PlackettLuce(ties="average")(scores, labels, torch.tensor([0, 3]))
    tensor(1.2209)
    """

    function: ClassVar = staticmethod(plackett_luce)

    top_k: int | None = None
    ties: str = "random"

    def __call__(
        self,
        scores: Tensor,
        labels: Tensor,
        offsets: Tensor,
        *,
        generator: torch.Generator | None = None,
        reduction: str = "mean",
    ) -> Tensor:
        """Losses of lists; `generator` draws random orders, as in `plackett_luce`."""
        return plackett_luce(
            scores, labels, offsets, **self.get_params(), generator=generator, reduction=reduction
        )


register_loss("plackett_luce", PlackettLuce)


def _of_ratings(ranked: Tensor, grades: Tensor, offsets: Tensor, top_k: int | None) -> Tensor:
    """Negative log-likelihood that each pick has the highest grade left, shape (q, k)."""
    group_offsets, list_offsets = tie_groups(grades, offsets)
    rank = group_offsets[:-1] - offsets[:-1][segment_index(list_offsets)]
    return _of_picks(segment_logsumexp(ranked, group_offsets), list_offsets, rank, top_k)


def _of_picks(mass: Tensor, offsets: Tensor, rank: Tensor, top_k: int | None) -> Tensor:
    """Negative log-likelihood of picking in order, each pick with its log mass and rank, shape (q, k)."""
    terms = reverse_logcumsumexp(mass, offsets) - mass
    if top_k is not None:
        terms = torch.where((rank < top_k)[:, None], terms, torch.zeros_like(terms))
    return segment_sum(terms, offsets)


def _of_all_orders(ranked: Tensor, grades: Tensor, offsets: Tensor, top_k: int | None) -> Tensor:
    """Mean negative log-likelihood over all orders of tied documents, shape (q, k)."""
    group_offsets, list_offsets = tie_groups(grades, offsets)
    group_index = segment_index(list_offsets)
    sizes = group_offsets.diff()
    mass = segment_logsumexp(ranked, group_offsets)
    tails = reverse_logcumsumexp(mass, list_offsets)
    first_rank = group_offsets[:-1] - offsets[:-1][group_index]
    n_ranks = sizes if top_k is None else (top_k - first_rank).clamp(min=0).minimum(sizes)
    share = n_ranks.to(ranked.dtype) / sizes
    chosen = segment_sum(ranked, group_offsets) * share[:, None]
    # The first place of a group sees the whole group whatever its order: one sum, not 2^g.
    normaliser = torch.where((n_ranks > 0)[:, None], tails, torch.zeros_like(tails))
    is_last = torch.ones_like(group_index, dtype=torch.bool)
    is_last[:-1] = group_index[1:] != group_index[:-1]
    below = torch.cat([tails[1:], torch.full_like(tails[:1], -torch.inf)])
    below = below.masked_fill(is_last[:, None], -torch.inf)
    for size in torch.unique(sizes[n_ranks > 1]).tolist():
        if size > EXACT_TIES:
            raise ValueError(
                f"ties='average' met {size} tied documents within the first ranks; "
                f"it is exact up to {EXACT_TIES}. Use top_k=1, or ties='random' or 'rating'."
            )
        which = ((sizes == size) & (n_ranks > 1)).nonzero()[:, 0]
        places = group_offsets[:-1][which][:, None] + torch.arange(size, device=ranked.device)
        exact = average_tail_sums(ranked[places], below[which], n_ranks[which])
        normaliser = normaliser.index_copy(0, which, exact)
    return segment_sum(normaliser - chosen, list_offsets)
