"""Objects as plain values: JSON and arrays, and back by a list of classes that may appear.

Everything JSON knows stands for itself, and an object whose first key begins with ``$`` for something else:

- ``{"$array": name}``: an array among the tensors;
- ``{"$text": name}``: a long text, in UTF-8 among the tensors;
- ``{"$tuple": [...]}``, ``{"$pairs": [[key, value], ...]}``, ``{"$strings": [...]}``: a tuple, a mapping
  whose keys are no strings, an array of strings;
- ``{"$number": "nan"}``: a float that JSON has no word for;
- ``{"$lightgbm": text}``: a LightGBM model, in its own format;
- ``{"$object": class, "state": {...}}``: an instance of a class that has been made `storable`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hyperrank.boosters import BoosterSet, booster_from_text, model_text, read_booster_text

__all__ = ["NotPlainError", "from_plain", "storable", "to_plain"]

#: Texts of more characters go among the tensors.
LONG_TEXT = 1000
#: Array types that files may hold.
KINDS = frozenset("biuf")

C = TypeVar("C", bound=type)
_CLASSES: dict[str, type] = {BoosterSet.__name__: BoosterSet}


class NotPlainError(TypeError):
    """Something cannot be stored, or what is stored is nothing known; the message says what and where."""


def storable(cls: C) -> C:
    """Let instances of a class be stored; nothing else is ever made from a file.

    A class with ``__setstate__`` is stored as what ``__getstate__`` gives; any other as the attributes that
    have the names of its constructor's arguments.
    """
    _CLASSES[cls.__name__] = cls
    return cls


def to_plain(value: Any, tensors: dict[str, NDArray[Any]], where: str) -> Any:
    """A value for JSON; its arrays and long texts go to `tensors`, named after where they belong.

    Raises
    ------
    NotPlainError
        If it is, or holds, anything that cannot be stored.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return _text(value, tensors, where)
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$number": repr(float(value))}
    if isinstance(value, np.generic):
        return to_plain(value.item(), tensors, where)
    if isinstance(value, np.ndarray):
        return _array(value, tensors, where)
    if isinstance(value, list | tuple):
        items = [to_plain(item, tensors, f"{where}.{number}") for number, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, Mapping):
        return _mapping(value, tensors, where)
    if _CLASSES.get(type(value).__name__) is type(value):
        state = to_plain(_state(value), tensors, where)
        return {"$object": type(value).__name__, "state": state}
    text = model_text(value)
    if text is not None:
        return {"$lightgbm": _text(text, tensors, where)}
    raise NotPlainError(f"{where} is a {type(value).__name__}, which cannot be stored without pickle.")


def from_plain(value: Any, tensors: Mapping[str, NDArray[Any]]) -> Any:
    """The value that `to_plain` was given; of hostile input, an error of any kind."""
    if isinstance(value, list):
        return [from_plain(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    kind = next(iter(value), "")
    if not kind.startswith("$"):
        return {key: from_plain(item, tensors) for key, item in value.items()}
    if kind not in _READERS:
        raise NotPlainError(f"{kind!r} is nothing that files hold.")
    return _READERS[kind](value, tensors)


def _text(text: str, tensors: dict[str, NDArray[Any]], where: str) -> Any:
    if len(text) <= LONG_TEXT:
        return text
    name = _unused(where, tensors)
    tensors[name] = np.frombuffer(text.encode(), dtype=np.uint8)
    return {"$text": name}


def _array(array: NDArray[Any], tensors: dict[str, NDArray[Any]], where: str) -> dict[str, Any]:
    if array.dtype.kind in KINDS and array.dtype.itemsize <= 8:
        name = _unused(where, tensors)
        tensors[name] = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
        return {"$array": name}
    if array.ndim == 1 and all(isinstance(item, str) for item in array):
        return {"$strings": [str(item) for item in array]}
    raise NotPlainError(f"{where} is an array of {array.dtype}, which cannot be stored.")


def _unused(name: str, tensors: Mapping[str, Any]) -> str:
    """The name, or one like it: keys with dots may lead to the same."""
    while name in tensors:
        name += "_"
    return name


def _mapping(value: Mapping[Any, Any], tensors: dict[str, NDArray[Any]], where: str) -> dict[str, Any]:
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: to_plain(item, tensors, f"{where}.{key}") for key, item in value.items()}
    pairs = enumerate(value.items())
    return {"$pairs": [to_plain(list(pair), tensors, f"{where}.{number}") for number, pair in pairs]}


def _state(value: Any) -> dict[str, Any]:
    if hasattr(type(value), "__setstate__"):
        state: dict[str, Any] = value.__getstate__()
        return state
    names = list(inspect.signature(type(value)).parameters)
    return {name: getattr(value, name) for name in names}


def _read_object(value: dict[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Any:
    cls = _CLASSES.get(value["$object"])
    if cls is None:
        raise NotPlainError(f"{str(value['$object'])[:40]!r} is no class that files may hold.")
    state = from_plain(value["state"], tensors)
    if not hasattr(cls, "__setstate__"):
        return cls(**state)
    made: Any = object.__new__(cls)
    made.__setstate__(state)
    return made


def _read_lightgbm(value: dict[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Any:
    text = from_plain(value["$lightgbm"], tensors)
    read_booster_text(text)  # LightGBM trusts what it is given
    return booster_from_text(text)


_READERS: Mapping[str, Callable[[dict[str, Any], Mapping[str, NDArray[Any]]], Any]] = {
    "$array": lambda value, tensors: tensors[value["$array"]],
    "$text": lambda value, tensors: tensors[value["$text"]].tobytes().decode(),
    "$tuple": lambda value, tensors: tuple(from_plain(value["$tuple"], tensors)),
    "$pairs": lambda value, tensors: dict(from_plain(value["$pairs"], tensors)),
    "$strings": lambda value, _: np.array([str(item) for item in value["$strings"]], dtype=object),
    "$number": lambda value, _: float(value["$number"]),
    "$lightgbm": _read_lightgbm,
    "$object": _read_object,
}
