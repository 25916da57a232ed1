"""The command line: ``hyperrank fit``, ``predict``, ``front``, ``select`` and what else files need.

Nothing heavy is imported before a command runs: ``hyperrank --help`` answers at once.
"""

from __future__ import annotations

import click

from hyperrank._version import __version__
from hyperrank.cli.convert import convert
from hyperrank.cli.describe import describe
from hyperrank.cli.export import export
from hyperrank.cli.fit import fit
from hyperrank.cli.front import front
from hyperrank.cli.predict import predict
from hyperrank.cli.select import select

__all__ = ["main"]

EPILOG = (
    "Results go to stdout, notes and progress to stderr; data may come from stdin, as -. Exit codes: 0 done, "
    "1 data or options were wrong, 2 usage, 3 limits that no trade-off keeps, 130 interrupted."
)


@click.group(
    epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="hyperrank")
def main() -> None:
    """Rank by several objectives: train once, hold the whole Pareto front, pick the trade-off later."""


for command in (fit, predict, front, select, export, convert, describe):
    main.add_command(command)
