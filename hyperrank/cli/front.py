"""``hyperrank front``."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperrank.cli._command import Console, command, plain
from hyperrank.cli._options import Layout, check_output, layout_options, out_option

if TYPE_CHECKING:
    from hyperrank.front.pareto_front import ParetoFront

__all__ = ["front", "profile_options", "profiled"]


def profile_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `profiled`."""
    for option in reversed(
        (
            click.option(
                "--points", type=click.IntRange(min=1), help="Trade-offs at most to look at; 66 by default."
            ),
            click.option("--metric", help="What to measure; by default the ranker's own."),
            click.option(
                "--temperature", type=float, help="How hard objectives pull: 0 the reference, 1 as trained."
            ),
            click.option(
                "--ref-scores", metavar="COLUMN", help="Column of a table with the reference's scores."
            ),
        )
    ):
        function = option(function)
    return function


def profiled(
    console: Console,
    model: Path,
    data: Path,
    layout: Layout,
    *,
    points: int | None,
    metric: str | None,
    temperature: float | None,
    ref_scores: str | None,
) -> Any:
    """Measure what a model reaches on data with labels.

    Returns
    -------
    ParetoFront
    """
    from hyperrank.cli._data import labelled_for, scoring_options, summary
    from hyperrank.rankers import load
    from hyperrank.simplex import lattice_near

    ranker = load(model)
    found = labelled_for(ranker, data, layout, column=ref_scores)
    console.note(summary(data, found.data))
    options = scoring_options(ranker, temperature)
    if points is not None:
        options["weights"] = lattice_near(len(ranker.objectives_), points)
    if found.ref_scores is not None:
        options["ref_scores"] = found.ref_scores
    return ranker.pareto_front(found.features(), found.data.Y, qid=found.data.qid, metric=metric, **options)


PICTURES = (".png", ".svg", ".pdf")
PAGES = (".html", ".htm")


@command("front")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@out_option("Where to write: .json, .csv, a page, .html, or a picture, .png, .svg or .pdf.")
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page on which people choose a trade-off, beside what --out writes.",
)
@layout_options(labels=True, features=False)
@profile_options
def front(
    console: Console,
    model: Path,
    data: Path,
    out: Path | None,
    page: Path | None,
    force: bool,
    layout: Layout,
    **options: Any,
) -> None:
    """Measure what MODEL reaches on DATA at each trade-off.

    DATA should hold queries that were not trained on, with labels for every objective: columns or objectives
    of the names that the model knows, or those that --labels names in the same order.
    """
    if out is not None:
        check_output(out, force=force, kinds=(".json", ".csv", *PAGES, *PICTURES))
    if page is not None:
        check_output(page, force=force, kinds=PAGES)
    found = profiled(console, model, data, layout, **options)

    for path in (out, page):
        if path is not None:
            write_front(path, found)
            console.note(f"{path}: {len(found)} trade-offs")
    console.result(front_text(found), found.to_dict())


def front_text(front: ParetoFront) -> str:
    """A front for people: the Pareto-optimal trade-offs."""
    from hyperrank.front.selection import at_temperature

    table = front.to_frame()[front.non_dominated]
    table = table.drop(columns=["non_dominated", "temperature"], errors="ignore")
    lines = [
        f"{front.metric} of {len(front)} trade-offs{at_temperature(front.temperature)}, "
        f"{len(table)} of them non-dominated; "
        f"hypervolume {front.hypervolume():.4f}"
    ]
    if front.reference is not None:
        values = ", ".join(f"{name} {value:.4f}" for name, value in front.reference.items())
        lines.append(f"reference: {values}")
    return "\n".join([*lines, table.to_string(index=False, float_format="{:.4f}".format)])


def write_front(path: Path, front: ParetoFront) -> None:
    """Write a front in the form that the name of the file says, whole or not at all."""
    from hyperrank.files import write_atomically

    kind = path.suffix.lower()
    if kind in (".html", ".htm"):
        front.to_html(path)
        return
    if kind == ".json":
        content = json.dumps(plain(front.to_dict()), indent=1, allow_nan=False).encode() + b"\n"
    elif kind == ".csv":
        content = front.to_frame().to_csv(index=False, lineterminator="\n").encode()
    else:
        buffer = io.BytesIO()
        front.plot().savefig(buffer, format=kind[1:], dpi=150, bbox_inches="tight")
        content = buffer.getvalue()
    write_atomically(path, content)
