"""Files of one JSON object per line, plain or gzip."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["read_jsonl"]

T = TypeVar("T")
#: How gzip data begin.
GZIP = b"\x1f\x8b"


def read_jsonl(path: str | Path, read: Callable[[dict[str, Any]], T]) -> list[T]:
    """What `read` makes of each line's object; empty lines are passed over.

    Raises
    ------
    ValueError
        With file and line number, if a line is no JSON object or `read` refuses it; or if there is no line.
    OSError
        If the file cannot be opened.
    """
    path = Path(path)
    found = []
    for number, line in _lines(path):
        try:
            row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
            if not isinstance(row, dict):
                raise ValueError(f"wanted a JSON object, got a {type(row).__name__}")
            found.append(read(row))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}, line {number}: {error}.") from error
    if not found:
        raise ValueError(f"{path} holds no line.")
    return found


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines that are not empty, with their numbers from 1 on."""
    number = 0
    with open(path, "rb") as raw:
        zipped = raw.read(2) == GZIP
    with gzip.open(path, "rb") if zipped else open(path, "rb") as file:
        try:
            for line in file:
                number += 1
                if line.strip():
                    yield number, line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(
                f"{path}, after line {number}: the gzip data are damaged or cut off ({error})."
            ) from error
