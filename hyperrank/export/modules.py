"""Feature transforms, standardisation within a list and references in operators that ONNX has."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperrank.boosters import BoosterSet, Tree, model_text, read_booster_text
from hyperrank.networks.feature_transforms import FeatureTransform
from hyperrank.networks.query_normalization import BITS
from hyperrank.reference import (
    BoosterReference,
    ColumnReference,
    MixedModelsReference,
    ModelReference,
    PerObjectiveReference,
    Reference,
    SummedReference,
)

#: The domain of operators for trees, and the version of it that knows doubles.
TREES_DOMAIN, TREES_VERSION = "ai.onnx.ml", 5
#: How ONNX numbers the comparison "at most", and adding up.
AT_MOST, SUM, NO_TRANSFORM = 0, 1, 0


class ServedBoosters(nn.Module):
    """Scores of boosters over the same features, which must be plain trees.

    torch's exporter knows no trees: it leaves an operator for each booster with a key alone, which
    `number_trees` gives and `fill_in_trees` reads. In onnxruntime one operator for several boosters takes up
    to 1.2 times as long.
    """

    def __init__(self, boosters: BoosterSet) -> None:
        super().__init__()
        read = [read_booster_text(text) for text in boosters.texts]
        if not all(booster.is_sum_of_trees for booster in read):
            raise ValueError(
                "a booster has linear leaves, zeros that count as missing, or an objective whose predictions "
                "are no plain sums of leaves: ONNX has no operator for it."
            )
        self.sums, tables = without_sets([booster.trees for booster in read], boosters.n_features)
        self.categorical = list(tables)
        for feature, table in tables.items():
            self.register_buffer(f"outside_{feature}", torch.from_numpy(table))
        self.first_key = 0

    def forward(self, features: Tensor) -> Tensor:
        """Scores of shape (n, boosters), float64."""
        columns = [features.double()]
        for feature in self.categorical:
            table, codes = getattr(self, f"outside_{feature}"), features[:, feature]
            unknown = len(table) - 1
            is_known = (codes > -1) & (codes < unknown)
            rows = torch.where(is_known, codes, torch.full_like(codes, unknown)).long()
            columns.append(table[rows].double())
        joined = torch.cat(columns, dim=1)
        scores = [
            torch.onnx.ops.symbolic(
                f"{TREES_DOMAIN}::TreeEnsemble",
                (joined,),
                attrs={"key": key},
                dtype=torch.float64,
                shape=(features.shape[0], 1),
                version=TREES_VERSION,
            )
            for key in range(self.first_key, self.first_key + len(self.sums))
        ]
        return torch.cat(scores, dim=1)


def without_sets(
    outputs: Sequence[Sequence[Tree]], n_features: int
) -> tuple[list[list[Tree]], dict[int, NDArray[np.bool_]]]:
    """Trees that see whether categories are in sets as further columns, behind the features.

    Also the table of each categorical feature, a row for each code and a last one for unknown ones, a column
    for each set: whether the category is outside of it.
    """
    sets: dict[int, dict[bytes, int]] = {}
    for _, feature, words in (found for trees in outputs for tree in trees for found in _sets(tree)):
        of_feature = sets.setdefault(feature, {})
        of_feature.setdefault(words, len(of_feature))
    tables, first, end = {}, {}, n_features
    for feature, of_feature in sorted(sets.items()):
        bits = [np.unpackbits(np.frombuffer(words, np.uint8), bitorder="little") for words in of_feature]
        table = np.ones((max(map(len, bits)) + 1, len(bits)), dtype=np.bool_)
        for number, each in enumerate(bits):
            table[: len(each), number] = each == 0
        tables[feature], first[feature] = table, end
        end += len(bits)

    def rewritten(tree: Tree) -> Tree:
        if tree.categories is None:
            return tree
        columns, thresholds = tree.split_feature.copy(), tree.threshold.copy()
        for node, feature, words in _sets(tree):
            columns[node], thresholds[node] = first[feature] + sets[feature][words], 0.5
        return replace(tree, split_feature=columns, threshold=thresholds, categories=None)

    return [[rewritten(tree) for tree in trees] for trees in outputs], tables


def _sets(tree: Tree) -> Iterator[tuple[int, int, bytes]]:
    """The nodes that split on categories, their features and their sets."""
    sets = tree.categories
    if sets is None:
        return
    for node in np.flatnonzero(sets.of_node >= 0).tolist():
        number = sets.of_node[node]
        words = sets.words[sets.bounds[number] : sets.bounds[number + 1]]
        yield node, int(tree.split_feature[node]), words.astype("<u4").tobytes()


def number_trees(served: nn.Module) -> list[list[Tree]]:
    """The trees whose values each operator in the graph of a module adds up; its key is their place."""
    sums: list[list[Tree]] = []
    for module in served.modules():
        if isinstance(module, ServedBoosters):
            module.first_key = len(sums)
            sums += module.sums
    return sums


def fill_in_trees(graph: Any, sums: Sequence[Sequence[Tree]]) -> None:
    """Give each operator for trees in an ONNX graph the trees that its key numbers."""
    from onnx import helper

    for node in graph.node:
        if node.op_type == "TreeEnsemble":
            key = next(attribute.i for attribute in node.attribute if attribute.name == "key")
            del node.attribute[:]
            attributes = tree_attributes(sums[key])
            node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())


def tree_attributes(trees: Sequence[Tree]) -> dict[str, Any]:
    """Attributes of ONNX's TreeEnsemble for a sum of trees."""
    from onnx import numpy_helper

    trees = [_with_a_node(tree) for tree in trees]
    first_leaf = np.cumsum([0, *(tree.n_leaves for tree in trees)])
    first_node = first_leaf - np.arange(len(first_leaf))  # a node less than leaves in each tree
    places = zip(trees, first_node[:-1].tolist(), first_leaf[:-1].tolist(), strict=True)
    trees = [_apart(tree, node, leaf) for tree, node, leaf in places]
    true_ids, true_leaf = _children([tree.left for tree in trees], first_node, first_leaf)
    false_ids, false_leaf = _children([tree.right for tree in trees], first_node, first_leaf)
    splits = np.concatenate([tree.threshold for tree in trees])
    nan_is_true = np.concatenate([np.where(t.nan_is_zero, t.threshold >= 0, t.nan_left) for t in trees])
    leaf_values = np.concatenate([tree.leaf_value for tree in trees])
    return {
        "n_targets": 1,
        "aggregate_function": SUM,
        "post_transform": NO_TRANSFORM,
        "tree_roots": first_node[:-1].tolist(),
        "nodes_featureids": np.concatenate([tree.split_feature for tree in trees]).tolist(),
        "nodes_splits": numpy_helper.from_array(splits, "nodes_splits"),
        "nodes_modes": numpy_helper.from_array(np.full(len(splits), AT_MOST, dtype=np.uint8), "nodes_modes"),
        "nodes_missing_value_tracks_true": nan_is_true.astype(np.int64).tolist(),
        "nodes_truenodeids": true_ids.tolist(),
        "nodes_trueleafs": true_leaf.tolist(),
        "nodes_falsenodeids": false_ids.tolist(),
        "nodes_falseleafs": false_leaf.tolist(),
        "leaf_targetids": [0] * len(leaf_values),
        "leaf_weights": numpy_helper.from_array(leaf_values, "leaf_weights"),
    }


