"""Values as JSON and arrays: what comes back is what went in, and nothing else ever comes."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hyperrank.files import ModelFileError, read_model_file, storable, write_model_file
from hyperrank.files.codec import NotStorableError, decode, encode
from hyperrank.losses import ListNet


@storable
class Sample:
    """For these tests."""

    def __init__(self, size, *, inner=None):
        self.size, self.inner = size, inner
        self.derived = "not stored"

    def __eq__(self, other):
        return isinstance(other, Sample) and (self.size, self.inner) == (other.size, other.inner)

    __hash__ = None


ARRAYS = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.int64, np.int32, np.uint8, np.bool_]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.text("aé\n", min_size=1000, max_size=1100)
    | ARRAYS
)


def nested(inner):
    return (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        | st.dictionaries(st.integers(), inner, max_size=3)
        | st.builds(Sample, inner, inner=inner)
    )


VALUES = st.recursive(LEAVES, nested, max_leaves=12)


def same(a, b):
    """Equal, of the same types, NaN like NaN."""
    if isinstance(a, np.ndarray):
        alike = isinstance(b, np.ndarray) and (a.dtype, a.shape) == (b.dtype, b.shape)
        return alike and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, Sample):
        return same(a.size, b.size) and same(a.inner, b.inner)
    return a == b or (a != a and b != b)


@given(value=VALUES)
@settings(max_examples=50)
def test_everything_comes_back_as_it_was(value):
    tensors = {}
    text = json.dumps(encode(value, tensors, "here"), allow_nan=False)
    assert same(decode(json.loads(text), tensors), value)


@given(value=VALUES)
@settings(max_examples=50)
def test_through_a_file(value, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "a.safetensors"
    write_model_file(path, {"value": value}, head={"class": "Sample"})
    head, content = read_model_file(path)
    assert head["class"] == "Sample"
    assert same(content["value"], value)


@pytest.mark.parametrize(
    "value",
    [object(), {1, 2}, b"bytes", lambda: 0, np.array([object()]), Sample(print), np.longdouble([1])],
)
def test_what_cannot_be_stored_is_named(value, tmp_path):
    with pytest.raises(NotStorableError, match=r"there(\.size)? is an? .* cannot be stored"):
        encode(value, {}, "there")
    with pytest.raises(ModelFileError, match="was not written"):
        write_model_file(tmp_path / "a", {"there": value}, head={})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "value",
    [
        {"$object": "Popen", "state": {"args": "true"}},
        {"$object": "Sample", "state": {"size": 1, "unknown": 2}},
        {"$object": "Sample"},
        {"$call": "os.system"},
        {"$array": "elsewhere"},
        {"$lightgbm": "tree\nno such thing"},
        {"$number": "one"},
    ],
)
def test_only_what_is_known_is_made(value):
    with pytest.raises((NotStorableError, KeyError, TypeError, ValueError)):
        decode(value, {})


def test_names_that_would_be_the_same_are_kept_apart():
    value = {"a.b": np.zeros(1), "a": {"b": np.ones(1)}, "a.b_": np.full(1, 2.0)}
    tensors = {}
    assert same(decode(encode(value, tensors, "x"), tensors), value)


def test_foreign_byte_order_and_strides():
    value = np.arange(12, dtype=">f4").reshape(3, 4)[:, ::2]
    tensors = {}
    found = decode(encode(value, tensors, "x"), tensors)
    np.testing.assert_array_equal(found, value)
    assert found.dtype == np.dtype("<f4")


def test_a_class_of_the_same_name_is_not_taken_for_another():
    impostor = type("Sample", (), {})()
    with pytest.raises(NotStorableError):
        encode(impostor, {}, "there")


def test_a_generator_goes_on_where_the_other_is():
    one, other = np.random.default_rng(5), np.random.default_rng(6)
    one.normal(size=3)
    tensors = {}
    other.bit_generator.state = decode(encode(one.bit_generator.state, tensors, "x"), tensors)
    assert one.integers(1 << 60) == other.integers(1 << 60)


def test_an_array_belongs_to_one_thing():
    with pytest.raises(NotStorableError, match="'a' is missing, or belongs to two things"):
        decode([{"$array": "a"}, {"$array": "a"}], {"a": np.zeros(1)})


def test_names_of_our_classes_are_taken():
    """A user's class of the same name would be stored, and read, in the place of ours."""
    with pytest.raises(ValueError, match="files know ListNet as a class of hyperrank"):
        storable(type(ListNet.__name__, (), {"__module__": "mine"}))
