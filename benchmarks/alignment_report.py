"""The alignment benchmark's table, texts and picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.alignment_runs import METHODS
from benchmarks.alignment_sources import PROMPTS
from benchmarks.markdown import markdown_table
from hyperrank.metrics import hypervolume

__all__ = ["draw_fronts", "front_table", "text_table"]

#: Colour-blind safe, with a marker each.
STYLES = {
    "reference": ("#444444", "*"),
    "hyper-prompt": ("#56B4E9", "o"),
    "hyper-prompt-lora": ("#0072B2", "s"),
    "dpo-per-weight": ("#CC79A7", "D"),
    "soup": ("#A6761D", "P"),
}
TEXT_LENGTH = 160


def front_table(results: Mapping[str, Sequence[Mapping[str, Any]]], names: Sequence[str]) -> str:
    """One row per method: hypervolume, each objective with all weight on it, cost; mean over seeds.

    Parameters
    ----------
    results : mapping of method to sequence of results, one per seed
    names : sequence of str
        Of the objectives.
    """
    return markdown_table([_row(method, runs, names) for method, runs in results.items()])


def text_table(results: Mapping[str, Sequence[Mapping[str, Any]]], weights: Sequence[Sequence[float]]) -> str:
    """Texts of the first seed at three trade-offs, for the prompts that were written for this."""
    rows = []
    for method, runs in results.items():
        for at in sorted({0, len(weights) // 2, len(weights) - 1}) if runs[0]["texts"] else ():
            texts, mix = runs[0]["texts"][at], " : ".join(f"{weight:g}" for weight in weights[at])
            for prompt, text in zip(PROMPTS, texts, strict=True):
                rows.append({"method": method, "weights": mix, "prompt": prompt, "text": _one_line(text)})
    return markdown_table(rows) if rows else ""


def draw_fronts(results: Mapping[str, Sequence[Mapping[str, Any]]], names: Sequence[str], path: Path) -> None:
    """Preference accuracies of the first two objectives, mean over seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4, 4.6), layout="constrained")
    axes = figure.subplots()
    for method, runs in results.items():
        colour, marker = STYLES[method]
        points = np.mean([run["points"] for run in runs], axis=0)
        axes.plot(points[:, 0], points[:, 1], marker=marker, color=colour, label=METHODS[method])
    axes.set(xlabel=f"accuracy of preferences: {names[0]}", ylabel=f"accuracy of preferences: {names[1]}")
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)


def _row(method: str, runs: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, str]:
    points = np.array([run["points"] for run in runs])  # (seeds, k, m)
    volumes = np.array([hypervolume(of_run) for of_run in points])
    spread = f" ± {volumes.std(ddof=1):.4f}" if len(volumes) > 1 else ""
    # Trade-offs begin with all weight on the first objective and end with all on the last.
    ends = {0: points[:, 0, 0], len(names) - 1: points[:, -1, -1]}
    return {
        "method": METHODS[method],
        "hypervolume": f"{volumes.mean():.4f}{spread}",
        **{f"{names[j]}, all weight": f"{values.mean():.3f}" for j, values in ends.items()},
        "log-ratio": f"{np.mean([run['log_ratio'] for run in runs]):.3f}",
        "collapsed": str(sum(bool(run.get("collapsed")) for run in runs)),
        "training, s": f"{np.mean([run['seconds'] for run in runs]):.0f}",
    }


def _one_line(text: str) -> str:
    # What a random model says over bytes is seldom text.
    printed = "".join(c if c.isprintable() and c != "\ufffd" else "\u00b7" for c in " ".join(text.split()))
    line = printed.replace("|", "\\|")
    return line if len(line) <= TEXT_LENGTH else line[:TEXT_LENGTH] + " ..."
