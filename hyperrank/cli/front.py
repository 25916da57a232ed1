"""``hyperrank front``: what a model reaches at each trade-off."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperrank.cli import _options
from hyperrank.cli._command import Console, as_json, command, with_options
from hyperrank.cli._completion import METRICS, one_of

if TYPE_CHECKING:
    from hyperrank.front import ParetoFront

__all__ = ["front", "profile", "profile_options"]

PICTURES = (".png", ".svg", ".pdf")
PAGES = (".html", ".htm")
#: The options of `profile`.
profile_options = with_options(
    click.option(
        "--points", type=click.IntRange(min=1), help="Trade-offs to evaluate, at most; 66 by default."
    ),
    click.option(
        "--metric", help="What to measure; by default the ranker's own.", shell_complete=one_of(*METRICS)
    ),
    _options.TEMPERATURE,
    click.option(
        "--temperatures",
        metavar="T,T,...",
        help="Several temperatures, each with all weights: 0,0.3,1,3.",
    ),
    click.option(
        "--baseline",
        metavar="COLUMN|FILE",
        help="What limits are relative to: a column of scores, or a LightGBM model; else the reference.",
    ),
    click.option("--by", metavar="COLUMN", help="Column of a table with the segment of each query."),
    _options.REF_SCORES,
)


def profile(
    console: Console,
    model: Path,
    data: Path,
    layout: _options.Layout,
    *,
    points: int | None,
    metric: str | None,
    temperature: float | None,
    temperatures: str | None,
    baseline: str | None,
    by: str | None,
    ref_scores: str | None,
) -> ParetoFront:
    """Profile the front of a model on data with labels."""
    from hyperrank.cli._data import read_column, read_labelled, scoring_options, summary
    from hyperrank.rankers import load
    from hyperrank.reference.per_objective import read_booster_file
    from hyperrank.simplex import lattice_near

    ranker = load(model)
    labelled = read_labelled(console, ranker, data, layout, extra=ref_scores)
    console.note(summary(data, labelled.data))
    options: dict[str, Any] = {"metric": metric, **scoring_options(ranker, temperature)}
    if points is not None:
        m = len(ranker.objectives_)
        if points < m:
            raise ValueError(
                f"--points {points}: a front of {m} objectives has {m} ends at least. "
                "For one trade-off: hyperrank predict --weights."
            )
        options["weights"] = lattice_near(m, points)
        if temperature is None:
            options["temperatures"] = ranker._default_temperatures()
    if temperatures is not None:
        options["temperatures"] = [_number(text) for text in temperatures.split(",")]
    if baseline is not None and baseline != "reference":
        if Path(baseline).is_file():
            options["baseline"] = read_booster_file(Path(baseline))
        else:
            options["baseline"] = read_column(data, baseline, labelled.data, layout.qid)
    if by is not None:
        options["by"] = read_column(data, by, labelled.data, layout.qid, as_ids=True)
    if labelled.ref_scores is not None:
        options["ref_scores"] = labelled.ref_scores
    ranker.verbose = int(console.shows_progress)  # a bar with the time left
    return ranker.pareto_front(labelled.features(), labelled.data.Y, qid=labelled.data.qid, **options)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise click.UsageError(f"--temperatures takes numbers, as in 0,0.3,1,3; got {text!r}.") from None


@command(
    "front",
    "model.safetensors test.parquet --qid query_id",
    "model.safetensors test.csv --points 11 --out front.csv",
    "model.safetensors test.csv --html front.html",
    "model.safetensors - --out - < test.csv > front.csv",
)
@click.argument("model", type=_options.PATH)
@click.argument("data", type=_options.DATA)
@_options.out_option(
    "Where to write: .json, .csv, a page, .html, or a picture, .png, .svg or .pdf; - is CSV to stdout."
)
@click.option(
    "--html",
    "page",
    type=_options.PATH,
    metavar="FILE",
    help="Write a page on which people choose a trade-off, besides what --out writes.",
)
@_options.layout_options(labels=True, features=False)
@profile_options
def front(
    console: Console,
    model: Path,
    data: Path,
    out: Path | None,
    page: Path | None,
    force: bool,
    layout: _options.Layout,
    **options: Any,
) -> None:
    """Measure what MODEL reaches on DATA at each trade-off.

    DATA should hold queries that were not trained on, with labels for every objective: columns or objectives
    of the names that the model knows, or those that --labels names in the same order.
    """
    to_stdout = out == _options.STDOUT
    if to_stdout and console.as_json:
        raise click.UsageError("--out - is CSV on standard output, --json is JSON: give one of the two.")
    if not to_stdout:
        _options.check_output(out, force=force, kinds=(".json", ".csv", *PAGES, *PICTURES))
    _options.check_output(page, force=force, kinds=PAGES)
    profiled = profile(console, model, data, layout, **options)
    for path in (out, page):
        if path is not None and path != _options.STDOUT:
            _write(path, profiled)
            console.note(f"{path}: {len(profiled)} trade-offs")
    if to_stdout:
        click.echo(_as_csv(profiled), nl=False)
    else:
        console.result(_as_text(profiled), profiled.to_dict())


def _as_text(front: ParetoFront) -> str:
    """The Pareto-optimal trade-offs, for people."""
    from hyperrank.front.selection import at_temperature

    table = front.to_frame()[front.non_dominated].drop(columns="non_dominated")
    lines = [
        f"{front.metric} of {len(front)} trade-offs{at_temperature(front.temperatures)}, "
        f"{len(table)} of them non-dominated; hypervolume {front.hypervolume():.4f}"
    ]
    if front.reference is not None:
        values = ", ".join(f"{name} {value:.4f}" for name, value in front.reference.items())
        lines.append(f"{front.baseline}: {values}")
    lines.append(table.to_string(index=False, float_format="{:.4f}".format))
    segments = front.by_segment
    if segments is not None:
        selected = segments[segments["trade_off"] == front.select(n_resamples=1).index]
        shown = selected.drop(columns="trade_off").to_string(index=False, float_format="{:.4f}".format)
        lines.append(f"\nby segment, at the trade-off of the best mean:\n{shown}")
    return "\n".join(lines)


def _as_csv(front: ParetoFront) -> str:
    return str(front.to_frame().to_csv(index=False, lineterminator="\n"))


def _write(path: Path, front: ParetoFront) -> None:
    """Write a front in the form that the name of the file says, whole or not at all."""
    from hyperrank.files import write_atomically

    kind = path.suffix.lower()
    if kind in PAGES:
        front.to_html(path)
        return
    if kind == ".json":
        content = json.dumps(as_json(front.to_dict()), indent=1, allow_nan=False).encode() + b"\n"
    elif kind == ".csv":
        content = _as_csv(front).encode()
    else:
        buffer = io.BytesIO()
        front.plot().savefig(buffer, format=kind[1:], dpi=150, bbox_inches="tight")
        content = buffer.getvalue()
    write_atomically(path, content)
