"""An unfinished fit in a file: its finished phases, and where its training stands."""

from __future__ import annotations

import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from hyperrank._version import __version__
from hyperrank.files import ModelFileError, read_model_file, write_model_file
from hyperrank.training.distributed import Together, current
from hyperrank.training.state import Run

__all__ = ["Checkpoint"]

#: What the head of the file says it is.
CHECKPOINT_CLASS = "fit checkpoint"
#: How many times as long as writing took there is none, so that it costs a twentieth of the time at most.
REST = 20

T = TypeVar("T")


class Checkpoint:
    """What a fit has done, kept in a file so that another process can go on from there.

    Parameters
    ----------
    path : Path, optional
        Written whole or not at all, at intervals and after each phase; by the first of several processes.
        None keeps nothing: then phases are computed, and that is all.
    every : float, default 60.0
        Seconds between two writings in training, more where the file is large; 0 writes after each batch.
    """

    def __init__(self, path: Path | None = None, every: float = 60.0) -> None:
        self.path, self.every = path, every
        #: What tells the fit from others: data, options, seed.
        self.about: dict[str, Any] = {}
        self.phases: dict[str, Any] = {}
        self.training: Mapping[str, Any] | None = None
        self._due = time.monotonic() + every
        self._has_failed = False
        self._is_interrupted = False

    @classmethod
    def read(cls, path: Path, every: float) -> Checkpoint:
        """Go on from a file; nothing in it is ever run.

        Raises
        ------
        ModelFileError
            If it is damaged, or no checkpoint of a fit.
        OSError
            If it cannot be opened.
        """
        head, content = read_model_file(path)
        if head.get("class") != CHECKPOINT_CLASS:
            raise ModelFileError(f"{path} is no checkpoint of a fit: give another file as checkpoint.")
        if head.get("hyperrank") != __version__:
            raise ModelFileError(
                f"{path} was written by hyperrank {head.get('hyperrank')}; this is {__version__}. "
                "Go on with that version, or delete the file to begin anew."
            )
        found = cls(path, every)
        try:
            found.about, found.phases = dict(content["about"]), dict(content["phases"])
            found.training = content["training"]
            int(found.about["seed"]), found.epochs_done
        except (KeyError, TypeError, ValueError) as error:
            raise _no_whole_fit(path, error) from error
        return found

    @property
    def content(self) -> tuple[Any, ...]:
        """All that another process needs to do the same: what `holding` takes."""
        path = None if self.path is None else str(self.path)
        return path, self.every, self.about, self.phases, self.training

    @classmethod
    def holding(cls, content: tuple[Any, ...]) -> Checkpoint:
        """The checkpoint of another process."""
        path, every, about, phases, training = content
        made = cls(None if path is None else Path(path), every)
        made.about, made.phases, made.training = about, phases, training
        return made

    @property
    def epochs_done(self) -> int:
        """Whole epochs that were trained before."""
        return 0 if self.training is None else len(self.training["history"])

    def phase(self, name: str, compute: Callable[[], T]) -> T:
        """What a phase of the fit gave: from the file, or computed and kept there.

        A phase may have parts, named ``"name: part"``: they are kept until all of it is.
        """
        if self.path is None:
            return compute()
        if name not in self.phases:
            found = compute()
            for part in [known for known in self.phases if known.startswith(f"{name}: ")]:
                del self.phases[part]
            self.phases[name] = found
            self._write(self.training)
        kept: T = self.phases[name]
        return kept

    def parts_of(self, name: str) -> Callable[[str, Callable[[], Any]], Any]:
        """``(part, compute) -> result``, as `phase`, for parts of a phase."""
        return lambda part, compute: self.phase(f"{name}: {part}", compute)

    def restore(self, run: Run) -> None:
        """Put a run where the file says that it stood.

        Raises
        ------
        ModelFileError
            If the file does not say it.
        """
        if self.training is None:
            return
        try:
            run.restore(self.training)
        except Exception as error:  # whatever a forged state runs into
            raise _no_whole_fit(self.path, error) from error
        self.training = None

    def offer(self, run: Run) -> None:
        """Write where a run stands, if it is time; after Ctrl-C in any case, and then raise it."""
        if self.path is None:
            return
        try:
            self._hear()
        except KeyboardInterrupt:
            self._write(run.state())
            raise
        if current().is_first and time.monotonic() >= self._due:
            self._write(run.state())

    @contextmanager
    def waiting_for_batches(self) -> Iterator[None]:
        """Let a first Ctrl-C wait for the end of the batch, where the run can be kept; a second does not."""
        processes = current()
        if self.path is not None and isinstance(processes, Together):
            with processes.holding_interrupts():
                yield
                processes.hear_interrupts()
            return
        is_main = threading.current_thread() is threading.main_thread()
        if self.path is None or not is_main or signal.getsignal(signal.SIGINT) != signal.default_int_handler:
            yield
            return

        def later(number: int, frame: Any) -> None:
            if self._is_interrupted:
                signal.default_int_handler(number, frame)
            self._is_interrupted = True

        signal.signal(signal.SIGINT, later)
        try:
            yield
            if self._is_interrupted:
                raise KeyboardInterrupt  # it came after the last batch
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def remove(self) -> None:
        """Delete the file, and what processes that were killed while they wrote it have left."""
        if self.path is None or not current().is_first:
            return
        for path in [self.path, *self.path.parent.glob(f".{_literal(self.path.name)}.*.partial")]:
            with suppress(OSError):
                path.unlink()

    def _hear(self) -> None:
        """Raise KeyboardInterrupt after Ctrl-C in this process, or in one of those that train together."""
        processes = current()
        if isinstance(processes, Together):
            processes.hear_interrupts()
        elif self._is_interrupted:
            raise KeyboardInterrupt

    def _write(self, training: Mapping[str, Any] | None) -> None:
        """Write the file; where that fails the fit goes on, with a warning for the first time in a row."""
        assert self.path is not None
        if not current().is_first:
            return
        started = time.monotonic()
        content = {"about": self.about, "phases": self.phases, "training": training}
        head = {"class": CHECKPOINT_CLASS, "hyperrank": __version__}
        try:
            write_model_file(self.path, content, head=head)
            self._has_failed = False
        except (OSError, MemoryError) as error:
            if not self._has_failed:
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                warnings.warn(
                    f"the checkpoint {self.path} could not be written ({reason}): the fit goes on without a "
                    "new one, and tries again at the next interval.",
                    UserWarning,
                    stacklevel=2,
                )
            self._has_failed = True
        ended = time.monotonic()
        self._due = ended + (max(self.every, REST * (ended - started)) if self.every > 0 else 0)


def _no_whole_fit(path: Path | None, error: Exception) -> ModelFileError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return ModelFileError(f"{path} holds no whole fit: {reason}. Delete it to begin anew.")


def _literal(name: str) -> str:
    """A name as a pattern that matches it alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
