"""Scores of trained boosters: from tables of their trees where possible, else from LightGBM."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.boosters.lightgbm_text import BoosterTextError, canonical_text, read_booster_text
from hyperrank.boosters.tree_ensemble import TreeEnsemble
from hyperrank.files import register_codec, storable
from hyperrank.memmap import FeatureRows, MappedRows

if TYPE_CHECKING:
    import lightgbm

_REQUESTED_THREADS: ContextVar[int | None] = ContextVar("requested_threads", default=None)


@contextmanager
def booster_threads(n: int) -> Iterator[None]:
    """Train and score boosters with `n` threads inside the context, in the calling thread.

    Boosters on few data are trained with one thread each in any case.
    """
    token = _REQUESTED_THREADS.set(n)
    try:
        yield
    finally:
        _REQUESTED_THREADS.reset(token)


def requested_threads() -> int | None:
    """The threads that `booster_threads` asks for; None where nobody does."""
    return _REQUESTED_THREADS.get()


def scoring_threads() -> int:
    """Threads to score with: those asked for, or as many as OpenMP's own variable allows, or all cores."""
    return requested_threads() or _allowed()


@cache
def _allowed() -> int:
    from joblib import cpu_count

    limit = os.environ.get("OMP_NUM_THREADS", "")
    cores: int = cpu_count()
    return min(cores, int(limit)) if limit.isdecimal() and int(limit) > 0 else cores


#: Rows of a file that are scored at a time.
ROWS_AT_ONCE = 1 << 14
#: Tables take at most so many times the memory of the text, and this much: trees of one leaf take most.
TABLE_SHARE, TABLE_BYTES = 4, 1 << 25
#: Trees of all boosters of a set: a guard against texts that would take all memory.
MAX_TREES = 200_000


@storable
class BoosterSet:
    """Boosters over the same features, in LightGBM's text format, which may come from anywhere.

    Trees of up to 32 leaves are scored by `TreeEnsemble`, to the bit as LightGBM does and several times
    faster; others by LightGBM, given text rebuilt from what was validated. It pickles as LightGBM's text.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = tuple(texts)
        read = [read_booster_text(text) for text in self.texts]
        widths = {booster.n_features for booster in read}
        if len(widths) > 1:
            raise ValueError(f"boosters were trained on different numbers of features: {sorted(widths)}.")
        self.n_features = widths.pop() if widths else 0
        n_trees = sum(len(booster.trees) for booster in read)
        if n_trees > MAX_TREES:
            raise BoosterTextError(f"boosters have {n_trees} trees; at most {MAX_TREES} are taken.")
        outputs = [booster.trees for booster in read]
        most = TABLE_SHARE * sum(map(len, self.texts)) + TABLE_BYTES
        fits = all(booster.is_sum_of_trees for booster in read) and TreeEnsemble.nbytes_of(outputs) <= most
        self._trees = TreeEnsemble(outputs) if fits else None

    @classmethod
    def of(cls, boosters: Sequence[lightgbm.Booster] | BoosterSet) -> BoosterSet:
        """The set of some boosters; a set is taken as it is."""
        return boosters if isinstance(boosters, BoosterSet) else cls([booster_text(b) for b in boosters])

    @cached_property
    def boosters(self) -> list[lightgbm.Booster]:
        """The boosters as LightGBM has them."""
        return [booster_from_text(text) for text in self.texts]

    def scores(self, X: FeatureRows) -> NDArray[np.float64]:
        """Scores of shape (n, boosters) for rows of features; a ValueError if these are more or fewer."""
        if not self.texts:
            return np.zeros((len(X), 0))
        if X.shape[1] != self.n_features:
            raise ValueError(f"rows have {X.shape[1]} features; the boosters know {self.n_features}.")
        if isinstance(X, MappedRows):
            return np.concatenate([self.scores(chunk) for chunk in X.chunks(ROWS_AT_ONCE)])
        if self._trees is None:
            return np.column_stack([booster_scores(booster, X) for booster in self.boosters])
        return self._trees.scores(X, n_threads=scoring_threads())

    def __len__(self) -> int:
        return len(self.texts)

    def __getstate__(self) -> dict[str, Any]:
        return {"texts": self.texts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["texts"])  # type: ignore[misc]


def booster_scores(
    booster: lightgbm.Booster, X: NDArray[np.float32], rounds: int | None = None
) -> NDArray[np.float64]:
    """Scores of a booster, or of its first rounds alone, shape (n,); 0 rows are no error."""
    if len(X) == 0:
        return np.zeros(0)
    return np.asarray(booster.predict(X, num_iteration=rounds), dtype=np.float64)


def booster_text(booster: lightgbm.Booster) -> str:
    """A booster in LightGBM's own text format."""
    text: str = booster.model_to_string(num_iteration=-1)
    return text


def model_text(model: object) -> str | None:
    """The text of a LightGBM model whose predictions are those of its booster; None of anything else."""
    if type(model).__module__.split(".")[0] != "lightgbm":
        return None
    booster = getattr(model, "booster_", model)
    is_plain = type(model).__name__ in ("Booster", "LGBMRanker", "LGBMRegressor")
    return str(booster.model_to_string()) if is_plain and hasattr(booster, "model_to_string") else None


def booster_from_text(text: str) -> lightgbm.Booster:
    """A booster from LightGBM's text format, which may come from anywhere; or a BoosterTextError."""
    import lightgbm

    return lightgbm.Booster(model_str=canonical_text(text))


def _stored_text(model: object) -> str | None:
    """What files hold of a model of LightGBM's."""
    text = model_text(model)
    return None if text is None else canonical_text(text)


register_codec("lightgbm", _stored_text, booster_from_text)
