"""The figures of the HyperDPO paper, to stand beside ours."""

from __future__ import annotations

from benchmarks.fronts.methods import HYPERDPO, front_label
from benchmarks.fronts.results import DataSet
from benchmarks.fronts.text import markdown_table

__all__ = ["paper_section"]

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
