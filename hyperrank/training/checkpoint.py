"""Checkpoint of an unfinished fit: the state of its training, its finished phases, and the file of both."""

from __future__ import annotations

import copy
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.adamw import adamw

from hyperrank._checks import check_number
from hyperrank._version import __version__
from hyperrank.files import ModelFileError, check_suffix, check_writable, read_model_file, write_model_file
from hyperrank.training.data import document_batches
from hyperrank.training.distributed import SingleProcess
from hyperrank.training.options import get_checkpoint_file

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
    def open(cls, checkpoint: Any, *, resume: bool, processes: SingleProcess | None = None) -> Checkpoint:
        """The checkpoint that a ranker's parameter asks for, with its content to `resume` from."""
        processes = processes or SingleProcess()
        opened = processes.on_rank_zero(lambda: cls._open(checkpoint, resume))
        opened.processes = processes
        return opened

    @classmethod
    def _open(cls, checkpoint: Any, resume: bool) -> Checkpoint:
        if resume not in (True, False):
            raise ValueError(f"resume must be True or False; got {resume!r}.")
        if checkpoint is None:
            if resume:
                raise ValueError(
                    "resume=True needs the file of the fit's checkpoint: "
                    "HyperDPORanker(checkpoint='fit.checkpoint')."
                )
            return cls()
        file = get_checkpoint_file(checkpoint)
        path, every = _checked_path(file.path), check_number("checkpoint.every", file.every, at_least=0)
        if not path.exists():
            return cls(path, every)
        found = cls.read(path, every)  # nobody is told to delete a file that is not a checkpoint
        if not resume:
            raise ValueError(
                f"checkpoint {path} is there already: fit(..., resume=True) continues from it; delete it to "
                "start over, or give another file."
            )
        return found

    @classmethod
    def read(cls, path: Path, every: float) -> Checkpoint:
        """Go on from a file, of which nothing is ever run; ModelFileError if it is not a whole checkpoint."""
        head, content = read_model_file(path)
        if head.get("class") != CHECKPOINT_CLASS:
            raise ModelFileError(f"{path} is not the checkpoint of a fit: give another file as checkpoint.")
        if head.get("hyperrank") != __version__:
            raise ModelFileError(
                f"{path} was written by hyperrank {head.get('hyperrank')}; this is {__version__}. "
                "Go on with that version, or delete the file to start over."
            )
        checkpoint = cls(path, every)
        try:
            checkpoint.about, checkpoint.phases = dict(content["about"]), dict(content["phases"])
            checkpoint.training = content["training"]
            seed = checkpoint.about["seed"]
            if type(seed) is not int or not 0 <= seed < 2**31 or not isinstance(checkpoint.history, list):
                raise ValueError(f"its seed is {seed!r}")
        except (KeyError, TypeError, ValueError) as error:
            raise _incomplete(path, error) from error
        return checkpoint

    @property
    def history(self) -> list[dict[str, float]]:
        """Entries of the whole epochs that were trained before."""
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
        if self.processes.size == 1:
            return self.phase(name, partial(compute, self))
        view = copy.copy(self)
        view.processes = SingleProcess()
        return self.phase(name, partial(self.processes.on_rank_zero, partial(compute, view)))

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
            state.restore(self.training, self.processes)
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

    def defer_interrupts(self) -> AbstractContextManager[None]:
        """Let a first Ctrl-C wait for `maybe_save`, if there is a file to save to; a second does not wait."""
        return nullcontext() if self.path is None else self.processes.defer_interrupts()

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


def _checked_path(given: str | os.PathLike[str]) -> Path:
    path = Path(given)
    check_suffix(path, ".safetensors")
    try:
        check_writable(path)
    except OSError as error:
        raise ValueError(
            f"checkpoint {path} cannot be written. {error.strerror}: {error.filename}."
        ) from error
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"checkpoint {path} cannot be written: no permission in {path.parent}.")
    return path


def _incomplete(path: Path | None, error: Exception) -> ModelFileError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return ModelFileError(f"{path} is not a complete checkpoint: {reason}. Delete it to start over.")


