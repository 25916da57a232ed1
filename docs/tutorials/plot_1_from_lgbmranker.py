"""
From an LGBMRanker in production to a served dial
=================================================

A search engine ranks by a LightGBM model that was trained on relevance. Now dwell time
matters too: how long people stay on what they click. The model becomes the *reference*
for relevance, and the new ranker has a dial from today's ranking, to the bit, to all
on dwell time.
"""

# %%
# What is in production
# ---------------------
# Ten thousand documents of 86 real queries: some train, some choose the trade-off, and
# some show what comes of it. The model was trained on relevance only.

import tempfile

import matplotlib.pyplot as plt
import numpy as np
from lightgbm import LGBMRanker

from hyperrank import HyperDPORanker, QueryLists, datasets, load
from hyperrank.metrics import ndcg

data = datasets.fetch_mslr_sample(objectives=("relevance", "dwell"))
train, validation, test = data.split((0.4, 0.3, 0.3), random_state=0)

today = LGBMRanker(n_estimators=60, min_child_samples=50, n_jobs=1, verbose=-1)
today.fit(train.X, train.Y[:, 0].copy(), group=QueryLists.from_qid(train.qid).sizes)

# %%
# Its ranking, and a dial
# -----------------------
# `reference=` says which model an objective is ranked by. Boosters are fitted for dwell
# time, which has none, and a network learns all trade-offs between the two.

ranker = HyperDPORanker({"relevance": today}, objectives=data.names, random_state=0)
ranker.fit(train.X, train.Y, qid=train.qid)

# %%
# Nothing is lost: with all weight on relevance, at temperature 0, the new ranker *is*
# the old one. A higher temperature moves on to what was learnt.

start = {"weights": [1, 0], "temperature": 0}
same = ranker.predict(test.X, qid=test.qid, **start)
assert np.array_equal(same, today.predict(test.X))

# %%
# Choosing
# --------
# Of all weights and temperatures, the one with most dwell time among those that keep
# 98% of today's relevance with a probability of 90%, as far as these queries tell.
# Limits count from today's model, which is itself one of the trade-offs.

front = ranker.pareto_front(validation.X, validation.Y, qid=validation.qid)
choice = front.select(at_least={"relevance": 0.98}, confidence=0.9)
print(choice)

# %%
# Serving
# -------
# One file has the model in production, the boosters and the network. Whoever serves it
# passes the trade-off with each request: :doc:`../serving` has a server to copy.

with tempfile.TemporaryDirectory() as folder:
    served = load(ranker.save(f"{folder}/ranker.safetensors"))
one_query = test.X[test.qid == test.qid[0]]
order = np.argsort(-served.predict(one_query, weights=choice))
before = np.argsort(-today.predict(one_query))
print("first five today:", before[:5], "and by the choice:", order[:5])

# %%
# What the dial does
# ------------------
# From today's ranking (0) over the choice (1) to all on dwell time (2), on the test
# queries, which neither trained nor chose anything.

stops = np.array([[1, 0, 0], [*choice.weights, choice.temperature], [0, 1, 1]])
dial = np.linspace(0, 2, 13)
at = np.column_stack([np.interp(dial, [0, 1, 2], column) for column in stops.T])
values = np.array(
    [
        ndcg(
            served.predict(test.X, qid=test.qid, weights=row[:2], temperature=row[2]),
            test.Y,
            qid=test.qid,
            k=10,
        )
        for row in at
    ]
)

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
front.plot(ax=left, selection=choice)
for name, column in zip(data.names, (values / values[0]).T, strict=True):
    right.plot(dial, column, ".-", label=name)
right.axhline(1, color="0.6", linewidth=1)
right.set(ylabel="NDCG@10 over today's, test queries", ylim=(0, None))
right.set_xticks([0, 1, 2], ["today", "the choice", "all dwell"])
right.legend()
assert values[6, 0] > 0.98 * values[0, 0]
assert values[6, 1] > 1.5 * values[0, 1]

# %%
# At the choice relevance is kept, and dwell time is up by more than half, on queries that
# nobody had looked at. They are few: :doc:`plot_3_guarantee` says what a limit with a
# confidence is worth.
#
# Roll-out is a matter of turning: start near today's ranking, move on, and turn back if
# anything else suffers. Nothing is trained again.
