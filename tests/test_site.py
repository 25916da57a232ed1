"""The site's parts fit together: what a full build (`make docs`) would find, found in seconds."""

import os
import re
import runpy
import tomllib
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
#: Made by the build, and not there without one.
GENERATED = {DOCS / "changes.md", *(DOCS / "results").glob("*.md")}
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if page not in GENERATED]
TUTORIALS = sorted((DOCS / "tutorials").glob("plot_*.py"))
#: The one that is cheapest to run.
QUICK = "plot_1_from_lgbmranker.py"

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchor(heading: str) -> str:
    """The anchor of a heading, as git hosting and myst both make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = FENCE.sub("", page.read_text())
    return {anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def toctree_entries() -> list[tuple[Path, str]]:
    lines = [
        (page, line)
        for page in PAGES
        for block in TOCTREE.findall(page.read_text())
        for line in block.splitlines()
    ]
    return [(page, line) for page, line in lines if line and not line.startswith(":")]


def test_contents_name_pages_that_are_there():
    """But for what the build makes: tables, tutorials, changes."""
    for page, entry in toctree_entries():
        if not entry.startswith(("gallery/", "results/", "changes")):
            assert (page.parent / f"{entry}.md").is_file(), f"{page.name}: {entry}"


def test_each_page_is_named_once():
    """Pages that nobody has named yet are taken in by the guide (docs/extensions/generated_pages.py)."""
    named = [(page.parent / entry).resolve() for page, entry in toctree_entries()]
    assert len(named) == len(set(named))
    assert {DOCS / name for name in ("why", "install", "tour", "guide", "benchmarks", "contributing")} <= set(
        named
    )


def test_a_new_page_is_found_by_the_guide(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(DOCS / "extensions")
    import generated_pages

    monkeypatch.setattr(generated_pages, "DOCS", tmp_path)
    (tmp_path / "index.md").write_text("# Site\n\n```{toctree}\nguide\n```\n")
    guide = "# Guide\n\n```{toctree}\ndata\n```\n"
    for name, text in [("guide", guide), ("data", "# Data\n"), ("scale", "# Scale\n")]:
        (tmp_path / f"{name}.md").write_text(text)
    assert generated_pages.new_pages() == ["scale"]
    source = [guide]
    generated_pages.adjust(None, "guide", source)
    assert source == ["# Guide\n\n```{toctree}\ndata\nscale\n```\n"]
    source = [
        "[a](../benchmarks/results/losses.md) [b](tutorials/plot_3_guarantee.py) [c](tutorials/README.rst)"
    ]
    generated_pages.adjust(None, "index", source)
    assert source == ["[a](results/losses.md) [b](gallery/plot_3_guarantee.rst) [c](gallery/index.rst)"]


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda p: str(p.relative_to(ROOT)))
def test_anchors_exist(page):
    for target in LINK.findall(FENCE.sub("", page.read_text())):
        path, _, wanted = target.partition("#")
        if wanted and "://" not in path:
            of = (page.parent / path).resolve() if path else page
            assert wanted in anchors(of), target


@pytest.mark.parametrize("page", ["architecture", "contributing", "releasing"])
def test_files_named_for_contributors_exist(page):
    """Paths from the root or from the package, with a name in the file after a colon."""
    text = FENCE.sub("", (DOCS / f"{page}.md").read_text())
    paths = re.findall(r"`([\w/]+(?:\.py|/))(?::(\w+))?`", text)
    assert paths
    for path, name in paths:
        found = [root / path for root in (ROOT, ROOT / "hyperrank") if (root / path).exists()]
        assert found, path
        assert not name or re.search(rf"\b{name}\b", found[0].read_text()), f"{path}: {name}"


def test_pages_name_every_extra():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    rows = re.findall(r"^\| `(\w+)` \|", (DOCS / "install.md").read_text(), re.MULTILINE)
    assert sorted(rows) == sorted(extras)


def test_tutorials_lead_to_pages_that_are_there():
    for tutorial in TUTORIALS:
        for target in re.findall(r":doc:`([^`<]+)`", tutorial.read_text()):
            if target.startswith("../results/"):
                assert (ROOT / "benchmarks" / "results" / f"{Path(target).name}.md").is_file(), target
            elif target.startswith("../"):
                assert (DOCS / f"{target.removeprefix('../')}.md").is_file(), target
            else:
                assert (tutorial.parent / f"{target}.py").is_file(), target


@pytest.mark.parametrize(
    "tutorial",
    [pytest.param(path, marks=[] if path.name == QUICK else [pytest.mark.slow]) for path in TUTORIALS],
    ids=lambda p: p.stem,
)
def test_tutorials_run(tutorial, shared_data, monkeypatch, tmp_path):
    """Their claims are asserted in them."""
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    try:
        runpy.run_path(str(tutorial))
    finally:
        plt.close("all")
    assert os.listdir(tmp_path) == []
