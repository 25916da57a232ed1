"""Report of finished runs: tables, tests, costs, figures, and the figures of the HyperDPO paper."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fronts.methods import HYPERDPO, METHODS, REFERENCE, SEARCHED, find, front_label
from benchmarks.fronts.resampling import N_RESAMPLES
from benchmarks.fronts.results import DataSet, read_results
from benchmarks.fronts.tables import correlation_table, cost_ratios, cost_table, main_table, quality_table
from benchmarks.markdown import markdown_table

__all__ = ["paper_section", "provenance", "render", "write_report"]

NOTES = f"""\
Hypervolume: of NDCG@10 (gains 2^z - 1, lists without a label above 0 skipped) at all weights, measured
from 0; mean ± standard deviation over folds and seeds. Share: of HyperDPO's mean hypervolume. Ahead:
difference of mean hypervolumes, its 95% bootstrap interval over queries (centred on it), and p of a paired
randomisation test by query ({N_RESAMPLES:,} permutations: a query's values are
swapped between the two methods, at all weights and seeds at once). Both hold the trained models fixed.
Objectives: NDCG@10 with all weight on them, mean over folds and seeds; the last column compares the first
of them by the same test. p-values are not corrected for the number of baselines. Fit and predict: medians;
predict at all weights. CPU: of all threads. Search: for parameters, once per fold, under the first seed;
not part of the fit seconds (its CPU share is taken to be its share of the time). Peak: memory above the
level before fit. Networks without a reference are the separate networks ranking by their own output
alone: their loss never sees the reference, so that they would be trained to the same."""


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
    parts += [paper_section(data), "### Cost", cost_table(data), cost_ratios(data)]
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
        how = find(method).tuning
        if how == SEARCHED and options["booster_params"] != "search":
            how = "booster parameters as given, not searched"
        lines.append(f"- {method}: {how}" + (f" ({given})." if given else "."))
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


#: Hypervolume on MSLR-WEB10K with five auxiliary objectives (arXiv 2410.08316), by our front of that name.
PAPER = {HYPERDPO: 2.039e-3, "networks": 1.648e-3, "soup": 1.468e-3, "modpo": 1.263e-3}

DIFFERENCES = """\
The paper's figures are for five auxiliary objectives on MSLR-WEB10K. Ours come from the same columns, but
the protocols may differ in: how columns become labels (here grades 0 to 4 by quantile within the query,
which sets the level of NDCG and so of the hypervolume); the hypervolume's reference point (here 0) and
the trade-offs profiled (here the same 21 for all; more give more); the network (here two hidden layers of
128), its loss, epochs and stopping; the reference ranker (here LightGBM with searched parameters, fitted
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
