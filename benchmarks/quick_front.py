"""Comparison of fronts on the MSLR sample in minutes.

Run ``python -m benchmarks.quick_front``: `benchmarks.fronts` with one seed and methods that train quickly.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.fronts.cli import compare
from benchmarks.fronts.sources import MslrSample, Source, SourceError, Synthetic

__all__ = ["main"]

METHODS = ("lightgbm", "per-weight-labels", "networks", "hyperdpo")
#: Of the sample, for data that stand in for it.
SIZES = {"n_queries": 86, "list_size": (60, 200), "n_features": 60}


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and print the report; gives the exit status."""
    options = _read(arguments)
    try:
        source: Source = MslrSample(options.objectives, options.folds)
        source.check()
    except SourceError as error:
        if options.objectives is not None:
            print(f"python -m benchmarks.quick_front: error: {error}", file=sys.stderr)
            return 2
        print(f"Generated data instead of real ones, so figures differ from those quoted: {error}\n")
        source = Synthetic(None, options.folds, SIZES)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) if options.out is None else options.out
        return compare(source, METHODS, n_seeds=options.seeds, out=out)


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.quick_front", description=__doc__)
    parser.add_argument("--folds", type=int, default=5, help="folds of whole queries (default 5)")
    parser.add_argument("--seeds", type=int, default=1, help="fits per fold and method (default 1)")
    parser.add_argument("--objectives", nargs="+", metavar="NAME", help="(default relevance quality dwell)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep runs, report and pictures, and resume")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
