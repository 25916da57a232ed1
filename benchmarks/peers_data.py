"""Data and modules for the comparison with peers."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers_timing import MissingPeerError

__all__ = ["Documents", "mslr_like", "mslr_like_sizes", "padded", "peer"]

#: Shares of the grades 0 to 4, mean and longest list of MSLR-WEB10K.
GRADE_SHARES = (0.52, 0.32, 0.13, 0.02, 0.01)
MEAN_SIZE, LONGEST = 120, 900
#: Share of lists that are very short, which a lognormal of that mean would hardly hold.
SHORT_SHARE = 0.02


@dataclass(frozen=True)
class Documents:
    """Grouped documents: features (n, d), grades (n,), distinct scores (n,), list sizes (q,)."""

    X: NDArray[np.float32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    sizes: NDArray[np.int64]

    @property
    def qid(self) -> NDArray[np.int64]:
        """The list of each document."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each list begins, without the first."""
        return np.cumsum(self.sizes)[:-1]

    def first(self, n_lists: int) -> Documents:
        """The first lists alone."""
        n = int(self.sizes[:n_lists].sum())
        return Documents(self.X[:n], self.labels[:n], self.scores[:n], self.sizes[:n_lists])


def mslr_like_sizes(n_documents: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """List sizes of 1 to 900 with mean 120 or nearly, that sum to `n_documents`."""
    n_lists = max(1, 2 * n_documents // MEAN_SIZE + 100)
    spread = 0.6
    sizes = rng.lognormal(np.log(MEAN_SIZE) - spread**2 / 2, spread, n_lists)
    short = rng.random(n_lists) < SHORT_SHARE
    sizes[short] = rng.integers(1, 10, int(short.sum()))
    whole = np.clip(np.round(sizes), 1, LONGEST).astype(np.int64)
    # The extremes are there from some size on, whatever the draw.
    if n_documents >= 10 * LONGEST:
        whole[:2] = 1, LONGEST
    ends = np.cumsum(whole)
    last = int(np.searchsorted(ends, n_documents))
    whole = whole[: last + 1]
    whole[last] -= ends[last] - n_documents
    return whole


def mslr_like(n_documents: int, n_features: int = 1, *, seed: int = 0) -> Documents:
    """Documents in lists as in MSLR-WEB10K, grades that depend on the features, and distinct scores."""
    rng = np.random.default_rng(seed)
    sizes = mslr_like_sizes(n_documents, rng)
    X = rng.standard_normal((n_documents, n_features), dtype=np.float32)
    utility = X @ rng.standard_normal(n_features).astype(np.float32) / np.sqrt(n_features)
    utility += rng.standard_normal(n_documents, dtype=np.float32)
    cuts = np.quantile(utility, np.cumsum(GRADE_SHARES)[:-1])
    labels = np.searchsorted(cuts, utility).astype(np.int64)
    # Whole numbers below 2^24 stay distinct in 32 bits, in which ir-measures reads them: there are no ties.
    order = np.argsort(np.argsort(utility + 3 * rng.standard_normal(n_documents)))
    return Documents(X, labels, order.astype(np.float32), sizes)


def padded(values: NDArray[Any], sizes: NDArray[np.int64], fill: float) -> NDArray[Any]:
    """Grouped rows (n, ...) as slates (q, longest, ...) filled up with `fill`."""
    within = np.arange(len(values)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    slates = np.full((len(sizes), int(sizes.max()), *values.shape[1:]), fill, dtype=values.dtype)
    slates[np.repeat(np.arange(len(sizes)), sizes), within] = values
    return slates


def peer(module: str, library: str) -> Any:
    """A module of a peer's.

    Raises
    ------
    MissingPeerError
        If it cannot be imported.
    """
    if library == "allRank" and find_spec("allrank"):
        _stand_in_for_torchvision()
    try:
        return import_module(module)
    except (ImportError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise MissingPeerError(
            f"{library} cannot be imported ({reason}); see benchmarks/peers-requirements.txt"
        ) from error


def _stand_in_for_torchvision() -> None:
    """Give allRank all that it wants of torchvision, whose GPU builds fail beside a torch for CPUs."""
    try:
        import_module("torchvision.transforms")
    except (ImportError, RuntimeError, OSError):
        transforms: Any = types.ModuleType("torchvision.transforms")
        transforms.Compose = _Compose
        package: Any = types.ModuleType("torchvision")
        package.transforms = transforms
        sys.modules["torchvision"], sys.modules["torchvision.transforms"] = package, transforms


class _Compose:
    """One transform after the other, as torchvision's."""

    def __init__(self, transforms: list[Any]) -> None:
        self.transforms = transforms

    def __call__(self, sample: Any) -> Any:
        for transform in self.transforms:
            sample = transform(sample)
        return sample
