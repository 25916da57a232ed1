"""Tables of a data set: quality of the fronts, cost, correlation of objectives with their weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import spearmanr

from benchmarks.fronts.methods import HYPERDPO, REFERENCE, front_label
from benchmarks.fronts.resampling import N_RESAMPLES, compare_fronts, compare_means
from benchmarks.fronts.results import DataSet
from benchmarks.markdown import markdown_table, mean_and_deviation, p_value

__all__ = [
    "correlation_table",
    "cost_ratios",
    "cost_table",
    "edge_correlations",
    "main_table",
    "quality_table",
]


def quality_table(data: DataSet, n_resamples: int = N_RESAMPLES) -> str:
    """Hypervolume, HyperDPO's lead over each baseline with its test, and each objective at its corner."""
    rows = []
    weights = np.array(next(r for f, r in data.records.items() if f != REFERENCE)[0]["weights"])
    corner = int(weights[:, 0].argmax())
    for front in data.records:
        row = {
            "method": _label(data, front),
            "hypervolume": mean_and_deviation(data.column(front, "hypervolume")),
            "share": "",
            "HyperDPO ahead by [95%]": "",
            "p": "",
        }
        p_corner = ""
        if HYPERDPO in data.records and front not in (HYPERDPO, REFERENCE):
            places = data.places([HYPERDPO, front])
            ours, theirs = data.values(HYPERDPO, places), data.values(front, places)
            whole = compare_fronts(ours, theirs, n=n_resamples)
            first = compare_means(ours, theirs, row=corner, objective=0, n=n_resamples)
            digits = 2 if data.column(front, "hypervolume").mean() < 0.02 else 4
            spell = "{:+.2g}" if digits == 2 else "{:+.4f}"
            interval = f"[{spell.format(whole.low)}, {spell.format(whole.high)}]"
            row["HyperDPO ahead by [95%]"] = f"{spell.format(whole.lead)} {interval}"
            row["p"] = p_value(whole.p, n_resamples)
            p_corner = f"{first.lead:+.3f}, p {p_value(first.p, n_resamples)}"
        if HYPERDPO in data.records:
            ratio = data.column(front, "hypervolume").mean() / data.column(HYPERDPO, "hypervolume").mean()
            row["share"] = f"{ratio:.3f}"
        corners = np.mean([record["corners"] for record in data.records[front]], axis=0)
        row |= {name: f"{value:.3f}" for name, value in zip(data.names, corners, strict=True)}
        row[f"{data.names[0]}: ahead by"] = p_corner
        rows.append(row)
    return markdown_table(rows)


def cost_table(data: DataSet) -> str:
    """What a fit and a prediction take: medians over folds and seeds."""
    rows = []
    for front in data.records:

        def typical(name: str, front: str = front) -> float:
            return float(np.median(data.column(front, name)))

        wall, cpu = _trained(data, front)
        searched = data.column(front, "search_seconds")
        rows.append(
            {
                "method": _label(data, front),
                "fit s": f"{wall:.1f}",
                "CPU s": f"{cpu:.1f}",
                "search s": f"{np.median(searched[searched > 0]):.1f}" if searched.any() else "",
                "predict s": f"{typical('predict_seconds'):.2f}",
                "peak MB": f"{typical('peak_mb'):.0f}",
                "network parameters": f"{typical('network_parameters'):,.0f}",
                "booster leaves": f"{typical('booster_leaves'):,.0f}",
            }
        )
    return markdown_table(rows)


def cost_ratios(data: DataSet) -> str:
    """HyperDPO's fit as a share of the baselines' that train one model per weight, their search left out."""
    if HYPERDPO not in data.records:
        return ""
    wall, cpu = _trained(data, HYPERDPO)
    lines = []
    for front in ("networks", "lightgbm-gradients", "lightgbm-labels", "modpo"):
        if front in data.records:
            other = _trained(data, front)
            lines.append(
                f"- One fit of HyperDPO takes {wall / other[0]:.3f} of the time of {front_label(front)} "
                f"({cpu / other[1]:.3f} of the CPU time)."
            )
    return "\n".join(lines)


def correlation_table(data: DataSet) -> str:
    """Spearman's correlation of each objective with its weight along the simplex's edges."""
    rows = []
    for front, records in data.records.items():
        if all(record.get("edges") for record in records):
            means = {name: f"{mean:.3f}" for name, mean in edge_correlations(data, front).items()}
            rows.append({"method": _label(data, front), **means})
    return markdown_table(rows) if rows else ""


def edge_correlations(data: DataSet, front: str) -> dict[str, float]:
    """Mean Spearman correlation of each objective with its weight, over runs and edges."""
    found: dict[int, list[float]] = {}
    for edge in (edge for record in data.records[front] for edge in record["edges"]):
        share, values = np.array(edge["share"]), np.array(edge["values"])
        for at, objective in enumerate(edge["objectives"]):
            weight = share if at == 0 else 1 - share
            found.setdefault(objective, []).append(_spearman(weight, values[:, at]))
    return {data.names[j]: float(np.mean(found[j])) for j in sorted(found)}


def main_table(data: DataSet) -> str:
    """The main objective at the weights of the fronts; empty where it is one of the objectives."""
    if data.main is None:
        return ""
    rows = []
    for front, records in data.records.items():
        points = np.array([record["main_points"] for record in records])
        rows.append(
            {
                "method": _label(data, front),
                f"{data.main}, mean over weights": mean_and_deviation(points.mean(axis=1)),
                "at its best weights": f"{points.max(axis=1).mean():.4f}",
                "at its worst": f"{points.min(axis=1).mean():.4f}",
                "at equal weights": f"{_at_centre(records[0], points):.4f}",
            }
        )
    return markdown_table(rows)


def _at_centre(record: Mapping[str, list[list[float]]], points: np.ndarray) -> float:
    weights = np.array(record["weights"])
    row = int(((weights - 1 / weights.shape[1]) ** 2).sum(axis=1).argmin())
    return float(points[:, row].mean())


def _trained(data: DataSet, front: str) -> tuple[float, float]:
    """Median seconds and CPU seconds of fit without the search, whose CPU share is taken as its time's."""
    wall, search = data.column(front, "fit_seconds"), data.column(front, "search_seconds")
    cpu = data.column(front, "fit_cpu_seconds") * (1 - search / wall)
    return float(np.median(wall - search)), float(np.median(cpu))


def _spearman(weight: np.ndarray, values: np.ndarray) -> float:
    """Spearman's correlation; 0 where values never change."""
    if np.ptp(values) == 0:
        return 0.0
    return float(spearmanr(weight, values).statistic)


def _label(data: DataSet, front: str) -> str:
    label = front_label(front).format(main=data.main)
    return f"**{label}**" if front == HYPERDPO else label
