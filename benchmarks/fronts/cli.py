"""Command line of the comparison of fronts."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.fronts.grid import N_WEIGHTS, SUITE_WEIGHTS
from benchmarks.fronts.letor_sources import MslrFolder, letor_source
from benchmarks.fronts.methods import METHODS, SUITE
from benchmarks.fronts.plan import plan
from benchmarks.fronts.settings import LARGE, SETTINGS
from benchmarks.fronts.sources import KFoldSource, Source, SourceError
from benchmarks.fronts.store import Store, StoreError
from benchmarks.fronts.suite import run_all, run_settings

__all__ = ["compare", "main"]

COMMAND = "python -m benchmarks.fronts"
DATA = f"{' | '.join(SETTINGS)} | mslr PATH | letor PATH"
INTERRUPTED = 130

EPILOG = f"""\
Data
  mslr-sample  10,000 documents of MSLR-WEB10K; objectives relevance, quality, dwell, quality2,
               query_clicks, url_clicks (default: the first three; mslr-sample-2 and -5: two and five)
  mq2008       in $HYPERRANK_DATA/mq2008; objectives relevance, pagerank, short_urls
  movielens    MovieLens 100k; objectives rating, release_year, long_tail
  synthetic    the generator, lists of 20 to 200; objectives objective_0, objective_1, objective_2;
               synthetic-short: lists of 5 to 50; synthetic-3k, -50k, -500k: more interactions, so many rows
  items        generated items that recur across lists; objectives affinity, item_property
  mslr PATH    your MSLR-WEB10K (Fold1 to Fold5), by the HyperDPO paper's protocol; objectives quality,
               quality2, query_clicks, url_clicks, dwell, beside relevance for the reference
  letor PATH   a LETOR file, or a folder of S1.txt to S5.txt or of Fold1, Fold2, ...; objectives such as
               label,41,-45: the label and feature columns, minus where less is better

Methods
  {" ".join(METHODS)}

Runs that are finished are not repeated: the same command goes on where it was stopped.
{COMMAND} suite runs all of these settings and compares in one table.
{COMMAND} report DIR... makes the report of finished runs again.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and report, or report alone; gives the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given[:1] == ["report"]:
            return _report_alone(given[1:])
        if given[:1] == ["suite"]:
            return _suite(given[1:])
        options = _parser().parse_args(given)
        source = _source(options)
        source.check()
        return compare(
            source,
            _methods(options.methods),
            n_seeds=options.seeds,
            out=options.out or Path("fronts") / _slug(source),
            params=_params(options.params),
            n_weights=options.weights,
            jobs=options.jobs,
            command=f"{COMMAND} {shlex.join(map(_without_folder, given))}",
        )
    except (SourceError, StoreError, _UsageError) as error:
        print(f"{COMMAND}: error: {error}", file=sys.stderr)
        return 2


def compare(
    source: Source,
    methods: Sequence[str],
    *,
    n_seeds: int,
    out: Path,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    n_weights: int = N_WEIGHTS,
    jobs: int = 1,
    command: str | None = None,
) -> int:
    """Run what is not finished yet, then report.

    Parameters
    ----------
    source : Source
    methods : sequence of str
        Keys.
    n_seeds : int
        Fits per fold and method.
    out : Path
        Folder of the runs and of the report.
    params : mapping of method to mapping, optional
        Constructor parameters on top of the methods' own.
    n_weights : int, default 21
        Number of trade-offs.
    jobs : int, default 1
        Runs at a time, each on its share of the cores.
    command : str, optional
        What made this, for the report.

    Returns
    -------
    int
        Exit status: 0, 1 if a run failed, 130 if interrupted.
    """
    if jobs > 1:  # LightGBM and BLAS read this when they are loaded
        os.environ["OMP_NUM_THREADS"] = str(machine.share_of_cores(jobs))
    store = Store(out)
    runs = plan(source, methods, n_seeds=n_seeds, params=params, n_weights=n_weights)
    print(f"{source.label}: {', '.join(source.objectives)}. {len(runs)} runs into {out}.", flush=True)
    try:
        failed = run_all(runs, store, jobs=jobs)
    except KeyboardInterrupt:
        print(f"\nInterrupted. What is finished is in {out}; the same command continues from there.")
        return INTERRUPTED
    if command is not None:
        store.note_command(command)
    _show([out], out)
    return 1 if failed else 0


