"""Formulas as MathML, made by docutils while the site is built: no script, no font, no network."""

import re
from html import escape
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.writers.html5 import HTML5Translator

LOGGER = logging.getLogger(__name__)
#: Commands that docutils knows by another name.
OTHER_NAMES = {r"\\dots\b": r"\\ldots", r"\\operatorname\{": r"\\mathrm{"}


def inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line."""
    translator.body.append(_mathml(node))
    raise nodes.SkipNode


def display(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula that stands by itself."""
    translator.body.append(f'<div class="math-block">{_mathml(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def _mathml(node: nodes.Element, **options: bool) -> str:
    """A formula as MathML; as it was typed, with a warning, where docutils cannot read it."""
    text = node.astext()
    for pattern, name in OTHER_NAMES.items():
        text = re.sub(pattern, name, text)
    try:
        return str(latex2mathml.tex2mathml(text, **options))
    except MathError as error:
        LOGGER.warning("%s in the formula %s", error, text, location=node)
        return f"<code>{escape(text)}</code>"


def setup(app: Sphinx) -> dict[str, Any]:
    """Offer the renderer to `html_math_renderer`."""
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
