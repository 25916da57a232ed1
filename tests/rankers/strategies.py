"""Data for rankers as users may hand them over: any shape, dtype, container and memory, right or wrong."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import torch
from hypothesis import settings
from hypothesis import strategies as st
from scipy import sparse

from hyperrank import QueryLists
from hyperrank.rankers.data import MAX_ROWS_WITHOUT_QID

#: One draw decides a whole case, evenly over all choices. Hypothesis would rather vary few combinations, by
#: which one case in two of the same size found nothing new. What was chosen is printed with a failure.
SEEDS = st.integers(0, 2**63 - 1)
#: Ranges of numbers of rows, each as likely.
N_ROWS = ((1, 1), (2, 12), (2, 12), (2, 12), (13, 60), (13, 60), (61, 600))
DTYPES = (*["float64"] * 4, *["float32"] * 3, "float16", "bool", "object", "str")
DTYPES += ("int8", "int16", "int64", "uint8", "uint64")


def examples(n: int) -> settings:
    """Settings of a test with n examples, or as many times n as the profile has hundreds.

    A case that takes a minute hangs: most take hundredths of a second.
    """
    return settings(
        max_examples=n * max(100, settings.default.max_examples) // 100, deadline=timedelta(minutes=1)
    )


@dataclass
class Data:
    """What is handed to a ranker, and what it holds.

    `faults` are the arguments that must be refused; `plain` and `labels` are the numbers in X and y.
    """

    X: Any
    y: Any
    qid: Any
    faults: set[str]
    plain: Any
    labels: Any
    summary: str

    @property
    def n_queries(self) -> int:
        return QueryLists.from_qid(self.qid, len(self.labels)).n_lists

    def __repr__(self) -> str:
        return f"<{self.summary}>"


# ---- numbers -----------------------------------------------------------------------------------------


def numbers(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Features of a named kind, float64."""
    if kind == "constant":
        return np.full(shape, rng.choice([0.0, -3.5, 1e30]))
    if kind == "extreme":
        return rng.choice([-3.4e38, 3.4e38], shape)
    if kind == "grades":
        return rng.integers(-3, 4, shape).astype(float)
    values = rng.normal(size=shape)
    if kind == "wild":
        values = np.sign(values) * 10.0 ** rng.uniform(-45, 38.5, shape)
    return np.clip(values * FEATURE_SCALES.get(kind, 1.0), -3.4e38, 3.4e38)


FEATURE_SCALES = {"huge": 2e38, "small": 1e-38, "subnormal": 1e-44, "vanishing": 1e-300, "large": 1e9}
FEATURE_KINDS = ("normal", "normal", "grades", "constant", "extreme", "wild", *FEATURE_SCALES)

LABEL_KINDS = {
    "grades": lambda shape, rng: rng.integers(0, 5, shape).astype(float),
    "clicks": lambda shape, rng: rng.integers(0, 2, shape).astype(float),
    "rare": lambda shape, rng: (rng.random(shape) < 0.1).astype(float),
    "constant": lambda shape, _: np.full(shape, 2.0),
    "float": lambda shape, rng: rng.exponential(size=shape),
    "huge": lambda shape, rng: 1e30 * rng.integers(0, 3, shape),
    "tiny": lambda shape, rng: 1e-30 * rng.integers(0, 3, shape),
    "wild": lambda shape, rng: 10.0 ** rng.uniform(-45, 38.5, shape),
    "counts": lambda shape, rng: rng.integers(0, 10_000, shape).astype(float),
}


# ---- dtypes, memory and containers -------------------------------------------------------------------


def cast(values: np.ndarray, dtype: str) -> np.ndarray:
    """Numbers in another dtype, brought into its range first; missing ones are lost in integers."""
    if dtype == "object":
        mixed = values.astype(object)
        mixed[np.isnan(values)] = None
        return mixed
    if dtype == "str":
        return values.astype(str)
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return values > 0
    limits = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    within = values if kind.kind == "f" else np.nan_to_num(values)
    within = np.clip(within, float(limits.min) / 2, float(limits.max) / 2)
    return within.astype(kind)


