"""Public names, parameters, defaults, fitted attributes and the command line, as they were written down."""

import json

import pytest
from freeze import NAMES, fitted_rankers, names

FROZEN = json.loads(NAMES.read_text())


@pytest.fixture(scope="module")
def found():
    return names(fitted_rankers())


@pytest.mark.parametrize("part", FROZEN)
def test_the_outside_is_as_written_down(found, part):
    """A deliberate change is ``python tests/frozen/freeze.py`` and the diff that it makes."""
    assert found[part] == FROZEN[part]
    assert found.keys() == FROZEN.keys()
