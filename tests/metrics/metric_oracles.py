"""Slow and plain: metrics of one list as their papers write them, and data to compare on."""

from dataclasses import dataclass
from itertools import permutations
from math import log2

import numpy as np


@dataclass
class Lists:
    """A data set: scores, labels, query ids."""

    scores: np.ndarray
    labels: np.ndarray
    qid: np.ndarray

    def each(self):
        """Yield (scores, labels) of each query, in the order of first appearance."""
        for query in dict.fromkeys(self.qid.tolist()):
            rows = self.qid == query
            yield self.scores[rows], self.labels[rows]


def ragged(seed, n_lists=60, *, tied, top=4, longest=70):
    """Generate lists of 1 to `longest` documents in mixed order, some without a relevant document."""
    rng = np.random.default_rng(seed)
    sizes = np.concatenate([[1, 1, 1, 2, longest], rng.integers(1, longest, size=n_lists - 5)])
    qid = rng.permutation(np.repeat(np.arange(n_lists), sizes))
    labels = rng.integers(0, top + 1, size=len(qid)) * (rng.random(len(qid)) < 0.4)
    labels[qid % 7 == 3] = 0
    scores = rng.integers(0, 6, size=len(qid)) / 4.0 if tied else rng.permutation(len(qid)) / 64.0
    return Lists(scores, labels.astype(float), qid)


def ranked(scores, labels):
    """Labels by descending score, the earlier row first among equals."""
    return [labels[i] for i in sorted(range(len(labels)), key=lambda i: -scores[i])]


def dcg(labels, k, gain):
    gains = [2.0**z - 1 if gain == "exp2" else z for z in labels]
    return sum(g / log2(r + 2) for r, g in enumerate(gains[:k]))


def ndcg_of_list(scores, labels, k=None, gain="exp2", ties="order"):
    """NDCG of one list; NaN if it has no gain. "average" goes through all orders of the documents."""
    ideal = dcg(sorted(labels, reverse=True), k, gain)
    if ideal == 0:
        return float("nan")
    if ties == "worst":
        order = np.lexsort((labels, -scores))
        return dcg(labels[order], k, gain) / ideal
    if ties == "average":
        orders = [list(p) for p in permutations(range(len(labels)))]
        return float(np.mean([dcg(ranked(scores[p], labels[p]), k, gain) for p in orders])) / ideal
    return dcg(ranked(scores, labels), k, gain) / ideal


def err_of_list(scores, labels, k, max_label):
    total, reading = 0.0, 1.0
    for r, z in enumerate(ranked(scores, labels)[:k], start=1):
        satisfied = (2.0**z - 1) / 2.0**max_label
        total += reading * satisfied / r
        reading *= 1 - satisfied
    return total
