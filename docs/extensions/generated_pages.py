"""Pages for files outside docs/: benchmark tables and the changelog, and the links to them.

Markdown here links to ``../benchmarks/results/x.md``, which is right where the repository is hosted. On the
site those tables are pages in ``results/`` that include the same files, and the links point there.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api_names import PACKAGES, public_names

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
TABLES = DOCS.parent / "benchmarks" / "results"


def make_pages(app: Sphinx, config: Any) -> None:
    """Write a page for each table, and one for the changes; remove those of names that went."""
    names = {*PACKAGES, *(name for package in PACKAGES for name, _ in public_names(package))}
    for page in (DOCS / "api").glob("*.rst"):
        if page.stem not in names:
            page.unlink()
    for table in TABLES.glob("*.md"):
        _write(DOCS / "results" / table.name, f"../../benchmarks/results/{table.name}")
    _write(DOCS / "changes.md", "../CHANGELOG.md", ":relative-docs: docs/")


def _write(page: Path, source: str, *options: str) -> None:
    text = "\n".join([f"```{{include}} {source}", *options, ":relative-images:", "```", ""])
    page.parent.mkdir(exist_ok=True)
    if not page.exists() or page.read_text() != text:
        page.write_text(text)


def adjust(app: Sphinx, name: str, source: list[str]) -> None:
    """Point links at the pages made here."""
    text = re.sub(r"\]\(\.\./benchmarks/results/(\w+\.md)", r"](results/\1", source[0])
    text = text.replace("](../CHANGELOG.md", "](changes.md")
    text = re.sub(r"\]\(tutorials/README\.rst", "](gallery/index.rst", text)
    text = re.sub(r"\]\(tutorials/(\w+)\.py", r"](gallery/\1.rst", text)
    source[0] = text


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect both to Sphinx's events, before it looks for pages."""
    app.connect("config-inited", make_pages)
    app.connect("source-read", adjust)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
