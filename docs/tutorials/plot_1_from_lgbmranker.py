"""
From an LGBMRanker in production to a served dial
=================================================

A search engine ranks by a LightGBM model that was trained on relevance. Now dwell time
matters too: how long people stay on what they click. The model becomes the *reference*
for relevance, and the new ranker gets a dial, from today's ranking, to the bit, to the
best ranking for dwell time.
"""

# %%
# What is in production
# ---------------------
# The data are ten thousand documents of 86 real queries. Some are for training, some for
# choosing the trade-off, and some for evaluating it. The model is trained on relevance.

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
# Add the dial
# ------------
# `reference=` names the model of an objective. Dwell time has none, so boosters are fitted
# for it, and a network learns all trade-offs between the two.

ranker = HyperDPORanker({"relevance": today}, objectives=data.names, random_state=0)
ranker.fit(train.X, train.Y, qid=train.qid)

# %%
# With all weight on relevance, at temperature 0, the new ranker *is* the old one. A higher
# temperature moves towards what was learnt.

start = {"weights": [1, 0], "temperature": 0}
same = ranker.predict(test.X, qid=test.qid, **start)
assert np.array_equal(same, today.predict(test.X))

# %%
# Choose
# ------
# Keep 98% of today's relevance with a probability of 90%, and take the weights and the
# temperature with most dwell time. Limits are shares of what today's model reaches, and
# today's model is itself one of the trade-offs.

front = ranker.pareto_front(validation.X, validation.Y, qid=validation.qid)
choice = front.select(at_least={"relevance": 0.98}, confidence=0.9)
print(choice)

# %%
# Serve
# -----
# One file holds the model in production, the boosters and the network. The trade-off
# comes with each request: :doc:`../serving` has a server to copy.

with tempfile.TemporaryDirectory() as folder:
    served = load(ranker.save(f"{folder}/ranker.safetensors"))
one_query = test.X[test.qid == test.qid[0]]
order = np.argsort(-served.predict(one_query, weights=choice))
before = np.argsort(-today.predict(one_query))
print("first five today:", before[:5], "and by the choice:", order[:5])

# %%
# Turn the dial
# -------------
# The dial goes from today's ranking (0) through the choice (1) to all weight on dwell
# time (2). It is measured on the test queries, which had no part in training or choosing.

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
# At the choice, relevance is kept and dwell time is up by more than half, on new queries.
# There are few of them: :doc:`plot_3_guarantee` shows what a limit with a confidence is
# worth.
#
# To roll out, start near today's ranking and turn the dial step by step, and back if
# anything else suffers. Nothing is trained again.
