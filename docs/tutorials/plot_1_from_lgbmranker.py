"""
From an LGBMRanker in production to a controllable one
======================================================

A search engine ranks by a LightGBM model that was trained on relevance. Now dwell time
matters too: how long people stay on what they click. The model becomes the *reference*:
training starts from its ranking, and the new ranker has every trade-off between the
two, including today's ranking.
"""

# %%
# What is in production
# ---------------------
# Ten thousand documents of 86 real queries, 40% of which are held out. The model was
# trained on relevance only.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from lightgbm import LGBMRanker

from hyperrank import HyperDPORanker, QueryLists, datasets

data = datasets.fetch_mslr_sample(objectives=("relevance", "dwell"))
train, test = data.split((0.6, 0.4), random_state=0)

today = LGBMRanker(n_estimators=60, min_child_samples=50, n_jobs=1, verbose=-1)
today.fit(train.X, train.y, group=QueryLists.from_qid(train.qid).sizes)

# %%
# Two lines
# ---------
# `reference=` takes any fitted model that has ``predict``.

ranker = HyperDPORanker(today, objectives=data.names, random_state=0)
ranker.fit(train.X, train.Y, qid=train.qid)

# %%
# Nothing is lost: at temperature 0 the new ranker *is* the old one.

same = ranker.predict(test.X, qid=test.qid, temperature=0)
assert np.allclose(same, today.predict(test.X))

# %%
# What each trade-off reaches
# ---------------------------
# NDCG@10 of both objectives on the held-out queries, at 21 trade-offs.

share = np.linspace(1, 0, 21)
front = ranker.pareto_front(
    test.X, test.Y, qid=test.qid, weights=np.column_stack([share, 1 - share])
)

fig, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
front.plot(ax=ax)

# %%
# The star is today's model. The front passes above it: there are trade-offs with its
# relevance and much more dwell time.

as_good = front.points[front.points["relevance"] >= front.reference["relevance"]]
best = as_good["dwell"].idxmax()
table = pd.DataFrame(
    {
        "today": front.reference,
        "as relevant": as_good.loc[best],
        "all on dwell": front.points.iloc[-1],
    }
)
print(table.T.round(3))
print("weights of 'as relevant':", front.weights.loc[best].round(2).to_dict())
assert as_good.loc[best, "dwell"] > 1.2 * front.reference["dwell"]

# %%
# On these queries a trade-off with at least today's relevance raises dwell time by
# more than a fifth. It was selected on the queries that it is measured on, so the
# figure is optimistic; :doc:`plot_3_guarantee` shows how to make a promise.
#
# Roll-out is now a matter of weights: start near today's ranking, move towards dwell
# time, and move back if anything else suffers. Nothing is trained again.

careful = ranker.predict(
    test.X, qid=test.qid, weights={"relevance": 0.95, "dwell": 0.05}
)
bolder = ranker.predict(test.X, qid=test.qid, weights=front.weights.loc[best].to_dict())
