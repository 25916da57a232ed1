"""Table of the measurements of scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.machine import provenance
from benchmarks.scale_points import FIT_ROWS, MEASURES, Point, params_of

__all__ = ["ratios", "table"]

MIB = 2**20

NAMES = {
    "convert": "`convert`, from Arrow batches into a store",
    "open": "`open_store`, and one row",
    "load": "`store.load()`",
    "fit, store": "`fit` from the store",
    "fit, memory": "`fit` in memory",
    "predict, store": "`predict` from the store",
    "predict, memory": "`predict` in memory",
    "fit, 1 process": "`hyperrank fit STORE`, one process",
    "fit, 2 processes": "`torchrun -m hyperrank fit STORE`, two processes",
    "resume": "`fit(..., resume=True)` of a fit killed half-way",
}


def table(records: Sequence[dict[str, Any]], skipped: Sequence[str], command: str, epochs: int) -> str:
    """All measurements as Markdown, with what made them."""
    commits = sorted({str(record["commit"]) for record in records})
    parts = [
        "# Scale: rows per second and memory",
        "",
        provenance(command),
        f"- Measured at: {', '.join(commits) or 'none'}",
        "",
    ]
    for size in sorted({(r["rows"], r["features"]) for r in records}):
        of_size = [r for r in records if (r["rows"], r["features"]) == size]
        parts += _section(*size, of_size)
    if skipped:
        parts += ["## Skipped", "", *(f"- {line}" for line in skipped), ""]
    return "\n".join([*parts, _notes(epochs), ""])


def _section(rows: int, features: int, records: Sequence[dict[str, Any]]) -> list[str]:
    size = rows * features * 4 / MIB
    found = {record["part"]: record for record in records}
    lines = [
        f"## {rows:,} rows, {features} features ({size:,.0f} MiB)",
        "",
        "| | rows per second | seconds | CPU seconds | peak memory, MiB | above the level before, MiB |",
        "|---|---|---|---|---|---|",
    ]
    for part in (part for part in MEASURES if part in found):
        record = found[part]
        cells = [
            NAMES[part],
            f"{rows / record['seconds']:,.0f}" if record["seconds"] > 0 and part != "open" else "-",
            f"{record['seconds']:.3g}",
            f"{record['cpu']:.3g}" if "cpu" in record else "-",
            _mib(record.get("memory")),
            _mib(record.get("added")),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, "", *(f"- {line}" for line in ratios(found)), ""]


def ratios(found: dict[str, dict[str, Any]]) -> list[str]:
    """What the measurements of one size say of each other."""
    lines = []
    for a, b, name in (
        ("fit, store", "fit, memory", "fit from the store: {:.2f} times as long as in memory"),
        (
            "predict, store",
            "predict, memory",
            "predict from the store: {:.2f} times as long as in memory",
        ),
        ("fit, 1 process", "fit, 2 processes", "two processes fit {:.2f} times as fast as one"),
    ):
        if a in found and b in found:
            lines.append(name.format(found[a]["seconds"] / found[b]["seconds"]))
    if "convert" in found:
        making = found["convert"]["making"]
        lines.append(f"making the batches took {making:.1f} s: CPU seconds hold them, seconds do not")
    if "resume" in found:
        resumed = found["resume"]
        same = "the same ranker to the bit" if resumed["same"] else "ANOTHER RANKER"
        lines.append(
            f"killed after {resumed['killed_after']:.1f} s, resumed in {resumed['seconds']:.1f} s; from the "
            f"start {resumed['whole_seconds']:.1f} s; {same}"
        )
    return lines


def _mib(value: float | None) -> str:
    return "-" if value is None else f"{value / MIB:,.0f}"


def _notes(epochs: int) -> str:
    fixed = ", ".join(
        f"{name}={value!r}"
        for name, value in params_of(Point("", 0, 0, epochs)).items()
        if name != "random_state"
    )
    return f"""\
Generated rows, queries of 1 to 199 documents, two objectives. Each measurement is one run in a process of its
own. Peak memory is the most that was resident, the libraries and the pages of the store that the system keeps
for the process among it; of several processes it is that of the largest. Fits: `HyperDPORanker({fixed})`,
the boosters of its reference included. Predict: one trade-off, by a ranker that was fitted on
{FIT_ROWS:,} rows. Stores are in the system's cache where they fit."""