def laid_out(values: np.ndarray, layout: str) -> np.ndarray:
    """The same numbers in memory of another order, stride or permission."""
    if layout == "fortran":
        return np.asfortranarray(values)
    if layout == "reversed":
        return np.ascontiguousarray(values[::-1])[::-1]
    if layout == "strided":
        wide = np.repeat(values, 2, axis=0)
        return wide[::2]
    if layout == "transposed":
        return np.ascontiguousarray(values.T).T
    if layout == "read-only":
        values = values.copy()
        values.setflags(write=False)
    return values


LAYOUTS = ("plain", "fortran", "reversed", "strided", "transposed", "read-only")
SPARSE = ("csr_matrix", "csc_array", "coo_matrix", "csr_array", "dok_array", "lil_matrix", "bsr_array")
FRAMES = ("pandas", "nullable", "categories", "mixed", "polars")
UNNAMED = ("array", "array", "array", "lists", "tensor", *SPARSE)
FEATURE_CONTAINERS = (*UNNAMED, *FRAMES)
LABEL_CONTAINERS = ("array", "array", "lists", "tensor", *FRAMES)


def names(prefix: str, values: np.ndarray) -> list[str]:
    return [f"{prefix}{j}" for j in range(values.shape[1])]


def framed(values: np.ndarray, container: str, prefix: str) -> Any:
    """A frame of named columns that holds the values."""
    columns = names(prefix, values)
    if container == "polars":
        if values.dtype in (object, np.float16):
            values = values.astype(float)
        return pl.DataFrame({name: values[:, j].copy() for j, name in enumerate(columns)})
    frame = pd.DataFrame(values, columns=columns)
    if container == "nullable":
        return frame.astype(float).convert_dtypes()
    if container == "categories":
        # Whole numbers are told apart to the last digit, of which float32 has fewer.
        return frame.astype(float).astype(np.float32).astype(float).astype("category")
    if container == "mixed":
        kinds = ["float64", "float32", "object"]
        return frame.astype(float).astype({name: kinds[j % 3] for j, name in enumerate(columns)})
    return frame


def contained(values: np.ndarray, container: str, prefix: str) -> Any:
    """The values in a container: array, lists, tensor, frame or sparse matrix."""
    if container == "lists":
        return values.tolist()
    if container in FRAMES and values.ndim == 2 and values.shape[1] > 0:
        return framed(values, container, prefix)
    if container == "pandas" and values.ndim == 1:
        return pd.Series(values, name=f"{prefix}0")
    if container == "polars" and values.ndim == 1 and values.dtype not in (object, np.float16):
        return pl.Series(values)
    if container == "tensor" and values.dtype.kind in "fbi":
        return torch.tensor(np.ascontiguousarray(values).copy())
    if container in SPARSE and values.dtype.kind in "fiub" and values.ndim == 2:
        wide = values.astype(np.float64) if values.dtype == np.float16 else values
        return getattr(sparse, container)(wide)
    return values


# ---- features, labels, ids ---------------------------------------------------------------------------


def one_of(choices: Any, rng: np.random.Generator) -> Any:
    return list(choices)[rng.integers(len(choices))]


def held_by(values: np.ndarray, containers: tuple[str, ...], prefix: str, rng: np.random.Generator) -> Any:
    """The values as someone may hold them, the numbers that are left of them, and words for it."""
    dtype = one_of(DTYPES, rng)
    layout, container = one_of(LAYOUTS, rng), one_of(containers, rng)
    held = laid_out(cast(values, dtype), layout)
    made = contained(held, container, prefix)
    rounded = np.asarray(made if container == "mixed" else held, dtype=np.float64)
    with np.errstate(over="ignore"):
        return made, rounded.astype(np.float32), f"{dtype} {layout} {container}"


def right_features(
    n: int, d: int, rng: np.random.Generator, containers: Any = FEATURE_CONTAINERS
) -> tuple[Any, np.ndarray, str]:
    """Right features: as handed over, as float32, and in words."""
    kind = one_of(FEATURE_KINDS, rng)
    values = numbers(kind, (n, d), rng)
    if rng.random() < 0.5:
        values[rng.random(values.shape) < one_of([0.05, 0.5, 1.0], rng)] = np.nan
    if rng.random() < 0.5:
        values[:, -1] = values[:, 0]
    made, plain, about = held_by(values, containers, "f", rng)
    return made, plain, f"X {kind} {about} {n}x{d}"


