"""Table and figure of the slopes of growth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth_points import BATCH_DOCS, EPOCHS, FIT_ROWS, METHODS, N_FEATURES
from benchmarks.machine import provenance

__all__ = ["draw", "slope", "table"]

LABELS = {
    "rows": "rows",
    "documents": "documents per query",
    "objectives": "objectives",
    "weights": "weights at predict",
}
MIB = 2**20

NOTES = f"""\
Generated data, {N_FEATURES} features, one thread. Seconds are CPU seconds; memory is the peak above the level
before, so neither the data nor the libraries are in it. Each point is one run in a process of its own, after
a small one that is not counted. A slope is the exponent in size: least squares on logarithms over the upper
half of the range (logarithmically; at least the last two points), in brackets the number of points.

- HyperDPORanker: fit of the default, {EPOCHS} epochs without early stopping, batches of {BATCH_DOCS}
  documents (the defaults of both change with the rows), 4 draws of weights; it holds all trade-offs. Its
  reference is three LightGBM boosters per objective, lambdarank and two regressions on the grades.
- HyperDPORanker, reference=None: the network alone.
- LightGBM, one booster per objective: `MixedScoresRanker`, lambdarank, 200 rounds of 7 leaves; it too holds
  all trade-offs.
- LightGBM, one booster per trade-off: `LightGBMScalarizationRanker`, the gradients of all objectives mixed
  at one trade-off, 200 rounds of 7 leaves; k trade-offs cost k times that. LightGBM alone refuses queries of
  more than 10,000 rows.
- Weights at predict: rankers fitted on {FIT_ROWS:,} rows score all rows under all weights in one call; the
  last line holds as many boosters as weights (mixed labels), whose fits are not counted."""


def slope(values: Sequence[float], costs: Sequence[float]) -> tuple[float, int]:
    """Exponent of the power law through the upper half of the range, and the number of points it is of.

    At least the last two points count; NaN where there are fewer, or their costs are not above 0.
    """
    x, y = np.asarray(values, dtype=float), np.asarray(costs, dtype=float)
    if len(x) < 2:
        return math.nan, len(x)
    upper_half = math.sqrt(x.min() * x.max()) * (1 - 1e-9)
    upper = (x >= min(upper_half, np.sort(x)[-2])) & (y > 0)
    if np.unique(x[upper]).size < 2:
        return math.nan, int(upper.sum())
    return float(np.polyfit(np.log(x[upper]), np.log(y[upper]), 1)[0]), int(upper.sum())


def table(records: Sequence[dict[str, Any]], skipped: Sequence[str], command: str) -> str:
    """All points and slopes as Markdown, with what made them."""
    parts = ["# Growth of time and memory", "", provenance(command)]
    commits = sorted({str(record["commit"]) for record in records})
    parts += [f"- Points measured at: {', '.join(commits) or 'none'}", ""]
    for axis, label in LABELS.items():
        of_axis = [record for record in records if record["axis"] == axis]
        if of_axis:
            parts += [
                f"## {label[0].upper()}{label[1:]}",
                "",
                _fixed(axis, of_axis),
                "",
                *_rows(axis, of_axis),
                "",
            ]
    if skipped:
        parts += ["## Skipped", "", *(f"- {line}" for line in skipped), ""]
    return "\n".join([*parts, NOTES, ""])


def _fixed(axis: str, records: Sequence[dict[str, Any]]) -> str:
    others = [name for name in LABELS if name != axis and (name != "weights")]
    kind = "Predict" if axis == "weights" else "Fit"
    return f"{kind}, " + ", ".join(f"{records[0][name]:,} {LABELS[name]}" for name in others) + "."


def _rows(axis: str, records: Sequence[dict[str, Any]]) -> list[str]:
    """A line per value and two of slopes; a column per method, seconds and MiB."""
    methods = [method for method in METHODS if any(r["method"] == method for r in records)]
    found = {(r["method"], r[axis]): r for r in records}
    lines = [
        f"| {LABELS[axis]} | " + " | ".join(methods) + " |",
        "|---" * (len(methods) + 1) + "|",
    ]
    for value in sorted({r[axis] for r in records}):
        cells = [_cell(found.get((method, value))) for method in methods]
        lines.append(f"| {value:,} | " + " | ".join(cells) + " |")
    for name, key in (("slope of seconds", "seconds"), ("slope of memory", "bytes")):
        slopes = [_slope_of(axis, key, [r for r in records if r["method"] == method]) for method in methods]
        lines.append(f"| **{name}** | " + " | ".join(slopes) + " |")
    return lines


def _cell(record: dict[str, Any] | None) -> str:
    if record is None:
        return "-"
    return f"{record['seconds']:.3g} s, {record['bytes'] / MIB:.3g} MiB"


def _slope_of(axis: str, key: str, records: Sequence[dict[str, Any]]) -> str:
    exponent, n_points = slope([r[axis] for r in records], [r[key] for r in records])
    return f"**{exponent:.2f}** ({n_points})" if math.isfinite(exponent) else "-"


def draw(records: Sequence[dict[str, Any]], path: Path) -> None:
    """Panels of seconds and memory against each size, on logarithmic axes, slopes in the legends."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    axes = [axis for axis in LABELS if any(r["axis"] == axis for r in records)]
    if not axes:
        return
    figure, panels = plt.subplots(2, len(axes), figsize=(3.6 * len(axes), 6.4), squeeze=False, sharex="col")
    for column, axis in enumerate(axes):
        of_axis = [r for r in records if r["axis"] == axis]
        _panel(panels[0, column], axis, "seconds", 1, of_axis)
        _panel(panels[1, column], axis, "bytes", MIB, of_axis)
        panels[1, column].set_xlabel(LABELS[axis])
        panels[0, column].set_title("predict" if axis == "weights" else "fit")
    panels[0, 0].set_ylabel("CPU seconds")
    panels[1, 0].set_ylabel("peak memory above the start, MiB")
    handles = [Line2D([], [], color=f"C{i}", marker="o", markersize=3) for i in range(len(METHODS))]
    figure.legend(handles, list(METHODS), loc="lower center", ncols=2, frameon=False)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    figure.savefig(path, dpi=80)
    plt.close(figure)


def _panel(panel: Any, axis: str, key: str, unit: float, records: Sequence[dict[str, Any]]) -> None:
    for number, method in enumerate(METHODS):
        own = sorted((r for r in records if r["method"] == method and r[key] > 0), key=lambda r: r[axis])
        if own:
            exponent, _ = slope([r[axis] for r in own], [r[key] for r in own])
            name = f"slope {exponent:.2f}" if math.isfinite(exponent) else "no slope"
            values = [r[axis] for r in own], [r[key] / unit for r in own]
            panel.loglog(*values, color=f"C{number}", marker="o", markersize=3, label=name)
    panel.legend(fontsize=7, frameon=False)
    panel.grid(alpha=0.3)
