import mmap

import numpy as np
import pytest

from hyperrank.files import forget_pages, is_mapped


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
