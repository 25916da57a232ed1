"""LightGBM's text format: strict parsing into trees, and text rebuilt from validated fields alone.

LightGBM's own parser trusts what it reads: it takes a carriage return for the end of a line, stops at a blank
one, and jumps by the sizes that the text gives. Text that may come from anywhere therefore never reaches it:
`canonical_text` writes anew what was understood here, and what was not is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What decision_type says of a split, bit by bit.
CATEGORICAL, DEFAULT_LEFT = 1, 2
MISSING_IS_ZERO, MISSING_IS_NAN = 1, 2
#: Objectives whose predictions are the sums of leaves as they are.
IDENTITY_OBJECTIVES = frozenset(
    {"", "lambdarank", "rank_xendcg", "regression", "regression_l1", "huber", "fair", "quantile", "mape"}
)
#: Objectives whose predictions are some function of the sums.
OTHER_OBJECTIVES = frozenset(
    {"binary", "cross_entropy", "cross_entropy_lambda", "gamma", "poisson", "tweedie"}
)
OBJECTIVE_OPTION = re.compile(r"sqrt|[a-z_]{1,40}:[0-9.e+-]{1,30}")

#: Fields of the head; those that scores do not depend on are not looked at.
HEAD_FIELDS = frozenset(
    {
        *("version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective"),
        *("feature_names", "monotone_constraints", "feature_infos", "tree_sizes"),
    }
)
#: Arrays with an entry per inner node, and per leaf. Scores do not depend on the statistics.
NODE_FIELDS: Mapping[str, type] = {
    "split_feature": np.int64,
    "threshold": np.float64,
    "decision_type": np.int64,
    "left_child": np.int64,
    "right_child": np.int64,
}
NODE_STATISTICS = ("split_gain", "internal_value", "internal_weight", "internal_count")
LEAF_STATISTICS = ("leaf_weight", "leaf_count")
COUNTS = frozenset({"internal_count", "leaf_count"})
#: Fields of trees that split on categories, and of linear leaves.
CATEGORY_FIELDS = ("cat_boundaries", "cat_threshold")
LINEAR_FIELDS = ("leaf_const", "num_features", "leaf_features", "leaf_coeff")
TREE_FIELDS = frozenset(
    {
        *("num_leaves", "num_cat", "leaf_value", "is_linear", "shrinkage"),
        *NODE_FIELDS,
        *NODE_STATISTICS,
        *LEAF_STATISTICS,
        *CATEGORY_FIELDS,
        *LINEAR_FIELDS,
    }
)

#: Guards against sizes that would take all memory. LightGBM itself trains at most so many leaves.
MAX_FEATURES, MAX_TREES, MAX_LEAVES_OF_ALL = 10_000_000, 100_000, 131_072
MAX_ENTRIES = 1 << 20
#: Characters of a number and the space after it.
MAX_NUMBER = 32
#: Characters of the categories of pandas columns.
MAX_CATEGORIES = 1 << 22


class BoosterTextError(ValueError):
    """A text is not a complete LightGBM model; the message says where it goes wrong."""


@dataclass(frozen=True)
class CategorySets:
    """The categories that go left at the nodes of a tree that split on them.

    `of_node` (n - 1,) numbers each node's set, -1 where it has a threshold; `bounds` says where each set
    begins among the `words`: category c is in a set if bit c % 32 of its word c // 32 is 1.
    """

    of_node: NDArray[np.int64]
    bounds: NDArray[np.int64]
    words: NDArray[np.uint32]


@dataclass(frozen=True)
class Tree:
    """One tree. Of n leaves, inner nodes are 0 to n - 2, node 0 the root; a child -i - 1 is leaf i.

    Rows up to a node's threshold go left, missing values by `nan_left` unless they are taken for 0; inner
    children come after their parent. `categories` is None where no node splits on categories.
    """

    split_feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    nan_left: NDArray[np.bool_]
    nan_is_zero: NDArray[np.bool_]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    leaf_value: NDArray[np.float64]
    categories: CategorySets | None = None

    @property
    def n_leaves(self) -> int:
        """Number of leaves."""
        return len(self.leaf_value)


@dataclass(frozen=True)
class BoosterText:
    """What a LightGBM model consists of, its trees in the order in which their leaves are added.

    `is_sum_of_trees` says whether the trees are all there is: no linear leaves, no zeros that count as
    missing, and scores that are the sums of the leaves.
    """

    n_features: int
    objective: str
    trees: tuple[Tree, ...]
    is_sum_of_trees: bool


@dataclass(frozen=True)
class _Head:
    """What stands before the trees, and the categories of pandas columns, which stand after them."""

    n_features: int
    objective: str
    feature_names: str
    is_average: bool
    categories: list[list[Any]] | None


def read_booster_text(text: str) -> BoosterText:
    """Parse a model as ``Booster.model_to_string`` writes it, which may come from anywhere.

    A BoosterTextError if the text is truncated or not as LightGBM writes it: fields that are unknown or twice
    there, nodes missing or reached twice, arrays of the wrong length, features that do not exist.
    """
    head = _read_head(text)
    trees, is_sum = [], not head.is_average
    for fields in _read_trees(text, head.n_features):
        trees.append(_tree(fields))
        is_sum &= _is_sum_of_leaves(fields)
    name, *options = head.objective.split(" ")
    is_sum &= name in IDENTITY_OBJECTIVES and "sqrt" not in options
    return BoosterText(head.n_features, head.objective, tuple(trees), is_sum)


def canonical_text(text: str) -> str:
    """The same model in text of our own, written from what was validated and safe for LightGBM to parse.

    Predictions, names of features and categories stay; errors are those of `read_booster_text`.
    """
    head = _read_head(text)
    blocks = [
        f"Tree={number}\n{_block(fields)}\n\n"
        for number, fields in enumerate(_read_trees(text, head.n_features, with_statistics=True))
    ]
    lines = [
        "tree",
        "version=v4",
        "num_class=1",
        "num_tree_per_iteration=1",
        "label_index=0",
        f"max_feature_idx={head.n_features - 1}",
        *([f"objective={head.objective}"] if head.objective else []),
        *(["average_output"] if head.is_average else []),
        f"feature_names={head.feature_names}",
        f"feature_infos={' '.join(['none'] * head.n_features)}",
        f"tree_sizes={' '.join(str(len(block.encode())) for block in blocks)}",
        "",
        "",
    ]
    end = f"end of trees\n\npandas_categorical:{json.dumps(head.categories)}\n"
    return "\n".join(lines) + "".join(blocks) + end


def _read_head(text: str) -> _Head:
    end = text.find("\nTree=")
    if end < 0 or "\nend of trees\n" not in text:
        raise BoosterTextError("the text is not a LightGBM model, or its end is missing.")
    if text.count("\nTree=") > MAX_TREES:
        raise BoosterTextError(f"the text has more than {MAX_TREES} trees.")
    first, _, lines = text[:end].partition("\n")
    # A flag stands alone on its line, unlike the fields.
    lines, is_average = re.subn(r"^average_output\n", "", lines, flags=re.MULTILINE)
    fields = _fields(lines, HEAD_FIELDS, "the head")
    if first != "tree" or is_average > 1 or fields.get("version") not in ("v2", "v3", "v4"):
        raise BoosterTextError("the head is not that of a LightGBM model of version 2, 3 or 4.")
    for name in ("num_class", "num_tree_per_iteration"):
        _whole(fields, name, "the head", 1, 1)
    n_features = _whole(fields, "max_feature_idx", "the head", 0, MAX_FEATURES) + 1
    names = fields.get("feature_names", "")
    # Counted, not split: each name would take many times the memory of its characters.
    if names.count(" ") + 1 != n_features or "  " in f" {names} " or not names.isprintable():
        raise BoosterTextError(f"the head does not have {n_features} feature_names.")
    objective = fields.get("objective", "")
    name, *options = objective.split(" ")
    is_known = name in IDENTITY_OBJECTIVES | OTHER_OBJECTIVES
    if not is_known or not all(map(OBJECTIVE_OPTION.fullmatch, options)):
        raise BoosterTextError(f"the head has objective={objective[:40]!r}, which is not known.")
    return _Head(n_features, objective, names, bool(is_average), _read_categories(text))


def _read_categories(text: str) -> list[list[Any]] | None:
    """Categories of pandas columns, which LightGBM's Python package adds to the end of the text."""
    last = text.rstrip("\n")
    last = last[last.rfind("\n") + 1 :]
    name, is_there, value = last.partition("pandas_categorical:")
    if name or not is_there:
        return None
    try:
        columns: Any = json.loads(value) if len(value) <= MAX_CATEGORIES else False
    except (ValueError, RecursionError):
        columns = False
    if columns is None:
        return None
    is_nested = isinstance(columns, list) and all(isinstance(column, list) for column in columns)
    if not is_nested or any(isinstance(item, list | dict) for column in columns for item in column):
        raise BoosterTextError("pandas_categorical is not a list of categories per column.")
    return list(columns)


