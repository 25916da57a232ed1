"""Values as bytes for another process, without pickle: what files hold, without the file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.files.plain import from_plain, to_plain

__all__ = ["packed", "unpacked"]

#: The tensor that holds the JSON; values' own names begin with "value".
DOCUMENT = "json"


def packed(value: Any) -> bytes:
    """A value as bytes.

    Parameters
    ----------
    value : object
        Plain values, arrays, and instances of classes that are `hyperrank.files.storable`.

    Returns
    -------
    bytes

    Raises
    ------
    NotPlainError
        If it holds anything that cannot be stored without pickle.

    Examples
    --------
    >>> unpacked(packed({"share": (0.5, None), "row": np.arange(3)}))
    {'share': (0.5, None), 'row': array([0, 1, 2])}
    """
    from safetensors.numpy import save

    tensors: dict[str, NDArray[Any]] = {}
    document = json.dumps(to_plain(value, tensors, "value"), allow_nan=False)
    return save({DOCUMENT: np.frombuffer(document.encode(), dtype=np.uint8), **tensors})


def unpacked(content: bytes) -> Any:
    """The value that `packed` was given; nothing in the bytes is ever run."""
    from safetensors.numpy import load

    tensors = load(content)
    return from_plain(json.loads(tensors.pop(DOCUMENT).tobytes()), tensors)
