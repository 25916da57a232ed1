"""Reward model: transform and network from raw features to rewards, scored in chunks of fixed size."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperrank._environment import isolated, own_threads, single_threaded
from hyperrank.files import storable
from hyperrank.lists import QueryLists
from hyperrank.memmap import FeatureRows
from hyperrank.networks import ConditionedScorer, ListTransformer
from hyperrank.networks.feature_transforms import FeatureTransform
from hyperrank.networks.query_normalization import standardize_within
from hyperrank.weights import RowWeights

#: Rows that are scored at a time, and what the rows of the last chunk are filled up to a multiple of. What is
#: left over of panels of rows in matrix products, and of vectors in functions such as the logarithm, may be
#: rounded otherwise in the last bits; in chunks of whole ones a score depends on the document alone.
CHUNK_ROWS, ROW_STEP = 192, 32
#: The same where layers are of multiples of four units.
SMALL_ROW_STEP = 8
#: Chunks from which on threads share them.
CHUNKS_TO_SHARE = 8


def in_fixed_chunks(
    function: Callable[[Tensor], Tensor], rows: Tensor, n_threads: int = 1, *, step: int = ROW_STEP
) -> Tensor:
    """Apply a row-wise function to chunks of equal size; call it within `one_thread_each`."""
    starts = range(0, len(rows), CHUNK_ROWS)
    work = partial(_fixed_chunk, function, rows, step)
    if len(starts) == 1:
        return work(0)
    if rows.device.type != "cpu" or len(starts) < CHUNKS_TO_SHARE:
        n_threads = 1
    return torch.cat(shared(work, starts, n_threads))


def shared(work: Callable[[Any], Any], items: Sequence[Any], n_threads: int) -> list[Any]:
    """Work on items, by threads that take one operation at a time each."""
    if n_threads == 1 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(n_threads, initializer=single_threaded) as pool:
        return list(pool.map(isolated()(work), items))


def one_thread_each() -> AbstractContextManager[int]:
    """One thread per operation for a while; gives the number that torch had.

    Several threads cut an operation at places that depend on their number, and round otherwise at the cuts.
    They also wait for each other at each operation: on busy cores 9.3 s were measured against 0.6 s.
    """
    return own_threads(1)


@torch.no_grad()
def _fixed_chunk(function: Callable[[Tensor], Tensor], rows: Tensor, step: int, start: int) -> Tensor:
    """Results of the chunk that begins at a row; the last is filled up with zeros."""
    chunk = rows[start : start + CHUNK_ROWS]
    n = len(chunk)
    if missing := -n % step:
        chunk = torch.cat([chunk, chunk.new_zeros(missing, chunk.shape[1])])
    return function(chunk)[:n]


#: Weights that a chunk is scored under at a time: hidden layers of many more leave the cache, or go back to
#: the system and are faulted in again at each chunk: with 256 units and 32 weights four times as long.
WEIGHTS_AT_ONCE = 16
#: Rows, about, that go from features to scores at a time: in the cache of a core, or enough to fill a GPU.
CHUNK, CHUNK_ON_GPU = 20 * CHUNK_ROWS, 128 * CHUNK_ROWS
#: Rows that a thread transforms at least.
ROWS_TO_SHARE = 1 << 10
#: Entries, about, that are transformed at a time: on the way they take several times their memory.
ENTRIES_AT_ONCE = 1 << 21


@storable
class RewardModel:
    """Rewards of documents under any weights."""

    #: What `network` is an instance of.
    network_kind: type = ConditionedScorer
    network: Any

    def __init__(
        self,
        transform: FeatureTransform,
        network: ConditionedScorer | ListTransformer,
        device: torch.device,
        *,
        query_standardize: bool = False,
    ) -> None:
        self.transform, self.network, self.device = transform, network, device
        self.query_standardize = query_standardize
        #: The last modulation, and what it is of: requests to a server mostly ask for the same trade-off.
        self._last: tuple[Any, tuple[Tensor, ...]] | None = None

    @property
    def knows_lists(self) -> bool:
        """Whether the score of a document depends on the others of its list."""
        return self.query_standardize

    def __getstate__(self) -> dict[str, Any]:
        """Plain arrays, numbers and text: what can be read without running anything, on any device."""
        return {
            "transform": {
                "kind": self.transform.kind,
                "has_missing": self.transform.has_missing.cpu().numpy(),
                "tables": _as_arrays(self.transform.tables),
                "categorical": self.transform.categorical.tolist(),
            },
            "network": {"options": self.network.options, "parameters": _as_arrays(self.network.state_dict())},
            "device": self.device.type,
            "query_standardize": self.query_standardize,
        }

    @isolated()
    def __setstate__(self, state: dict[str, Any]) -> None:
        device = torch.device("cpu" if not torch.cuda.is_available() else state["device"])
        fitted = state["transform"]
        has_missing = torch.tensor(fitted["has_missing"])
        tables = _as_tensors(fitted["tables"])
        if not all(_are_finite(table) for name, table in tables.items() if name == "values"):
            raise ValueError(f"a transformed feature is not a number up to {LARGEST:g}.")
        transform = FeatureTransform(fitted["kind"], has_missing, tables, fitted.get("categorical", ()))
        network = _network(
            self.network_kind, state["network"]["options"], _as_tensors(state["network"]["parameters"])
        )
        RewardModel.__init__(
            self,
            transform.to(device),
            network.to(device).eval(),
            device,
            query_standardize=state["query_standardize"],
        )

    @isolated()
    def at(self, weights: NDArray[np.float64]) -> RewardModel:
        """The plain model that this one is under weights of shape (m,); it takes weights of one objective."""
        at = torch.from_numpy(weights).to(self.device)
        return self.with_network(self.network.fold(at))

    @isolated()
    def copy(self) -> RewardModel:
        """The same transform with a copy of the network, to be trained further."""
        return self.with_network(copy.deepcopy(self.network))

    def with_network(self, network: Any) -> RewardModel:
        """The same transform with another network of the kind."""
        return type(self)(self.transform, network, self.device, query_standardize=self.query_standardize)

    @isolated()
    def features(self, inputs: FeatureRows, lists: QueryLists) -> Tensor:
        """What the network sees of grouped rows, on its device; made by parts, which saves memory."""
        n_rows = max(1, ENTRIES_AT_ONCE // max(1, inputs.shape[1]))
        with one_thread_each() as n_threads:
            if n_threads > 1 and self.device.type == "cpu":
                n_rows = min(n_rows, max(ROWS_TO_SHARE, -(-len(inputs) // n_threads)))
            if len(inputs) <= n_rows or (lists.n_lists == 1 and self.query_standardize):
                return self._features(inputs, lists)
            parts: Iterable[tuple[slice, QueryLists]] = lists.runs(n_rows)
            if not self.query_standardize:  # lists may be cut
                parts = ((slice(at, at + n_rows), lists) for at in range(0, len(inputs), n_rows))
            features = torch.empty(len(inputs), self._width, device=self.device)

            def work(run: tuple[slice, QueryLists]) -> None:
                rows, part = run
                features[rows] = self._features(inputs[rows], part)

            shared(work, list(parts), n_threads if self.device.type == "cpu" else 1)
        return features

    def _features(self, inputs: FeatureRows, lists: QueryLists) -> Tensor:
        # A copy: the caller's rows may be read-only, which torch warns of.
        rows = torch.tensor(np.asarray(inputs), device=self.device)
        with torch.no_grad():
            # Logarithms round otherwise at the end of a vector; the other transforms do not.
            transformed = (
                in_fixed_chunks(self.transform, rows)
                if self.transform.kind == "log"
                else self.transform(rows)
            )
            if not self.query_standardize:
                return transformed.contiguous()  # products of another layout round otherwise
            offsets = torch.from_numpy(lists.offsets).to(self.device)
            n_plain = self.transform.n_out - self.transform.n_categorical
            plain, codes = transformed[:, :n_plain], transformed[:, n_plain:]
            return torch.cat([plain, standardize_within(plain, offsets), codes], dim=1)

    @property
    def _width(self) -> int:
        """Columns that the network sees."""
        n_plain = self.transform.n_out - self.transform.n_categorical
        return n_plain * (2 if self.query_standardize else 1) + self.transform.n_categorical

    @isolated()
    def rewards(
        self, X: FeatureRows, lists: QueryLists, weights: NDArray[np.float64] | RowWeights
    ) -> NDArray[np.float32]:
        """Rewards of grouped rows under k weights, shape (n, k), or each under its own, (n,).

        Threads take a chunk of rows each.
        """
        at: Tensor | RowWeights
        if isinstance(weights, RowWeights):
            at, out = weights, np.empty(len(X), dtype=np.float32)
        else:
            at = torch.from_numpy(weights).to(self.device, torch.float32)
            out = np.empty((len(X), len(weights)), dtype=np.float32)

        def work(bounds: tuple[int, int], n_threads: int = 1) -> None:
            first, last = bounds
            # Of millions of lists the few that the chunk is of.
            begins, ends = np.searchsorted(lists.offsets, [first + 1, last])
            own = lists.offsets[begins - 1 : ends + 1]
            part = QueryLists.from_sizes(np.diff(np.clip(own, first, last)))
            features, rows = self.features(X[first:last], part), slice(first, last)
            out[rows] = self._scores(features, part, rows, at, n_threads).cpu().numpy()

        with one_thread_each() as n_threads:
            if 0 < lists.n_rows <= (ROWS_TO_SHARE if n_threads > 1 else CHUNK) and self.device.type == "cpu":
                # A request: what follows would take longer than its arithmetic.
                features, rows = self._features(X[:], lists), slice(0, lists.n_rows)
                out[:] = self._scores(features, lists, rows, at, n_threads).numpy()
                return out
            chunks = self._chunks(lists)
            if len(chunks) == 1:
                work(chunks[0], n_threads)
            else:
                shared(work, chunks, n_threads if self.device.type == "cpu" else 1)
        return out

    def _scores(
        self, features: Tensor, lists: QueryLists, rows: slice, at: Tensor | RowWeights, n_threads: int
    ) -> Tensor:
        """Network scores of some of the rows under weights for all rows, or for each of all."""
        if isinstance(at, RowWeights):
            return self.scores_by_row(features, lists, RowWeights(at.weights, at.index[rows]), n_threads)
        return self.scores(features, lists, at, n_threads)

    def scores_by_row(
        self, features: Tensor, lists: QueryLists, row_weights: RowWeights, n_threads: int = 1
    ) -> Tensor:
        """Network scores of shape (n,), each row under its own weights, in fixed-size chunks."""
        distinct = row_weights.distinct
        modulation = tuple(part[:, None] for part in self._modulation(torch.from_numpy(distinct.weights)))
        # The number of its weights goes with each row: in single precision exact for 16 million of them.
        number = torch.from_numpy(distinct.index).to(self.device, torch.float32)

        def score(chunk: Tensor) -> Tensor:
            return self.network.modulate(chunk[:, :-1].contiguous(), modulation, chunk[:, -1].long())[:, 0]

        return in_fixed_chunks(score, torch.cat([features, number[:, None]], dim=1), n_threads)

    def scores(self, features: Tensor, lists: QueryLists, weights: Tensor, n_threads: int = 1) -> Tensor:
        """Network scores of shape (n, k) for what the network sees, in fixed-size chunks."""
        pieces = [part[None].split(WEIGHTS_AT_ONCE, dim=1) for part in self._modulation(weights)]
        parts = list(zip(*pieces, strict=True))

        def score(chunk: Tensor) -> Tensor:
            scores = [self.network.modulate(chunk, part) for part in parts]
            return scores[0] if len(scores) == 1 else torch.cat(scores, dim=1)

        step = SMALL_ROW_STEP if all(width % 4 == 0 for width in self.network.options["hidden"]) else ROW_STEP
        return in_fixed_chunks(score, features, n_threads, step=step)

    def _modulation(self, weights: Tensor) -> tuple[Tensor, ...]:
        """Modulation by weights (k, m), in fixed-size chunks too: the same bits for one as for many."""
        at = weights.to(self.device, torch.float32)
        if self.network.training:
            self.network.eval()
        if self.network.conditioning == "none":
            return self.network.modulation(at)
        # The parameters may have been trained further since.
        state = (at.cpu().numpy().tobytes(), *(p._version for p in self.network.condition_parameters))
        last = self._last  # once: another thread may ask for other weights meanwhile
        if last is not None and last[0] == state:
            return last[1]
        widths: list[int] = []

        def joined(chunk: Tensor) -> Tensor:
            parts = self.network.modulation(chunk)
            widths[:] = [part.shape[-1] for part in parts]
            return torch.cat(parts, dim=1)

        modulation = in_fixed_chunks(joined, at).split(widths, dim=1)
        self._last = state, modulation
        return modulation

    def _chunks(self, lists: QueryLists) -> list[tuple[int, int]]:
        """Bounds of chunks; they keep lists whole where the features of a row depend on its list."""
        n_rows = CHUNK if self.device.type == "cpu" else CHUNK_ON_GPU
        if not self.knows_lists:
            bounds = np.arange(0, lists.n_rows, n_rows)
        else:
            chunk_of_list = lists.offsets[:-1] // n_rows
            bounds = lists.offsets[:-1][np.unique(chunk_of_list, return_index=True)[1]]
        ends = np.append(bounds[1:], lists.n_rows)
        return list(zip(bounds.tolist(), ends.tolist(), strict=True))


#: Parameters beyond which sums within the network overflow for some rows.
LARGEST = 1e12


def _network(kind: Any, options: Mapping[str, Any], parameters: dict[str, Tensor]) -> Any:
    """A network of given parameters; options that do not fit them take no memory before they are refused."""
    n_parts = len(options["hidden"]) + len(options.get("categories", ()))
    if n_parts > len(parameters):
        raise ValueError(f"{len(parameters)} parameters are too few for {n_parts} layers and embeddings.")
    if not all(map(_are_finite, parameters.values())):
        raise ValueError(f"a parameter is not a number up to {LARGEST:g}.")
    with torch.device("meta"):
        network = kind(**options)
    network.load_state_dict(parameters, assign=True)
    return network


def _are_finite(values: Tensor) -> bool:
    return bool((values.abs() <= LARGEST).all())


def _as_arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def _as_tensors(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
    for name, array in arrays.items():
        if array.dtype.kind == "f" and (array.dtype != np.float32 or not np.isfinite(array).all()):
            raise ValueError(f"{name} does not hold finite numbers of 32 bits.")
    # A copy, since arrays that joblib maps from a file must not be written to.
    return {name: torch.tensor(array) for name, array in arrays.items()}


#: Rows, about, that are scored at a time where weights differ within a list.
ROWS_AT_ONCE = 8192


@storable
class ListRewardModel(RewardModel):
    """Rewards of documents under any weights, each list seen as a whole.

    Parameters and attributes are those of `RewardModel`, with a `ListTransformer` for a network. Where each
    document is a list of its own, scores are the same to the bit in any company; elsewhere up to rounding.
    """

    network_kind = ListTransformer
    network: ListTransformer

    @property
    def knows_lists(self) -> bool:
        """Whether the score of a document depends on the others of its list."""
        return self.query_standardize or not self.network.alone

    def scores(self, features: Tensor, lists: QueryLists, weights: Tensor, n_threads: int = 1) -> Tensor:
        """Network scores of shape (n, k) for what the network sees, one trade-off after the other."""
        self.network.eval()
        at = weights.to(self.device, torch.float32)
        if self.network.alone:
            under = (partial(self.network, weights=w[None]) for w in at)
            return torch.cat([in_fixed_chunks(function, features, n_threads) for function in under], dim=1)
        index = torch.from_numpy(lists.index).to(self.device)
        with torch.no_grad():
            return torch.cat([self.network(features, w[None], index) for w in at], dim=1)

    def scores_by_row(
        self, features: Tensor, lists: QueryLists, row_weights: RowWeights, n_threads: int = 1
    ) -> Tensor:
        """Network scores of shape (n,), each row under its own weights."""
        self.network.eval()
        if self.network.alone:
            return self._alone_by_row(features, row_weights, n_threads)
        out = features.new_empty(len(features))
        distinct = row_weights.distinct
        for rows, of_list, own, numbers in _asked(lists, distinct.index):
            weights = torch.from_numpy(distinct.weights[numbers]).to(self.device, torch.float32)
            index = torch.from_numpy(of_list).to(self.device)
            with torch.no_grad():
                scores = self.network(features[torch.from_numpy(rows)], weights[:, None], index)[:, 0]
            out[torch.from_numpy(rows[own])] = scores[torch.from_numpy(own)]
        return out

    def _alone_by_row(self, features: Tensor, row_weights: RowWeights, n_threads: int) -> Tensor:
        weights = torch.from_numpy(row_weights.by_row).to(self.device, torch.float32)
        d = features.shape[1]

        def score(chunk: Tensor) -> Tensor:
            each = torch.arange(len(chunk), device=chunk.device)
            return self.network(chunk[:, :d].contiguous(), chunk[:, None, d:], each)[:, 0]

        return in_fixed_chunks(score, torch.cat([features, weights], dim=1), n_threads)


def _asked(
    lists: QueryLists, mix_of_row: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64]]]:
    """Lists with the weights that some of their rows have, a bounded number of rows at a time.

    Yields the rows, the number of each row's list among these, whether its score is asked for (since the
    weights are its own), and for each of the lists the number of its weights.
    """
    n_mixes = int(mix_of_row.max(initial=0)) + 1
    pairs = np.unique(lists.index * n_mixes + mix_of_row)
    which, numbers = pairs // n_mixes, pairs % n_mixes
    ends = np.cumsum(lists.sizes[which])
    for part in np.split(np.arange(len(pairs)), np.flatnonzero(np.diff(ends // ROWS_AT_ONCE)) + 1):
        rows, some = lists.take(which[part])
        own = mix_of_row[rows] == numbers[part][some.index]
        yield rows, some.index, own, numbers[part]