def _read_trees(
    text: str, n_features: int, *, with_statistics: bool = False
) -> Iterator[dict[str, NDArray[Any]]]:
    """The validated fields of each tree, one tree at a time."""
    _, *blocks = text[: text.find("\nend of trees\n")].split("\nTree=")
    for number, block in enumerate(blocks):
        name, _, lines = block.partition("\n")
        where = f"tree {number}"
        if name != str(number):
            raise BoosterTextError(f"{where} is called {name[:20]!r}: trees are missing or out of order.")
        fields = _fields(lines, TREE_FIELDS, where)
        made = _validated(fields, n_features, where)
        n = len(made["leaf_value"])
        if with_statistics:
            made |= _statistics(fields, n, where)
        if fields.get("is_linear", "0") != "0":
            made |= _linear_leaves(fields, n, n_features, where)
        yield made


def _fields(lines: str, known: frozenset[str], where: str) -> dict[str, str]:
    """Lines of ``name=value``, after which nothing but blank lines may come."""
    found: dict[str, str] = {}
    for line in lines.rstrip("\n").split("\n"):
        name, is_field, value = line.partition("=")
        if not is_field or name not in known or name in found or not line.isprintable():
            raise BoosterTextError(f"{where} has a line that is unknown or twice there: {line[:40]!r}.")
        found[name] = value
    return found


