"""Boosters as the ONNX operator TreeEnsemble, in double precision as LightGBM scores them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperrank.boosters import BoosterSet, Tree, read_booster_text

__all__ = ["TREES_DOMAIN", "ServedBoosters", "fill_in_trees", "tree_attributes"]

#: The domain of operators for trees, and the version of it that knows doubles.
TREES_DOMAIN, TREES_VERSION = "ai.onnx.ml", 5
#: How ONNX numbers the comparison "at most", and adding up.
AT_MOST, SUM, NO_TRANSFORM = 0, 1, 0


class ServedBoosters(nn.Module):
    """Scores of boosters over the same features.

    torch's exporter knows no trees: it leaves an operator without them, which `fill_in_trees` completes.

    Parameters
    ----------
    boosters : BoosterSet
    key : int
        Tells the operators of one graph from each other.

    Raises
    ------
    ValueError
        If the boosters hold anything but plain trees.
    """

    def __init__(self, boosters: BoosterSet, key: int) -> None:
        super().__init__()
        read = [read_booster_text(text) for text in boosters.texts]
        if not all(booster.is_sum_of_trees for booster in read):
            raise ValueError(
                "a booster has categories, linear leaves, zeros that count as missing, or an objective whose "
                "predictions are no plain sums of leaves: ONNX has no operator for it."
            )
        self.outputs = [booster.trees for booster in read]
        self.key = key

    def forward(self, features: Tensor) -> Tensor:
        """Scores of shape (n, boosters), float64."""
        return torch.onnx.ops.symbolic(
            f"{TREES_DOMAIN}::TreeEnsemble",
            (features.double(),),
            attrs={"key": self.key},
            dtype=torch.float64,
            shape=(features.shape[0], len(self.outputs)),
            version=TREES_VERSION,
        )


def fill_in_trees(graph: Any, boosters: Sequence[ServedBoosters]) -> None:
    """Give each operator for trees in an ONNX graph the trees that its key names."""
    from onnx import helper

    by_key = {served.key: served for served in boosters}
    for node in graph.node:
        if node.op_type == "TreeEnsemble":
            key = next(attribute.i for attribute in node.attribute if attribute.name == "key")
            del node.attribute[:]
            attributes = tree_attributes(by_key[key].outputs)
            node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())


def tree_attributes(outputs: Sequence[Sequence[Tree]]) -> dict[str, Any]:
    """Attributes of ONNX's TreeEnsemble for several sums of trees over the same features."""
    from onnx import numpy_helper

    trees = [(target, _with_a_node(tree)) for target, output in enumerate(outputs) for tree in output]
    n_leaves = [tree.n_leaves for _, tree in trees]
    first_leaf = np.cumsum([0, *n_leaves])
    first_node = first_leaf - np.arange(len(first_leaf))  # a node less than leaves in each tree
    places = zip(trees, first_node[:-1].tolist(), first_leaf[:-1].tolist(), strict=True)
    trees = [(target, _apart(tree, node, leaf)) for (target, tree), node, leaf in places]
    true_ids, true_leaf = _children([tree.left for _, tree in trees], first_node, first_leaf)
    false_ids, false_leaf = _children([tree.right for _, tree in trees], first_node, first_leaf)
    splits = np.concatenate([tree.threshold for _, tree in trees])
    nan_is_true = np.concatenate([np.where(t.nan_is_zero, t.threshold >= 0, t.nan_left) for _, t in trees])
    leaf_values = np.concatenate([tree.leaf_value for _, tree in trees])
    return {
        "n_targets": len(outputs),
        "aggregate_function": SUM,
        "post_transform": NO_TRANSFORM,
        "tree_roots": first_node[:-1].tolist(),
        "nodes_featureids": np.concatenate([tree.split_feature for _, tree in trees]).tolist(),
        "nodes_splits": numpy_helper.from_array(splits, "nodes_splits"),
        "nodes_modes": numpy_helper.from_array(np.full(len(splits), AT_MOST, dtype=np.uint8), "nodes_modes"),
        "nodes_missing_value_tracks_true": nan_is_true.astype(np.int64).tolist(),
        "nodes_truenodeids": true_ids.tolist(),
        "nodes_trueleafs": true_leaf.tolist(),
        "nodes_falsenodeids": false_ids.tolist(),
        "nodes_falseleafs": false_leaf.tolist(),
        "leaf_targetids": np.repeat([target for target, _ in trees], n_leaves).tolist(),
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
