"""Values as bytes and back."""

import math
import pickle

import numpy as np
import pytest

from hyperrank.files import packed, unpacked
from hyperrank.files.codec import NotStorableError


def test_values_come_back_as_they_were():
    value = {
        "json": ["text", None, True, (1, 2.5)],
        "large": 1 << 127,
        "nan": math.inf,
        "long": "é" * 5000,
        "arrays": [np.arange(6.0).reshape(2, 3), np.zeros(0, dtype=np.int32)],
    }
    found = unpacked(packed(value))
    for given, wanted in zip(found.pop("arrays"), value.pop("arrays"), strict=True):
        np.testing.assert_array_equal(given, wanted)
        assert given.dtype == wanted.dtype
    assert found == value


def test_a_generator_goes_on_where_the_other_is():
    one, other = np.random.default_rng(5), np.random.default_rng(6)
    one.normal(size=3)
    other.bit_generator.state = unpacked(packed(one.bit_generator.state))
    assert one.integers(1 << 60) == other.integers(1 << 60)


def test_what_files_do_not_hold_is_refused():
    with pytest.raises(NotStorableError, match=r"value\.0 is a set"):
        packed([{1}])
    with pytest.raises(Exception, match=r"header|deserializ"):
        unpacked(pickle.dumps({"a": 1}))
