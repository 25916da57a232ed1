"""Summary of all settings: what HyperDPO, its network and its reference reach beside the best baseline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.fronts.methods import HYPERDPO, NETWORKS, REFERENCE, front_label, front_order
from benchmarks.fronts.report import edge_correlations, provenance
from benchmarks.fronts.results import DataSet, read_results
from benchmarks.fronts.settings import SETTINGS
from benchmarks.fronts.store import StoreError
from benchmarks.markdown import markdown_table

__all__ = ["Ratio", "ratio", "write_summary"]

UNTRAINED, ALONE, NETWORKS_ALONE = "hyperdpo-untrained", "hyperdpo-network", "networks-alone"
#: Fronts of HyperDPO, which are no baselines.
OURS = {front for front in front_order() if front.startswith(HYPERDPO)}

NOTES = """\
Hypervolume of NDCG@10 (gains 2^z - 1, lists without a label above 0 skipped) at the same trade-offs for all,
measured from 0, on test folds. Ratios are of means over the folds that both methods have, ± the standard
error of the paired difference over folds and repetitions, which share training queries: it is a little too
small. Where there is none, the two share one fold. The best baseline is chosen on these test folds, which
favours it. In-list: features standardised within the list beside the features as they are. Searched: leaves,
rate, sampling, rounds and features chosen for each objective on a third of the training lists. Per weight:
one model for each trade-off. Networks over the reference use HyperDPO's own kind of reference. CPU seconds
are medians of one fit, of one thread, searches included. Spearman: of an objective with its weight along the
simplex's edges, the lowest of the objectives' means; of edges along which both objectives gain at least .02
from corner to corner."""
#: NDCG that both objectives of an edge gain from corner to corner where they conflict.
CONFLICT = 0.02


@dataclass(frozen=True)
class Ratio:
    """A ratio of mean hypervolumes, with its standard error and the folds that it is of."""

    value: float
    error: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f}" + (f" ± {self.error:.3f}" if self.n > 1 else "")


def ratio(data: DataSet, front: str, other: str) -> Ratio | None:
    """Hypervolume of a front as a share of another's, paired by fold; None where one of them is missing."""
    if front not in data.records or other not in data.records:
        return None
    by_place = [
        {(record["fold"], record["seed"]): record["hypervolume"] for record in data.records[of]}
        for of in (front, other)
    ]
    places = data.places([front, other])
    if not places:
        return None
    a, b = (np.array([values[place] for place in places]) for values in by_place)
    error = (a - b).std(ddof=1) / len(a) ** 0.5 / b.mean() if len(a) > 1 else np.nan
    return Ratio(float(a.mean() / b.mean()), float(error), len(a))


def best_baseline(data: DataSet, fronts: Iterable[str]) -> str | None:
    """The front that reaches most beside HyperDPO."""
    found = {front: ratio(data, front, HYPERDPO) for front in fronts}
    known = {front: against.value for front, against in found.items() if against is not None}
    return max(known, key=lambda front: known[front]) if known else None


def write_summary(folders: Sequence[Path], out: Path) -> str:
    """Write ``fronts.md`` and ``fronts.png`` about the runs of all settings in some folders.

    Returns
    -------
    str
        The text.

    Raises
    ------
    StoreError
        If no setting has a finished run of HyperDPO.
    """
    sets = {}
    for name, setting in SETTINGS.items():
        there = [folder / name for folder in folders if (folder / name / "runs.jsonl").is_file()]
        if there:
            (sets[setting.title],) = read_results(there)
    whole = {title: data for title, data in sets.items() if data.main is None and HYPERDPO in data.records}
    paper = {title: data for title, data in sets.items() if data.main is not None}
    if not whole:
        raise StoreError(f"No setting in {', '.join(map(str, folders))} has a finished run of {HYPERDPO}.")
    out.mkdir(parents=True, exist_ok=True)
    warned: dict[str, list[str]] = {}
    for title, data in sets.items():
        for text in data.warnings():
            if " runs: its means are over those" in text:  # ratios are paired
                continue
            warned.setdefault(text, []).append(title)
    sections = [
        "# Fronts in all settings",
        "    python -m benchmarks.fronts suite",
        main_table(whole),
        means(whole),
        _picture(whole, out),
        "## All methods\n\nHypervolume as a share of HyperDPO's, whose own is in the first row:",
        share_table(whole),
        "## CPU seconds of one fit",
        cpu_table(whole),
        _paper(paper),
        f"## How to read this\n\n{NOTES}",
        "\n".join(f"- {text} ({', '.join(titles)})" for text, titles in warned.items()),
        provenance(next(iter(whole.values()))),
    ]
    text = "\n\n".join(section for section in sections if section)
    (out / "fronts.md").write_text(text + "\n", encoding="utf-8")
    return text


