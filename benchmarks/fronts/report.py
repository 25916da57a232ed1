"""Report of finished runs: tables, tests, costs, figures, and the figures of the HyperDPO paper."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from benchmarks.fronts.methods import HYPERDPO, METHODS, REFERENCE, find, front_label
from benchmarks.fronts.resampling import N_RESAMPLES, compare_fronts, compare_means
from benchmarks.fronts.results import DataSet, read_results
from benchmarks.markdown import markdown_table, mean_and_deviation, p_value

__all__ = ["edge_correlations", "paper_section", "provenance", "render", "write_report"]

NOTES = f"""\
Hypervolume: of NDCG@10 (gains 2^z - 1, lists without a label above 0 skipped) at all weights, measured
from 0; mean ± standard deviation over folds and seeds. Share: of HyperDPO's mean hypervolume. Ahead:
difference of mean hypervolumes, its 95% bootstrap interval over queries (centred on it), and p of a paired
randomisation test by query ({N_RESAMPLES:,} permutations: a query's values are
swapped between the two methods, at all weights and seeds at once). Both hold the trained models fixed.
Objectives: NDCG@10 with all weight on them, mean over folds and seeds; the last column compares the first
of them by the same test. p-values are not corrected for the number of baselines. Fit and predict: medians;
predict at all weights. CPU: of all threads. Peak: memory above the level before fit. Networks without a
reference are the separate networks ranking by their own output alone: their loss never sees the reference, so
that they would be trained to the same."""


def write_report(
    folders: Sequence[str | Path], out: Path, *, n_resamples: int = N_RESAMPLES
) -> tuple[Path, str]:
    """Write report and pictures.

    Parameters
    ----------
    folders : sequence of path
        With finished runs.
    out : Path
        Where ``report.md`` and the pictures go.
    n_resamples : int, default 2000
        Permutations and bootstrap resamples.

    Returns
    -------
    path : Path
        Of the report.
    text : str
        Its text.

    Raises
    ------
    StoreError
        If a folder holds no finished run.
    """
    sets = read_results(folders)
    out.mkdir(parents=True, exist_ok=True)
    titles = [f"{data.title.split(':')[0]}, {len(data.names)} objectives" for data in sets]
    sections = [f"# Fronts: {'; '.join(titles)}", _commands(folders)]
    for data in sets:
        sections += [render(data, n_resamples=n_resamples), _pictures(data, out)]
    text = "\n\n".join(section for section in [*sections, f"## How to read this\n\n{NOTES}"] if section)
    path = out / "report.md"
    path.write_text(text + "\n", encoding="utf-8")
    return path, text


def render(data: DataSet, *, n_resamples: int = N_RESAMPLES) -> str:
    """Everything about one data set but its pictures, as Markdown."""
    first = data.all_records[0]
    n_runs = max(len(records) for records in data.records.values())
    n_folds = len({record["fold"] for record in data.all_records})
    head = (
        f"## {data.title}\n\n{first['protocol']}\n{n_folds} folds run, {n_runs} fits of each method, "
        f"{len(_weights(data))} trade-offs, the same for all."
    )
    parts = [head]
    warnings = data.warnings()
    if warnings:
        parts.append("\n".join(f"- **{text}**" for text in warnings))
    parts += [quality_table(data, n_resamples), _verdict(data)]
    if data.main is not None:
        parts.append(f"NDCG@10 of the main objective at the same weights:\n\n{main_table(data)}")
    parts += [paper_section(data), "### Cost", cost_table(data)]
    correlations = correlation_table(data)
    if correlations:
        title = "Spearman's correlation of an objective with its weight along the simplex's edges (11 points)"
        parts.append(f"### Correlation with the weights\n\n{title}:\n\n{correlations}")
    parts += ["### How each was tuned", _tuning(data), _agreement(data), provenance(data)]
    return "\n\n".join(part for part in parts if part)


def _weights(data: DataSet) -> list[list[float]]:
    rows: list[list[float]] = next(r for f, r in data.records.items() if f != REFERENCE)[0]["weights"]
    return rows


def _verdict(data: DataSet) -> str:
    """The best baseline, in a sentence."""
    ours = {REFERENCE, *METHODS[HYPERDPO].fronts}
    baselines = [front for front in data.records if front not in ours]
    if HYPERDPO not in data.records or not baselines:
        return ""
    best = max(baselines, key=lambda front: data.column(front, "hypervolume").mean())
    places = data.places([HYPERDPO, best])
    by_place = {
        front: {(r["fold"], r["seed"]): r["hypervolume"] for r in data.records[front]}
        for front in (HYPERDPO, best)
    }
    wins = sum(by_place[HYPERDPO][place] > by_place[best][place] for place in places)
    return f"Best baseline: {front_label(best)}; HyperDPO is ahead in {wins} of {len(places)} runs."


def _tuning(data: DataSet) -> str:
    methods = {record["method"]: record["options"] for record in data.all_records}
    lines = []
    for method, options in methods.items():
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        lines.append(f"- {method}: {find(method).tuning}" + (f" ({given})." if given else "."))
    return "\n".join(lines)


def _agreement(data: DataSet) -> str:
    checks = [record["ir_measures"] for record in data.all_records]
    largest = max(check["largest_difference"] for check in checks)
    compared = sum(check["compared"] for check in checks)
    return f"{compared:,} values computed again by ir-measures; the largest difference is {largest:.1e}."


def provenance(data: DataSet) -> str:
    """What the last run was made with."""
    last = max(data.all_records, key=lambda record: record["finished"])
    machine = last["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in last["versions"].items())
    return (
        f"Commit {last['commit']}; {machine['cpu']}, {machine['cores']} cores, {last['cores']} for each run; "
        f"{libraries}."
    )


def _commands(folders: Sequence[str | Path]) -> str:
    """The commands that made the runs."""
    files = [Path(folder) / "command.txt" for folder in folders]
    texts = [file.read_text().strip() for file in files if file.is_file()]
    return "\n".join(f"    {command}" for text in texts for command in text.splitlines())


def _pictures(data: DataSet, out: Path) -> str:
    """Draw, and link the pictures; without matplotlib say what it takes."""
    try:
        from benchmarks.fronts.plots import draw_fronts
    except ModuleNotFoundError:
        return 'No pictures: they need matplotlib (pip install -e ".[plot]").'
    slug = re.sub(r"[^a-z0-9]+", "-", data.title.lower()).strip("-")
    draw_fronts(data, out / f"fronts-{slug}.png")
    return f"![fronts on {data.title}](fronts-{slug}.png)"


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

        rows.append(
            {
                "method": _label(data, front),
                "fit s": f"{typical('fit_seconds'):.1f}",
                "CPU s": f"{typical('fit_cpu_seconds'):.1f}",
                "predict s": f"{typical('predict_seconds'):.2f}",
                "peak MB": f"{typical('peak_mb'):.0f}",
                "network parameters": f"{typical('network_parameters'):,.0f}",
                "booster leaves": f"{typical('booster_leaves'):,.0f}",
            }
        )
    return markdown_table(rows)


def correlation_table(data: DataSet) -> str:
    """Spearman's correlation of each objective with its weight along the simplex's edges."""
    rows = []
    for front, records in data.records.items():
        if all(record.get("edges") for record in records):
            means = {name: f"{mean:.3f}" for name, mean in edge_correlations(data, front).items()}
            rows.append({"method": _label(data, front), **means})
    return markdown_table(rows) if rows else ""


def edge_correlations(data: DataSet, front: str, *, least_change: float = 0.0) -> dict[str, float]:
    """Mean Spearman correlation of each objective with its weight, over runs and edges.

    Edges along which an objective gains less than `least_change`, in the mean of the runs, are left out.
    """
    runs = [record["edges"] for record in data.records[front]]
    found: dict[int, list[float]] = {}
    for same_edge in zip(*runs, strict=True):
        share, values = np.array(same_edge[0]["share"]), np.array([edge["values"] for edge in same_edge])
        gains = (values[:, -1] - values[:, 0]).mean(axis=0) * [1, -1]
        if gains.min() >= least_change or least_change == 0:
            for at, objective in enumerate(same_edge[0]["objectives"]):
                weight = share if at == 0 else 1 - share
                found.setdefault(objective, []).extend(_spearman(weight, run[:, at]) for run in values)
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


def _spearman(weight: np.ndarray, values: np.ndarray) -> float:
    """Spearman's correlation; 0 where values never change."""
    if np.ptp(values) == 0:
        return 0.0
    return float(spearmanr(weight, values).statistic)


