"""Distributed fit: the processes of one job, what they compute together, and how they end together.

Before each exchange the processes report their status, and all learn of the worst. So one that fails, is
interrupted or runs out of memory is heard by all others, and none waits for an exchange that will not come.
"""

from __future__ import annotations

import os
import pickle
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed, nn

from hyperrank._environment import interruptible, noted_interrupts, own_threads
from hyperrank.boosters import booster_threads
from hyperrank.training.data import EmptyShards, shards

T = TypeVar("T")
#: Statuses of a process, from the best to the worst.
WELL, OUT_OF_MEMORY, INTERRUPTED, FAILED = range(4)
#: How long a process waits while rank 0 tunes and trains boosters. One that ends is noticed at once.
TIMEOUT = timedelta(days=2)
SAME_FIT = "Call fit with the same data and options in each: it shards the queries itself."


class OtherProcessError(ConnectionError):
    """Another of the processes that train together has failed; the message says which and why."""


class SingleProcess:
    """A process that trains by itself: rank 0 of 1."""

    rank, size = 0, 1

    def __init__(self) -> None:
        self.is_interrupted = False

    @property
    def is_rank_zero(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    def on_rank_zero(self, compute: Callable[[], T]) -> T:
        """What rank 0 computes, outside of the group; the others wait for it and get a copy."""
        return compute()

    def run_synced(self, compute: Callable[[], T], *, is_out_of_memory: Callable[[Exception], bool]) -> T:
        """What each process computes, once all are done; MemoryError in all if one runs out of memory."""
        return compute()

    def all_reduce(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sum of the processes' values."""
        return values

    def nanmean(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean over the first axis of all processes' values, NaN left out."""
        known = ~np.isnan(values)
        sums = np.stack([np.where(known, values, 0).sum(axis=0), known.sum(axis=0)])
        total, count = self.all_reduce(sums)
        with np.errstate(invalid="ignore"):
            return np.asarray(total / count)

    def check_same(self, described: Mapping[str, str], hint: str = SAME_FIT) -> None:
        """Refuse, by a ValueError in all processes, what is described otherwise in some of them."""

    def shard(self, sizes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of the lists that this process trains on, of lists of these sizes."""
        return shards(sizes, self.size)[self.rank]

    def threads(self, available: int) -> int:
        """Threads for this process to train with, so that those of a machine do not share cores."""
        return available

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network with a backward pass that gives each process the mean of all processes' gradients."""
        return network

    @contextmanager
    def exchanging_gradients(self) -> Iterator[None]:
        """Stand around a backward pass."""
        yield

    @contextmanager
    def defer_interrupts(self) -> Iterator[None]:
        """Hold back a first Ctrl-C until `raise_interrupt` or the end; a second is raised at once."""
        self.is_interrupted = False
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return
        with noted_interrupts(self._note_interrupt):
            yield
            self.raise_interrupt()

    def raise_interrupt(self) -> None:
        """Raise KeyboardInterrupt if one was held back, in any process."""
        if self.is_interrupted:
            raise KeyboardInterrupt

    def _note_interrupt(self) -> bool:
        """Hold back an interrupt, unless one is held back."""
        is_first = not self.is_interrupted
        self.is_interrupted = True
        return is_first


class Distributed(SingleProcess):
    """One of the processes of an initialised group, which all train the same, each on its shard."""

    def __init__(self) -> None:
        super().__init__()
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()
        # As long as the group that was initialised allows: another process may never call fit.
        on_nccl = distributed.get_backend() == "nccl"
        distributed.barrier(device_ids=[torch.cuda.current_device()] if on_nccl else None)
        self.control = distributed.new_group(backend="gloo", timeout=TIMEOUT)
        self.gradients: distributed.ProcessGroup | None = None
        #: Whether all know that the fit is over, or cannot be told.
        self.is_over = False
        self.defers_interrupts = False

    def sync_status(self, status: int = WELL, error: str = "") -> int:
        """Report this process's status; the worst of all.

        An OtherProcessError if another failed; a KeyboardInterrupt in all, at one place, if one had it.
        """
        if self.is_interrupted and status < INTERRUPTED and not self.defers_interrupts:
            status = INTERRUPTED
        worst = torch.tensor([status])
        try:
            distributed.all_reduce(worst, distributed.ReduceOp.MAX, group=self.control)
        except RuntimeError as reason:
            self.is_over = True
            raise OtherProcessError(f"another of {self.size} processes has ended: {reason}") from reason
        if int(worst) == INTERRUPTED:
            self.is_interrupted = False
            raise KeyboardInterrupt
        if int(worst) == FAILED:
            self.is_over = True
            errors = self._gather_objects(error)
            if status != FAILED:
                rank = next(rank for rank, said in enumerate(errors) if said)
                raise OtherProcessError(f"process {rank} of {self.size} failed: {errors[rank]}")
        return int(worst)

    def report(self, error: BaseException) -> None:
        """Let the others know that this process ends, if they do not."""
        if self.is_over:
            return
        self.is_over = True
        status = INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
        try:
            self.sync_status(status, f"{type(error).__name__}: {error}")
        except (RuntimeError, OtherProcessError, KeyboardInterrupt):
            return  # they end too, or are gone

    def on_rank_zero(self, compute: Callable[[], T]) -> T:
        """What rank 0 computes, outside of the group; the others wait for it and get a copy."""
        content = [b""]
        if self.is_rank_zero:
            try:
                with alone(), _all_threads(), nullcontext() if self.defers_interrupts else interruptible():
                    value = compute()
            except KeyboardInterrupt:
                self.sync_status(INTERRUPTED)
                raise
            content = [pickle.dumps(value)]  # before the others are told that all is well
        self.sync_status()
        distributed.broadcast_object_list(content, src=0, group=self.control)
        return value if self.is_rank_zero else pickle.loads(content[0])

    def run_synced(self, compute: Callable[[], T], *, is_out_of_memory: Callable[[Exception], bool]) -> T:
        """What each process computes, once all are done; MemoryError in all if one runs out of memory."""
        status = WELL
        try:
            value = compute()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            status = OUT_OF_MEMORY
        if self.sync_status(status) == OUT_OF_MEMORY:
            raise MemoryError
        return value

    def all_reduce(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sum of the processes' values."""
        self.sync_status()
        total = torch.from_numpy(np.array(values))
        distributed.all_reduce(total, group=self.control)
        return total.numpy()

    def check_same(self, described: Mapping[str, str], hint: str = SAME_FIT) -> None:
        """Refuse, by a ValueError in all processes, what is described otherwise in some of them."""
        self.sync_status()
        every = self._gather_objects(dict(described))
        names = {name: {one.get(name) for one in every} for one in every for name in one}
        differing = [name for name, values in names.items() if len(values) > 1]
        if differing:
            values = " or ".join(str(one.get(differing[0]))[:40] for one in every)
            raise ValueError(
                f"{' and '.join(differing[:3])} differ between the {self.size} processes: {differing[0]} is "
                f"{values}. {hint} To fit in one process, call fit under `with hyperrank.training.alone():`."
            )

    def threads(self, available: int) -> int:
        """Threads for this process to train with, so that those of a machine do not share cores."""
        n_local = int(os.environ.get("LOCAL_WORLD_SIZE", self.size))
        return max(1, min(available, (os.cpu_count() or 1) // n_local))

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network with a backward pass that gives each process the mean of all processes' gradients."""
        self.sync_status()
        device = next(network.parameters()).device
        self.gradients = distributed.new_group(backend="gloo" if device.type == "cpu" else None)
        parallel = nn.parallel.DistributedDataParallel(EmptyShards(network), process_group=self.gradients)
        # In its second pass it settles with the others what to send together. From the third on it waits
        # for none before the backward pass, to which those that run out of memory do not come.
        empty = torch.zeros(0, 1, 1, device=device)
        for _ in range(3):
            parallel(empty[:, 0], empty, None).sum().backward()
        return parallel

    @contextmanager
    def exchanging_gradients(self) -> Iterator[None]:
        """Stand around a backward pass: who fails there cannot be heard, since others wait for gradients."""
        try:
            yield
        except Exception as error:
            self.is_over = True
            raise OtherProcessError(f"gradients could not be exchanged: {error}") from error

    @contextmanager
    def defer_interrupts(self) -> Iterator[None]:
        """Hold back a first Ctrl-C until `raise_interrupt` or the end; a second is raised at once."""
        self.defers_interrupts = True
        try:
            yield
            self.raise_interrupt()
        finally:
            self.defers_interrupts = False

    def raise_interrupt(self) -> None:
        """Raise KeyboardInterrupt in all processes if one was interrupted."""
        self.defers_interrupts = False
        try:
            self.sync_status()
        finally:
            self.defers_interrupts = True

    def close(self) -> None:
        """Leave the groups that this fit made."""
        # In torch 2.6 the end of a group holds the interpreter's lock while it waits for its threads, which
        # want the lock to free the tensors that were exchanged last.
        time.sleep(0.05)
        for group in (self.gradients, self.control):
            if group is not None:
                distributed.destroy_process_group(group)

    def _gather_objects(self, value: T) -> list[T]:
        """The value of each process."""
        values: list[Any] = [None] * self.size
        distributed.all_gather_object(values, value, group=self.control)
        return values


_JOINED: ContextVar[SingleProcess | None] = ContextVar("processes", default=None)


@contextmanager
def alone() -> Iterator[None]:
    """Fit in this process alone, whatever group it is in.

    Examples
    --------
    >>> with alone(), process_group() as processes:
    ...     processes.size
    1
    """
    token = _JOINED.set(SingleProcess())
    try:
        yield
    finally:
        _JOINED.reset(token)


@contextmanager
def process_group() -> Iterator[SingleProcess]:
    """The processes of the initialised group, for one fit that ends in all if it ends in one.

    This process by itself without a group and within `alone`. Only rank 0 warns.
    """
    joined = _JOINED.get()
    is_grouped = distributed.is_available() and distributed.is_initialized()
    if joined is not None or not is_grouped or distributed.get_world_size() == 1:
        yield joined or SingleProcess()
        return
    with ExitStack() as stack:
        if torch.cuda.is_available():
            rank = int(os.environ.get("LOCAL_RANK", distributed.get_rank()))
            stack.enter_context(torch.cuda.device(rank % torch.cuda.device_count()))
        processes = Distributed()
        stack.callback(processes.close)
        stack.callback(_JOINED.reset, _JOINED.set(processes))
        stack.enter_context(noted_interrupts(processes._note_interrupt))
        if not processes.is_rank_zero:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        try:
            yield processes
            processes.sync_status()
        except BaseException as error:
            processes.report(error)
            raise


@contextmanager
def _all_threads() -> Iterator[None]:
    """The threads of all processes of this machine, for work that the others wait for.

    torchrun holds each to its share by ``OMP_NUM_THREADS=1``.
    """
    n_local = int(os.environ.get("LOCAL_WORLD_SIZE", 0))
    n_threads = min(os.cpu_count() or 1, n_local * torch.get_num_threads())
    with ExitStack() as stack:
        if n_local:
            stack.enter_context(own_threads(n_threads))
            stack.enter_context(booster_threads(n_threads))
        yield
