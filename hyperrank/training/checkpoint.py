"""Checkpoint of an unfinished fit: a file with its finished phases and the state of its training."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from hyperrank._version import __version__
from hyperrank.files import ModelFileError, read_model_file, write_model_file
from hyperrank.training.distributed import SingleProcess
from hyperrank.training.step import TrainingState

#: What the head of the file says it is.
CHECKPOINT_CLASS = "fit checkpoint"
#: At most this share of the time is spent on writing.
WRITING_SHARE = 1 / 20

T = TypeVar("T")


class Checkpoint:
    """What a fit has done, stored in a file so that another process can continue from there.

    Rank 0 writes it, whole or not at all, after each phase and every `every` seconds of training (more where
    the file is large; 0: after each batch). Without `path` phases are computed, and that is all.
    """

    def __init__(
        self, path: Path | None = None, every: float = 60.0, processes: SingleProcess | None = None
    ) -> None:
        self.path, self.every = path, every
        self.processes = processes or SingleProcess()
        #: What tells the fit from others: data, options, seed.
        self.about: dict[str, Any] = {}
        self.phases: dict[str, Any] = {}
        self.training: Mapping[str, Any] | None = None
        self._due = time.monotonic() + every
        self._has_failed = False

    @classmethod
    def read(cls, path: Path, every: float, processes: SingleProcess | None = None) -> Checkpoint:
        """Go on from a file, of which nothing is ever run; ModelFileError if it is not a whole checkpoint."""
        head, content = read_model_file(path)
        if head.get("class") != CHECKPOINT_CLASS:
            raise ModelFileError(f"{path} is not the checkpoint of a fit: give another file as checkpoint.")
        if head.get("hyperrank") != __version__:
            raise ModelFileError(
                f"{path} was written by hyperrank {head.get('hyperrank')}; this is {__version__}. "
                "Go on with that version, or delete the file to start over."
            )
        checkpoint = cls(path, every, processes)
        try:
            checkpoint.about, checkpoint.phases = dict(content["about"]), dict(content["phases"])
            checkpoint.training = content["training"]
            seed = checkpoint.about["seed"]
            if type(seed) is not int or not 0 <= seed < 2**31 or checkpoint.epochs_done < 0:
                raise ValueError(f"its seed is {seed!r}")
        except (KeyError, TypeError, ValueError) as error:
            raise _incomplete(path, error) from error
        return checkpoint

    @property
    def content(self) -> tuple[Any, ...]:
        """All that another process needs to do the same: what `holding` takes."""
        path = None if self.path is None else str(self.path)
        return path, self.every, self.about, self.phases, self.training

    @classmethod
    def holding(cls, content: tuple[Any, ...], processes: SingleProcess | None = None) -> Checkpoint:
        """The checkpoint of another process."""
        path, every, about, phases, training = content
        checkpoint = cls(None if path is None else Path(path), every, processes)
        checkpoint.about, checkpoint.phases, checkpoint.training = about, phases, training
        return checkpoint

    @property
    def epochs_done(self) -> int:
        """Whole epochs that were trained before."""
        return len(self.history)

    @property
    def history(self) -> list[dict[str, float]]:
        """Entries of those epochs."""
        return [] if self.training is None else self.training["history"]

    def phase(self, name: str, compute: Callable[[], T]) -> T:
        """Result of a phase of the fit: from the file, or computed and stored there.

        A phase may have parts, named ``"name: part"``, which are stored until all of it is.
        """
        if self.path is None:
            return compute()
        if name not in self.phases:
            computed = compute()
            for part in [stored for stored in self.phases if stored.startswith(f"{name}: ")]:
                del self.phases[part]
            self.phases[name] = computed
            self._write(self.training)
        result: T = self.phases[name]
        return result

    def on_rank_zero(self, name: str, compute: Callable[[Checkpoint], T]) -> T:
        """Result of a phase that rank 0 computes, given the checkpoint as that of a single process."""
        view = copy.copy(self)
        view.processes = SingleProcess()
        return self.phase(name, lambda: self.processes.on_rank_zero(lambda: compute(view)))

    def parts_of(self, name: str) -> Callable[[str, Callable[[], Any]], Any]:
        """``(part, compute) -> result``, as `phase`, for parts of a phase."""
        return lambda part, compute: self.phase(f"{name}: {part}", compute)

    @contextmanager
    def resuming(self) -> Iterator[None]:
        """Name the file where what it has of phases leads to an error."""
        is_new = not self.phases
        try:
            yield
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            if is_new or isinstance(error, ModelFileError):
                raise
            raise _incomplete(self.path, error) from error

    def restore(self, state: TrainingState) -> None:
        """Put a training into the stored state, if there is one; ModelFileError where it is of another."""
        if self.training is None:
            return
        try:
            state.restore(self.training)
        except Exception as error:  # whatever a forged state runs into
            raise _incomplete(self.path, error) from error
        self.training = None

    def maybe_save(self, state: TrainingState) -> None:
        """Write the state of a training if it is time; after Ctrl-C in any case, and then raise it."""
        if self.path is None:
            return
        try:
            self.processes.raise_interrupt()
        except KeyboardInterrupt:
            self._write(state.state())
            raise
        if self.processes.is_rank_zero and time.monotonic() >= self._due:
            self._write(state.state())

    @contextmanager
    def defer_interrupts(self) -> Iterator[None]:
        """Let a first Ctrl-C wait for `maybe_save`, if there is a file to save to; a second does not wait."""
        if self.path is None:
            yield
            return
        with self.processes.defer_interrupts():
            yield

    def remove(self) -> None:
        """Delete the file."""
        if self.path is not None and self.processes.is_rank_zero:
            with suppress(OSError):
                self.path.unlink()

    def _write(self, training: Mapping[str, Any] | None) -> None:
        """Write the file; where that fails the fit continues, with a warning for the first time in a row."""
        assert self.path is not None
        if not self.processes.is_rank_zero:
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
                    f"the checkpoint {self.path} could not be written ({reason}): the fit continues without "
                    "a new one, and tries again at the next interval.",
                    UserWarning,
                    stacklevel=2,
                )
            self._has_failed = True
        ended = time.monotonic()
        self._due = ended + (max(self.every, (ended - started) / WRITING_SHARE) if self.every > 0 else 0)


def _incomplete(path: Path | None, error: Exception) -> ModelFileError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return ModelFileError(f"{path} is not a complete checkpoint: {reason}. Delete it to start over.")
