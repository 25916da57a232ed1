"""Rows per second and memory at 1e5, 1e6 and 1e7 rows: converting, opening, training and scoring.

Run ``python -m benchmarks.scale``; at 1e7 rows of 136 features the store takes 5.6 GB of the disk, in a
temporary folder that is removed in the end. Finished measurements are stored in ``scale.jsonl`` of the folder
given by ``--out`` and not repeated; ``scale.md`` is made of all of them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from benchmarks.machine import commit, finished_records, versions
from benchmarks.scale_data import check_disk, write_store
from benchmarks.scale_points import PARTS, Point, measured_apart, store_of
from benchmarks.scale_report import table

__all__ = ["main", "run"]

ROWS = (100_000, 1_000_000, 10_000_000)
#: As MSLR-WEB10K has.
FEATURES = 136
#: Measurements that hold all rows in memory, and are left out where these would not fit.
IN_MEMORY = ("load", "fit, memory", "predict, memory")

Measure = Callable[[Path, Point, float], dict[str, float]]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if min(*options.rows, options.features, options.epochs) < 1:
        parser.error("--rows, --features and --epochs must be at least 1")
    parts = [part for name in options.parts for part in PARTS[name]]
    points = [
        Point(part, rows, options.features, options.epochs) for rows in sorted(options.rows) for part in parts
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        records, skipped = run(
            points, options.out / "scale.jsonl", options.folder, options.limit_seconds, measured_apart
        )
    except OSError as error:
        parser.error(str(error))
    given = list(sys.argv[1:] if arguments is None else arguments)
    text = table(records, skipped, _without_folders(["python -m benchmarks.scale", *given]), options.epochs)
    (options.out / "scale.md").write_text(text)
    print(text)
    return 0


def run(
    points: Sequence[Point], path: Path, folder: Path | None, limit_seconds: float, measure: Measure
) -> tuple[list[dict[str, Any]], list[str]]:
    """Measure the points that the file does not hold yet.

    Returns
    -------
    records : list of dict
        Measured points, now or before.
    skipped : list of str
        A line for each of the others, with the reason.

    Raises
    ------
    OSError
        If the largest store that is still to be made does not fit on the disk.
    """
    known = {_key(record): record for record in finished_records(path)}
    missing = [point for point in points if _key(asdict(point)) not in known]
    skipped: dict[tuple[Any, ...], str] = {}
    with tempfile.TemporaryDirectory(dir=folder) as temporary, tqdm(total=len(missing), unit="point") as bar:
        if missing:
            largest = max(missing, key=lambda point: point.rows * point.features)
            check_disk(Path(temporary), largest.rows, largest.features)
        at_hand: Path | None = None
        for point in missing:
            store = store_of(Path(temporary), point)
            if at_hand not in (None, store):  # one size at a time
                shutil.rmtree(temporary, ignore_errors=True)
                Path(temporary).mkdir()
            at_hand = store
            bar.set_description(f"{point.rows:,} rows, {point.part}")
            try:
                found = _measured(point, Path(temporary), known, limit_seconds, measure)
            except (TimeoutError, RuntimeError) as error:
                skipped[_key(asdict(point))] = str(error)
                bar.write(f"{point.rows:,} rows, {point.part}: {error}")
            else:
                record = asdict(point) | found | {"commit": commit(), "versions": versions()}
                known[_key(record)] = record
                with path.open("a") as file:
                    file.write(json.dumps(record) + "\n")
            bar.update()
    records = [known[_key(asdict(point))] for point in points if _key(asdict(point)) in known]
    lines = [f"{key[1]:,} rows, {key[0]}: {reason}" for key, reason in skipped.items()]
    return records, lines


def _measured(
    point: Point, folder: Path, known: dict[tuple[Any, ...], dict[str, Any]], limit: float, measure: Measure
) -> dict[str, float]:
    """A measurement, on a store that is made if it is not there."""
    if point.part in IN_MEMORY:
        _refuse_what_will_not_fit(point, list(known.values()))
    store = store_of(folder, point)
    if point.part == "convert":
        shutil.rmtree(store, ignore_errors=True)
    elif not store.exists():
        write_store(store, point.rows, point.features)
    return measure(folder, point, limit)


def _refuse_what_will_not_fit(point: Point, records: Sequence[dict[str, Any]]) -> None:
    """Leave out what would take all memory, going by the features and by the next smaller size."""
    needed = 1.5 * point.rows * point.features * 4
    for record in records:
        if record["part"] == point.part and record["rows"] < point.rows:
            per_row = record["added"] / record["rows"] + 4 * record["features"]
            needed = max(needed, per_row * point.rows)
    available = _available_bytes()
    if needed > available:
        raise RuntimeError(
            f"expected to take {needed / 2**30:.1f} GiB of memory; {available / 2**30:.1f} GiB are available"
        )


def _available_bytes() -> float:
    """Memory that could be had; infinite where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return float("inf")
    return next(
        (float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), float("inf")
    )


def _key(record: dict[str, Any]) -> tuple[Any, ...]:
    """What makes a measurement the same."""
    return tuple(record[name] for name in Point.__dataclass_fields__)


def _without_folders(words: Sequence[str]) -> str:
    """The command without its folders."""
    words_left, skips = [], False
    for word in words:
        if not skips and not word.startswith(("--out", "--folder")):
            words_left.append(word)
        skips = word in ("--out", "--folder")
    return " ".join(words_left)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--rows", nargs="+", type=_count, default=list(ROWS), help="such as 100000 or 1e7")
    parser.add_argument("--features", type=int, default=FEATURES)
    parser.add_argument("--epochs", type=int, default=2, help="of every fit")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--folder", type=Path, default=None, help="where the temporary stores go")
    parser.add_argument(
        "--limit-seconds", type=float, default=7200.0, help="measurements that take longer are ended"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results")
    return parser


def _count(text: str) -> int:
    """A whole number, also as 1e7."""
    value = float(text)
    if value != int(value):
        raise ValueError(text)
    return int(value)


if __name__ == "__main__":
    sys.exit(main())
