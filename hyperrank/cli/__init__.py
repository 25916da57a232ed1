"""The command line: ``hyperrank fit``, ``predict``, ``front``, ``select`` and what else files need.

Nothing heavy is imported before a command runs: ``hyperrank --help`` answers at once.
"""

from hyperrank.cli.main import main

__all__ = ["main"]
