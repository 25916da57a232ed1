"""Listwise losses on flat tensors with offsets, and the DPO reward they are taken of."""

from hyperrank.losses.dpo import ListLoss, dpo_reward
from hyperrank.losses.fused import Prepared, prepare, weighted_loss
from hyperrank.losses.listnet import listnet, target_distribution
from hyperrank.losses.margin import margin_reward
from hyperrank.losses.plackett_luce import plackett_luce

__all__ = [
    "ListLoss",
    "Prepared",
    "dpo_reward",
    "listnet",
    "margin_reward",
    "plackett_luce",
    "prepare",
    "target_distribution",
    "weighted_loss",
]
