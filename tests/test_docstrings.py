"""Docstrings of public names: every argument, the result, an example; and their types."""

import importlib
import inspect
import sys
from pathlib import Path

import pytest
from numpydoc.validate import validate

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docs" / "extensions"))
from api_names import PACKAGES, public_names, shown_members

#: Of numpydoc's checks: a docstring, its summary, sections known and in order, every argument of the
#: signature described and no other, the result, an example.
CHECKS = {"GL06", "GL07", "GL08", "SS01", "SS02", "SS04", "SS06"}
CHECKS |= {"PR01", "PR02", "PR05", "PR10", "RT01", "YD01", "EX01"}
#: Packages for contributors: their classes are used in docs/contributing.md.
FOR_CONTRIBUTORS = ("hyperrank.reference.", "hyperrank.rankers.")
#: `save` has the example of both; `front.select` that of what it gives; a protocol is not called.
SHOWN_ELSEWHERE = {
    "hyperrank.Comparison",
    "hyperrank.Explanation",
    "hyperrank.load",
    "hyperrank.front.Selection",
    "hyperrank.losses.ListLoss",
}
#: A protocol's signature is that of its call; stores are made by functions, explanations by rankers.
NOT_CALLED = {
    "hyperrank.Comparison",
    "hyperrank.Explanation",
    "hyperrank.losses.ListLoss",
    "hyperrank.datasets.Store",
}

NAMES = [name for package in PACKAGES for name, here in public_names(package) if here]


def resolve(name):
    package, _, last = name.rpartition(".")
    return getattr(importlib.import_module(package), last)


def documented():
    """Classes and functions, and the methods of classes."""
    for name in NAMES:
        if callable(resolve(name)):
            yield name
            yield from (f"{name}.{member}" for member in shown_members(name))


def required_checks(name):
    value = resolve(name) if name in NAMES else None
    is_method = value is None
    if (
        is_method
        and name.startswith(FOR_CONTRIBUTORS)
        and not name.startswith("hyperrank.reference.Reference.")
    ):
        return CHECKS - {"EX01", "PR01", "RT01"}  # overrides are documented in their base
    raised = inspect.isclass(value) and issubclass(value, Exception)
    if is_method or raised or name.startswith(FOR_CONTRIBUTORS) or name in SHOWN_ELSEWHERE:
        return CHECKS - {"EX01"}
    return CHECKS


def test_every_public_room_has_a_page():
    import hyperrank

    public = {f"hyperrank.{n}" for n in hyperrank.__all__ if inspect.ismodule(getattr(hyperrank, n))}
    assert public <= set(PACKAGES)
    listed = (Path(__file__).resolve().parents[1] / "docs" / "api" / "index.md").read_text().split()
    assert set(PACKAGES) <= set(listed)


@pytest.mark.parametrize("name", list(documented()))
def test_docstring_is_whole(name):
    wrong = [f"{code}: {text}" for code, text in validate(name)["errors"] if code in required_checks(name)]
    if name in NOT_CALLED:
        wrong = [text for text in wrong if not text.startswith("PR01")]
    assert not wrong


@pytest.mark.parametrize("name", list(documented()))
def test_every_argument_has_a_type(name):
    owner, _, last = name.rpartition(".")
    value = resolve(name) if name in NAMES else getattr(resolve(owner), last)
    if inspect.isclass(value):
        value = value.__init__
    elif isinstance(value, property) or not callable(value):
        return  # mypy asks for the types of properties
    if not getattr(value, "__module__", "").startswith("hyperrank"):
        return
    parameters = inspect.signature(value).parameters.values()
    untyped = [p.name for p in parameters if p.annotation is p.empty and p.name != "self"]
    assert not untyped
