"""The alignment benchmark's tables: fronts with their spread over held-out lists, and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.alignment_runs import METHODS
from benchmarks.alignment_sources import PROMPTS
from benchmarks.markdown import markdown_table
from hyperrank.metrics import hypervolume

__all__ = ["accuracy_table", "front_table", "text_table"]

TEXT_LENGTH = 200
RESAMPLES = 500


def accuracies(run: Mapping[str, Any], lists: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Shares of pairs ordered as the labels do, shape (k, m), of all held-out lists or of some."""
    right, total = np.asarray(run["right"]), np.asarray(run["total"])
    if lists is not None:
        right, total = right[lists], total[lists]
    return np.asarray(right.sum(axis=0) / total.sum(axis=0))


def spread(run: Mapping[str, Any], measure: Any) -> tuple[float, float]:
    """A measure of accuracies, and its standard deviation over lists drawn with replacement."""
    rng, n = np.random.default_rng(0), len(run["right"])
    drawn = [measure(accuracies(run, rng.integers(n, size=n))) for _ in range(RESAMPLES)]
    return float(measure(accuracies(run))), float(np.std(drawn))


def front_table(results: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> str:
    """One row per method: what the weights move, hypervolume, mean weighted accuracy, log-ratio, cost."""
    rows = []
    for method, run in results.items():
        weights = np.asarray(run["weights"])
        row = {"method": METHODS[method][0]}
        for j, name in enumerate(names):
            own, other = (0, -1) if j == 0 else (-1, 0)
            row[f"{name}: own corner"] = f"{accuracies(run)[own, j]:.3f}"
            row[f"{name}: gain over other corner"] = _shown(
                spread(run, lambda a, j=j, o=own, p=other: a[o, j] - a[p, j])
            )
        row["hypervolume"] = _shown(spread(run, lambda a: hypervolume(a)))
        row["mean w·accuracy"] = _shown(spread(run, lambda a, w=weights: float((a * w).sum(axis=1).mean())))
        row["log-ratio"] = f"{np.mean(run['log_ratio']):.3f}"
        row["training, s"] = f"{run['seconds']:.0f}"
        rows.append(row)
    return markdown_table(rows)


def accuracy_table(results: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> str:
    """Accuracies by weight of the last objective, one row per method and objective."""
    columns = sorted({round(w[-1], 4) for run in results.values() for w in run["weights"]})
    rows = []
    for method, run in results.items():
        found = accuracies(run)
        at = {round(w[-1], 4): k for k, w in enumerate(run["weights"])}
        for j, name in enumerate(names):
            cells = {f"{c:g}": f"{found[at[c], j]:.3f}" if c in at else "" for c in columns}
            rows.append({"method": METHODS[method][0], "accuracy": name, **cells})
    return markdown_table(rows)


def text_table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Texts at three trade-offs, for prompts that were written for this."""
    rows = []
    for method, run in results.items():
        for prompt, texts in zip(PROMPTS, run["texts"], strict=False):
            for weights, text in zip(run["shown"], texts, strict=True):
                shares = " : ".join(f"{weight:g}" for weight in weights)
                rows.append({"method": method, "prompt": prompt, "weights": shares, "text": _one_line(text)})
    return markdown_table(rows) if rows else ""


def _shown(value: tuple[float, float]) -> str:
    return f"{value[0]:.3f} ± {value[1]:.3f}"


def _one_line(text: str) -> str:
    printed = "".join(c if c.isprintable() and c != "\ufffd" else "\u00b7" for c in " ".join(text.split()))
    line = printed.replace("|", "\\|")
    return line if len(line) <= TEXT_LENGTH else line[:TEXT_LENGTH] + " ..."
