"""``hyperrank fit``: a ranker trained on a data file, as one model file."""

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

from hyperrank.cli import _options
from hyperrank.cli._command import Console, command, process_group
from hyperrank.cli._completion import LOSSES, METRICS, complete_settings, one_of

if TYPE_CHECKING:
    from hyperrank.rankers import HyperDPORanker

__all__ = ["fit", "interruptible"]


@command(
    "fit",
    "train.parquet --labels relevance,clicks --qid query_id --out model.safetensors",
    "train.csv --labels relevance,clicks --validation valid.csv --out model.safetensors",
    "train.txt --label-features clicks=134 --grade clicks --out model.safetensors",
    "train.csv --labels relevance,clicks --reference relevance=served.txt --out model.safetensors",
    "train.store --out model.safetensors --checkpoint fit.checkpoint --resume",
)
@click.argument("data", type=_options.DATA)
@_options.out_option("The model file to write, such as model.safetensors.", required=True)
@_options.layout_options(labels=True, features=True)
@click.option("--validation", type=_options.DATA, help="Validation data for early stopping.")
@click.option(
    "--reference",
    multiple=True,
    shell_complete=one_of("booster_pairs", "boosters", "lightgbm", "scores", "none", or_file=True),
    help="The reference ranker: booster_pairs (the default), boosters, lightgbm, scores, none, or the text "
    "file of a LightGBM model; or by objective, relevance=model.txt: such a file, a feature that holds "
    "scores, or scores. May be repeated.",
)
@click.option(
    "--ref-scores", metavar="COLUMN", help="Column of a table with the scores of --reference scores."
)
@click.option(
    "--loss", help="listnet (the default), plackett_luce, lambda_loss, ...", shell_complete=one_of(*LOSSES)
)
@click.option(
    "--network", help="mlp (the default) or transformer.", shell_complete=one_of("mlp", "transformer")
)
@click.option("--max-epochs", type=int, help="Passes over the data at most.")
@click.option(
    "--metric", help="What fronts are measured in; ndcg@10 by default.", shell_complete=one_of(*METRICS)
)
@click.option(
    "--device",
    help="Device to train on: auto (the default), cpu, cuda.",
    shell_complete=one_of("auto", "cpu", "cuda"),
)
@click.option("--jobs", "n_jobs", type=int, help="Boosters trained at a time; all cores by default.")
@click.option("--seed", "random_state", type=int, help="Seed of the fit.")
@click.option("--checkpoint", type=_options.PATH, metavar="FILE", help="File to keep an unfinished fit in.")
@click.option("--resume", is_flag=True, help="Continue from --checkpoint, if the file is there.")
@click.option(
    "--set",
    "settings",
    type=_options.setting,
    multiple=True,
    metavar="NAME=VALUE",
    shell_complete=complete_settings,
    help="Any other parameter of HyperDPORanker, as JSON or text, such as network__hidden=[64,64]; may be "
    "repeated.",
)
def fit(
    console: Console,
    data: Path,
    out: Path,
    force: bool,
    layout: _options.Layout,
    validation: Path | None,
    ref_scores: str | None,
    settings: tuple[tuple[str, Any], ...],
    resume: bool,
    **named: Any,
) -> None:
    """Train a ranker on DATA and write it to a file.

    DATA is LETOR text, a CSV, Parquet or Arrow file, or a store that convert wrote.
    """
    from hyperrank.files import check_suffix

    if out == _options.STDOUT:
        raise ValueError("a model goes to a file: name it, as in --out model.safetensors.")
    _options.check_output(out, force=force)
    check_suffix(out, ".safetensors")
    with process_group(named["device"]) as is_rank_zero:
        console = console if is_rank_zero else Console(quiet=True)
        params = ranker_params(named, settings)
        checkpoint = checked_checkpoint(params, out, resume=resume)
        with interruptible(console, checkpoint):
            ranker, seconds = _fit(console, params, data, layout, validation, ref_scores, resume)
        if is_rank_zero:
            ranker.save(out)
            if checkpoint is not None:
                checkpoint.unlink(missing_ok=True)
    if is_rank_zero:
        summary = {
            "model": str(out),
            "objectives": ranker.objectives_,
            "n_features": ranker.n_features_in_,
            "n_rows": ranker.data_summary_["n_rows"],
            "seconds": seconds,
            "epochs": len(ranker.history_),
            "best_epoch": ranker.best_epoch_,
            "best_score": ranker.best_score_,
        }
        names = ", ".join(ranker.objectives_)
        console.result(f"{out}: a ranker of {names}, {ranker.n_features_in_} features", summary)


def _fit(
    console: Console,
    params: dict[str, Any],
    data: Path,
    layout: _options.Layout,
    validation: Path | None,
    ref_scores: str | None,
    resume: bool,
) -> tuple[HyperDPORanker, float]:
    """Read the data and fit a ranker; with the seconds that the fit took."""
    from hyperrank.cli._data import GRADED, as_frame, read_data, summary, with_features

    if validation is not None:
        validation.stat()  # a missing file is an error before hours of reading others
    train, scores = read_data(data, layout, extra=ref_scores)
    console.note(summary(data, train))
    X = as_frame(train.X, train.feature_names)
    arguments = {"X": X, "y": train.Y, "qid": train.qid, "ref_scores": scores}
    if validation is not None:
        held_out, scores = read_data(validation, layout, features=train.feature_names, extra=ref_scores)
        held_out = held_out.select(train.names)
        console.note(summary(validation, held_out))
        features = with_features(validation, held_out, train.feature_names, layout.missing, scores).features()
        arguments |= {
            "X_val": features,
            "y_val": held_out.Y,
            "qid_val": held_out.qid,
            "ref_scores_val": scores,
        }
    ranker = make_ranker({"verbose": int(not console.quiet), **params, "objectives": train.names})
    started = time.perf_counter()
    ranker.fit(**arguments, resume=resume)
    seconds = time.perf_counter() - started
    console.note(f"Fitted in {seconds:.1f} s.")
    ranker.verbose, ranker.checkpoint = params.get("verbose", 0), None
    setattr(ranker, GRADED, layout.grade)
    return ranker, seconds


