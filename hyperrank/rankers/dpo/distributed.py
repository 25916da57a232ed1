"""Checks that all processes of a distributed fit are given the same."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

import numpy as np

from hyperrank.rankers.data import FitInputs, LabelledLists
from hyperrank.training.distributed import SingleProcess

__all__ = ["check_same_fit", "check_same_reference"]

#: Rows whose features are compared.
COMPARED_ROWS = 1000


def check_same_fit(
    inputs: FitInputs, options: Mapping[str, str], resolved: object, processes: SingleProcess, *, is_new: bool
) -> None:
    """Refuse data or options that differ between the processes.

    Parameters
    ----------
    inputs : FitInputs
    options : mapping
        All options, each as a text.
    resolved : object
        What has been made of them, whose ``repr`` is compared too.
    processes : SingleProcess
    is_new : bool
        Whether the fit goes on from no earlier one.

    Raises
    ------
    ValueError
        In all of them, with what differs.
    """
    training, validation, weight = inputs.training, inputs.validation, inputs.list_weight
    described = {
        "number of rows": len(training.X),
        "number of features": training.X.shape[1],
        "queries": crc32(training.lists.offsets.tobytes()),
        "labels": crc32(np.ascontiguousarray(training.Y).data),
        "features": _digest_of_features(training),
        "query weights": 0 if weight is None else crc32(weight.tobytes()),
        "validation labels": 0 if validation is None else crc32(np.ascontiguousarray(validation.Y).data),
        "validation features": 0 if validation is None else _digest_of_features(validation),
        "fits to go on from": is_new,
        "references": options["reference"],
        "options": repr((resolved, _compared(options))),
    }
    processes.check_same({name: str(value) for name, value in described.items()})


def _digest_of_features(data: LabelledLists) -> int:
    """Of some rows, evenly spaced."""
    rows = np.linspace(0, len(data.X) - 1, COMPARED_ROWS).astype(np.int64)
    return crc32(data.X[rows].tobytes()) if len(data.X) else 0


def _compared(options: Mapping[str, str]) -> list[tuple[str, str]]:
    """Options as the caller gave them, less those looked at otherwise: the seed is the first process's."""
    return sorted(item for item in options.items() if item[0] not in ("random_state", "reference"))


def check_same_reference(model: object, reward_scale: float, processes: SingleProcess) -> None:
    """Refuse a model of another library that was fitted otherwise in another process.

    Raises
    ------
    ValueError
        If its scores have another scale there.
    """
    scales = processes.all_gather(np.array([reward_scale]))
    if len(np.unique(scales)) > 1:
        raise ValueError(
            f"the reference {type(model).__name__} scores otherwise in each process: fit it before and "
            "pass it fitted, or set its random_state."
        )
