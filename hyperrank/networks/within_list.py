"""Features standardised within their list: the same document stands out differently in another query."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperrank.lists import QueryLists
from hyperrank.losses.segments import segment_index, segment_sum

__all__ = ["join_standardized", "standardize_within"]

#: Rows, about, that are standardised at a time: sums are in float64, which takes memory.
CHUNK = 1 << 15


def standardize_within(features: Tensor, offsets: Tensor) -> Tensor:
    """Features minus their mean over the list, divided by their deviation over the list.

    Sums are exact, so that the result of a row is the same to the bit whatever the order of the others.

    Parameters
    ----------
    features : Tensor of shape (n, d)
        NaN where missing: it stays NaN, and does not count.
    offsets : Tensor of shape (q + 1,), int64
        Where each list begins, and the end of the last.

    Returns
    -------
    Tensor of shape (n, d)
        0 where a feature is the same, up to rounding, in the whole list.

    Examples
    --------
    >>> import torch
    >>> standardize_within(torch.tensor([[1.0], [3.0], [5.0]]), torch.tensor([0, 2, 3])).T
    tensor([[-1.,  1.,  0.]])
    """
    index = segment_index(offsets)
    missing = torch.isnan(features)
    wide = features.double().masked_fill(missing, 0.0)
    counts = segment_sum((~missing).double(), offsets).clamp_min(1)
    top = torch.segment_reduce(wide.abs(), "max", offsets=offsets, axis=0, initial=0)[index]
    centred = (wide - (_exact_sum(wide, offsets, index) / counts)[index]).masked_fill(missing, 0.0)
    deviation = (_exact_sum(centred.square(), offsets, index) / counts).sqrt()[index]
    # A feature that is constant up to rounding within the list says nothing there.
    flat = deviation <= torch.finfo(features.dtype).eps * top
    out = (centred / deviation.masked_fill(flat, 1.0)).masked_fill(flat, 0.0)
    return out.masked_fill(missing, torch.nan).to(features.dtype)


def join_standardized(X: NDArray[np.float32], lists: QueryLists) -> NDArray[np.float32]:
    """Features of grouped rows, and beside them the same standardised within their list.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32
        NaN where missing.
    lists : QueryLists
        The lists of the rows.

    Returns
    -------
    ndarray of shape (n, 2 d), float32

    Examples
    --------
    >>> import numpy as np
    >>> lists = QueryLists.from_sizes([2, 1])
    >>> join_standardized(np.array([[1.0], [3.0], [5.0]], dtype=np.float32), lists).T
    array([[ 1.,  3.,  5.],
           [-1.,  1.,  0.]], dtype=float32)
    """
    n, d = X.shape
    out = np.empty((n, 2 * d), dtype=np.float32)
    out[:, :d] = X
    for rows, part in lists.runs(CHUNK):
        features = torch.from_numpy(out[rows, :d])
        out[rows, d:] = standardize_within(features, torch.from_numpy(part.offsets)).numpy()
    return out


def _exact_sum(rows: Tensor, offsets: Tensor, index: Tensor) -> Tensor:
    """Sums of segments, shape (q, d), in fixed point relative to the segment's largest entry.

    Float64 adds whole numbers up to 2^52 without rounding, so n rows may use steps of n 2^-52.
    """
    sizes = offsets.diff().clamp_min(1).to(rows.dtype)[:, None]
    top = torch.segment_reduce(rows.abs(), "max", offsets=offsets, axis=0, initial=0)
    unit = (top * sizes / 2**52).clamp_min(torch.finfo(rows.dtype).tiny)
    return segment_sum((rows / unit[index]).round(), offsets) * unit
