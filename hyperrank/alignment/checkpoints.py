"""An interrupted run on disk: parameters, optimiser, history and seed, in safetensors and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hyperrank.files import ModelFileError, read_model_file, write_model_file

__all__ = ["RunState", "find_checkpoint", "write_checkpoint"]

#: The file in a checkpoint folder.
NAME = "alignment-checkpoint.safetensors"
#: What its head says it is.
CHECKPOINT_CLASS = "alignment checkpoint"


@dataclass
class RunState:
    """Where a run stands. Its chance depends on seed and step alone, so they are the state of that too.

    Attributes
    ----------
    seed : int
    step : int
        Steps taken.
    bad : int
        Steps in a row whose gradient was not finite.
    collapsed : bool
        Whether the run was stopped for its log-ratio.
    history : list of dict
        An entry per step.
    trained, kept : dict of str to ndarray
        The parameters, and those of the last state that had not collapsed.
    optimiser : dict
        Of each parameter, by number, what AdamW holds.
    """

    seed: int
    step: int = 0
    bad: int = 0
    collapsed: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)
    trained: dict[str, Any] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)
    optimiser: dict[Any, Any] = field(default_factory=dict)


def arrays(values: Mapping[str, Tensor]) -> dict[str, Any]:
    """Copies of tensors as arrays."""
    return {name: value.detach().cpu().numpy().copy() for name, value in values.items()}


def optimiser_arrays(optimiser: torch.optim.Optimizer) -> dict[int, dict[str, Any]]:
    """What an optimiser holds of each parameter, by its number."""
    return {number: arrays(held) for number, held in optimiser.state_dict()["state"].items()}


def restore_optimiser(optimiser: torch.optim.Optimizer, held: Mapping[int, Mapping[str, Any]]) -> None:
    """Give an optimiser what it held."""
    state = {int(number): {k: torch.tensor(v) for k, v in of.items()} for number, of in held.items()}
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def write_checkpoint(folder: str | Path, key: str, state: RunState) -> Path:
    """Write a run's state, whole or not at all; the folder is made if it is not there."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    head = {"class": CHECKPOINT_CLASS, "key": key, "step": state.step}
    return write_model_file(folder / NAME, vars(state), head=head)


def find_checkpoint(folder: str | Path, key: str) -> RunState | None:
    """The state of the run with this key; None where the folder holds no checkpoint.

    Raises
    ------
    ModelFileError
        If the checkpoint is damaged, or that of another run.
    """
    path = Path(folder) / NAME
    if not path.exists():
        return None
    head, content = read_model_file(path)
    if head.get("class") != CHECKPOINT_CLASS:
        raise ModelFileError(f"{path} is no checkpoint of an alignment: give another checkpoint_dir.")
    if head.get("key") != key:
        raise ModelFileError(
            f"{path} is the checkpoint of a fit with other data, another model or other options: "
            "give another checkpoint_dir, or delete it to begin anew."
        )
    try:
        state = RunState(**content)
        finite = all(np.isfinite(value).all() for value in state.trained.values())
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"{path} holds no whole run: {error}. Delete it to begin anew.") from error
    if not finite:
        raise ModelFileError(f"{path} holds parameters that are not finite: delete it to begin anew.")
    return state
