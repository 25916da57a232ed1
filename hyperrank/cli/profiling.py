"""The front of a model file on a data file, as ``front`` and ``select`` need it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hyperrank.cli.console import Console
from hyperrank.cli.layout import Layout

__all__ = ["profile_options", "profiled"]


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
    from hyperrank.cli.for_model import labelled_for, scoring_options
    from hyperrank.cli.reading import summary
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