def _validated(fields: Mapping[str, str], n_features: int, where: str) -> dict[str, NDArray[Any]]:
    """The arrays of a tree."""
    n = _whole(fields, "num_leaves", where, 1, MAX_LEAVES_OF_ALL)
    n_categorical = _whole(fields, "num_cat", where, 0, n)
    made = {name: _numbers(fields, name, n - 1, where, dtype) for name, dtype in NODE_FIELDS.items()}
    made["leaf_value"] = _numbers(fields, "leaf_value", n, where, np.float64)
    if not np.isfinite(made["leaf_value"]).all() or np.isnan(made["threshold"]).any():
        raise BoosterTextError(f"{where} has a leaf or a threshold that is not a number.")
    splits, types = made["split_feature"], made["decision_type"]
    if ((splits < 0) | (splits >= n_features)).any():
        raise BoosterTextError(f"{where} splits on a feature that is not among the {n_features}.")
    if ((types < 0) | (types > 11)).any():
        raise BoosterTextError(f"{where} has an unknown decision_type.")
    _check_children(made["left_child"], made["right_child"], n, where)
    _add_categories(made, fields, n_categorical, where)
    return made


def _statistics(fields: Mapping[str, str], n: int, where: str) -> dict[str, NDArray[Any]]:
    """What importances are made of, where it is there: trees of a single leaf lack some of it."""
    sizes = {**dict.fromkeys(NODE_STATISTICS, n - 1), **dict.fromkeys(LEAF_STATISTICS, n), "shrinkage": 1}
    return {
        name: np.nan_to_num(_numbers(fields, name, size, where, np.int64 if name in COUNTS else np.float64))
        for name, size in sizes.items()
        if fields.get(name, "").strip()
    }


def _add_categories(
    made: dict[str, NDArray[Any]], fields: Mapping[str, str], n_categorical: int, where: str
) -> None:
    """Sets of categories, each split's by its number, which stands in the place of the threshold."""
    numbers = made["threshold"][made["decision_type"] & CATEGORICAL > 0]
    if ((numbers < 0) | (numbers >= n_categorical) | (numbers != np.floor(numbers))).any():
        raise BoosterTextError(
            f"{where} splits on a set of categories that is not among the {n_categorical}."
        )
    if n_categorical == 0:
        return
    bounds = _numbers(fields, "cat_boundaries", n_categorical + 1, where, np.int64)
    if bounds[0] != 0 or (np.diff(bounds) < 0).any() or bounds[-1] > MAX_ENTRIES:
        raise BoosterTextError(f"{where} has cat_boundaries that do not ascend from 0.")
    sets = _numbers(fields, "cat_threshold", int(bounds[-1]), where, np.int64)
    if ((sets < 0) | (sets >= 1 << 32)).any():
        raise BoosterTextError(f"{where} has a cat_threshold that is not of 32 bits.")
    made |= {"cat_boundaries": bounds, "cat_threshold": sets}


