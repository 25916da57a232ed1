"""The processes that a fit runs in: one alone, or those of an initialised process group together.

Whatever processes do together begins with a roll call: each says how it is, and all learn of the worst. So a
process that fails, is interrupted or runs out of memory is heard by all others at their next roll call, and
none waits for one that will not come.
"""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn

from hyperrank.boosters import booster_threads
from hyperrank.files import packed, unpacked
from hyperrank.lists import QueryLists
from hyperrank.losses import ListLoss
from hyperrank.training.data import Batch, ListTensors
from hyperrank.training.temperature import Anchor

__all__ = [
    "EmptyShare",
    "OtherProcessError",
    "ShareOfLists",
    "Together",
    "alone",
    "current",
    "dealt",
    "joined",
    "mean_over_lists",
    "threads",
]


def mean_over_lists(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means over the lists of all processes, those without a value (NaN) left out.

    Parameters
    ----------
    values : ndarray of shape (q, k, m)
        Of the own lists.

    Returns
    -------
    ndarray of shape (k, m)
    """
    known = ~np.isnan(values)
    sums = np.stack([np.where(known, values, 0).sum(axis=0), known.sum(axis=0)])
    total, count = current().sum(sums)
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)


def threads(available: int) -> int:
    """How many of torch's threads each process takes, so that those of a machine do not share cores."""
    size = current().size
    if size == 1:
        return available
    here = int(os.environ.get("LOCAL_WORLD_SIZE", size))
    return max(1, min(available, (os.cpu_count() or 1) // here))


@contextmanager
def all_threads() -> Iterator[None]:
    """The threads of all processes of this machine, for work that the others wait for.

    Each of them may have been held to its share, as by torchrun, which sets ``OMP_NUM_THREADS=1``.
    """
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 0))
    if not here:
        yield
        return
    before = torch.get_num_threads()
    n = min(os.cpu_count() or 1, here * before)
    torch.set_num_threads(n)
    try:
        with booster_threads(n):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def interrupting() -> Iterator[None]:
    """Ctrl-C at once, for work that the others wait for."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def dealt(sizes: NDArray[np.int64], n_hands: int) -> list[NDArray[np.int64]]:
    """Deal lists out by falling size, there and back again: as many lists of each size to every hand.

    Batches are drawn at random from all lists. That each hand has its part of the long ones and of the short
    ones, and not only as many documents in all, is what makes their parts of a batch alike.

    Parameters
    ----------
    sizes : ndarray of shape (q,), int64
        Documents per list.
    n_hands : int

    Returns
    -------
    list of ndarray of int64
        Rising numbers of the lists of each hand; together they are all.

    Examples
    --------
    >>> [hand.tolist() for hand in dealt(np.array([9, 8, 7, 1, 1]), 2)]
    [[0, 3, 4], [1, 2]]
    """
    order = np.argsort(-sizes, kind="stable")
    place = np.arange(len(sizes)) % (2 * n_hands)
    hand = np.minimum(place, 2 * n_hands - 1 - place)
    return [np.sort(order[hand == number]).astype(np.int64) for number in range(n_hands)]


class ShareOfLists:
    """The lists of one process, in the place of all that several train on.

    Parameters
    ----------
    own : ListTensors
        The process's own lists.
    numbers : ndarray of int64
        What they are numbered among all.
    lists : QueryLists
        All lists.
    n_processes : int
        How many train together.
    mean_weight : float
        Of all lists.
    """

    def __init__(
        self,
        own: ListTensors,
        numbers: NDArray[np.int64],
        lists: QueryLists,
        *,
        n_processes: int,
        mean_weight: float = 1.0,
    ) -> None:
        self.own, self.lists = own, lists
        self.n_processes, self.mean_weight = n_processes, mean_weight
        self.place = np.full(lists.n_lists, -1, dtype=np.int64)
        self.place[numbers] = np.arange(len(numbers))

    @property
    def labels(self) -> Tensor:
        """Labels of the own lists."""
        return self.own.labels

    @property
    def anchor(self) -> Anchor | None:
        """The reference of the own lists."""
        return self.own.anchor

    def prepare(self, loss: ListLoss) -> None:
        """Make once what a loss needs of the labels."""
        self.own.prepare(loss)

    def batch(self, which: NDArray[np.int64]) -> Batch:
        """The own ones of the lists numbered `which`.

        Their share is such that the mean of the processes' gradients is the gradient of the whole batch.
        """
        numbers = self.place[which]
        places = np.flatnonzero(numbers >= 0)
        batch = self.own.batch(numbers[places])
        total = len(places) if batch.query_weight is None else batch.query_weight.sum()
        share = self.n_processes * total / (len(which) * self.mean_weight)
        return replace(batch, share=share, places=places)


class EmptyShare(nn.Module):
    """A network that takes part in a step without any document: its scores are none, its gradient 0.

    Parameters
    ----------
    network : Module
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor, weights: Tensor, index: Tensor) -> Tensor:
        """Scores of shape (n, k), which depend on all parameters even where n is 0."""
        if len(features):
            scores: Tensor = self.network(features, weights, index)
            return scores
        touched = sum(p.sum() for p in self.network.parameters() if p.requires_grad)
        return features.new_zeros(0, weights.shape[1]) * touched


