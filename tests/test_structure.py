"""The shape of the package: no import cycles, no file beyond the cap, a light start-up."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest
from mutations import FAULTS

PACKAGE = Path(__file__).resolve().parents[1] / "hyperrank"
MAX_LINES = 700


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def module_level(statements):
    """Statements that run, or that type checkers read, when a module is imported."""
    for statement in statements:
        yield statement
        for field in ("body", "orelse", "handlers", "finalbody"):
            if isinstance(statement, ast.If | ast.Try | ast.ExceptHandler):
                yield from module_level(getattr(statement, field, []))


def imported_modules(tree: ast.Module, modules: set[str]) -> set[str]:
    """Modules of the package that a file imports at module level, those for type checkers included."""
    found = set()
    for node in module_level(tree.body):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                found.add(submodule if submodule in modules else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & modules


def find_cycle(imports: dict[str, set[str]]) -> list[str]:
    """One cycle of modules that import each other, or an empty list."""
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_no_import_cycles():
    files = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
    imports = {
        name: imported_modules(ast.parse(path.read_text()), set(files)) - {name}
        for name, path in files.items()
    }
    # The top-level __init__ imports lazily and is imported by everything below it.
    del imports["hyperrank"]
    assert find_cycle({name: needed - {"hyperrank"} for name, needed in imports.items()}) == []


def test_cycles_are_found():
    tree = ast.parse(
        "if TYPE_CHECKING:\n    from p.a import b\ntry:\n    import p.c\nexcept ImportError:\n    pass"
    )
    assert imported_modules(tree, {"p.a", "p.c"}) == {"p.a", "p.c"}
    assert set(find_cycle({"p.a": {"p.b"}, "p.b": {"p.c"}, "p.c": {"p.a"}})) == {"p.a", "p.b", "p.c"}
    assert find_cycle({"p.a": {"p.b"}, "p.b": set()}) == []


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_stay_below_the_cap(path):
    assert len(path.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_deliberate_faults_follow_the_code(fault):
    assert (PACKAGE / fault.file).read_text().count(fault.before) == 1


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