def _children(
    children: Sequence[NDArray[np.int64]], first_node: NDArray[np.int64], first_leaf: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Children among the nodes, or the leaves, of all trees, and whether they are leaves."""
    ids = [
        np.where(own < 0, ~own + leaf, own + node)
        for own, node, leaf in zip(children, first_node[:-1], first_leaf[:-1], strict=True)
    ]
    return np.concatenate(ids), (np.concatenate(children) < 0).astype(np.int64)


def _apart(tree: Tree, first_node: int, first_leaf: int) -> Tree:
    """A tree whose root has no leaf of the same number as the node that is its other child.

    onnxruntime before 1.24 takes such a root for a leaf (its issue 24679).
    """
    inner, leaf = (max(tree.left[0], tree.right[0]), ~min(tree.left[0], tree.right[0]))
    if leaf < 0 or inner < 0 or inner + first_node != leaf + first_leaf:
        return tree
    swapped = np.arange(tree.n_leaves)
    other = (leaf + 1) % tree.n_leaves
    swapped[[leaf, other]] = other, leaf
    left, right = (np.where(own < 0, ~swapped[~np.minimum(own, -1)], own) for own in (tree.left, tree.right))
    return replace(tree, left=left, right=right, leaf_value=tree.leaf_value[swapped])


def _with_a_node(tree: Tree) -> Tree:
    """A tree of a single leaf with a node above two such leaves: ONNX's trees begin with a node."""
    if tree.n_leaves > 1:
        return tree
    zero, no = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=bool)
    return Tree(zero, np.zeros(1), no, ~no, zero - 1, zero - 2, np.repeat(tree.leaf_value, 2))


#: More than the rounding of a logarithm to base 2, whose size is below 512, by numbers in float32.
GUARD = 1e-3


