import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperrank.datasets import quantile_grades


def grades_by_loops(values, qid, n_grades):
    """The definition, one document after the other."""
    grades = []
    for value, query in zip(values, qid, strict=True):
        others = [v for v, q in zip(values, qid, strict=True) if q == query and not math.isnan(v)]
        below = sum(v < value for v in others)
        grades.append(math.nan if math.isnan(value) else min(n_grades * below // len(others), n_grades - 1))
    return grades


number = st.one_of(st.integers(-3, 3).map(float), st.floats(allow_infinity=True, allow_nan=True, width=32))


@given(st.lists(st.tuples(number, st.sampled_from("abc")), max_size=40), st.integers(2, 7))
def test_equals_the_definition(rows, n_grades):
    values, qid = [row[0] for row in rows], [row[1] for row in rows]
    found = quantile_grades(np.asarray(values, dtype=float), np.asarray(qid, dtype="U1"), n_grades)
    np.testing.assert_array_equal(found, grades_by_loops(values, qid, n_grades))


def test_unobserved_documents_do_not_count():
    found = quantile_grades([1.0, np.nan, 2.0, np.nan], None, n_grades=4)
    np.testing.assert_array_equal(found, [0, np.nan, 2, np.nan])


def test_columns_are_graded_apart():
    values = np.random.default_rng(0).poisson(1, size=(60, 3))
    qid = np.random.default_rng(1).integers(0, 4, size=60)
    found = quantile_grades(values, qid)
    assert found.shape == (60, 3)
    assert found.dtype == np.float32
    for j in range(3):
        np.testing.assert_array_equal(found[:, j], quantile_grades(values[:, j], qid))


def test_zeros_of_a_sparse_count_stay_zero():
    assert quantile_grades([0] * 98 + [1, 2], [0] * 100).tolist() == [0] * 98 + [4, 4]


def test_a_constant_query_has_grade_zero():
    assert quantile_grades([5.0] * 7, None).tolist() == [0.0] * 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 2, 2)), [1, 1]), "shape"),
        ((["a", "b"], [1, 1]), "numbers"),
        (([1.0, 2.0], [1]), "one id per row"),
        (([1.0, 2.0], [1, 1], 1), "n_grades"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        quantile_grades(*arguments)
