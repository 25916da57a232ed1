"""Outputs under the Python blocks of a page: text that is printed, the value of a last expression, pictures.

The blocks of a page run in order, in one session and in a folder of their own, while the site is built.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
#: Characters in a line of output, as in a line of code.
WIDTH = 88
#: Where pictures go, relative to docs/.
PICTURES = "outputs"
BLOCK = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
#: Pages whose code starts processes or clusters, or trains language models; tests run it.
NOT_RUN = {"alignment", "dask", "scale"}


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


def add_outputs(text: str, page: str, pictures: Path) -> str:
    """Put what each Python block of a page gives below it.

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
        printed, value = run_block(found[1], f"{page}.md, block {n_blocks}", session)
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
    if name not in NOT_RUN and BLOCK.search(source[0]):
        source[0] = add_outputs(source[0], name.replace("/", "_"), DOCS / PICTURES)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("source-read", on_source_read)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
