"""Checked data as the tensors that the loop trains on, those of one process or all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperrank.lists import QueryLists
from hyperrank.mapped import FeatureRows, MappedRows
from hyperrank.rankers.inputs import LabelledLists
from hyperrank.rankers.reward_model import RewardModel
from hyperrank.reference import take_rows
from hyperrank.training import Anchor, FeaturesOf, ListTensors, ShareOfLists, current

if TYPE_CHECKING:
    from hyperrank.rankers.fitting import FitPlan, RewardMargin

__all__ = ["training_tensors"]


def training_tensors(
    model: RewardModel,
    inputs: FeatureRows,
    data: LabelledLists,
    plan: FitPlan,
    list_weight: NDArray[np.float64] | None,
    margin: RewardMargin | None,
    anchor: NDArray[np.float32] | None,
) -> ListTensors | ShareOfLists:
    """What this process trains on: all lists, or its own of those that several train on together.

    Parameters
    ----------
    model : RewardModel
        Whose transform is fitted.
    inputs : ndarray or MappedRows of shape (n, d), float32
        Features with booster scores beside them.
    data : LabelledLists
    plan : FitPlan
    list_weight, margin, anchor
        As for `hyperrank.rankers.fitting.fit_reward_model`.

    Returns
    -------
    ListTensors or ShareOfLists
    """
    processes, lists, weight = current(), data.lists, list_weight
    rows: Any = slice(None)
    if processes.size > 1:
        own = processes.own(data.lists.sizes)
        rows, lists = data.lists.take(own)
        weight = None if list_weight is None else list_weight[own]
    tensors = ListTensors(
        _seen(model, inputs if processes.size == 1 else take_rows(inputs, rows), lists),
        torch.from_numpy(data.Y[rows]).to(plan.device),
        lists,
        None if weight is None else torch.from_numpy(weight).to(plan.device, torch.float32),
        None if margin is None else margin.on(plan.device).take(rows),
        _anchor(None if anchor is None else anchor[rows], plan),
    )
    if processes.size == 1:
        return tensors
    mean = 1.0 if list_weight is None else max(float(list_weight.mean()), float(np.finfo(np.float32).tiny))
    return ShareOfLists(tensors, own, data.lists, n_processes=processes.size, mean_weight=mean)


def _seen(model: RewardModel, inputs: FeatureRows, lists: QueryLists) -> Tensor | FeaturesOf:
    """What the network sees of all rows; of rows in a file, what makes it of some."""
    if isinstance(inputs, MappedRows):
        return lambda rows, some: _features(model, inputs[rows], some)
    return _features(model, inputs, lists)


def _features(model: RewardModel, inputs: NDArray[np.float32], lists: QueryLists) -> Tensor:
    """What the network sees; of no list at all nothing, as wide as it would be."""
    if lists.n_lists:
        return model.features(inputs, lists)
    one = np.zeros((1, inputs.shape[1]), dtype=np.float32)
    return model.features(one, QueryLists.from_sizes([1]))[:0]


def _anchor(parts: NDArray[np.float32] | None, plan: FitPlan) -> Anchor | None:
    """For training on the plan's device."""
    if parts is None or plan.temperature_range is None:
        return None
    return Anchor(torch.from_numpy(parts).to(plan.device), *plan.temperature_range)