class ServedTransform(FeatureTransform):
    """A fitted `FeatureTransform`, without the search and the logarithm that ONNX lacks."""

    def __init__(self, fitted: FeatureTransform) -> None:
        super().__init__(fitted.kind, fitted.has_missing, fitted.tables, fitted.categorical.tolist())

    def _interpolated(self, features: Tensor) -> Tensor:
        columns = torch.maximum(torch.minimum(features.T, self.knots[:, -1:]), self.knots[:, :1])
        search, heights, slopes = (
            table.view(len(self.knots), -1) for table in (self.search, self.heights, self.slopes)
        )
        at = last_knot_passed(search, columns)
        knot, y0, slope = (table.gather(1, at) for table in (search, heights, slopes))
        return ((columns * self.scales - knot * self.scales) * slope + y0).T

    def _signed_log(self, features: Tensor) -> Tensor:
        """sign(x) log(1 + abs(x)), whose small values ONNX's plain logarithm alone would lose."""
        size = features.abs().double()
        wide = 1.0 + size
        rounded = wide - 1.0
        # The rounding of 1 + x is undone to first order (Kahan); the divisor is never 0 where it counts.
        exact = torch.log(wide) * (size / torch.where(rounded > 0, rounded, 1.0))
        log1p = torch.where(rounded > 0, exact, size)
        return torch.sign(features) * log1p.to(features.dtype)


def last_knot_passed(search: Tensor, columns: Tensor) -> Tensor:
    """Places (d, n) of the last knots not above values (d, n), by a binary search without branches.

    `search` (d, 2 ** p) has the knots, ascending, filled up with infinity. The place of NaN is 0.
    """
    at = torch.zeros_like(columns, dtype=torch.int64)
    step = search.shape[1] // 2
    while step:
        passed = search.gather(1, at + step) <= columns
        at = at + passed.long() * step  # in onnxruntime eight times as fast as a choice
        step //= 2
    return at


def standardize_one_list(features: Tensor, *, may_miss: bool) -> Tensor:
    """Features (n, d) minus their mean over all rows, divided by their deviation; NaN stays NaN.

    The same to the bit as `standardize_within` gives for one list: trees would part rows otherwise.
    """
    missing = torch.isnan(features)
    wide = features.double()
    if may_miss:
        wide = wide.masked_fill(missing, 0.0)
    size = torch.ones_like(wide[:, :1]).sum(dim=0, keepdim=True)
    counts = (size - missing.double().sum(dim=0, keepdim=True)).clamp(min=1.0) if may_miss else size
    high, low = wide.amax(dim=0, keepdim=True), wide.amin(dim=0, keepdim=True)
    top = torch.maximum(high.abs(), low.abs())
    spread = high - low
    # Bounds on both sums at once: every operator makes the graph slower to export and to run.
    steps = _steps(torch.cat([top, spread * spread]) * size)
    centred = wide - _exact_sum(wide, steps[:1]) / counts
    if may_miss:
        centred = centred.masked_fill(missing, 0.0)
    deviation = (_exact_sum(centred * centred, steps[1:]) / counts).sqrt()
    is_constant = deviation <= torch.finfo(features.dtype).eps * top
    out = (centred / deviation.masked_fill(is_constant, math.inf)).to(features.dtype)
    return out.masked_fill(missing, math.nan) if may_miss else out


def join_standardized(X: Tensor) -> Tensor:
    """Features and beside them the same standardised over all rows, shape (n, 2 d)."""
    return torch.cat([X, standardize_one_list(X, may_miss=True)], dim=1)


def _exact_sum(rows: Tensor, step: Tensor) -> Tensor:
    """Sums over rows in fixed point."""
    return torch.round(rows / step).sum(dim=0, keepdim=True) * step


def _steps(bound: Tensor) -> Tensor:
    """The powers of two that sums with these bounds are taken in; that of 1 where the bound is 0."""
    bound = torch.where(bound > 0, bound, 1.0)
    # The exponent that frexp gives. ONNX has a logarithm alone, and the exporter rounds numbers to float32:
    # a guess that may be too low by one, but never too high.
    low = torch.floor(torch.log(bound) * (1 / math.log(2)) + (1 - GUARD))
    two = torch.full_like(bound, 2.0)
    exponent = low + (torch.pow(two, low) <= bound).double()
    return torch.pow(two, exponent - BITS)


#: What to do about models that are none of LightGBM's.
_OUTSIDE = (
    "cannot be joined to the graph: pass include_reference=False, and give its scores as ref_scores to "
    "whatever runs the file."
)


class ServedScores(nn.Module):
    """Sums of boosters' scores, each divided by scales (m,), as `Reference.scores` gives them.

    With `query_standardize` members see the features standardised over all rows beside the features.
    """

    scales: Tensor

    def __init__(
        self,
        members: Sequence[nn.Module],
        scales: NDArray[np.float64],
        *,
        query_standardize: bool = False,
    ) -> None:
        super().__init__()
        self.members, self.query_standardize = nn.ModuleList(members), query_standardize
        self.register_buffer("scales", torch.tensor(scales, dtype=torch.float64))

    def forward(self, features: Tensor) -> Tensor:
        """Scores of shape (n, 1) or (n, m), float64."""
        inputs = join_standardized(features) if self.query_standardize else features
        first, *others = self.members
        total: Tensor = first(inputs)
        for member in others:
            total = total + member(inputs)
        return total / self.scales