def _label(data: DataSet, front: str) -> str:
    label = front_label(front).format(main=data.main)
    return f"**{label}**" if front == HYPERDPO else label


#: Hypervolume on MSLR-WEB10K with five auxiliary objectives (arXiv 2410.08316), by our front of that name.
PAPER = {HYPERDPO: 2.039e-3, "networks": 1.648e-3, "soup": 1.468e-3, "modpo": 1.263e-3}

DIFFERENCES = """\
The paper's figures are for five auxiliary objectives on MSLR-WEB10K. Ours come from the same columns, but
the protocols may differ in: how columns become labels (here grades 0 to 4 by quantile within the query,
which sets the level of NDCG and so of the hypervolume); the hypervolume's reference point (here 0) and
the trade-offs profiled (here the same 21 for all; more give more); the network (here two hidden layers of
128), its loss, epochs and stopping; the reference ranker (here LightGBM, fitted
on relevance on training and validation queries); folds (here all that are listed, mean over test folds)
and metric conventions (gains 2^z - 1, lists without a label above 0 skipped). Ratios between methods
compare better than levels."""


def paper_section(data: DataSet) -> str:
    """The paper's hypervolumes beside ours; empty for data that are not the paper's.

    Parameters
    ----------
    data : DataSet

    Returns
    -------
    str
        Markdown.
    """
    if data.main is None or not data.title.startswith("mslr "):
        return ""
    rows = []
    ours_one_shot = data.column(HYPERDPO, "hypervolume").mean() if HYPERDPO in data.records else None
    for front, figure in PAPER.items():
        ours = data.column(front, "hypervolume").mean() if front in data.records else None
        share = "" if ours is None or not ours_one_shot else f"{ours / ours_one_shot:.3f}"
        rows.append(
            {
                "": front_label(front),
                "ours": "" if ours is None else f"{ours:.4g}",
                "the paper's": f"{figure:.4g}",
                "ours, of HyperDPO's": share,
                "the paper's, of HyperDPO's": f"{figure / PAPER[HYPERDPO]:.3f}",
            }
        )
    few = "" if len(data.names) == 5 else f"\nOurs here are with {len(data.names)} auxiliary objectives.\n"
    return f"### Beside the paper (arXiv 2410.08316)\n\n{markdown_table(rows)}\n{few}\n{DIFFERENCES}\n"
