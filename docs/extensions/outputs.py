"""Outputs below the code of a page: printed text, the value of a last expression, pictures.

The blocks of a page run in order while the site is built, in one session and in a temporary folder. They
are Python, and ``hyperrank`` commands in console blocks.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shlex
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
#: Characters in a line of output, as in a line of code, and lines that are shown of a longer one.
WIDTH, HEIGHT = 88, 14
#: Where pictures go, relative to docs/.
PICTURES = "outputs"
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def run_block(code: str, name: str, session: dict[str, Any]) -> tuple[str, Any]:
    """Run a block in a session.

    Parameters
    ----------
    code : str
        Python statements.
    name : str
        What tracebacks call the block.
    session : dict
        Global names, changed in place.

    Returns
    -------
    printed : str
    value : object
        Of the last statement where that is an expression, otherwise None.
    """
    tree = ast.parse(code)
    is_expression = bool(tree.body) and isinstance(tree.body[-1], ast.Expr)
    last = tree.body.pop() if is_expression else None
    printed = io.StringIO()
    value = None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, name, "exec"), session)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), session)
    return printed.getvalue(), value


def run_commands(code: str) -> str:
    """Run the `hyperrank` commands of a console block in this process; other commands are not run.

    Parameters
    ----------
    code : str
        A command per line, continued by backslashes.

    Returns
    -------
    str
        What they write to stdout, each output once, long ones cut.
    """
    from click.testing import CliRunner

    from hyperrank.cli import main

    outputs = []
    for line in code.replace("\\\n", " ").splitlines():
        if not line.startswith("hyperrank "):
            return ""
        _, *words = shlex.split(line)
        done = CliRunner(env={"COLUMNS": str(WIDTH)}).invoke(main, words, catch_exceptions=False)
        if done.exit_code:
            raise RuntimeError(f"{line}\n{done.output}")
        lines = [
            textwrap.shorten(line, 4 * WIDTH) if len(line) > 4 * WIDTH else line
            for line in done.stdout.splitlines()
        ]
        outputs.append("\n".join([*lines[:HEIGHT], "..."] if len(lines) > HEIGHT else lines))
    return "\n\n".join(filter(None, dict.fromkeys(outputs)))


def add_outputs(text: str, page: str, pictures: Path) -> str:
    """Put the output of each block of a page below it.

    Parameters
    ----------
    text : str
        The page as Markdown.
    page : str
        Its name.
    pictures : Path
        Folder for pictures.

    Returns
    -------
    str
        The page with outputs.
    """
    session: dict[str, Any] = {"__name__": "__main__"}
    n_blocks = 0

    def with_output(found: re.Match[str]) -> str:
        nonlocal n_blocks
        n_blocks += 1
        value = None
        if found[1] == "console":
            printed = run_commands(found[2])
        else:
            printed, value = run_block(found[2], f"{page}.md, block {n_blocks}", session)
        figure = value if isinstance(value, Figure) else getattr(value, "figure_", None)
        if figure is None and not _is_silent(value):
            printed += f"{value!r}\n"
        parts = [found[0]]
        if printed:
            parts.append(f"```{{code-block}} text\n:class: output\n\n{printed.rstrip()}\n```\n")
        if figure is not None:
            picture = pictures / f"{page}_{n_blocks}.png"
            picture.parent.mkdir(exist_ok=True, parents=True)
            figure.savefig(picture, dpi=110, bbox_inches="tight")
            parts.append(f"![Output of the code above](/{PICTURES}/{picture.name})\n")
        return "\n".join(parts)

    before = os.getcwd()
    wide = ("display.width", WIDTH, "display.max_columns", None)
    with tempfile.TemporaryDirectory() as folder, pd.option_context(*wide):
        os.chdir(folder)
        try:
            return BLOCK.sub(with_output, text)
        finally:
            os.chdir(before)


def _is_silent(value: Any) -> bool:
    """Whether a value is not shown: None, a fitted estimator, the path of a file that was written."""
    return value is None or hasattr(value, "fit") or isinstance(value, Path)


def on_source_read(app: Sphinx, name: str, source: list[str]) -> None:
    """Run a page as it is read."""
    if BLOCK.search(source[0]):
        source[0] = add_outputs(source[0], name.replace("/", "_"), DOCS / PICTURES)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("source-read", on_source_read)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