T = TypeVar("T")

#: How a process is, at a roll call.
WELL, NO_MEMORY, INTERRUPTED, FAILED = range(4)
#: How long a process waits for the first one's trial and boosters. One that ends is noticed at once.
PATIENCE = timedelta(days=2)
#: Bytes that go to the other processes at a time, and that an error may be told in.
AT_ONCE, ERROR_BYTES = 1 << 28, 1000


class OtherProcessError(ConnectionError):
    """Another of the processes that train together has failed; the message says which and why."""


class Alone:
    """A process that trains by itself."""

    rank, size = 0, 1

    @property
    def is_first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def of_first(self, work: Callable[[], T]) -> T:
        """What some work gives in the first process; the others wait for it and get the same.

        It must be plain: what files can hold. The work is done alone, whatever it trains.
        """
        return work()

    def agreed(self, work: Callable[[], T], *, spares: Callable[[Exception], bool]) -> T:
        """The result of each process's own work, once all are done.

        A MemoryError in all where `spares` takes an error for a lack of memory in one of them.
        """
        return work()

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """The sum of the processes' values."""
        return values

    def own(self, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of the lists that are this process's to compute, of lists of these sizes."""
        return np.arange(len(sizes), dtype=np.int64)

    def wrapped(self, network: nn.Module) -> nn.Module:
        """A network whose backward pass gives each process the mean of all processes' gradients."""
        return network

    @contextmanager
    def exchanging(self) -> Iterator[None]:
        """Around a backward pass."""
        yield


class Together(Alone):
    """One of the processes of an initialised group, which all do the same, each on lists of its own."""

    def __init__(self) -> None:
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        _wait_for_all()
        self.control = distributed.new_group(backend="gloo", timeout=PATIENCE)
        self.gradients: Any = None
        #: What was exchanged last, for `close`.
        self.exchanged: deque[Sequence[torch.Tensor]] = deque(maxlen=8)
        #: Whether all know that the fit is over, or cannot be told.
        self.is_told = False
        self.is_interrupted = False
        #: Whether Ctrl-C waits for a place at which the run can be kept.
        self.holds_interrupts = False

    def roll_call(self, state: int = WELL, text: str = "") -> int:
        """Say how this process is, and learn of the worst.

        Raises
        ------
        OtherProcessError
            If another has failed.
        KeyboardInterrupt
            If one was interrupted; in all of them, at the same place.
        """
        if self.is_interrupted and state < INTERRUPTED and not self.holds_interrupts:
            state = INTERRUPTED
        worst = torch.tensor([state])
        self.exchanged.append([worst])
        try:
            distributed.all_reduce(worst, distributed.ReduceOp.MAX, group=self.control)
        except RuntimeError as error:
            self.is_told = True
            raise OtherProcessError(f"another of {self.size} processes has ended: {error}") from error
        if int(worst) == INTERRUPTED:
            self.is_interrupted = False
            raise KeyboardInterrupt
        if int(worst) == FAILED:
            self.is_told = True
            errors = self._gathered(text)
            if state != FAILED:
                rank = next(rank for rank, error in enumerate(errors) if error)
                raise OtherProcessError(f"process {rank} of {self.size} failed: {errors[rank]}")
        return int(worst)

    @contextmanager
    def holding_interrupts(self) -> Iterator[None]:
        """Let Ctrl-C wait for `hear_interrupts`, or for the end."""
        self.holds_interrupts = True
        try:
            yield
        finally:
            self.holds_interrupts = False

    def hear_interrupts(self) -> None:
        """Raise KeyboardInterrupt in all processes if one was interrupted."""
        self.holds_interrupts = False
        try:
            self.roll_call()
        finally:
            self.holds_interrupts = True

    def tell(self, error: BaseException) -> None:
        """Let the others know that this process fails, if they do not."""
        if self.is_told:
            return
        self.is_told = True
        try:
            text = f"{type(error).__name__}: {error}"
            self.roll_call(INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED, text)
        except (RuntimeError, OtherProcessError, KeyboardInterrupt):
            return  # they fail too, or are gone

    def of_first(self, work: Callable[[], T]) -> T:
        """What some work gives in the first process."""
        if not self.is_first:
            self.roll_call()
            received: T = unpacked(self._received())
            return received
        try:
            with alone(), all_threads(), nullcontext() if self.holds_interrupts else interrupting():
                value = work()
        except KeyboardInterrupt:
            self.roll_call(INTERRUPTED)
            raise
        content = packed(value)
        self.roll_call()
        self._send(content)
        return value

    def agreed(self, work: Callable[[], T], *, spares: Callable[[Exception], bool]) -> T:
        """The result of each process's own work, once all are done."""
        state = WELL
        try:
            value = work()
        except Exception as error:
            if not spares(error):
                raise
            state = NO_MEMORY
        if self.roll_call(state) == NO_MEMORY:
            raise MemoryError(f"memory does not reach in one of {self.size} processes.")
        return value

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """The sum of the processes' values."""
        self.roll_call()
        total = torch.from_numpy(np.array(values))
        self.exchanged.append([total])
        distributed.all_reduce(total, group=self.control)
        return total.numpy()

    def gathered(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """The values of each process, shape (size, n)."""
        self.roll_call()
        given = torch.from_numpy(values)
        parts = [torch.empty_like(given) for _ in range(self.size)]
        self.exchanged.append([given, *parts])
        distributed.all_gather(parts, given, group=self.control)
        return torch.stack(parts).numpy()

    def own(self, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of the lists that are this process's to compute."""
        return dealt(sizes, self.size)[self.rank]

    def wrapped(self, network: nn.Module) -> nn.Module:
        """A network whose backward pass gives each process the mean of all processes' gradients."""
        self.roll_call()
        on_cpu = next(network.parameters()).device.type == "cpu"
        self.gradients = distributed.new_group(backend="gloo" if on_cpu else None)
        parallel = nn.parallel.DistributedDataParallel(EmptyShare(network), process_group=self.gradients)
        # In its second pass it settles with the others what to send together. From the third on it waits
        # for none before the backward pass, to which those that run out of memory do not come.
        nothing = torch.zeros(0, 1, 1, device=next(network.parameters()).device)
        for _ in range(3):
            parallel(nothing[:, 0], nothing, None).sum().backward()
        return parallel

    @contextmanager
    def exchanging(self) -> Iterator[None]:
        """Around a backward pass: who fails here cannot be heard, since the others wait for its gradients."""
        try:
            yield
        except Exception as error:
            self.is_told = True
            raise OtherProcessError(
                f"the exchange of gradients with the other processes broke off: {error}"
            ) from error

    def close(self) -> None:
        """Leave the groups that this fit made.

        What was exchanged last outlives them: torch 2.6 holds the interpreter's lock while the end of a group
        waits for its threads, and they want the lock to free a tensor that nobody else holds.
        """
        for group in (self.gradients, self.control):
            if group is not None:
                distributed.destroy_process_group(group)
        self.gradients = self.control = None

    def _gathered(self, text: str) -> list[str]:
        """What each process says."""
        said = torch.zeros(ERROR_BYTES, dtype=torch.uint8)
        content = text.encode()[:ERROR_BYTES]
        said[: len(content)] = torch.tensor(list(content), dtype=torch.uint8)
        parts = [torch.empty_like(said) for _ in range(self.size)]
        self.exchanged.append([said, *parts])
        distributed.all_gather(parts, said, group=self.control)
        return [part.numpy().tobytes().rstrip(b"\0").decode(errors="ignore") for part in parts]

    def _send(self, content: bytes) -> None:
        self._broadcast(torch.tensor([len(content)]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # bytes cannot be written to, and nobody does
            held = torch.frombuffer(content, dtype=torch.uint8)
        for part in held.split(AT_ONCE):
            self._broadcast(part)

    def _received(self) -> bytes:
        size = torch.zeros(1, dtype=torch.int64)
        self._broadcast(size)
        held = torch.empty(int(size), dtype=torch.uint8)
        for part in held.split(AT_ONCE):
            self._broadcast(part)
        return held.numpy().tobytes()

    def _broadcast(self, tensor: torch.Tensor) -> None:
        self.exchanged.append([tensor])
        distributed.broadcast(tensor, 0, group=self.control)


_ALONE = Alone()
#: None where nobody has decided yet, and the next fit looks for a group.
_CURRENT: ContextVar[Alone | None] = ContextVar("processes", default=None)


def current() -> Alone:
    """The processes that the fit that runs now runs in."""
    return _CURRENT.get() or _ALONE


@contextmanager
def alone() -> Iterator[None]:
    """Fits of a process that is in an initialised process group, as if it were in none.

    Examples
    --------
    >>> with alone():
    ...     current().size
    1
    """
    token = _CURRENT.set(_ALONE)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def joined() -> Iterator[Alone]:
    """The processes of the initialised group as one fit, which ends in all if it ends in one.

    Without a group, within `alone`, or in a fit that has joined already, nothing changes. In other processes
    than the first nothing is warned of.
    """
    is_alone = not distributed.is_available() or not distributed.is_initialized()
    if _CURRENT.get() is not None or is_alone or distributed.get_world_size() == 1:
        yield current()
        return
    with ExitStack() as stack:
        if torch.cuda.is_available():
            stack.enter_context(torch.cuda.device(local_device()))
        group = Together()
        stack.callback(group.close)
        token = _CURRENT.set(group)
        stack.callback(_CURRENT.reset, token)
        stack.enter_context(_deferring(group))
        if not group.is_first:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        try:
            yield group
            group.roll_call()
        except BaseException as error:
            group.tell(error)
            raise


def local_device() -> int:
    """The number of the GPU that is this process's on its machine."""
    rank = int(os.environ.get("LOCAL_RANK", distributed.get_rank()))
    return rank % torch.cuda.device_count()


def _wait_for_all() -> None:
    """Wait for the other processes' fit, for as long as the group that was initialised allows."""
    if distributed.get_backend() == "nccl":
        distributed.barrier(device_ids=[torch.cuda.current_device()])
    else:
        distributed.barrier()


@contextmanager
def _deferring(group: Together) -> Iterator[None]:
    """Ctrl-C is noted until the next roll call, so that all processes stop at the same step.

    A second one is not waited with.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return

    def note(number: int, frame: Any) -> None:
        if group.is_interrupted:
            before(number, frame)
        group.is_interrupted = True

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