def right_labels(n: int, m: int, rng: np.random.Generator) -> tuple[Any, np.ndarray, str]:
    """Right labels: as handed over, as float32 of shape (n, m), and in words."""
    while True:
        kinds = [one_of(LABEL_KINDS, rng) for _ in range(m)]
        values = np.column_stack([LABEL_KINDS[kind]((n,), rng) for kind in kinds])
        if rng.random() < 0.5:
            missing = rng.random(values.shape) < 0.4
            missing[rng.integers(n, size=m), np.arange(m)] = False
            values[missing] = np.nan
        flat = values[:, 0] if m == 1 and rng.random() < 0.5 else values
        made, plain, about = held_by(flat, LABEL_CONTAINERS, "label", rng)
        labels = plain.reshape(n, m)
        if (labels > 0).any(axis=0).all():
            return made, labels, f"y {'/'.join(kinds)} {about}"


def right_ids(n: int, rng: np.random.Generator) -> tuple[Any, str]:
    """Right query ids, and in words."""
    spread = one_of([1, 2, max(n // 3, 1), n], rng)
    codes = rng.integers(spread, size=n)
    if rng.random() < 0.5:
        codes = np.sort(codes)
    kind = one_of(ID_KINDS, rng)
    return ID_KINDS[kind](codes), f"qid {kind} of {spread}"


def plain_ids(qid: Any, n: int) -> np.ndarray:
    """The same queries as whole numbers, found by how the ids are written."""
    written = ["one list"] * n if qid is None else [str(one) for one in qid]
    return np.unique(written, return_inverse=True)[1]


ID_KINDS = {
    "none": lambda _: None,
    "int": lambda codes: codes,
    "list": lambda codes: codes.tolist(),
    "column": lambda codes: codes[:, None],
    "negative": lambda codes: -codes.astype(np.int8),
    "big": lambda codes: [2**70 + int(c) for c in codes],
    "float": lambda codes: codes / 7,
    "str": lambda codes: np.array([f"query {c}" for c in codes]),
    "strings": lambda codes: [f"q{c}" for c in codes],
    "bytes": lambda codes: np.array([b"%d" % c for c in codes]),
    "mixed": lambda codes: [int(c) if c % 2 else f"q{c}" for c in codes],
    "tuples": lambda codes: [(int(c), "de") for c in codes],
    "bool": lambda codes: codes % 2 == 0,
    "dates": lambda codes: np.datetime64("2026-01-01") + codes,
    "series": lambda codes: pd.Series(codes, index=codes[::-1]),
    "categories": lambda codes: pd.Categorical([f"q{c}" for c in codes]),
    "nullable": lambda codes: pd.array(codes, dtype="Int64"),
    "arrow": lambda codes: pd.Series([f"q{c}" for c in codes], dtype="string"),
    "polars": lambda codes: pl.Series([f"q{c}" for c in codes]),
    "reversed": lambda codes: codes[::-1],
    "tensor": torch.from_numpy,
}


# ---- faults ------------------------------------------------------------------------------------------


def with_entry(values: np.ndarray, entry: Any, rng: np.random.Generator, dtype: Any = float) -> np.ndarray:
    changed = np.array(values, dtype=dtype)
    changed[tuple(rng.integers(size) for size in changed.shape)] = entry
    return changed


FEATURE_FAULTS = {
    "infinite": lambda X, rng: with_entry(X, rng.choice([np.inf, -np.inf]), rng),
    "beyond float32": lambda X, rng: with_entry(X, 1e300, rng),
    "beyond float64": lambda X, rng: with_entry(X, 10**400, rng, object),
    "text": lambda X, rng: with_entry(X, "red", rng, object),
    "text frame": lambda X, rng: pd.DataFrame(with_entry(X, "red", rng, object)).rename(columns="c{}".format),
    "complex": lambda X, _: X.astype(complex),
    "flat": lambda X, _: X[:, 0],
    "deep": lambda X, _: X[:, :, None],
    "no rows": lambda X, _: X[:0],
    "no columns": lambda X, _: X[:, :0],
    "ragged": lambda X, _: [[1.0], *[[1.0, 2.0]] * len(X)],
    "none": lambda *_: None,
    "number": lambda *_: 3.0,
    "dictionary": lambda *_: {"a": 1},
    "mixed names": lambda X, _: pd.DataFrame(
        np.column_stack([X, X]), columns=[*range(X.shape[1]), *names("f", X)]
    ),
    "infinite sparse": lambda X, rng: sparse.csr_matrix(with_entry(np.nan_to_num(X), np.inf, rng)),
}
LABEL_FAULTS = {
    "negative": lambda y, rng: with_entry(y, -1e-9, rng),
    "infinite": lambda y, rng: with_entry(y, np.inf, rng),
    "beyond float32": lambda y, rng: with_entry(y, 1e39, rng),
    "beyond float64": lambda y, rng: with_entry(y, 10**400, rng, object),
    "text": lambda y, rng: with_entry(y, "good", rng, object),
    "complex": lambda y, _: y.astype(complex),
    "too short": lambda y, _: y[1:],
    "too long": lambda y, _: np.concatenate([y, y[:1]]),
    "deep": lambda y, _: y[:, :, None],
    "no objectives": lambda y, _: y[:, :0],
    "zeros": lambda y, _: np.column_stack([y, np.zeros(len(y))]),
    "unobserved": lambda y, _: np.column_stack([y, np.full(len(y), np.nan)]),
    "sparse": lambda y, _: sparse.csr_matrix(np.nan_to_num(y)),
    "none": lambda *_: None,
    "number": lambda *_: 3.0,
    "string": lambda *_: "relevance",
}
ID_FAULTS = {
    "too short": lambda n, _: np.arange(n - 1),
    "too long": lambda n, _: list(range(n + 1)),
    "none among": lambda n, rng: with_entry(np.arange(n), None, rng, object),
    "NaN among": lambda n, rng: with_entry(np.arange(n), np.nan, rng),
    "NA among": lambda n, rng: pd.Series(with_entry(np.arange(n), None, rng, object)).astype("Int64"),
    "NaT among": lambda n, rng: with_entry(np.arange(n), "NaT", rng, "M8[D]"),
    "matrix": lambda n, _: np.zeros((n, 2)),
    "lists": lambda n, _: [[1]] * n,
    "sets": lambda n, _: [{1}] * n,
    "number": lambda *_: 7,
    "string": lambda n, _: "q" * n,
    "frame": lambda n, _: pd.DataFrame({"a": range(n), "b": range(n)}),
    "sparse": lambda n, _: sparse.csr_matrix(np.ones((n, 1))),
}


def fit_data(rng: np.random.Generator, *, faulty: bool = False, n_rows: Any = N_ROWS) -> Data:
    """Data for fit; with one or two wrong arguments if `faulty`."""
    low, high = one_of(n_rows, rng)
    n, d, m = rng.integers(low, high + 1), rng.integers(1, 7), rng.integers(1, 5)
    X, plain, about_x = right_features(n, d, rng)
    y, known, about_y = right_labels(n, m, rng)
    qid, about_qid = right_ids(n, rng)
    if qid is None and n > MAX_ROWS_WITHOUT_QID:
        qid, about_qid = np.zeros(n), "qid of one list"
    data = Data(X, y, qid, set(), plain, known, f"{about_x}; {about_y}; {about_qid}")
    for name in rng.choice(["X", "y", "qid"], size=rng.integers(1, 3)) if faulty else ():
        make_wrong(data, str(name), rng)
    return data


def make_wrong(data: Data, argument: str, rng: np.random.Generator) -> None:
    """Put something in the place of an argument that no ranker can take."""
    right = {"X": data.plain.astype(float), "y": data.labels.astype(float), "qid": len(data.labels)}
    fault = one_of(FAULTS[argument], rng)
    setattr(data, argument, FAULTS[argument][fault](right[argument], rng))
    data.faults.add(argument)
    data.summary += f"; {argument} is {fault}"


COLUMN_FAULTS = {
    "infinite": lambda values, rng: with_entry(values, np.inf, rng),
    "missing": lambda values, rng: with_entry(values, np.nan, rng),
    "text": lambda values, rng: with_entry(values, "good", rng, object),
    "complex": lambda values, _: values.astype(complex),
    "too short": lambda values, _: values[1:],
    "too long": lambda values, _: np.append(values, 1.0),
    "matrix": lambda values, _: np.column_stack([values, values]),
    "sparse": lambda values, _: sparse.csr_matrix(values[:, None]),
    "number": lambda *_: 1.0,
    "string": lambda *_: "high",
}
FAULTS = {"X": FEATURE_FAULTS, "y": LABEL_FAULTS, "qid": ID_FAULTS}
