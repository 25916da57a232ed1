"""The house as docs/architecture.md has it: imports point one way, rooms are short, start-up is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "hyperrank"

#: Each room may import only from itself and from the rooms above it.
ROOMS = (
    "_version",
    "mapped",
    "lists",
    "simplex",
    "assigned",
    "metrics",
    "losses",
    "networks",
    "trees",
    "boosters",
    "files",
    "booster_search",
    "reference",
    "training",
    "bootstrap",
    "tradeoff",
    "aims",
    "choosing",
    "plots",
    "pages",
    "front",
    "explaining",
    "rankers",
    "model_selection",
    "datasets",
    "export",
    "alignment",
    "cli",
    "__main__",
)
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_imported(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        modules = []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module or ""]
            if node.module == "hyperrank":
                modules = [f"hyperrank.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        rooms |= {m.split(".")[1] for m in modules if m.startswith("hyperrank.")}
    return rooms


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    room = room_of(path)
    if room == "__init__":
        return
    above = set(ROOMS[: ROOMS.index(room) + 1])
    # plots and pages show what front and explaining hold, which call them: they may look back for types.
    looks_back = {"plots": {"front", "explaining"}, "pages": {"front"}}
    allowed = above | looks_back.get(room, set())
    assert rooms_imported(path) <= allowed


def test_files_are_short():
    lengths = {path: len(path.read_text().splitlines()) for path in FILES}
    assert max(lengths.values()) <= 400, max(lengths, key=lengths.get)
    assert sum(lengths.values()) / len(lengths) < 150


def test_import_is_light():
    """What takes seconds to import is imported when it is first needed."""
    heavy = ("torch", "sklearn", "lightgbm", "pandas")
    script = f"import sys, hyperrank; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_resolve():
    import hyperrank

    for name in hyperrank.__all__:
        assert getattr(hyperrank, name) is not None
    assert set(hyperrank.__all__) <= set(dir(hyperrank))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = hyperrank.nothing
