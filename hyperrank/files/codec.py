"""Codecs: objects as JSON and arrays, and back by the kinds that have been registered.

Everything JSON knows stands for itself, and an object whose first key begins with ``$`` for something else:

- ``{"$array": name}``: an array among the tensors;
- ``{"$text": name}``: a long text, in UTF-8 among the tensors;
- ``{"$tuple": [...]}``, ``{"$pairs": [[key, value], ...]}``, ``{"$strings": [...]}``: a tuple, a mapping
  whose keys are not strings, an array of strings;
- ``{"$number": "nan"}``: a float that JSON has no word for;
- ``{"$object": class, "state": {...}}``: an instance of a class that has been made `storable`;
- ``{"$name": value}``: what a codec made under that name with `register_codec`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

#: Texts of more characters go among the tensors.
LONG_TEXT = 1000
#: Array types that files may hold.
KINDS = frozenset("biuf")

#: Arrays of a file by name.
Tensors = dict[str, NDArray[Any]]
C = TypeVar("C", bound=type)


class Codec(NamedTuple):
    """How objects of one kind become values that files hold, and back."""

    encode: Callable[[Any], object | None]
    decode: Callable[[Any], object]


_CLASSES: dict[str, type] = {}
_CODECS: dict[str, Codec] = {}


class NotStorableError(TypeError):
    """Something cannot be stored, or a file holds an unknown kind; the message says what and where."""


def storable(cls: C) -> C:
    """Let instances of a class be stored; nothing else is ever made from a file.

    A class with ``__setstate__`` is stored as its ``__getstate__`` says, others by their constructor's names.
    """
    known = _CLASSES.get(cls.__name__, cls)
    if known.__module__ != cls.__module__ and known.__module__.startswith("hyperrank."):
        raise ValueError(f"files know {cls.__name__} as a class of hyperrank: give yours another name.")
    _CLASSES[cls.__name__] = cls
    return cls


def register_codec(
    name: str, encode: Callable[[Any], object | None], decode: Callable[[Any], object]
) -> None:
    """Let files hold objects of a library that has a format of its own, called `name` in files.

    `encode` gives plain values and arrays, None for other objects; `decode` must check what it is given.
    """
    _CODECS[f"${name}"] = Codec(encode, decode)


def encode(value: Any, tensors: Tensors, where: str) -> Any:
    """A value for JSON, or a NotStorableError; arrays and long texts go to `tensors`, named by place."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        if len(value) <= LONG_TEXT:
            return value
        name = _unused(where, tensors)
        tensors[name] = np.frombuffer(value.encode(), dtype=np.uint8)
        return {"$text": name}
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$number": repr(float(value))}
    if isinstance(value, np.generic):
        return encode(value.item(), tensors, where)
    if isinstance(value, np.ndarray):
        return _array(value, tensors, where)
    if isinstance(value, list | tuple):
        items = [encode(item, tensors, f"{where}.{number}") for number, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return {key: encode(item, tensors, f"{where}.{key}") for key, item in value.items()}
        pairs = enumerate(value.items())
        return {"$pairs": [encode(list(pair), tensors, f"{where}.{number}") for number, pair in pairs]}
    if _CLASSES.get(type(value).__name__) is type(value):
        state = encode(_state(value), tensors, where)
        return {"$object": type(value).__name__, "state": state}
    for name, codec in _CODECS.items():
        try:
            encoded = codec.encode(value)
        except ValueError as error:
            raise NotStorableError(
                f"{where} is a {type(value).__name__} that cannot be stored: {error}"
            ) from error
        if encoded is not None:
            return {name: encode(encoded, tensors, where)}
    raise NotStorableError(f"{where} is a {type(value).__name__}, which cannot be stored without pickle.")


def decode(value: Any, tensors: Tensors) -> Any:
    """The value that `encode` was given; of hostile input, an error of any kind.

    Each tensor is taken out of `tensors` once: were it named twice, a small file could fill the memory.
    """
    if isinstance(value, list):
        return [decode(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    kind = next(iter(value), "")
    if not kind.startswith("$"):
        return {key: decode(item, tensors) for key, item in value.items()}
    if kind in _CODECS:
        return _CODECS[kind].decode(decode(value[kind], tensors))
    if kind not in _READERS:
        raise NotStorableError(f"{kind[:40]!r} is not a kind that files hold.")
    return _READERS[kind](value, tensors)


def _array(array: NDArray[Any], tensors: Tensors, where: str) -> dict[str, Any]:
    if array.dtype.kind in KINDS and array.dtype.itemsize <= 8:
        name = _unused(where, tensors)
        tensors[name] = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
        return {"$array": name}
    if array.ndim == 1 and all(isinstance(item, str) for item in array):
        return {"$strings": [str(item) for item in array]}
    raise NotStorableError(f"{where} is an array of {array.dtype}, which cannot be stored.")


def _unused(name: str, tensors: Tensors) -> str:
    """The name, or one like it: keys with dots may lead to the same."""
    while name in tensors:
        name += "_"
    return name


def _state(value: Any) -> dict[str, Any]:
    if hasattr(type(value), "__setstate__"):
        state: dict[str, Any] = value.__getstate__()
        return state
    names = list(inspect.signature(type(value)).parameters)
    return {name: getattr(value, name) for name in names}


def _read_array(value: dict[str, Any], tensors: Tensors) -> NDArray[Any]:
    name = value["$array"]
    if name not in tensors:
        raise NotStorableError(f"the array {str(name)[:80]!r} is missing, or belongs to two things.")
    return tensors.pop(name)


def _read_object(value: dict[str, Any], tensors: Tensors) -> object:
    cls = _CLASSES.get(value["$object"])
    if cls is None:
        raise NotStorableError(f"{str(value['$object'])[:40]!r} is not a class that files may hold.")
    state = decode(value["state"], tensors)
    if not hasattr(cls, "__setstate__"):
        return cls(**state)
    made: Any = object.__new__(cls)
    made.__setstate__(state)
    return made


_READERS: Mapping[str, Callable[[dict[str, Any], Tensors], Any]] = {
    "$array": _read_array,
    "$text": lambda value, tensors: _read_array({"$array": value["$text"]}, tensors).tobytes().decode(),
    "$tuple": lambda value, tensors: tuple(decode(value["$tuple"], tensors)),
    "$pairs": lambda value, tensors: dict(decode(value["$pairs"], tensors)),
    "$strings": lambda value, _: np.array([str(item) for item in value["$strings"]], dtype=object),
    "$number": lambda value, _: float(value["$number"]),
    "$object": _read_object,
}
