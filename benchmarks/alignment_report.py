"""The alignment benchmark's tables: fronts with their spread over lists and seeds, accuracies, and texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.alignment_runs import METHODS
from benchmarks.alignment_sources import PROMPTS
from benchmarks.markdown import markdown_table
from hyperrank.metrics import hypervolume

__all__ = ["front_table", "recorded", "tables", "write_tables"]

#: Where the tables of a page begin and end; what is around them is written by hand.
BEGIN, END = "<!-- tables of recorded runs -->", "<!-- end of tables -->"

TEXT_LENGTH = 200
RESAMPLES = 500


def recorded(folders: Sequence[Path]) -> dict[tuple[str, int], dict[str, Any]]:
    """Recorded runs by name and seed: a method, and those options that differ among its runs."""
    runs = [json.loads(path.read_text()) for folder in folders for path in sorted(folder.glob("*.json"))]
    found = {}
    for method in METHODS:
        alike = [run for run in runs if run["method"] == method]
        for run in alike:
            options = [
                f"{key.replace('_learning_', ' ').replace('_', ' ')} {value:g}"
                for key, value in run["options"].items()
                if key == "max_steps" or any(other["options"][key] != value for other in alike)
            ]
            name = ", ".join([METHODS[method][0], *options])
            found[name, run["seed"]] = run
    return found


def tables(runs: Mapping[tuple[str, int], Mapping[str, Any]]) -> str:
    """Fronts, their mean over seeds, accuracies by weight, and texts of each name's first seed."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for (name, _), run in sorted(runs.items(), key=lambda item: item[0][1]):
        by_name.setdefault(name, []).append(run)
    named = {f"{name}, seed {seed}": run for (name, seed), run in runs.items()}
    names = next(iter(runs.values()))["names"]
    several = {name: some for name, some in by_name.items() if len(some) > 1}
    parts = [front_table(named, names), "Mean and standard deviation over seeds:" * bool(several)]
    parts += [seed_table(several, names), "Accuracies by weight of the last objective:"]
    parts += [accuracy_table(named, names), text_table({name: some[0] for name, some in by_name.items()})]
    return "\n\n".join(part for part in parts if part)


def write_tables(page: Path, text: str) -> None:
    """Put tables into a page in place of those that are there."""
    start, _, rest = page.read_text().partition(BEGIN)
    page.write_text(f"{start}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


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


def measures(run: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What is reported of a run, as functions of its accuracies."""
    weights = np.asarray(run["weights"])
    found: dict[str, Any] = {}
    for j, name in enumerate(names):
        own, other = (0, -1) if j == 0 else (-1, 0)
        found[f"{name}: gain over other corner"] = lambda a, j=j, o=own, p=other: a[o, j] - a[p, j]
    found["mean w·accuracy"] = lambda a: float((a * weights).sum(axis=1).mean())
    return {**found, "hypervolume": hypervolume}


def front_table(results: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> str:
    """One row per run: accuracy at the corners, what the weights move, hypervolume, log-ratio, cost."""
    rows = []
    for name, run in results.items():
        found = accuracies(run)
        corners = {f"{n}: own corner": f"{found[-1 if j else 0, j]:.3f}" for j, n in enumerate(names)}
        spreads = {k: _shown(spread(run, measure)) for k, measure in measures(run, names).items()}
        cost = {"log-ratio": f"{np.mean(run['log_ratio']):.3f}", "training, s": f"{run['seconds']:.0f}"}
        rows.append({"run": name, **corners, **spreads, **cost})
    return markdown_table(rows)


def seed_table(results: Mapping[str, Sequence[Mapping[str, Any]]], names: Sequence[str]) -> str:
    """One row per method with several seeds: means, and deviations from seed to seed."""
    rows = []
    for name, runs in results.items():
        values = {k: [f(accuracies(run)) for run in runs] for k, f in measures(runs[0], names).items()}
        values["log-ratio"] = [np.mean(run["log_ratio"]) for run in runs]
        shown = {key: _shown((np.mean(some), np.std(some, ddof=1))) for key, some in values.items()}
        rows.append({"method": name, "seeds": f"{len(runs)}", **shown})
    return markdown_table(rows) if rows else ""


def accuracy_table(results: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> str:
    """Accuracies by weight of the last objective, one row per method and objective."""
    columns = sorted({round(w[-1], 4) for run in results.values() for w in run["weights"]})
    rows = []
    for label, run in results.items():
        found = accuracies(run)
        at = {round(w[-1], 4): k for k, w in enumerate(run["weights"])}
        for j, name in enumerate(names):
            cells = {f"{c:g}": f"{found[at[c], j]:.3f}" if c in at else "" for c in columns}
            rows.append({"run": label, "accuracy": name, **cells})
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
