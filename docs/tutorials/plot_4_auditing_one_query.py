"""
Auditing one query: which documents move as the weights move
============================================================

Before a trade-off goes live somebody will ask: what does it do to *this* query? One model holds all
trade-offs, so the answer is a table of scores: each document under each weight.
"""

# %%
# A ranker, and a query that it has not seen
# ------------------------------------------

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from hyperrank import HyperDPORanker, datasets

names = ("relevance", "quality")
train = datasets.fetch_mslr_sample("train", objectives=names)
test = datasets.fetch_mslr_sample("test", objectives=names)
ranker = HyperDPORanker("lightgbm", objectives=names, random_state=0).fit(
    train.X, train.Y, qid=train.qid
)

ids, sizes = np.unique(test.qid, return_counts=True)
query = test.take(test.qid == ids[np.argsort(sizes)[len(sizes) // 2]])
print(query)

# %%
# All weights at once
# -------------------
# One call gives a column of scores for each trade-off, from all weight on relevance to all on quality.

share = np.linspace(0, 1, 11)
scores = ranker.predict(
    query.X, qid=query.qid, weights=np.column_stack([1 - share, share])
)
ranks = (
    pd.DataFrame(scores, columns=share.round(1))
    .rank(ascending=False, method="first")
    .astype(int)
)

# %%
# Documents that are among the first ten at either end. Each line is a document; its colour is how relevant
# it was judged.

shown = ranks[(ranks[0.0] <= 10) | (ranks[1.0] <= 10)]
fig, ax = plt.subplots(figsize=(7.5, 5), layout="constrained")
colours = plt.get_cmap("viridis_r")(np.linspace(0.05, 0.95, 5))
for document, line in shown.iterrows():
    grade = int(query.Y[document, 0])
    ax.plot(share, line, "o-", color=colours[grade], ms=4, lw=1.5)
    ax.annotate(
        str(document),
        (1, line.iloc[-1]),
        (6, -3),
        textcoords="offset points",
        fontsize=8,
    )
ax.set(
    yscale="log",
    xlabel="weight of quality",
    ylabel="rank",
    ylim=(ranks.to_numpy().max(), 0.9),
)
ax.set_yticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
ax.axhline(10.5, color="0.5", ls=":")
for grade, colour in enumerate(colours):
    ax.plot([], [], color=colour, label=f"judged {grade}")
ax.legend(frameon=False, loc="lower left", ncols=5, fontsize=8)

# %%
# The same in numbers: what enters the first ten, what leaves, and what they were judged.

labels = pd.DataFrame(query.Y.astype(int), columns=names)
leaves = shown.index[(shown[0.0] <= 10) & (shown[1.0] > 10)]
enters = shown.index[(shown[0.0] > 10) & (shown[1.0] <= 10)]
for title, which in [("leave", leaves), ("enter", enters)]:
    moved = ranks.loc[which, [0.0, 1.0]].set_axis(
        ["rank at relevance", "rank at quality"], axis=1
    )
    print(f"{title}\n{moved.join(labels).to_string()}\n")

# %%
# Where it happens
# ----------------
# A change of weights that nobody would see needs no meeting. How many of the first ten are replaced from
# one step to the next?

first = [set(ranks.index[ranks[column] <= 10]) for column in ranks]
replaced = [len(before - after) for before, after in pairwise(first)]
print(pd.Series(replaced, index=[f"{a:.1f} to {b:.1f}" for a, b in pairwise(share)]))
judged = pd.DataFrame(
    {"leave": labels.loc[leaves].mean(), "enter": labels.loc[enters].mean()}
).T
print(judged.round(2))
assert judged.loc["enter", "quality"] > judged.loc["leave", "quality"]

# %%
# What enters has the better quality, as it should. The figure says more than the means, though: which steps
# change the first page and which do not, and which relevant document falls farthest. For this query quality
# costs no relevance; others will differ, and one query is an audit, not a measurement. `ranker.pareto_front`
# measures.
assert judged.loc["enter", "relevance"] >= judged.loc["leave", "relevance"]
