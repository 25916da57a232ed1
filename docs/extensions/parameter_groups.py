"""Headings within long lists of parameters, from descriptions that begin with a bold group name."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def add_headings(app: Sphinx, doctree: nodes.document) -> None:
    """Turn ``**Training.** The weights ...`` into a heading before the parameter that it describes."""
    for entry in list(doctree.findall(nodes.definition_list_item)):
        paragraph = next(iter(entry[-1].findall(nodes.paragraph)), None)
        first = paragraph[0] if paragraph else None
        if not isinstance(first, nodes.strong) or not first.astext().endswith("."):
            continue
        paragraph.remove(first)
        term = nodes.term("", first.astext().rstrip("."), classes=["parameter-group"])
        heading = nodes.definition_list_item("", term, nodes.definition())
        entry.parent.insert(entry.parent.index(entry), heading)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect to Sphinx."""
    app.connect("doctree-read", add_headings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
