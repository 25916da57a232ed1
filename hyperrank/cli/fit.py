"""``hyperrank fit``."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperrank.cli._command import Console, command, process_group
from hyperrank.cli._options import SETTING, Layout, check_output, layout_options, out_option

if TYPE_CHECKING:
    from hyperrank.datasets import RankingData

__all__ = ["fit", "going_on"]


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
    with process_group(named["device"]) as is_rank_zero:
        console = console if is_rank_zero else Console(quiet=True)
        document = _fit(
            console, is_rank_zero, data, out, layout, validation, ref_scores, settings, named, resume
        )
    if is_rank_zero:
        console.result(
            f"{out}: a ranker of {', '.join(document['objectives'])}, {document['n_features']} features",
            document,
        )


def _fit(
    console: Console,
    is_rank_zero: bool,
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
    from hyperrank.cli._data import read_data, summary
    from hyperrank.rankers import HyperDPORanker

    params = ranker_params(named, settings)
    checkpoint = checked_checkpoint(params, out, resume=resume)
    if validation is not None:
        validation.stat()  # missing files are told of before hours of reading others
    train, scores = read_data(data, layout, extra=ref_scores)
    console.note(summary(data, train))
    ranker = HyperDPORanker(**{"verbose": int(console.shows_progress), **params}, objectives=train.names)
    started = time.perf_counter()
    held = {} if validation is None else _held_out(console, validation, layout, train, ref_scores)
    with going_on(console, checkpoint if is_rank_zero else None):
        ranker.fit(**_named(train, scores), **held, resume=resume)
    seconds = time.perf_counter() - started
    ranker.verbose, ranker.checkpoint = params.get("verbose", 0), None
    if is_rank_zero:
        ranker.save(out)
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
    from hyperrank.cli._data import features_of

    X = features_of(data.X, data.feature_names)
    return {"X": X, "y": data.Y, "qid": data.qid, "ref_scores": ref_scores}


def _held_out(
    console: Console, path: Path, layout: Layout, train: RankingData, column: str | None
) -> dict[str, Any]:
    """Validation data as arguments of fit, with the features of the training data."""
    from hyperrank.cli._data import read_data, summary, with_features

    found, ref_scores = read_data(path, layout, features=train.feature_names, extra=column)
    console.note(summary(path, found))
    held = with_features(path, found, train.feature_names, layout.missing, ref_scores)
    return {"X_val": held.features(), "y_val": found.Y, "qid_val": found.qid, "ref_scores_val": ref_scores}


def checked_checkpoint(params: Mapping[str, Any], out: Path, *, resume: bool) -> Path | None:
    """The file that a fit is kept in; None for none.

    Parameters
    ----------
    params : mapping
        Parameters of the ranker.
    out : Path
        The model file to be written.
    resume : bool
        Whether the fit goes on from the file.

    Raises
    ------
    ValueError
        If there is nothing to resume from, the file would be lost, is damaged, or is the model file.
    """
    from hyperrank.rankers import HyperDPORanker
    from hyperrank.rankers.dpo.resume import open_checkpoint
    from hyperrank.training import Checkpoint

    given = params.get("checkpoint")
    if given is None:
        if resume:
            raise ValueError("--resume needs the file that the fit was kept in: --checkpoint FILE.")
        return None
    path = Path(str(given))
    if path.resolve() == out.resolve():
        raise ValueError(f"--checkpoint and --out are the same file: {path}.")
    if path.exists() and not resume:
        Checkpoint.read(path, 0.0)  # nobody is told to delete a file that is no checkpoint
        raise ValueError(f"{path} is there already: --resume goes on from it; delete it to begin anew.")
    open_checkpoint(HyperDPORanker(**params).get_params(deep=False), resume)
    return path


@contextmanager
def going_on(console: Console, checkpoint: Path | None) -> Iterator[None]:
    """Let Ctrl-C end a fit with a checkpoint as it ends any command: half a model is not written."""
    with warnings.catch_warnings():
        if checkpoint is not None:
            warnings.filterwarnings("ignore", message="training was interrupted", category=UserWarning)
        try:
            yield
        except KeyboardInterrupt:
            _say_how(console, checkpoint)
            raise
    if checkpoint is not None and checkpoint.exists():
        _say_how(console, checkpoint)
        raise KeyboardInterrupt


def _say_how(console: Console, checkpoint: Path | None) -> None:
    if checkpoint is not None and checkpoint.exists():
        console.note(f"The same command with --resume goes on from {checkpoint}.")


def ranker_params(named: Mapping[str, Any], settings: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Parameters of `HyperDPORanker` from named options and ``--set``.

    Parameters
    ----------
    named : mapping
        Parameters that have options of their own; None where not given.
    settings : sequence of (str, object)
        What ``--set`` was given.

    Raises
    ------
    ValueError
        If a parameter is unknown or given twice.
    """
    from hyperrank.rankers import HyperDPORanker

    known = list(signature(HyperDPORanker).parameters)
    params = {name: value for name, value in named.items() if value is not None}
    for name, value in settings:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"was {near[0]!r} meant?" if near else f"there are {', '.join(known)}."
            raise ValueError(f"--set: the ranker has no parameter {name!r}; {hint}")
        if name == "objectives":
            raise ValueError("--set objectives: name the objectives by --labels.")
        if name in params:
            raise ValueError(f"{name} is given twice.")
        params[name] = value
    if "reference" in params:
        params["reference"] = reference_of(params["reference"])
    return params


def reference_of(given: Any) -> Any:
    """A reference as the ranker takes it: one of its names, None, or a LightGBM model from its file.

    Raises
    ------
    ValueError
        If it is neither a name nor a file that LightGBM reads.
    """
    from hyperrank.reference import REFERENCES

    if given is None or given == "none":
        return None
    if given in REFERENCES:
        return given
    path = Path(str(given))
    if not path.is_file():
        near = get_close_matches(str(given), [*REFERENCES, "none"], n=1)
        hint = f" Was {near[0]!r} meant?" if near else ""
        raise ValueError(
            f"the reference {str(given)!r} is neither {', '.join(REFERENCES)}, none, nor a file with a "
            f"LightGBM model.{hint}"
        )
    from hyperrank.boosters import booster_from_text

    try:
        return booster_from_text(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not UTF-8, or not a model
        raise ValueError(f"{path} is not a LightGBM model in text form: {error}") from error