class _UsageError(ValueError):
    """Invalid options."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        COMMAND,
        description="Fronts of HyperDPO and its baselines: run, resume, report.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME", help=DATA)
    parser.add_argument("--methods", nargs="+", metavar="KEY", help="some of those below (default all)")
    parser.add_argument(
        "--objectives",
        nargs="+",
        metavar="NAME",
        help="what to train for, with commas or spaces; write --objectives=-45,label if a minus comes first",
    )
    parser.add_argument("--folds", type=_count, default=5, help="folds of whole queries (default 5)")
    parser.add_argument(
        "--repeats", type=_count, default=1, help="repetitions with folds dealt anew (default 1)"
    )
    parser.add_argument("--seeds", type=_count, default=3, help="fits per fold and method (default 3)")
    parser.add_argument("--weights", type=_count, default=N_WEIGHTS, help="trade-offs (default 21)")
    parser.add_argument("--jobs", type=_count, default=1, help="runs at a time, the cores shared (default 1)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where runs go (default fronts/DATA)")
    parser.add_argument(
        "--params",
        metavar="JSON",
        help='constructor parameters by method, such as \'{"hyperdpo": {"max_epochs": 5}}\'',
    )
    return parser


def _source(options: argparse.Namespace) -> Source:
    """The data source that the options name."""
    kind, *rest = options.data
    objectives, folds = _split(options.objectives), options.folds
    if kind in SETTINGS and not rest:
        given = {} if objectives is None else {"objectives": objectives}
        return _checked_folds(SETTINGS[kind].make(n_folds=folds, **given), options.repeats)
    if kind not in ("mslr", "letor") or len(rest) != 1:
        raise _UsageError(f"--data takes {DATA}; got {' '.join(options.data)}.")
    if kind == "mslr":
        return MslrFolder(rest[0], objectives, n_folds=folds)
    if objectives is None:
        raise _UsageError("--data letor needs --objectives, such as label,41,-45.")
    return _checked_folds(letor_source(rest[0], objectives, n_folds=folds), options.repeats)


def _checked_folds(source: Source, n_repeats: int) -> Source:
    if isinstance(source, KFoldSource):
        if source.n_folds < 2:
            raise _UsageError(f"--folds must be at least 2 for {source.label}; got {source.n_folds}.")
        source.n_repeats = n_repeats
    elif n_repeats > 1:
        raise _UsageError(f"--repeats: {source.label} has folds of its own, which cannot be dealt anew.")
    return source


def _methods(given: Sequence[str] | None, default: Sequence[str] = tuple(METHODS)) -> list[str]:
    """Methods by key, without those whose library is missing, each of which is named in a line."""
    chosen = _split(given) or list(default)
    unknown = [key for key in chosen if key not in METHODS]
    if unknown:
        raise _UsageError(f"there is no method {unknown[0]!r}; there are {', '.join(METHODS)}.")
    there = []
    for key in dict.fromkeys(chosen):
        library = METHODS[key].library
        if library is None or find_spec(library) is not None:
            there.append(key)
        else:
            print(f'{key} is left out: there is no {library} (pip install -e ".[bench]").')
    return there


def _params(text: str | None) -> dict[str, dict[str, Any]]:
    try:
        params = json.loads(text or "{}")
    except ValueError as error:
        raise _UsageError(f"--params takes JSON: {error}.") from error
    known = {*METHODS, "reference"}
    if not isinstance(params, dict) or not all(
        key in known and isinstance(value, dict) for key, value in params.items()
    ):
        raise _UsageError(f"--params takes an object of parameters for each of some methods; got {text}.")
    return params


def _split(given: Sequence[str] | None) -> list[str] | None:
    """Names parted by commas, spaces or both."""
    if given is None:
        return None
    return [name for part in given for name in part.split(",") if name]


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"at least 1; got {number}")
    return number


def _without_folder(argument: str) -> str:
    """An argument without the folders of this machine, for reports."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def _slug(source: Source) -> str:
    return source.label.replace(" ", "-").lower()


def _suite(given: Sequence[str]) -> int:
    """All settings, a fold of each before the next fold of any, and their summary."""
    from benchmarks.fronts.summary import write_summary

    parser = argparse.ArgumentParser(
        f"{COMMAND} suite", description="Run all settings, resume, and write fronts.md and fronts.png."
    )
    parser.add_argument("--settings", nargs="+", metavar="NAME", help="(default all but synthetic-500k)")
    parser.add_argument("--methods", nargs="+", metavar="KEY", help=f"(default {' '.join(SUITE)})")
    parser.add_argument("--folds", type=_count, help="of each setting at most, repetitions included")
    parser.add_argument("--weights", type=_count, default=SUITE_WEIGHTS, help="trade-offs (default 10)")
    parser.add_argument("--jobs", type=_count, default=1, help="runs at a time (default 1)")
    parser.add_argument("--out", type=Path, default=Path("fronts"), metavar="DIR", help="(default fronts)")
    parser.add_argument(
        "--report", nargs="*", type=Path, metavar="DIR", help="only write the summary, of these folders too"
    )
    options = parser.parse_args(given)
    names = _split(options.settings) or [name for name in SETTINGS if name not in LARGE]
    unknown = [name for name in names if name not in SETTINGS]
    if unknown:
        raise _UsageError(f"there is no setting {unknown[0]!r}; there are {', '.join(SETTINGS)}.")
    if options.report is None:
        methods = _methods(options.methods, SUITE)
        failed = run_settings(
            {name: SETTINGS[name] for name in names},
            methods,
            options.out,
            n_weights=options.weights,
            max_folds=options.folds,
            jobs=options.jobs,
        )
        if failed:
            print(f"{failed} runs failed.", file=sys.stderr)
    print(write_summary([options.out, *(options.report or [])], options.out))
    return 0


def _report_alone(given: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        f"{COMMAND} report", description="Make the report of finished runs again."
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--weights", type=_count, default=N_WEIGHTS, help="trade-offs (default 21)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where it goes (default: the first folder)")
    options = parser.parse_args(given)
    _show(options.folders, options.out or options.folders[0])
    return 0


def _show(folders: Sequence[Path], out: Path) -> None:
    """Write the report and print it."""
    from benchmarks.fronts.report import write_report

    print("\nComparing ...", flush=True)
    path, text = write_report(folders, out)
    print(f"{text}\nThis report is {path}.")
