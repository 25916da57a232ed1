"""Time and memory against rows, documents per query, objectives and weights at predict, ours beside LightGBM.

Run ``python -m benchmarks.growth``; ``--quick`` for a few minutes. Finished points are kept in
``growth.jsonl`` of the folder given by ``--out`` and not measured again; ``growth.md`` and ``growth.png``
are made of all of them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from benchmarks.growth_points import EPOCHS, METHODS, Point, measured_apart
from benchmarks.growth_report import draw, table
from benchmarks.machine import commit, finished_records, versions

__all__ = ["main", "predicted", "run"]

#: Values along each axis, and what the other sizes are there.
AXES: dict[str, tuple[tuple[int, ...], dict[str, int]]] = {
    "rows": (
        (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000),
        {"documents": 100, "objectives": 2, "weights": 1},
    ),
    "documents": (
        (1, 10, 100, 1_000, 10_000),
        {"rows": 30_000, "objectives": 2, "weights": 1},
    ),
    "objectives": ((1, 2, 3, 4, 6, 8), {"rows": 30_000, "documents": 100, "weights": 1}),
    "weights": ((1, 3, 10, 30, 100, 300, 1_000), {"rows": 20_000, "documents": 100, "objectives": 2}),
}
QUICK: dict[str, tuple[tuple[int, ...], dict[str, int]]] = {
    "rows": ((10_000, 30_000, 100_000), AXES["rows"][1]),
    "documents": ((1, 30, 1_000, 10_000), {**AXES["documents"][1], "rows": 10_000}),
    "objectives": ((1, 3, 8), {**AXES["objectives"][1], "rows": 10_000}),
    "weights": ((1, 10, 100), {**AXES["weights"][1], "rows": 5_000}),
}
#: How much longer than the limit, on the clock, a point may take before it is ended: on a busy machine the
#: clock runs several times as fast as its CPU seconds, and data and rankers are made in that time too.
PATIENCE = 6.0

Measure = Callable[[Point, float], dict[str, float]]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _read(arguments)
    axes = QUICK if options.quick else AXES
    points = [
        Point(axis=axis, method=method, **{**others, axis: value})
        for axis in options.axes
        for values, others in [axes[axis]]
        for value in values
        for method in METHODS
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    records, skipped = run(points, options.out / "growth.jsonl", options.limit_seconds)
    command = " ".join(["python -m benchmarks.growth", *(sys.argv[1:] if arguments is None else arguments)])
    text = table(records, skipped, _without_out(command))
    (options.out / "growth.md").write_text(text)
    print(text)
    try:
        draw(records, options.out / "growth.png")
    except ImportError as error:
        print(f"No picture: {error}")
    return 0


def run(
    points: Sequence[Point], path: Path, limit_seconds: float, measure: Measure = measured_apart
) -> tuple[list[dict[str, Any]], list[str]]:
    """Measure the points that the file does not hold yet.

    Returns
    -------
    records : list of dict
        Measured points, now or before.
    skipped : list of str
        A line for each of the others, with the reason.
    """
    known = {_key(record): record for record in finished_records(path)}
    records: list[dict[str, Any]] = []
    skipped: list[str] = []
    with tqdm(total=len(points), unit="point", dynamic_ncols=True) as bar:
        for point in points:
            key = _key(asdict(point) | {"epochs": EPOCHS})
            bar.set_description(f"{point.axis} {point.value:,}, {point.method}")
            if key not in known:
                record, reason = _measured(point, records, limit_seconds, measure)
                if record is None:
                    skipped.append(f"{point.axis} {point.value:,}, {point.method}: {reason}")
                    bar.write(f"skipped: {skipped[-1]}")
                else:
                    known[key] = record
                    with path.open("a") as file:
                        file.write(json.dumps(record) + "\n")
            if key in known:
                records.append(known[key])
            bar.update()
    return records, skipped


def _measured(
    point: Point, before: Sequence[dict[str, Any]], limit: float, measure: Measure
) -> tuple[dict[str, Any] | None, str]:
    """A record, or None and the reason."""
    smaller = [
        (int(r[point.axis]), float(r["seconds"]))
        for r in before
        if (r["axis"], r["method"]) == (point.axis, point.method)
    ]
    expected = predicted(smaller, point.value)
    if expected > limit:
        return None, f"expected to take {expected:.0f} s, the limit is {limit:g} s"
    try:
        found = measure(point, PATIENCE * limit)
    except (TimeoutError, RuntimeError) as error:
        return None, str(error)
    made = {"epochs": EPOCHS, "commit": commit(), "versions": versions()}
    return asdict(point) | found | made, ""


def predicted(smaller: Sequence[tuple[int, float]], value: int) -> float:
    """Seconds expected at a value, along the line through the last two points; 0 where nothing is known.

    One point alone counts as linear, and no line as steeper than quadratic or flatter than constant: the
    smallest points are mostly noise.
    """
    if not smaller:
        return 0.0
    at, seconds = smaller[-1]
    slope = 1.0
    if len(smaller) > 1:
        former, former_seconds = smaller[-2]
        slope = math.log(seconds / former_seconds) / math.log(at / former)
    return seconds * (value / at) ** min(max(slope, 0.0), 2.0)


def _key(record: dict[str, Any]) -> tuple[Any, ...]:
    """What makes a measurement the same."""
    return tuple(record[name] for name in (*Point.__dataclass_fields__, "epochs"))


def _without_out(command: str) -> str:
    """The command less its folder, which is nobody's business."""
    words = command.split()
    if "--out" in words:
        del words[words.index("--out") : words.index("--out") + 2]
    return " ".join(word for word in words if not word.startswith("--out="))


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--axes", nargs="+", choices=list(AXES), default=list(AXES), help="what is to grow")
    parser.add_argument("--quick", action="store_true", help="smaller ranges, for a few minutes")
    parser.add_argument(
        "--limit-seconds", type=float, default=600.0, help="points expected to take more CPU time are skipped"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results")
    options = parser.parse_args(arguments)
    if not options.limit_seconds > 0:
        parser.error(f"--limit-seconds must be above 0; got {options.limit_seconds:g}")
    if options.out.exists() and not options.out.is_dir():
        parser.error(f"--out must be a folder; {options.out} is a file")
    return options


if __name__ == "__main__":
    sys.exit(main())
