"""HyperDPO's front beside its rivals' on the MSLR sample, in minutes.

Run ``python -m benchmarks.quick_front``.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

import hyperrank
from benchmarks.data import sample_or_generated
from benchmarks.methods import HYPERDPO, NETWORKS
from benchmarks.runs import Run, run_all
from hyperrank.simplex import lattice_near

__all__ = ["main", "report"]

#: Trade-offs at which every method is profiled: with three objectives, the lattice of steps 1/5.
N_WEIGHTS = 21

NOTES = """\
Hypervolume: of NDCG@10 at all weights, measured from 0; mean ± standard deviation over folds.
Objectives: their own NDCG@10 with all weight on them, mean over folds. Gains are 2^z - 1, and lists
without a label above 0 are skipped. Fit: median seconds; CPU: those of all threads together.
Ahead: mean ± standard error of the difference in hypervolume, fold by fold.
The networks without a reference are those of the line above, ranking by their own output alone:
the loss never sees the reference, so they would be trained to the same."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = _read(arguments)
    started = time.perf_counter()
    data = sample_or_generated(options.objectives)
    weights = lattice_near(len(data.names), N_WEIGHTS)
    print(f"{data}\n{len(weights)} weights, {options.folds} folds, {options.seeds} seed(s)\n")
    runs = run_all(data, weights, folds=options.folds, seeds=options.seeds)
    print(f"\n{report(runs, data.names)}\n\nAll in {time.perf_counter() - started:.0f} s.")
    if options.out is not None:
        _write(options.out, runs, data.names, weights)


def report(runs: Sequence[Run], names: Sequence[str]) -> str:
    """Give the table of a comparison, and what to read from it.

    Parameters
    ----------
    runs : sequence of Run
        Of all methods on all folds.
    names : sequence of str
        The objectives.

    Returns
    -------
    str
    """
    frame = pd.DataFrame([asdict(run) for run in runs])
    by_fold = frame.pivot_table(index="fold", columns="method", values="hypervolume", sort=False)
    seconds = frame.groupby("method")["fit_seconds"].median()
    of_cpu = frame.groupby("method")["cpu_seconds"].median()
    rivals = [method for method in by_fold.columns if method != HYPERDPO]
    ahead = {rival: by_fold[HYPERDPO] - by_fold[rival] for rival in rivals}
    rows = {}
    for method in by_fold.columns:
        corners = np.mean(frame.loc[frame["method"] == method, "corners"].tolist(), axis=0)
        rows[method] = {
            "hypervolume": f"{by_fold[method].mean():.4f} ± {_deviation(by_fold[method]):.4f}",
            **{name: f"{value:.3f}" for name, value in zip(names, corners, strict=True)},
            "fit s": f"{seconds[method]:.1f}",
            "CPU s": f"{of_cpu[method]:.1f}",
            "HyperDPO ahead by": "" if method == HYPERDPO else _signed(ahead[method]),
        }
    best = max(rivals, key=lambda rival: by_fold[rival].mean())
    return "\n".join(
        [
            pd.DataFrame.from_dict(rows, orient="index").to_string(),
            "",
            f"Best rival: {best}. HyperDPO ahead by {_signed(ahead[best])}, on "
            f"{int((ahead[best] > 0).sum())} of {len(by_fold)} folds.",
            f"One fit takes {seconds[HYPERDPO] / seconds[NETWORKS]:.3f} of the separate networks' time, "
            f"{of_cpu[HYPERDPO] / of_cpu[NETWORKS]:.3f} of their CPU time.",
            NOTES,
        ]
    )


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.quick_front", description=__doc__)
    parser.add_argument("--folds", type=int, default=5, help="folds of whole queries (default 5)")
    parser.add_argument("--seeds", type=int, default=1, help="fits per fold and method (default 1)")
    parser.add_argument("--objectives", nargs="+", default=["relevance", "quality", "dwell"], metavar="NAME")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write all runs as JSON")
    return parser.parse_args(arguments)


def _write(path: Path, runs: Sequence[Run], names: Sequence[str], weights: np.ndarray) -> None:
    content = {
        "version": hyperrank.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "objectives": list(names),
        "weights": weights.tolist(),
        "runs": [asdict(run) for run in runs],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    print(f"All runs are in {path.resolve()}.")


def _deviation(values: pd.Series) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _signed(differences: pd.Series) -> str:
    return f"{differences.mean():+.4f} ± {_deviation(differences) / np.sqrt(len(differences)):.4f}"


if __name__ == "__main__":
    main()