def _linear_leaves(fields: Mapping[str, str], n: int, n_features: int, where: str) -> dict[str, NDArray[Any]]:
    """Coefficients of the features of each leaf."""
    sizes = _numbers(fields, "num_features", n, where, np.int64)
    if (sizes < 0).any() or (sizes > n_features).any() or sizes.sum() > MAX_ENTRIES:
        raise BoosterTextError(f"{where} has leaves with an impossible number of features.")
    total = int(sizes.sum())
    features = _numbers(fields, "leaf_features", total, where, np.int64)
    if ((features < 0) | (features >= n_features)).any():
        raise BoosterTextError(f"{where} has a leaf with a feature that is not among the {n_features}.")
    made = {
        "leaf_const": _numbers(fields, "leaf_const", n, where, np.float64),
        "num_features": sizes,
        "leaf_features": features,
        "leaf_coeff": _numbers(fields, "leaf_coeff", total, where, np.float64),
    }
    if not (np.isfinite(made["leaf_const"]).all() and np.isfinite(made["leaf_coeff"]).all()):
        raise BoosterTextError(f"{where} has a leaf with a coefficient that is not a number.")
    return made


def _check_children(left: NDArray[np.int64], right: NDArray[np.int64], n: int, where: str) -> None:
    """Refuse what is not a tree: walks through it must end, and end at every leaf."""
    children = np.concatenate([left, right])
    parents = np.tile(np.arange(n - 1), 2)
    is_inner = children >= 0
    expected = np.concatenate([np.arange(-n, 0), np.arange(1, n - 1)]) if n > 1 else np.empty(0)
    if not np.array_equal(np.sort(children), expected) or (children[is_inner] <= parents[is_inner]).any():
        raise BoosterTextError(
            f"{where} is not a tree: children do not reach every node once, parents first."
        )


def _tree(fields: Mapping[str, NDArray[Any]]) -> Tree:
    types, categories = fields["decision_type"], None
    is_categorical = types & CATEGORICAL > 0
    if is_categorical.any():
        of_node = np.where(is_categorical, fields["threshold"], -1).astype(np.int64)
        words = fields["cat_threshold"].astype(np.uint32)
        categories = CategorySets(of_node, fields["cat_boundaries"], words)
    knows_nan = types >> 2 == MISSING_IS_NAN
    # A split that was trained without missing values takes them for 0.
    nan_left = knows_nan & (types & DEFAULT_LEFT > 0)
    return Tree(
        fields["split_feature"],
        fields["threshold"],
        nan_left,
        ~knows_nan,
        fields["left_child"],
        fields["right_child"],
        fields["leaf_value"],
        categories,
    )


def _is_sum_of_leaves(fields: Mapping[str, NDArray[Any]]) -> bool:
    """Whether a tree's leaves are constants that `Tree` leads to."""
    types = fields["decision_type"]
    is_special = (types & CATEGORICAL == 0) & (types >> 2 == MISSING_IS_ZERO)
    return not (is_special.any() or "num_features" in fields)


def _block(fields: Mapping[str, NDArray[Any]]) -> str:
    """A tree as lines."""
    n_categorical = len(fields["cat_boundaries"]) - 1 if "cat_boundaries" in fields else 0
    lines = [f"num_leaves={len(fields['leaf_value'])}", f"num_cat={n_categorical}"]
    lines += [f"{name}={' '.join(map(repr, values.tolist()))}" for name, values in fields.items()]
    return "\n".join([*lines, f"is_linear={int('num_features' in fields)}", ""])


def _whole(fields: Mapping[str, str], name: str, where: str, least: int, most: int) -> int:
    """A whole number within bounds."""
    value = fields.get(name, "")
    # isdecimal alone would let foreign digits through, and int() millions of them.
    if not (value.isascii() and value.isdecimal() and len(value) < 12 and least <= int(value) <= most):
        expected = str(least) if least == most else f"a number from {least} to {most}"
        raise BoosterTextError(f"{where} has {name}={value[:20]!r}; expected {expected}.")
    return int(value)


def _numbers(fields: Mapping[str, str], name: str, n: int, where: str, dtype: type) -> NDArray[Any]:
    """An array of `n` numbers; infinite ones are left to the caller."""
    value = fields.get(name, "")
    # Looked at before it is split, which takes many times the memory of the characters.
    if len(value) > MAX_NUMBER * (n + 1) or not value.isascii() or "_" in value:
        raise BoosterTextError(f"{where} has something other than {n} numbers in {name}.")
    items = value.split()
    if len(items) != n:
        raise BoosterTextError(f"{where} has {len(items)} numbers in {name}; expected {n}.")
    try:
        return np.array(list(map(int if dtype is np.int64 else float, items)), dtype=dtype)
    except (ValueError, OverflowError) as error:
        raise BoosterTextError(f"{where} has something in {name} that is not a number.") from error