class ServedObjectives(nn.Module):
    """Scores of a scorer per objective joined by boosters, as `PerObjectiveReference` gives them.

    The scores of objectives that `scorers` has no module for are passed.
    """

    kept: Tensor
    at_rest: Tensor
    joining: Tensor
    most: Tensor
    scales: Tensor

    def __init__(
        self, reference: PerObjectiveReference, scorers: Mapping[int, nn.Module], boosters: nn.Module
    ) -> None:
        super().__init__()
        self.objectives = reference.objectives.tolist()
        self.scorers = nn.ModuleDict({str(j): module for j, module in scorers.items()})
        self.boosters = boosters
        at_rest = reference.factors(0.0)[1]
        buffers = {
            "kept": reference.kept,
            "at_rest": at_rest,
            "joining": np.where(at_rest > 0, 0.0, reference.joined * reference.unit),
            "most": reference.most * reference.unit,
            "scales": reference.scales,
        }
        for name, values in buffers.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.float64))

    def forward(self, features: Tensor, temperature: Tensor, passed: Tensor | None) -> Tensor:
        """Scores of shape (n, m), float64."""
        boosted = self.boosters(features) * torch.minimum(
            self.at_rest + temperature * self.joining, self.most
        )
        kept = (1 + temperature * (self.kept - 1)).clamp(min=0.0) / self.scales
        columns = list(boosted.split(1, dim=1))
        if passed is not None and passed.ndim == 1:
            passed = passed[:, None]
        others = iter(() if passed is None else passed.split(1, dim=1))
        for j in self.objectives:
            own = self.scorers[str(j)](features) if str(j) in self.scorers else next(others)
            columns[j] = columns[j] + own * kept[j]
        return torch.cat(columns, dim=1)


class ServedColumns(nn.Module):
    """Some columns of the features as scores, or before boosters that were fitted on them."""

    columns: Tensor

    def __init__(self, columns: Sequence[int] | NDArray[np.int64], boosters: nn.Module | None = None) -> None:
        super().__init__()
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.int64))
        self.boosters = boosters

    def forward(self, features: Tensor) -> Tensor:
        """Scores of shape (n, k), float64."""
        columns = features.index_select(1, self.columns)
        scores: Tensor = columns.double() if self.boosters is None else self.boosters(columns)
        return scores


def served_reference(reference: Reference, n_features: int, *, include_scorers: bool = True) -> nn.Module:
    """The module of a reference; a ValueError if it holds models that cannot be joined to the graph.

    Scorers by objective may be left outside.
    """
    if isinstance(reference, SummedReference):
        members = [served_reference(member, n_features) for member in reference.members]
        return ServedScores(members, reference.scales)
    if isinstance(reference, BoosterReference):
        boosters = ServedBoosters(reference.boosters)
        return ServedScores([boosters], reference.scales, query_standardize=reference.query_standardize)
    if isinstance(reference, MixedModelsReference):
        return ServedScores([_models(reference.models, n_features)], reference.scales)
    if isinstance(reference, PerObjectiveReference):
        scorers = {
            j: served_reference(scorer, n_features)
            for j, scorer in zip(reference.objectives.tolist(), reference.scorers, strict=True)
            if include_scorers and not scorer.needs_scores
        }
        joining = served_reference(reference.boosters, n_features)
        return ServedObjectives(reference, scorers, joining)
    if isinstance(reference, ModelReference):
        if reference.columns is None:
            return _models([reference.model], n_features)
        return ServedColumns(reference.columns, _models([reference.model], len(reference.columns)))
    if isinstance(reference, ColumnReference):
        return ServedColumns([reference.column])
    raise ValueError(f"a reference of the kind {type(reference).__name__} {_OUTSIDE}")


def _models(models: Sequence[object], n_features: int) -> ServedBoosters:
    """The module of models that were fitted by LightGBM."""
    texts = [model_text(model) for model in models]
    for model, text in zip(models, texts, strict=True):
        if text is None:
            raise ValueError(f"a reference model of the kind {type(model).__name__} {_OUTSIDE}")
    boosters = BoosterSet([text for text in texts if text is not None])
    if boosters.n_features != n_features:
        raise ValueError(
            f"the reference model has {boosters.n_features} features, the ranker {n_features}: it {_OUTSIDE}"
        )
    served = ServedBoosters(boosters)
    if served.categorical:
        raise ValueError(
            f"a reference model that splits on categories knows them by other codes: it {_OUTSIDE}"
        )
    return served
