"""
Auditing one query: which documents move as the weights move
============================================================

What does a new trade-off do to *this* query? One model has all trade-offs, so the answer
is a table: the score of each document at each weight.
"""

# %%
# A ranker, and a test query
# --------------------------

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
# One call returns a column of scores per trade-off, from all weight on relevance to all
# on quality.

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
# These are the documents in the top ten at either end. Each line is a document, coloured
# by its relevance label.

in_top_ten = ranks[(ranks[0.0] <= 10) | (ranks[1.0] <= 10)]
fig, ax = plt.subplots(figsize=(7.5, 5), layout="constrained")
colours = plt.get_cmap("viridis_r")(np.linspace(0.05, 0.95, 5))
for document, line in in_top_ten.iterrows():
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
    ax.plot([], [], color=colour, label=f"relevance {grade}")
ax.legend(frameon=False, loc="lower left", ncols=5, fontsize=8)

# %%
# Which documents enter the top ten, which leave, and what are their labels?

labels = pd.DataFrame(query.Y.astype(int), columns=names)
leaves = in_top_ten.index[(in_top_ten[0.0] <= 10) & (in_top_ten[1.0] > 10)]
enters = in_top_ten.index[(in_top_ten[0.0] > 10) & (in_top_ten[1.0] <= 10)]
for title, which in [("leave", leaves), ("enter", enters)]:
    table = ranks.loc[which, [0.0, 1.0]].set_axis(
        ["rank at relevance", "rank at quality"], axis=1
    )
    print(f"{title}\n{table.join(labels).to_string()}\n")

# %%
# Where it happens
# ----------------
# How many of the top ten are replaced from one step to the next?

first = [set(ranks.index[ranks[column] <= 10]) for column in ranks]
replaced = [len(before - after) for before, after in pairwise(first)]
print(pd.Series(replaced, index=[f"{a:.1f} to {b:.1f}" for a, b in pairwise(share)]))
means = pd.DataFrame(
    {"leave": labels.loc[leaves].mean(), "enter": labels.loc[enters].mean()}
).T
print(means.round(2))
assert means.loc["enter", "quality"] > means.loc["leave", "quality"]
assert means.loc["enter", "relevance"] >= means.loc["leave", "relevance"]

# %%
# The documents that enter have better quality, as they should. The figure shows which
# steps change the first page, and which relevant document falls farthest. For this query
# quality costs no relevance; others will differ. One query is an audit, not a
# measurement: for that, use `ranker.pareto_front`.
