"""All that turns raw features into rewards: booster inputs, transforms and network, scored in fixed tiles."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperrank.boosters import booster_from_text, booster_scores, booster_text
from hyperrank.lists import QueryLists
from hyperrank.networks import ConditionedScorer
from hyperrank.networks.transforms import FeatureTransform
from hyperrank.networks.within_list import standardize_within

__all__ = ["RewardModel"]

#: Rows that are scored at a time, always exactly this many. Matrix products of other sizes run other kernels,
#: whose results differ in the last bits; in tiles a document's score depends on the document alone.
#: A multiple of 24 and of 64: kernels take rows by panels, of 24 without AVX-512, and sums by vectors; what
#: is left over goes another way. Of 256 rows the last of a panel rounded otherwise, in narrow or odd layers.
TILE = 192
#: Tiles from which on threads share them: each takes whole tiles.
TILES_TO_SHARE = 8
#: Weights that a tile is scored under at a time: hidden layers of many more leave the cache. Under 231 a
#: prediction at once took six times as long.
WEIGHTS_AT_ONCE = 32
#: Rows that are held as tensors at a time.
CHUNK = 128 * TILE


class RewardModel:
    """Rewards of documents under any weights.

    Parameters
    ----------
    transform : FeatureTransform
        Fitted on the features, booster inputs included.
    network : ConditionedScorer
        Trained on the transformed features.
    device : torch.device
        Where transform and network are.
    boosters : sequence of lightgbm.Booster, default ()
        Their scores are appended to the features.
    query_standardize : bool, default False
        Whether the features standardised within their list are appended to the transformed ones.
    """

    def __init__(
        self,
        transform: FeatureTransform,
        network: ConditionedScorer,
        device: torch.device,
        *,
        boosters: Sequence[Any] = (),
        query_standardize: bool = False,
    ) -> None:
        self.transform, self.network, self.device = transform, network, device
        self.boosters = list(boosters)
        self.query_standardize = query_standardize

    def __getstate__(self) -> dict[str, Any]:
        """Plain arrays, numbers and text: what can be read without running anything, on any device."""
        return {
            "transform": {
                "kind": self.transform.kind,
                "has_missing": self.transform.has_missing.cpu().numpy(),
                "tables": _as_arrays(self.transform.tables),
            },
            "network": {"options": self.network.options, "parameters": _as_arrays(self.network.state_dict())},
            "device": self.device.type,
            "boosters": [booster_text(booster) for booster in self.boosters],
            "query_standardize": self.query_standardize,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        device = torch.device("cpu" if not torch.cuda.is_available() else state["device"])
        fitted = state["transform"]
        has_missing = torch.tensor(fitted["has_missing"])
        transform = FeatureTransform(fitted["kind"], has_missing, _as_tensors(fitted["tables"]))
        network = ConditionedScorer(**state["network"]["options"])
        network.load_state_dict(_as_tensors(state["network"]["parameters"]))
        self.__init__(  # type: ignore[misc]
            transform.to(device),
            network.to(device).eval(),
            device,
            boosters=[booster_from_text(text) for text in state["boosters"]],
            query_standardize=state["query_standardize"],
        )

    def copy(self, boosters: Sequence[Any]) -> RewardModel:
        """The same transform with a copy of the network, to be trained further."""
        return RewardModel(
            self.transform,
            copy.deepcopy(self.network),
            self.device,
            boosters=boosters,
            query_standardize=self.query_standardize,
        )

    def inputs(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features with the boosters' scores beside them."""
        if not self.boosters:
            return X
        scores = [booster_scores(booster, X) for booster in self.boosters]
        return np.column_stack([X, *scores]).astype(np.float32)

    def features(self, inputs: NDArray[np.float32], lists: QueryLists) -> Tensor:
        """What the network sees of grouped rows, on its device."""
        transformed = _in_tiles(self.transform, inputs, self.device)
        if not self.query_standardize:
            return transformed
        offsets = torch.from_numpy(lists.offsets).to(self.device)
        return torch.cat([transformed, standardize_within(transformed, offsets)], dim=1)

    def rewards(
        self, X: NDArray[np.float32], lists: QueryLists, weights: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Rewards of grouped rows under k weights.

        Parameters
        ----------
        X : ndarray of shape (n, d), float32
            Features of grouped rows.
        lists : QueryLists
            The lists of the rows.
        weights : ndarray of shape (k, m)
            Weights on the simplex.

        Returns
        -------
        ndarray of shape (n, k), float32
        """
        out = np.empty((len(X), len(weights)), dtype=np.float32)
        at = torch.from_numpy(weights).to(self.device, torch.float32)
        for first, last in self._chunks(lists):
            part = QueryLists.from_sizes(np.diff(np.clip(lists.offsets, first, last)))
            seen = self.features(self.inputs(X[first:last]), part)
            out[first:last] = self.scores(seen, at).cpu().numpy()
        return out

    def scores(self, features: Tensor, weights: Tensor) -> Tensor:
        """Network scores of shape (n, k) for what the network sees, in tiles."""
        self.network.eval()
        parts = weights.split(WEIGHTS_AT_ONCE)

        def score(tile: Tensor) -> Tensor:
            return torch.cat([self.network(tile, part) for part in parts], dim=1)

        return _in_tiles(score, features, self.device)

    def _chunks(self, lists: QueryLists) -> list[tuple[int, int]]:
        """Bounds of chunks; they keep lists whole where the features of a row depend on its list."""
        if not self.query_standardize:
            bounds = np.arange(0, lists.n_rows, CHUNK)
        else:
            chunk_of_list = lists.offsets[:-1] // CHUNK
            bounds = lists.offsets[:-1][np.unique(chunk_of_list, return_index=True)[1]]
        ends = np.append(bounds[1:], lists.n_rows)
        return list(zip(bounds.tolist(), ends.tolist(), strict=True))


def _as_arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def _as_tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    # A copy, since arrays that joblib maps from a file must not be written to.
    return {name: torch.tensor(array) for name, array in arrays.items()}


def _in_tiles(
    function: Callable[[Tensor], Tensor], rows: Tensor | NDArray[np.float32], device: torch.device
) -> Tensor:
    """Apply a row-wise function to tiles of equal size."""
    starts = range(0, len(rows), TILE)
    work = partial(_tile, function, rows, device)
    if device.type != "cpu":
        return torch.cat([work(start) for start in starts])
    with _one_thread() as n_threads:
        if n_threads == 1 or len(starts) < TILES_TO_SHARE:
            return torch.cat([work(start) for start in starts])
        with ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return torch.cat(list(pool.map(work, starts)))


@torch.no_grad()
def _tile(
    function: Callable[[Tensor], Tensor],
    rows: Tensor | NDArray[np.float32],
    device: torch.device,
    start: int,
) -> Tensor:
    """Results of the tile that begins at a row; the last tile is filled up with zeros."""
    part = rows[start : start + TILE]
    # Arrays are copied: the caller's may be read-only, which torch warns of.
    tile = (part if isinstance(part, Tensor) else torch.tensor(part)).to(device)
    n = len(tile)
    if n < TILE:
        tile = torch.cat([tile, tile.new_zeros(TILE - n, tile.shape[1])])
    return function(tile)[:n]


@contextmanager
def _one_thread() -> Iterator[int]:
    """One thread per operation for a while; gives the number that torch had.

    Several threads cut an operation at places that depend on their number, and round otherwise at the cuts.
    They also wait for each other at each operation: on busy cores 9.3 s were measured against 0.6 s.
    """
    before = torch.get_num_threads()
    if before > 1:
        torch.set_num_threads(1)
    try:
        yield before
    finally:
        if before > 1:
            torch.set_num_threads(before)
