"""``hyperrank fit``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperrank.cli.command import command
from hyperrank.cli.console import Console
from hyperrank.cli.layout import Layout, layout_options
from hyperrank.cli.outputs import check_output, out_option
from hyperrank.cli.processes import process_group
from hyperrank.cli.values import SETTING

if TYPE_CHECKING:
    from hyperrank.datasets import RankingData

__all__ = ["fit"]


@command("fit")
@click.argument("data", type=click.Path(path_type=Path))
@out_option("The model file to write, such as model.safetensors.", required=True)
@layout_options(labels=True, features=True)
@click.option("--validation", type=click.Path(path_type=Path), help="Data to stop training by.")
@click.option(
    "--reference",
    help="What to start from: booster_pairs (the default), boosters, lightgbm, scores, none, or the text "
    "file of a LightGBM model.",
)
@click.option(
    "--ref-scores", metavar="COLUMN", help="Column of a table with the scores of --reference scores."
)
@click.option("--loss", help="listnet (the default), plackett_luce, lambda_loss, ...")
@click.option("--network", help="mlp (the default) or transformer.")
@click.option("--max-epochs", type=int, help="Passes over the data at most.")
@click.option("--metric", help="What fronts are measured in; ndcg@10 by default.")
@click.option("--device", help="Where to train: auto (the default), cpu, cuda.")
@click.option("--jobs", "n_jobs", type=int, help="Boosters grown at a time; all cores by default.")
@click.option("--seed", "random_state", type=int, help="Makes the fit repeatable.")
@click.option(
    "--checkpoint", type=click.Path(path_type=Path), metavar="FILE", help="Where to keep an unfinished fit."
)
@click.option("--resume", is_flag=True, help="Go on from --checkpoint, if the file is there.")
@click.option(
    "--set",
    "settings",
    type=SETTING,
    multiple=True,
    help="Any other parameter of HyperDPORanker, as JSON or text; may be repeated.",
)
def fit(
    console: Console,
    data: Path,
    out: Path,
    force: bool,
    layout: Layout,
    validation: Path | None,
    ref_scores: str | None,
    settings: tuple[tuple[str, Any], ...],
    resume: bool,
    **named: Any,
) -> None:
    """Train a ranker on DATA and write it to a file.

    DATA is LETOR text, a CSV, Parquet or Arrow file, or a store that convert wrote.
    """
    check_output(out, force=force)
    with process_group(named["device"]) as is_first:
        console = console if is_first else Console(quiet=True)
        document = _fit(console, data, out, layout, validation, ref_scores, settings, named, resume)
    if is_first:
        console.result(
            f"{out}: a ranker of {', '.join(document['objectives'])}, {document['n_features']} features",
            document,
        )


def _fit(
    console: Console,
    data: Path,
    out: Path,
    layout: Layout,
    validation: Path | None,
    ref_scores: str | None,
    settings: tuple[tuple[str, Any], ...],
    named: dict[str, Any],
    resume: bool,
) -> dict[str, Any]:
    """Read, fit and save; gives what the result says."""
    from hyperrank.cli.interrupted import checked_checkpoint, going_on
    from hyperrank.cli.reading import read_data, summary
    from hyperrank.cli.settings import ranker_params
    from hyperrank.rankers import HyperDPORanker
    from hyperrank.training import current

    params = ranker_params(named, settings)
    checkpoint = checked_checkpoint(params, out, resume=resume)
    if validation is not None:
        validation.stat()  # missing files are told of before hours of reading others
    train, scores = read_data(data, layout, column=ref_scores)
    console.note(summary(data, train))
    ranker = HyperDPORanker(**{"verbose": int(console.shows_progress), **params}, objectives=train.names)
    started = time.perf_counter()
    held = {} if validation is None else _held_out(console, validation, layout, train, ref_scores)
    with going_on(console, checkpoint):
        ranker.fit(**_named(train, scores), **held, resume=resume)
    seconds = time.perf_counter() - started
    ranker.verbose, ranker.checkpoint = params.get("verbose", 0), None
    current().of_first(lambda: str(ranker.save(out)))
    console.note(f"Fitted in {seconds:.1f} s.")
    return {
        "model": str(out),
        "objectives": ranker.objectives_,
        "n_features": ranker.n_features_in_,
        "n_rows": len(train.X),
        "seconds": seconds,
        "epochs": len(ranker.history_),
        "best_epoch": ranker.best_epoch_,
        "best_score": ranker.best_score_,
    }


def _named(data: RankingData, ref_scores: Any) -> dict[str, Any]:
    """Data as arguments of fit, the features with their names."""
    from hyperrank.cli.for_model import features_of

    X = features_of(data.X, data.feature_names)
    return {"X": X, "y": data.Y, "qid": data.qid, "ref_scores": ref_scores}


def _held_out(
    console: Console, path: Path, layout: Layout, train: RankingData, column: str | None
) -> dict[str, Any]:
    """Validation data as arguments of fit, with the features of the training data."""
    from hyperrank.cli.for_model import with_features
    from hyperrank.cli.reading import read_data, summary

    found, ref_scores = read_data(path, layout, features=train.feature_names, column=column)
    console.note(summary(path, found))
    held = with_features(path, found, train.feature_names, layout.missing, ref_scores)
    return {"X_val": held.features(), "y_val": found.Y, "qid_val": found.qid, "ref_scores_val": ref_scores}