class Optimiser:
    """AdamW by torch's function: its class imports the compiler, a second and 140 MiB."""

    def __init__(self, parameters: Sequence[Tensor], weight_decay: float) -> None:
        self.parameters, self.weight_decay = list(parameters), weight_decay
        self.moments = [
            {"step": torch.tensor(0.0), "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
            for p in self.parameters
        ]

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Change the parameters by their gradients."""
        pairs = zip(self.parameters, self.moments, strict=True)
        used = [(p, p.grad, moments) for p, moments in pairs if p.grad is not None]
        adamw(
            [parameter for parameter, _, _ in used],
            [gradient for _, gradient, _ in used],
            [moments["exp_avg"] for _, _, moments in used],
            [moments["exp_avg_sq"] for _, _, moments in used],
            [],
            [moments["step"] for _, _, moments in used],
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )


class RunningAverage:
    """Exponential running average of a network's parameters."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay, self.n_updates = network, decay, 0
        self.averaged = [p.detach().clone() for p in network.parameters()] if decay > 0 else []

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's parameters as they are now."""
        if self.decay <= 0:
            return
        self.n_updates += 1
        # A young average forgets faster, so that the random start does not linger in it.
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        for averaged, parameter in zip(self.averaged, self.network.parameters(), strict=True):
            averaged.lerp_(parameter, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averaged parameters in the network for a while."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Swap the network's parameters and the averaged ones; nothing without an average."""
        for averaged, parameter in zip(self.averaged, self.network.parameters(), strict=False):
            trained = parameter.detach().clone()
            parameter.copy_(averaged)
            averaged.copy_(trained)


@dataclass
class TrainingState:
    """A training between two batches."""

    network: nn.Module
    optimiser: Optimiser
    average: RunningAverage
    rng: np.random.Generator  # of the shuffling and the weights
    generator: torch.Generator  # of dropout and the orders of ties
    history: list[dict[str, float]] = field(default_factory=list)
    epoch: int = 1
    batch: int = 0
    losses: list[Tensor] = field(default_factory=list)
    taken: int = 0  # steps
    bad: int = 0  # those in a row at the end whose gradient was not finite
    skipped: int = 0  # those of all
    too_many: float = math.inf  # documents of a step that ran out of memory
    best_score: float = -math.inf
    best_epoch: int = 0
    best_parameters: dict[str, Tensor] | None = None
    #: State of the generator before the lists of the epoch at hand were shuffled.
    shuffled_from: Any = None
    #: When the epoch at hand began, or would have begun had it not been interrupted.
    started: float = 0.0

    def batches(self, sizes: NDArray[np.int64], batch_docs: int) -> list[NDArray[np.int64]]:
        """The batches that are left of the epoch at hand."""
        shuffler = self.rng
        if self.batch == 0:
            self.shuffled_from, self.started = self.rng.bit_generator.state, time.perf_counter()
        else:  # the same order as before the interruption
            shuffler = np.random.default_rng()
            shuffler.bit_generator.state = self.shuffled_from
        return list(document_batches(sizes, batch_docs, shuffler))[self.batch :]

    def end_epoch(self) -> None:
        """Go to the beginning of the next."""
        self.epoch, self.batch, self.losses = self.epoch + 1, 0, []

    def keep_best(self, score: float) -> None:
        """Keep the network's parameters if their score is the highest; a NaN never is."""
        if score > self.best_score:
            self.best_score, self.best_epoch = score, self.epoch
            self.best_parameters = copy.deepcopy(self.network.state_dict())

    def state(self) -> dict[str, Any]:
        """All of it as plain values and arrays, which may share memory with it: write them at once."""
        average, best = self.average, self.best_parameters
        return {
            "epoch": self.epoch,
            "batch": self.batch,
            "seconds": time.perf_counter() - self.started if self.batch else 0.0,
            "history": self.history,
            "losses": _array(torch.stack(self.losses)) if self.losses else None,
            "rng": {"now": self.rng.bit_generator.state, "before": self.shuffled_from},
            "torch": _array(self.generator.get_state()),
            "network": _arrays(self.network.state_dict()),
            "optimiser": [_arrays(moments) for moments in self.optimiser.moments],
            "steps": [self.taken, self.bad, self.skipped, float(self.too_many)],
            "average": {"n_updates": average.n_updates, "averaged": [_array(p) for p in average.averaged]},
            "best": [self.best_score, self.best_epoch],
            "best_state": None if best is None else _arrays(best),
        }

    def restore(self, state: Mapping[str, Any], processes: SingleProcess) -> None:
        """Go on from a stored state, which may be of more or fewer processes."""
        device = next(self.network.parameters()).device
        self._check(state)
        self.epoch, self.batch, self.history = state["epoch"], state["batch"], list(state["history"])
        self.started = time.perf_counter() - state["seconds"]
        if state["losses"] is not None:
            self.losses = _local_losses(torch.tensor(state["losses"], device=device), processes)
        self.network.load_state_dict(_tensors(state["network"]))
        self.taken, self.bad, self.skipped, self.too_many = state["steps"]
        for moments, stored in zip(self.optimiser.moments, state["optimiser"], strict=True):
            for name, value in _tensors(stored).items():
                moments[name].copy_(value)
        self.average.n_updates = state["average"]["n_updates"]
        for averaged, value in zip(self.average.averaged, state["average"]["averaged"], strict=True):
            averaged.copy_(torch.tensor(value))
        self.best_score, self.best_epoch = state["best"]
        if state["best_state"] is not None:
            self.best_parameters = {k: v.to(device) for k, v in _tensors(state["best_state"]).items()}
        self.shuffled_from = state["rng"]["before"]
        self.rng.bit_generator.state = state["rng"]["now"]
        if processes.is_rank_zero:
            self.generator.set_state(torch.tensor(state["torch"]))
        else:  # the file has the generator of rank 0, and what is dropped differs between processes
            self.generator.manual_seed((processes.rank << 32) + self.taken)

    def _check(self, state: Mapping[str, Any]) -> None:
        """Refuse a state whose parts are not those of this training."""
        _check_like(state["network"], _arrays(self.network.state_dict()))
        if state["best_state"] is not None:
            _check_like(state["best_state"], _arrays(self.network.state_dict()))
        _check_like(state["average"]["averaged"], [_array(p) for p in self.average.averaged])
        _check_like(state["optimiser"], [_arrays(moments) for moments in self.optimiser.moments])
        for moments in state["optimiser"]:
            _expect(moments["step"] >= 0 and (moments["exp_avg_sq"] >= 0).all())
        taken, bad, skipped, too_many = state["steps"]
        counts = (state["epoch"], state["batch"], taken, bad, skipped, state["average"]["n_updates"])
        _expect(all(type(count) is int and 0 <= count < 2**53 for count in counts))
        _expect(state["epoch"] == len(state["history"]) + 1 and isinstance(too_many, float) and too_many > 0)
        for number, entry in enumerate(state["history"], start=1):
            names = {name for name in entry if not name.startswith("validation/")} - {"score"}
            _expect(names == {"epoch", "loss", "seconds"} and entry["epoch"] == number)
            _expect(all(isinstance(value, float) for value in entry.values()))
        score, epoch = state["best"]
        _expect(isinstance(score, float) and type(epoch) is int and 0 <= epoch < state["epoch"])
        _expect(isinstance(state["seconds"], float) and 0 <= state["seconds"] < np.inf)
        losses = state["losses"]
        _expect((0 if losses is None else len(losses)) >= state["batch"])
        _expect(losses is None or (losses.dtype.kind == "f" and losses.shape[1:] in ((), (2,))))
        for stored in filter(None, state["rng"].values()):
            np.random.default_rng().bit_generator.state = stored
        _expect(state["rng"]["now"] is not None and (state["batch"] == 0 or bool(state["rng"]["before"])))


def _local_losses(losses: Tensor, processes: SingleProcess) -> list[Tensor]:
    """Losses of steps as this process has them, of those that as many or other processes wrote.

    They are those of rank 0: what others had of the epoch's loss is not in its checkpoint.
    """
    if processes.size == 1:
        return list(losses if losses.ndim == 1 else losses[:, 0] / losses[:, 1])
    if losses.ndim == 1:
        losses = torch.stack([losses, torch.ones_like(losses)], dim=1)
    return list(losses if processes.is_rank_zero else torch.zeros_like(losses))


def _array(tensor: Tensor) -> NDArray[Any]:
    return np.asarray(tensor.detach().cpu().numpy())


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    return {name: _array(tensor) for name, tensor in tensors.items()}


def _tensors(arrays: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: torch.tensor(array) for name, array in arrays.items()}


def _expect(is_so: Any) -> None:
    if not is_so:
        raise ValueError("what it says of the training is not a state of it")


def _check_like(stored: Any, expected: Any) -> None:
    """Refuse arrays of other shapes or types than expected, and those that are not finite."""
    if isinstance(expected, np.ndarray):
        _expect(
            isinstance(stored, np.ndarray)
            and (stored.shape, stored.dtype) == (expected.shape, expected.dtype)
        )
        _expect(stored.dtype.kind != "f" or np.isfinite(stored).all())
        return
    _expect(type(stored) is type(expected) and len(stored) == len(expected))
    for name in expected if isinstance(expected, dict) else range(len(expected)):
        _check_like(stored[name], expected[name])
