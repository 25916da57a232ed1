"""Listwise and pairwise losses on ragged lists, and the DPO reward."""

from hyperrank.losses.approx_ndcg import ApproxNDCG, approx_ndcg
from hyperrank.losses.base import ListLoss, Loss, get_loss, register_loss, takes_gains
from hyperrank.losses.dpo import dpo_reward, margin_reward, temperature_loss
from hyperrank.losses.fused import prepare, weighted_loss
from hyperrank.losses.listnet import ListNet, listnet, target_distribution
from hyperrank.losses.pairwise import LambdaLoss, PairwiseLogistic, lambda_loss, pairwise_logistic
from hyperrank.losses.plackett_luce import PlackettLuce, plackett_luce

__all__ = [
    "ApproxNDCG",
    "LambdaLoss",
    "ListLoss",
    "ListNet",
    "Loss",
    "PairwiseLogistic",
    "PlackettLuce",
    "approx_ndcg",
    "dpo_reward",
    "get_loss",
    "lambda_loss",
    "listnet",
    "margin_reward",
    "pairwise_logistic",
    "plackett_luce",
    "prepare",
    "register_loss",
    "takes_gains",
    "target_distribution",
    "temperature_loss",
    "weighted_loss",
]
