"""Standardisation of features within their list."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperrank.lists import QueryLists
from hyperrank.losses._segments import list_blocks, segment_index

#: Lists of fewer rows are standardised together, in runs of about as many entries as a core's cache holds.
LONG, ENTRIES_AT_ONCE = 32, 1 << 16
#: Float64 adds whole numbers of up to 53 bits without rounding; one is left for the rounding of bounds.
BITS = 52


def standardize_within(features: Tensor, offsets: Tensor) -> Tensor:
    """Features (n, d) minus their mean over the list, divided by their deviation over the list.

    NaN stays NaN and does not count; a feature that is the same, up to rounding, in the whole list becomes 0.
    Sums are exact, so that a row's result is the same to the bit whatever the order of the others: they are
    taken in fixed point, in steps that are a power of two, of bounds on the list's entries.
    """
    if features.device.type == "cpu":
        rows = features.numpy()
        return torch.from_numpy(_on_cpu(rows, offsets.numpy(), np.empty_like(rows)))
    return _by_segments(features, offsets)


def join_standardized(X: NDArray[np.float32], lists: QueryLists) -> NDArray[np.float32]:
    """Features of grouped rows, followed by the same standardised within their list, shape (n, 2 d)."""
    n, d = X.shape
    both = np.empty((n, 2 * d), dtype=np.float32)
    both[:, :d] = X
    _on_cpu(X, lists.offsets, both[:, d:])
    return both


def _on_cpu(features: NDArray[Any], offsets: NDArray[np.int64], out: NDArray[Any]) -> NDArray[Any]:
    """Long lists one by one, which is fastest, and short ones together, into `out`."""
    if len(offsets) == 2 and len(features):  # a request
        n_columns = max(LONG, ENTRIES_AT_ONCE // len(features))
        for first in range(0, features.shape[1], n_columns):
            columns = slice(first, first + n_columns)
            _standardize(features[:, columns], offsets, out[:, columns])
        return out
    offsets = offsets[np.flatnonzero(np.diff(offsets, prepend=-1))]  # without empty lists
    at_once = max(LONG, ENTRIES_AT_ONCE // max(1, features.shape[1]))
    for first, last in list_blocks(offsets, at_once):
        while first < last:
            stop = last if offsets[last] - offsets[first] < LONG * (last - first) else first + 1
            rows = slice(offsets[first], offsets[stop])
            _standardize(features[rows], offsets[first : stop + 1] - offsets[first], out[rows])
            first = stop
    return out


def _standardize(features: NDArray[Any], offsets: NDArray[np.int64], out: NDArray[Any]) -> None:
    """Standardise some lists, none of them empty, into `out`."""
    alone = len(offsets) == 2
    sizes = np.float64(len(features)) if alone else np.diff(offsets)[:, None].astype(np.float64)

    def reduced(how: np.ufunc, rows: NDArray[Any]) -> NDArray[Any]:
        if alone:
            return np.asarray(how.reduce(rows, axis=0, keepdims=True))
        return np.asarray(how.reduceat(rows, offsets[:-1], axis=0))

    def of_rows(values: NDArray[Any]) -> NDArray[Any]:
        return values if alone else np.repeat(values, np.diff(offsets), axis=0)

    def exact_sums(rows: NDArray[np.float64], bound: NDArray[np.float64]) -> NDArray[np.float64]:
        exponent = np.frexp(bound)[1] - BITS
        steps = rows * of_rows(np.ldexp(1.0, -exponent))
        return np.ldexp(reduced(np.add, np.rint(steps, out=steps)), exponent)

    high, low = reduced(np.maximum, features), reduced(np.minimum, features)
    counts, missing = sizes, None
    if np.isnan(high).any():
        missing = np.isnan(features)
        counts = np.maximum(sizes - reduced(np.add, missing.astype(np.float64)), 1)
        features = np.where(missing, features.dtype.type(0), features)
        high, low = reduced(np.maximum, features), reduced(np.minimum, features)
    high, low = high.astype(np.float64), low.astype(np.float64)
    top = np.maximum(np.abs(high), np.abs(low))
    wide = features.astype(np.float64)
    wide -= of_rows(exact_sums(wide, top * sizes) / counts)
    if missing is not None:
        wide[missing] = 0.0
    # No entry is farther from the mean than the two bounds are from each other.
    deviation = np.sqrt(exact_sums(wide * wide, (high - low) ** 2 * sizes) / counts)
    # A feature that is constant up to rounding within the list says nothing there.
    deviation[deviation <= np.finfo(features.dtype).eps * top] = np.inf
    np.divide(wide, of_rows(deviation), out=wide)
    out[...] = wide
    if missing is not None:
        out[missing] = np.nan


def _by_segments(features: Tensor, offsets: Tensor) -> Tensor:
    """The same as on a CPU, without asking the device what it holds."""
    index, sizes = segment_index(offsets), offsets.diff()[:, None].double()

    def reduced(how: str, rows: Tensor) -> Tensor:
        initial = 0 if how == "sum" else None
        return torch.segment_reduce(rows, how, offsets=offsets, axis=0, initial=initial)

    def exact_sums(rows: Tensor, bound: Tensor) -> Tensor:
        exponent = torch.frexp(bound).exponent - BITS
        one = torch.ones_like(bound)
        steps = (rows * torch.ldexp(one, -exponent)[index]).round_()
        return reduced("sum", steps) * torch.ldexp(one, exponent)

    missing = torch.isnan(features)
    wide = features.double().masked_fill(missing, 0.0)
    counts = (sizes - reduced("sum", missing.double())).clamp_min(1)
    high, low = reduced("max", wide), reduced("min", wide)
    top = torch.maximum(high.abs(), low.abs())
    centred = (wide - (exact_sums(wide, top * sizes) / counts)[index]).masked_fill(missing, 0.0)
    deviation = (exact_sums(centred * centred, (high - low) ** 2 * sizes) / counts).sqrt()
    deviation = deviation.masked_fill(deviation <= torch.finfo(features.dtype).eps * top, torch.inf)
    return (centred / deviation[index]).to(features.dtype).masked_fill(missing, torch.nan)
