"""Results of runs on disk: one JSON line per front, and a file with the values of each query."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fronts.methods import REFERENCE
from benchmarks.fronts.plan import Run

__all__ = ["Store", "StoreError"]


class StoreError(ValueError):
    """A folder does not hold what runs leave; the message says in one line what is wrong."""


class Store:
    """A folder of finished runs.

    Parameters
    ----------
    folder : path
        ``runs.jsonl`` holds a JSON line per front, ``per_query/<key>.<front>.npz`` its values by query.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.lines = self.folder / "runs.jsonl"

    def open(self) -> None:
        """Make the folder ready for more lines: one that a crash cut off in its middle is dropped."""
        for name in ("per_query", "references"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        if not self.lines.exists():
            return
        with self.lines.open("rb+") as file:
            content = file.read()
            end = content.rfind(b"\n") + 1
            if end < len(content):
                file.truncate(end)
                file.flush()
                os.fsync(file.fileno())

    def records(self) -> list[dict[str, Any]]:
        """All whole lines, the last of each front of each run alone, failures included.

        Raises
        ------
        StoreError
            If there are no runs, or a line other than the last is no JSON.
        """
        if not self.lines.is_file():
            raise StoreError(f"There is no {self.lines}: give a folder that --out named.")
        latest: dict[tuple[str, str], dict[str, Any]] = {}
        *whole, _ = self.lines.read_bytes().split(b"\n")
        for number, line in enumerate(whole, start=1):
            try:
                record = json.loads(line)
            except ValueError as error:
                raise StoreError(
                    f"{self.lines}, line {number}, is no JSON: delete it and run again."
                ) from error
            # What came later stands later: a failure that was retried, say.
            latest.pop((record["key"], record["front"]), None)
            latest[record["key"], record["front"]] = record
        return list(latest.values())

    def finished(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Records of finished fronts, by key of the run and of the front."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for record in self.records() if self.lines.is_file() else ():
            if record["status"] == "ok" and self.values_path(record["key"], record["front"]).is_file():
                found.setdefault(record["key"], {})[record["front"]] = record
        return found

    def is_finished(self, run: Run, finished: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether all that a run leaves is there."""
        if run.method == REFERENCE:
            return run.key in finished and self.reference_path(run.key).is_file()
        return set(run.fronts) <= set(finished.get(run.key, ()))

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add lines, and have them on disk before going on."""
        text = "".join(json.dumps(record, sort_keys=True) + "\n" for record in records)
        with self.lines.open("a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())

    def note_command(self, command: str) -> None:
        """Keep a command that made runs, for the report."""
        file = self.folder / "command.txt"
        known = file.read_text().splitlines() if file.is_file() else []
        if command not in known:
            file.write_text("".join(f"{line}\n" for line in [*known, command]))

    def values_path(self, key: str, front: str) -> Path:
        """File of a front's values by query."""
        return self.folder / "per_query" / f"{key}.{front}.npz"

    def reference_path(self, key: str) -> Path:
        """File of a reference's scores."""
        return self.folder / "references" / f"{key}.npz"

    @staticmethod
    def save(path: Path, **arrays: NDArray[Any]) -> None:
        """Write arrays; a file that is there is whole."""
        partial = path.with_suffix(".part")
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type] # its stubs forget the arrays
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> dict[str, NDArray[Any]]:
        """Arrays of a file."""
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