def main_table(sets: Mapping[str, DataSet]) -> str:
    """A row for each setting."""
    rows = []
    for title, data in sets.items():
        baselines = [front for front in data.records if front not in OURS]
        best = best_baseline(data, baselines)
        boosters = best_baseline(data, [front for front in baselines if not _is_network(front)])
        rows.append(
            {
                "setting": title,
                "rows": f"{data.records[HYPERDPO][0]['train'][0]:,}",
                "folds": str(len(data.records[HYPERDPO])),
                "hypervolume": f"{data.column(HYPERDPO, 'hypervolume').mean():.4f}",
                "HyperDPO / best baseline": _text(data, HYPERDPO, best),
                "best baseline": "" if best is None else front_label(best),
                "HyperDPO / best of boosters": _text(data, HYPERDPO, boosters),
                "HyperDPO / its reference": _text(data, HYPERDPO, UNTRAINED),
                "network alone / networks alone": _text(data, ALONE, NETWORKS_ALONE),
                "their CPU s": f"{_cpu(data, ALONE)} / {_cpu(data, NETWORKS_ALONE)}",
                "Spearman": _spearman(data),
                "CPU s, HyperDPO / best": f"{_cpu(data, HYPERDPO)} / {_cpu(data, best)}",
            }
        )
    return markdown_table(rows)


def means(sets: Mapping[str, DataSet]) -> str:
    """Mean ratios over settings, each setting counted once."""
    lines = []
    pairs = [
        ("HyperDPO / best baseline of each setting", HYPERDPO, None),
        ("HyperDPO / its reference (temperature 1 / 0)", HYPERDPO, UNTRAINED),
        ("HyperDPO's network alone / separate networks alone", ALONE, NETWORKS_ALONE),
        ("HyperDPO / separate networks over its reference", HYPERDPO, NETWORKS),
    ]
    for label, front, other in pairs:
        found = []
        for data in sets.values():
            against = other or best_baseline(data, [name for name in data.records if name not in OURS])
            found.append(None if against is None else ratio(data, front, against))
        values = np.array([each.value for each in found if each is not None])
        if len(values):
            error = f" ± {values.std(ddof=1) / len(values) ** 0.5:.3f}" if len(values) > 1 else ""
            lines.append(
                f"- {label}: {values.mean():.3f}{error} in the mean of {len(values)} settings, "
                f"{values.min():.3f} to {values.max():.3f}."
            )
    return "\n".join(lines)


def share_table(sets: Mapping[str, DataSet]) -> str:
    """Every front in every setting, as a share of HyperDPO's."""
    rows = [
        {"method": f"**{front_label(HYPERDPO)}**"}
        | {title: f"{data.column(HYPERDPO, 'hypervolume').mean():.4f}" for title, data in sets.items()}
    ]
    for front in _fronts(sets):
        if front != HYPERDPO:
            rows.append(
                {"method": front_label(front)} | {t: _text(d, front, HYPERDPO) for t, d in sets.items()}
            )
    return markdown_table(rows)


def cpu_table(sets: Mapping[str, DataSet]) -> str:
    """CPU seconds of every method's fit in every setting."""
    return markdown_table(
        [
            {"method": front_label(front)} | {title: _cpu(data, front) for title, data in sets.items()}
            for front in _fronts(sets)
        ]
    )


def _paper(sets: Mapping[str, DataSet]) -> str:
    """The paper's form: one ranker for the main objective as reference, the others trained."""
    parts = []
    for title, data in sets.items():
        rows = []
        for front, records in data.records.items():
            main = np.array([record["main_points"] for record in records])
            rows.append(
                {
                    "method": front_label(front).format(main=data.main),
                    "hypervolume": f"{data.column(front, 'hypervolume').mean():.4g}",
                    f"{data.main}, mean over trade-offs": f"{main.mean():.3f}",
                    "at the best": f"{main.max(axis=1).mean():.3f}",
                    "folds": str(len(records)),
                }
            )
        parts.append(f"### {title}\n\n{markdown_table(rows)}")
    if not parts:
        return ""
    head = (
        "## The paper's form\n\nOne LightGBM ranker for the main objective is the reference, whose scores do "
        "not know the other objectives; one network is trained on these, and the temperature says how far it "
        "leaves the reference. Hypervolume is over the auxiliary objectives, the main one stands beside it."
    )
    return "\n\n".join([head, *parts])


def _picture(sets: Mapping[str, DataSet], out: Path) -> str:
    """Draw, and link the picture; without matplotlib say what it takes."""
    try:
        from benchmarks.fronts.plots import draw_settings
    except ModuleNotFoundError:
        return 'No picture: it needs matplotlib (pip install -e ".[plot]").'
    values: dict[str, dict[str, float]] = {}
    for front in _fronts(sets):
        found = {title: ratio(data, front, HYPERDPO) for title, data in sets.items()}
        values[front] = {title: each.value for title, each in found.items() if each is not None}
    draw_settings(values, out / "fronts.png")
    return "![Hypervolume of each method over all settings, as a share of HyperDPO's](fronts.png)"


def _fronts(sets: Mapping[str, DataSet]) -> Sequence[str]:
    """Fronts that some setting has, in the order of tables."""
    there = {front for data in sets.values() for front in data.records}
    return [front for front in front_order() if front in there and front != REFERENCE]


def _is_network(front: str) -> bool:
    return front.split("-")[0] in (NETWORKS, "soup", "modpo")


def _spearman(data: DataSet) -> str:
    """The lowest mean correlation of an objective with its weight, along edges of conflicting objectives."""
    found = edge_correlations(data, HYPERDPO, least_change=CONFLICT)
    return f"{min(found.values()):.3f}" if found else "no conflict"


def _text(data: DataSet, front: str, other: str | None) -> str:
    found = None if other is None else ratio(data, front, other)
    return "" if found is None else str(found)


def _cpu(data: DataSet, front: str | None) -> str:
    if front is None or front not in data.records:
        return ""
    return f"{np.median(data.column(front, 'fit_cpu_seconds')):.1f}"
