"""Fits that may be interrupted: their checkpoint, looked at before the data are, and what Ctrl-C leaves."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hyperrank.cli.console import Console

__all__ = ["checked_checkpoint", "going_on"]


def checked_checkpoint(params: Mapping[str, Any], out: Path, *, resume: bool) -> Path | None:
    """The file that a fit is kept in; None for none.

    Parameters
    ----------
    params : mapping
        Parameters of the ranker.
    out : Path
        The model file to be written.
    resume : bool
        Whether the fit goes on from the file.

    Raises
    ------
    ValueError
        If there is nothing to resume from, the file would be lost, is damaged, or is the model file.
    """
    from hyperrank.rankers import HyperDPORanker
    from hyperrank.rankers.resuming import opened_checkpoint
    from hyperrank.training import Checkpoint

    given = params.get("checkpoint")
    if given is None:
        if resume:
            raise ValueError("--resume needs the file that the fit was kept in: --checkpoint FILE.")
        return None
    path = Path(str(given))
    if path.resolve() == out.resolve():
        raise ValueError(f"--checkpoint and --out are the same file: {path}.")
    if path.exists() and not resume:
        Checkpoint.read(path, 0.0)  # nobody is told to delete a file that is no checkpoint
        raise ValueError(f"{path} is there already: --resume goes on from it; delete it to begin anew.")
    opened_checkpoint(HyperDPORanker(**params), resume)
    return path


@contextmanager
def going_on(console: Console, checkpoint: Path | None) -> Iterator[None]:
    """Let Ctrl-C end a fit with a checkpoint as it ends any command: half a model is not written."""
    from hyperrank.training import current

    with warnings.catch_warnings():
        if checkpoint is not None:
            warnings.filterwarnings("ignore", message="training was interrupted", category=UserWarning)
        try:
            yield
        except KeyboardInterrupt:
            _say_how(console, checkpoint)
            raise
    # Of several processes the first one knows: it may be about to remove the file, which others may not see.
    if checkpoint is not None and current().of_first(checkpoint.exists):
        _say_how(console, checkpoint)
        raise KeyboardInterrupt


def _say_how(console: Console, checkpoint: Path | None) -> None:
    if checkpoint is not None and checkpoint.exists():
        console.note(f"The same command with --resume goes on from {checkpoint}.")
