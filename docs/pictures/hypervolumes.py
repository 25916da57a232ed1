"""Hypervolumes of all methods and settings as a figure: ``python docs/pictures/hypervolumes.py``."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

DOCS = Path(__file__).resolve().parents[1]
TABLES = DOCS.parent / "benchmarks" / "results"
SETTINGS = {
    "fronts_mslr3": "MSLR sample,\n3 objectives",
    "fronts_mslr5": "MSLR sample,\n5 objectives",
    "fronts_mq2008": "MQ2008,\n3 objectives",
    "fronts_synthetic_short": "generator,\nshort lists",
    "fronts_synthetic": "generator,\nlong lists (1 seed)",
}
#: Methods in the tables, as they are called here, from the bottom up.
METHODS = {
    "LightGBM per weight, labels mixed": "21 LightGBM, labels mixed",
    "LightGBM per weight, gradients mixed": "21 LightGBM, gradients mixed",
    "boosters, scores mixed": "LightGBM per objective, scores mixed",
    "networks, one per weight, no reference": "21 networks, no reference",
    "networks, one per weight": "21 networks over the reference",
    "HyperDPO's reference alone": "HyperDPO's reference alone",
    "HyperDPO, one network": "HyperDPO",
}
HIGHLIGHTED = {"HyperDPO, one network": "#0072B2", "HyperDPO's reference alone": "#56B4E9"}


def hypervolumes(table: str) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of each method in a table."""
    found = {}
    for line in (TABLES / f"{table}.md").read_text().splitlines():
        cells = [cell.strip(" *") for cell in line.strip("|").split("|")]
        if cells[0] in METHODS and "\u00b1" in cells[1] and cells[0] not in found:
            mean, deviation = map(float, cells[1].split(" \u00b1 "))
            found[cells[0]] = mean, deviation
    return found


def main() -> None:
    """Draw docs/hypervolumes.png."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    axes = figure.subplots(1, len(SETTINGS), sharey=True)
    places = np.arange(len(METHODS))
    for ax, (table, title) in zip(axes, SETTINGS.items(), strict=True):
        found = hypervolumes(table)
        means = np.array([found[method][0] for method in METHODS])
        colours = [HIGHLIGHTED.get(method, "#888888") for method in METHODS]
        ax.scatter(means, places, color=colours, s=45, zorder=2)
        ax.axvline(means[-1], color=colours[-1], lw=1, ls=":")
        for place, mean in zip(places, means, strict=True):
            text = f"{mean:.4f}".removeprefix("0")
            ax.text(1.0, place, text, transform=ax.get_yaxis_transform(), va="center", ha="right", fontsize=8)
        span = means.max() - means.min()
        ax.set(xlim=(means.min() - 0.1 * span, means.max() + 0.6 * span), xticks=[])
        ax.set_axisbelow(True)
        ax.grid(axis="y", alpha=0.25)
        ax.set_title(title, fontsize=9)
        ax.spines[["top", "right", "bottom"]].set_visible(False)
    axes[0].set_yticks(places, METHODS.values(), fontsize=9)
    figure.supxlabel("hypervolume of NDCG@10 fronts on test queries", fontsize=9)
    figure.savefig(DOCS / "hypervolumes.png", dpi=110)


if __name__ == "__main__":
    main()
