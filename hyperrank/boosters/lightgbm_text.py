"""LightGBM's own text format, read strictly: whatever the bytes, the answer is trees or an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoosterText", "BoosterTextError", "Tree", "read_booster_text"]

#: What decision_type says of a split, bit by bit.
CATEGORICAL, DEFAULT_LEFT = 1, 2
MISSING_IS_ZERO, MISSING_IS_NAN = 1, 2
#: Objectives whose predictions are the sums of leaves as they are.
PLAIN_OBJECTIVES = frozenset(
    {"", "lambdarank", "rank_xendcg", "regression", "regression_l1", "huber", "fair", "quantile", "mape"}
)
#: More features than anybody has: a guard against sizes that would take all memory.
MAX_FEATURES = 10_000_000


class BoosterTextError(ValueError):
    """A text is no whole LightGBM model; the message says where it goes wrong."""


@dataclass(frozen=True)
class Tree:
    """One tree. Of n leaves, inner nodes are 0 to n - 2, node 0 the root; a child -i - 1 is leaf i.

    Attributes
    ----------
    split_feature : ndarray of shape (n - 1,), int64
        The feature that a node looks at.
    threshold : ndarray of shape (n - 1,), float64
        Rows up to it go left.
    nan_left, nan_is_zero : ndarray of shape (n - 1,), bool
        Whether missing values go left, or are taken for 0.
    left, right : ndarray of shape (n - 1,), int64
        Children; inner ones come after their parent.
    leaf_value : ndarray of shape (n,), float64
        What each leaf adds to the score.
    """

    split_feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    nan_left: NDArray[np.bool_]
    nan_is_zero: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    leaf_value: NDArray[np.float64]

    @property
    def n_leaves(self) -> int:
        """Number of leaves."""
        return len(self.leaf_value)


@dataclass(frozen=True)
class BoosterText:
    """What a LightGBM model consists of.

    Attributes
    ----------
    n_features : int
        Features that it was trained on.
    objective : str
        LightGBM's name of it, with its options.
    trees : tuple of Tree
        In the order in which their leaves are added.
    is_plain : bool
        Whether the trees are all there is: no categories, no linear leaves, no zeros that count as missing,
        one score per row, which is the sum of the leaves.
    """

    n_features: int
    objective: str
    trees: tuple[Tree, ...]
    is_plain: bool


def read_booster_text(text: str) -> BoosterText:
    """Read a model as ``Booster.model_to_string`` writes it.

    Parameters
    ----------
    text : str
        May come from anywhere: nothing is handed to LightGBM.

    Returns
    -------
    BoosterText

    Raises
    ------
    BoosterTextError
        If the text is cut off, or holds a tree that is none: nodes that are missing or reached twice, arrays
        of the wrong length, features that do not exist.
    """
    head_text, *blocks = text.split("\nTree=")
    head = _fields(head_text)
    if not blocks or "end of trees" not in blocks[-1]:
        raise BoosterTextError("the text is no LightGBM model, or its end is missing.")
    blocks[-1] = blocks[-1].split("end of trees", 1)[0]
    n_features = _whole(head, "max_feature_idx", "the head", 0, MAX_FEATURES) + 1
    per_round = _whole(head, "num_tree_per_iteration", "the head", 1, len(blocks))
    trees, plain = [], per_round == 1 and "average_output" not in head_text.split("\n")
    for number, block in enumerate(blocks):
        where = f"tree {number}"
        name, _, rest = block.partition("\n")
        if name != str(number):
            raise BoosterTextError(f"{where} is called {name[:20]!r}: trees are missing or out of order.")
        tree, is_plain = _tree(_fields(rest), n_features, where)
        trees.append(tree)
        plain &= is_plain
    objective = head.get("objective", "")
    name, *options = objective.split(" ")
    plain &= name in PLAIN_OBJECTIVES and "sqrt" not in options
    return BoosterText(n_features, objective, tuple(trees), plain)


def _fields(lines: str) -> dict[str, str]:
    """Lines of ``name=value``."""
    return dict(_pairs(lines))


def _pairs(lines: str) -> Iterator[tuple[str, str]]:
    for line in lines.split("\n"):
        name, is_field, value = line.partition("=")
        if is_field:
            yield name, value


def _tree(fields: Mapping[str, str], n_features: int, where: str) -> tuple[Tree, bool]:
    """A tree, and whether it is all that its text says."""
    n = _whole(fields, "num_leaves", where, 1, 1 << 24)
    n_categorical = _whole(fields, "num_cat", where, 0, n)
    is_linear = fields.get("is_linear", "0") != "0"
    leaf_value = _floats(fields, "leaf_value", n, where)
    splits, left, right, types = (
        _ints(fields, name, n - 1, where)
        for name in ("split_feature", "left_child", "right_child", "decision_type")
    )
    threshold = _floats(fields, "threshold", n - 1, where)
    if not np.isfinite(leaf_value).all() or np.isnan(threshold).any():
        raise BoosterTextError(f"{where} has a leaf or a threshold that is no number.")
    if ((splits < 0) | (splits >= n_features)).any():
        raise BoosterTextError(f"{where} splits on a feature that is not among the {n_features}.")
    if ((types < 0) | (types > 15)).any():
        raise BoosterTextError(f"{where} has an unknown decision_type.")
    _check_children(left, right, n, where)
    missing = types >> 2
    is_plain = not (n_categorical or is_linear or (types & CATEGORICAL).any())
    is_plain &= not (missing == MISSING_IS_ZERO).any()
    knows_nan = missing == MISSING_IS_NAN
    # A split that was trained without missing values takes them for 0.
    nan_left = knows_nan & (types & DEFAULT_LEFT > 0)
    tree = Tree(splits, threshold, nan_left, ~knows_nan, left, right, leaf_value)
    return tree, is_plain


def _check_children(left: NDArray[np.int64], right: NDArray[np.int64], n: int, where: str) -> None:
    """Refuse what is no tree: walks through it must end, and end at every leaf."""
    children = np.concatenate([left, right])
    parents = np.tile(np.arange(n - 1), 2)
    is_inner = children >= 0
    reached = np.sort(children)
    wanted = np.concatenate([np.arange(-n, 0), np.arange(1, n - 1)]) if n > 1 else np.empty(0)
    if not np.array_equal(reached, wanted) or (children[is_inner] <= parents[is_inner]).any():
        raise BoosterTextError(f"{where} is no tree: children do not reach every node once, parents first.")


def _whole(fields: Mapping[str, str], name: str, where: str, least: int, most: int) -> int:
    """A whole number within bounds."""
    value = fields.get(name, "")
    # isdecimal alone would let foreign digits through, and int() millions of them.
    if not (value.isascii() and value.isdecimal() and len(value) < 12 and least <= int(value) <= most):
        raise BoosterTextError(f"{where} has {name}={value[:20]!r}; wanted a number from {least} to {most}.")
    return int(value)


def _ints(fields: Mapping[str, str], name: str, n: int, where: str) -> NDArray[np.int64]:
    """So many whole numbers."""
    return _strings(fields, name, n, where, np.int64)


def _floats(fields: Mapping[str, str], name: str, n: int, where: str) -> NDArray[np.float64]:
    """So many numbers."""
    return _strings(fields, name, n, where, np.float64)


def _strings(fields: Mapping[str, str], name: str, n: int, where: str, dtype: Any) -> NDArray[Any]:
    parts = fields.get(name, "").split()
    if len(parts) != n:
        raise BoosterTextError(f"{where} has {len(parts)} numbers in {name}; wanted {n}.")
    try:
        return np.array(parts, dtype=str).astype(dtype) if n else np.empty(0, dtype=dtype)
    except (ValueError, OverflowError) as error:
        raise BoosterTextError(f"{where} has something in {name} that is no number.") from error
