"""Losses of lists on flat tensors with offsets, and the DPO reward they are taken of."""

from hyperrank.losses.approx_ndcg import approx_ndcg
from hyperrank.losses.dpo import ListLoss, dpo_reward, margin_reward
from hyperrank.losses.fused import Prepared, prepare, weighted_loss
from hyperrank.losses.fused.objective import tempered_loss
from hyperrank.losses.listnet import listnet, target_distribution
from hyperrank.losses.pairwise import lambda_loss, pairwise_logistic
from hyperrank.losses.plackett_luce import plackett_luce
from hyperrank.losses.registry import named_loss

__all__ = [
    "ListLoss",
    "Prepared",
    "approx_ndcg",
    "dpo_reward",
    "lambda_loss",
    "listnet",
    "margin_reward",
    "named_loss",
    "pairwise_logistic",
    "plackett_luce",
    "prepare",
    "target_distribution",
    "tempered_loss",
    "weighted_loss",
]
