"""What the API pages list: the names in ``__all__`` of each public room, each described once."""

import importlib
import inspect
from types import ModuleType

#: Rooms with a page, in the order of the contents; of a name in several, the first describes it.
ROOMS = (
    "hyperrank",
    "hyperrank.front",
    "hyperrank.datasets",
    "hyperrank.metrics",
    "hyperrank.model_selection",
    "hyperrank.simplex",
    "hyperrank.losses",
    "hyperrank.networks",
    "hyperrank.reference",
    "hyperrank.rankers",
    "hyperrank.export",
    "hyperrank.alignment",
)


def public_names(room: str) -> list[tuple[str, bool]]:
    """Public names of a room, those of modules aside.

    Parameters
    ----------
    room : str
        A module with ``__all__``.

    Returns
    -------
    list of (str, bool)
        The full name under which each is described, and whether that is here.
    """
    module = importlib.import_module(room)
    names = [name for name in module.__all__ if not name.startswith("_")]
    found = {name: getattr(module, name) for name in names}
    return [_home(room, name, value) for name, value in found.items() if not isinstance(value, ModuleType)]


def _home(room: str, name: str, value: object) -> tuple[str, bool]:
    for other in ROOMS[: ROOMS.index(room)]:
        module = importlib.import_module(other)
        if name in module.__all__ and getattr(module, name) is value:
            return f"{other}.{name}", False
    return f"{room}.{name}", True


def shown_members(fullname: str) -> list[str]:
    """Methods and properties of a class that are ours; scikit-learn and torch describe theirs."""
    room, _, name = fullname.rpartition(".")
    kind = getattr(importlib.import_module(room), name)
    if not isinstance(kind, type):
        return []
    return [member for member in sorted(dir(kind)) if not member.startswith("_") and _is_ours(kind, member)]


def _is_ours(kind: type, member: str) -> bool:
    """Whether it was written here: not what scikit-learn makes of requests, nor torch of modules."""
    value = inspect.getattr_static(kind, member)
    value = getattr(value, "fget", None) or getattr(value, "func", None) or getattr(value, "__func__", value)
    return inspect.isfunction(value) and value.__module__.startswith("hyperrank")
