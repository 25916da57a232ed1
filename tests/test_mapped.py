import mmap

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperrank import memmap as rows
from hyperrank.memmap import MappedRows, forget_pages, is_mapped, stays_mapped


@pytest.fixture
def path(tmp_path):
    np.arange(100_000, dtype=np.float32).tofile(tmp_path / "a.f32")
    return tmp_path / "a.f32"


def test_what_is_mapped(path):
    array = np.memmap(path, np.float32, "r")
    with path.open("rb") as file:
        of_buffer = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.float32)
    for mapped in (array, np.asarray(array), array[5:].reshape(-1, 5), of_buffer):
        assert is_mapped(mapped)
    for other in (np.array(array), array + 1, [1.0], None):
        assert not is_mapped(other)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_content_stays(path, mode):
    array = np.memmap(path, np.float32, mode)
    if mode != "r":
        array[7] = -1
    array.flags.writeable = False
    before = np.array(array)
    forget_pages(np.asarray(array)[10:])
    np.testing.assert_array_equal(array, before)
    forget_pages(np.zeros(3))


@pytest.fixture
def matrix(tmp_path):
    values = np.arange(60, dtype=np.float32).reshape(20, 3)
    values.tofile(tmp_path / "values.f32")
    return np.memmap(tmp_path / "values.f32", mode="r", dtype=np.float32, shape=(20, 3))


@given(data=st.data())
def test_rows_are_those_of_an_array(data):
    values = np.arange(60, dtype=np.float32).reshape(20, 3)
    taken = np.array(data.draw(st.lists(st.integers(0, 19), min_size=1, max_size=30)))
    again = np.array(data.draw(st.lists(st.integers(0, len(taken) - 1), min_size=1, max_size=30)))
    mapped, plain = MappedRows(values, taken), values[taken]
    assert (mapped.shape, mapped.dtype, len(mapped)) == (plain.shape, plain.dtype, len(plain))
    assert (mapped.size, mapped.nbytes) == (plain.size, plain.nbytes)
    mask = np.isin(np.arange(len(taken)), again)
    for which in (again, mask, slice(2, 5), slice(None)):
        np.testing.assert_array_equal(mapped[which], plain[which])
    np.testing.assert_array_equal(np.asarray(mapped), plain)
    np.testing.assert_array_equal(np.concatenate(list(mapped.chunks(7))), plain)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "IN_MEMORY_BYTES", 5 * 12)
        some = mapped.take(again)
        assert isinstance(some, np.ndarray if len(again) <= 5 else MappedRows)
        np.testing.assert_array_equal(np.asarray(some), plain[again])


def test_only_large_float32_in_a_file_stays(matrix, monkeypatch):
    assert not stays_mapped(matrix)
    monkeypatch.setattr(rows, "IN_MEMORY_BYTES", 100)
    assert stays_mapped(matrix)
    assert stays_mapped(matrix[3:])
    for other in (np.array(matrix), matrix[:, 1:], matrix[:2], matrix.view(np.int32), matrix.tolist()):
        assert not stays_mapped(other)


def test_what_was_read_is_given_back(matrix, monkeypatch):
    forgotten = []
    monkeypatch.setattr(rows, "forget_pages", forgotten.append)
    monkeypatch.setattr(rows, "FORGET_BYTES", 2 * rows.AROUND_BYTES + 500)
    mapped = MappedRows(matrix)
    for _ in range(6):
        mapped[:10]  # 120 bytes at one place
    assert len(forgotten) == 2
    mapped[np.array([0, 5, 10])]  # as many places at once
    assert len(forgotten) == 3
    mapped[np.arange(0, 20, 2)]  # ten places, of which two may be in memory
    assert len(forgotten) == 5
