"""Peak memory of one call of a loss, in a process of its own."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress

import torch

from benchmarks.losses_rivals import MAKERS, make_data
from benchmarks.machine import current_memory_bytes, peak_memory_bytes, reset_peak_memory

__all__ = ["peak_apart"]

#: A first call on so few documents loads and compiles what is needed once per process.
FEW_DOCUMENTS = 1000


def peak_apart(maker: int, documents: int, objectives: int, device: str, seed: int) -> float:
    """Bytes of the maker of that number, from flat data to gradients, above what was there before."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.losses_memory"])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_peak, maker, documents, objectives, device, seed).result()


def _peak(maker: int, documents: int, objectives: int, device: str, seed: int) -> float:
    torch.set_num_threads(1)
    MAKERS[maker](make_data(min(documents, FEW_DOCUMENTS), objectives, device=device, seed=seed)).run()
    data = make_data(documents, objectives, device=device, seed=seed)
    gc.collect()
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        MAKERS[maker](data).run()
        return float(torch.cuda.max_memory_allocated() - before)
    # What was freed is given back, so that the peak counts all that is asked for.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    reset_peak_memory()
    before = current_memory_bytes()
    MAKERS[maker](data).run()
    return float(max(0, peak_memory_bytes() - before))
