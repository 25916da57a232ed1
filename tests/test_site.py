"""The site: links, anchors, contents, extensions and tutorials, without a full build."""

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
#: Made by the build.
GENERATED = {DOCS / "changes.md", *(DOCS / "results").glob("*.md")}
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if page not in GENERATED]
TUTORIALS = sorted((DOCS / "tutorials").glob("plot_*.py"))
#: The cheapest one.
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
    named = [(page.parent / entry).resolve() for page, entry in toctree_entries()]
    assert len(named) == len(set(named))
    assert {page.with_suffix("") for page in PAGES} <= {DOCS / "index", *named}


def test_links_to_generated_pages(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "extensions")
    import generated_pages

    source = [
        "[a](../benchmarks/results/losses.md) [b](tutorials/plot_3_guarantee.py) [c](tutorials/README.rst)"
    ]
    generated_pages.adjust(None, "index", source)
    assert source == ["[a](results/losses.md) [b](gallery/plot_3_guarantee.rst) [c](gallery/index.rst)"]


def test_outputs_are_below_the_code(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(DOCS / "extensions")
    import outputs

    mpl.use("Agg")
    page = "```python\nx = 1\nprint(x)\nx + 1\n```\n\n```python\ny = x\n```\n"
    page += "```python\nfrom matplotlib.figure import Figure\nFigure()\n```\n"
    expected = page.replace(
        "x + 1\n```\n", "x + 1\n```\n\n```{code-block} text\n:class: output\n\n1\n2\n```\n"
    )
    made = outputs.add_outputs(page, "page", tmp_path)
    assert made == expected + "\n![Output of the code above](/outputs/page_3.png)\n"
    assert (tmp_path / "page_3.png").is_file()


def test_commands_are_run_and_long_outputs_cut(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(DOCS / "extensions")
    import outputs

    monkeypatch.setattr(outputs, "HEIGHT", 2)
    made = outputs.add_outputs("```console\nhyperrank fit \\\n    --help\n```\n", "page", tmp_path)
    shown = made.partition(":class: output\n\n")[2].splitlines()
    assert shown[0].startswith("Usage: ")
    assert shown[2:] == ["...", "```"]
    other = "```console\ncurl -d '{\n}'\n```\n"
    assert outputs.add_outputs(other, "page", tmp_path) == other
    with pytest.raises(RuntimeError, match="No such command"):
        outputs.add_outputs("```console\nhyperrank fly\n```\n", "page", tmp_path)


def test_groups_of_the_reference_have_every_name(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "extensions")
    import api_names

    assert len(api_names.grouped_names("hyperrank")) > 3
    assert api_names.grouped_names("hyperrank.simplex")[0][0] == ""
    monkeypatch.setitem(api_names.GROUPS, "hyperrank", {"Rankers": ("HyperDPORanker",)})
    with pytest.raises(ValueError, match="whose names are"):
        api_names.grouped_names("hyperrank")


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