def checked_checkpoint(params: dict[str, Any], out: Path, *, resume: bool) -> Path | None:
    """The file that a fit is kept in, None for none; refused where it is wrong before data are read.

    The fit leaves it, to be deleted when the model is there.
    """
    from hyperrank.training import Checkpoint, CheckpointFile

    given = params.get("checkpoint")
    if given is None:
        if resume:
            raise ValueError("--resume needs the file that the fit was kept in: --checkpoint FILE.")
        return None
    path = Path(str(given))
    if path.resolve() == out.resolve():
        raise ValueError(f"--checkpoint and --out are the same file: {path}.")
    if path.exists() and not resume:
        Checkpoint.read(path, 0.0)  # nobody is told to delete a file that is not a checkpoint
        raise ValueError(f"{path} is there already: --resume continues from it; delete it to start over.")
    params["checkpoint"] = CheckpointFile(path, keep=True)
    Checkpoint.open(make_ranker(params).checkpoint, resume=resume)
    return path


@contextmanager
def interruptible(console: Console, checkpoint: Path | None) -> Iterator[None]:
    """Let Ctrl-C end a fit as it ends any command, though a ranker would keep what it had learnt by then."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="training was interrupted", category=UserWarning)
        try:
            yield
        except (KeyboardInterrupt, UserWarning) as interrupt:
            if "training was interrupted" not in str(interrupt) and not isinstance(
                interrupt, KeyboardInterrupt
            ):
                raise
            if checkpoint is not None and checkpoint.exists():
                console.note(f"The same command with --resume continues from {checkpoint}.")
            raise KeyboardInterrupt from None


def ranker_params(named: Mapping[str, Any], settings: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Parameters of `HyperDPORanker` from named options, None where not given, and from ``--set``."""
    from hyperrank.rankers import HyperDPORanker

    known = list(signature(HyperDPORanker).parameters)
    params = {name: value for name, value in named.items() if value not in (None, ())}
    for name, value in settings:
        if name.partition("__")[0] not in known:
            near = nested_names(name) or get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}."
            raise ValueError(f"--set: the ranker has no parameter {name!r}; {hint}")
        if name == "objectives":
            raise ValueError("--set objectives: name the objectives by --labels.")
        if name in params:
            raise ValueError(f"{name} is given twice.")
        params[name] = value
    if "reference" in params:
        params["reference"] = reference_of(params["reference"])
    return params


def nested_names(name: str) -> list[str]:
    """Parameters of the name that objects such as the network have: ``network__hidden`` for ``hidden``."""
    from hyperrank.losses import LambdaLoss, PlackettLuce
    from hyperrank.networks import MLP, Transformer
    from hyperrank.training import AdamW, EarlyStopping, TradeOffs

    kinds = {
        "loss": (LambdaLoss, PlackettLuce),
        "network": (MLP, Transformer),
        "trade_offs": (TradeOffs,),
        "optimizer": (AdamW,),
        "early_stopping": (EarlyStopping,),
    }
    return [
        f"{option}__{name}"
        for option in kinds
        for kind in kinds[option]
        if name in signature(kind).parameters
    ]


def make_ranker(params: Mapping[str, Any]) -> HyperDPORanker:
    """The ranker of parameters, those of its loss and other objects among them, such as ``loss__top_k``."""
    from hyperrank.rankers import HyperDPORanker

    ranker = HyperDPORanker(**{name: value for name, value in params.items() if "__" not in name})
    return ranker.set_params(**{name: value for name, value in params.items() if "__" in name})


def reference_of(given: Any) -> Any:
    """A reference as the ranker takes it: a name, None, the model of a file, or a mapping of scorers."""
    from hyperrank.reference import REFERENCES
    from hyperrank.reference.per_objective import read_booster_file

    if isinstance(given, tuple):
        if len(given) == 1 and ("=" not in given[0] or Path(given[0]).is_file()):
            return reference_of(given[0])
        return _references_by_objective(given)
    if given is None or given == "none":
        return None
    if isinstance(given, dict) or given in REFERENCES:
        return given
    path = Path(str(given))
    if not path.is_file():
        near = get_close_matches(str(given), [*REFERENCES, "none"], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"the reference {str(given)!r} is neither {', '.join(REFERENCES)}, none, a file with a LightGBM "
            f"model, nor OBJECTIVE=SCORER.{hint}"
        )
    return read_booster_file(path)


def _references_by_objective(given: Sequence[str]) -> dict[str, str]:
    """The scorers of ``relevance=model.txt margin=column``, which fit finds among files and features."""
    scorers: dict[str, str] = {}
    for pair in given:
        name, has_scorer, scorer = pair.partition("=")
        if not (name and has_scorer and scorer):
            raise ValueError(
                f"--reference {pair!r} is not OBJECTIVE=SCORER, as in relevance=model.txt: several "
                "references are each for an objective."
            )
        if name in scorers:
            raise ValueError(f"--reference names the objective {name} more than once.")
        scorers[name] = scorer
    return scorers
