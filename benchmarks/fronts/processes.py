"""Function calls in separate processes, which isolates memory and crashes."""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from collections.abc import Callable
from typing import Any

__all__ = ["RunFailed", "end_processes", "in_own_process"]

#: Imported once by the server that the processes are forked from.
PRELOADED = (
    "torch",
    # The first optimiser of a process imports it, in seconds that no fit should answer for.
    "torch._dynamo",
    "lightgbm",
    "moocore",
    "ir_measures",
    "hyperrank.rankers",
    "hyperrank.datasets",
    "hyperrank.metrics",
    "benchmarks.fronts.worker",
)


#: Running processes.
_RUNNING: set[Any] = set()


class RunFailed(RuntimeError):  # noqa: N818 - it tells an outcome
    """A run raised an error or its process died; the message says which, in one line."""


def in_own_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process, and give its result.

    Parameters
    ----------
    function : callable
        Found by name in its module.
    *arguments
        Pickled for it.

    Returns
    -------
    object

    Raises
    ------
    RunFailed
        If it raises, or its process dies.
    """
    context = _context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(sender, function, arguments), daemon=True)
    process.start()
    _RUNNING.add(process)
    # Ours must be closed, or the end of the other process would go unnoticed.
    sender.close()
    try:
        is_ok, result = receiver.recv()
    except EOFError:
        process.join()
        raise RunFailed(_cause(process.exitcode)) from None
    except BaseException:
        process.terminate()
        raise
    finally:
        process.join()
        _RUNNING.discard(process)
        receiver.close()
    if not is_ok:
        raise RunFailed(result)
    return result


def end_processes() -> None:
    """End what runs now; whoever waits for it gets `RunFailed`."""
    for process in list(_RUNNING):
        process.terminate()


def _context() -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def _call(sender: Any, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    # Ctrl-C reaches all processes of a terminal; the parent decides what becomes of this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        sender.send((True, function(*arguments)))
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        message = " ".join(str(error).split())
        at = f"{where.filename.rsplit('/', 1)[-1]}:{where.lineno}"
        sender.send((False, f"{type(error).__name__}: {message} ({at})"))


def _cause(exit_code: int | None) -> str:
    """Why a process ended without a result."""
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = ", most likely for want of memory" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended with status {exit_code}"
