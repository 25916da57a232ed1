"""Fits in several processes: what each must be given, does itself, and gets of the first."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

import numpy as np

from hyperrank.rankers.inputs import LabelledLists
from hyperrank.reference import Reference
from hyperrank.training import current, joined
from hyperrank.training.distributed import Together

if TYPE_CHECKING:
    from hyperrank.rankers.dpo.data import CheckedFit

__all__ = [
    "fitted_reference",
    "in_processes",
    "own_lists",
    "same_everywhere",
]

F = TypeVar("F", bound=Callable[..., Any])

#: Rows whose features are compared.
COMPARED_ROWS = 1000
#: Options of a plan that all processes must have alike.
COMPARED_OPTIONS = (
    "settings",
    "hidden",
    "conditioning",
    "dropout",
    "transform",
    "query_standardize",
    "booster_inputs",
    "normalize_objectives",
    "temperature_range",
    "network",
    "n_prompts",
)


def in_processes(method: F) -> F:
    """Make a fit one of all processes of an initialised group, where there is one; see docs/scale.md."""

    @functools.wraps(method)
    def run(*args: Any, **options: Any) -> Any:
        with joined():
            return method(*args, **options)

    return run  # type: ignore[return-value]


def same_everywhere(
    checked: CheckedFit, wanted: Any, options: Callable[[], Mapping[str, str]], *, is_new: bool
) -> None:
    """Refuse data or options that differ between the processes.

    Parameters
    ----------
    checked : CheckedFit
    wanted : object
        The option ``reference``: what it is decides what processes say to each other.
    options : callable
        Gives all options, each as a text.
    is_new : bool
        Whether the fit goes on from no earlier one.

    Raises
    ------
    ValueError
        In all of them, with what differs.
    """
    processes = current()
    if not isinstance(processes, Together):
        return
    training = checked.training
    resolved = [getattr(checked.plan, name) for name in COMPARED_OPTIONS]
    compared = {
        "number of rows": len(training.X),
        "number of features": training.X.shape[1],
        "queries": crc32(training.lists.offsets.tobytes()),
        "labels": crc32(np.ascontiguousarray(training.Y).data),
        "features": _digest_of_features(training),
        "query weights": 0 if checked.list_weight is None else crc32(checked.list_weight.tobytes()),
        "validation labels": 0 if checked.held is None else crc32(np.ascontiguousarray(checked.held.Y).data),
        "validation features": 0 if checked.held is None else _digest_of_features(checked.held),
        "fits to go on from": int(is_new),
        "references": crc32(repr(wanted if isinstance(wanted, str | None) else type(wanted)).encode()),
        "options": crc32(repr((resolved, _compared(options()))).encode()),
    }
    found = processes.all_gather(np.array(list(compared.values()), dtype=np.int64))
    differs = [name for name, values in zip(compared, found.T, strict=True) if len(set(values)) > 1]
    if differs:
        counts = f"; they have {found[:, 0].tolist()} rows" if len(set(found[:, 0])) > 1 else ""
        raise ValueError(
            f"{' and '.join(differs[:3])} differ between the {processes.size} processes{counts}. Call fit "
            "with the same data and options in each: it deals the queries out itself. A fit of one process "
            "alone stands under `with hyperrank.training.alone():`."
        )


def _digest_of_features(data: LabelledLists) -> int:
    """Of some rows, evenly spaced."""
    rows = np.linspace(0, len(data.X) - 1, COMPARED_ROWS).astype(np.int64)
    return crc32(data.X[rows].tobytes()) if len(data.X) else 0


def _compared(options: Mapping[str, str]) -> list[tuple[str, str]]:
    """Options as the caller gave them, less those looked at otherwise: the seed is the first process's."""
    return sorted(item for item in options.items() if item[0] not in ("random_state", "reference"))


def own_lists(data: LabelledLists) -> LabelledLists:
    """Those lists that are this process's to compute."""
    processes = current()
    return data if processes.size == 1 else data.take(processes.own(data.lists.sizes))


def fitted_reference(wanted: Any, fit: Callable[[], tuple[Reference, float]]) -> tuple[Reference, float]:
    """Reference and pull, by the first process for all where they can be sent without pickle.

    Parameters
    ----------
    wanted : object
        The option ``reference``.
    fit : callable
        Gives both.

    Raises
    ------
    ValueError
        If a model of another library was fitted otherwise in another process.
    """
    processes = current()
    if wanted is None or isinstance(wanted, str):
        return processes.of_first(fit)
    reference, pull = fit()
    if isinstance(processes, Together):
        bits = processes.gathered(np.array([pull]).view(np.int64))
        if len(set(bits[:, 0])) > 1:
            raise ValueError(
                f"the reference {type(wanted).__name__} scores otherwise in each process: fit it before and "
                "pass it fitted, or set its random_state."
            )
    return reference, pull
