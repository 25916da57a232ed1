"""
Keeping 98% of relevance while raising dwell time
=================================================

"Raise dwell time as far as you can, as long as relevance stays within 2% of today's."
The difficulty is the limit: a limit that only just holds on the queries you looked at
fails on new queries more often than not. Here the trade-off is chosen on validation
queries *with a confidence*, and evaluated on test queries.
"""

# %%
# Three sets of queries
# ---------------------
# One to train on, one to choose on, one to evaluate on. No query is in two of them.

import matplotlib.pyplot as plt
import numpy as np

from hyperrank import HyperDPORanker, datasets

data = datasets.fetch_mslr_sample(objectives=("relevance", "dwell"))
train, validation, test = data.split((0.4, 0.3, 0.3), random_state=1)
for name, part in [("train", train), ("validation", validation), ("test", test)]:
    print(f"{name:10} {len(np.unique(part.qid))} queries")

# %%
# By default `fit` also trains the reference, boosters for each objective. The limit is
# relative to those for relevance, which would be served without dwell time.

ranker = HyperDPORanker(objectives=data.names, max_epochs=15, random_state=0)
ranker.fit(train.X, train.Y, qid=train.qid)

# %%
# Choosing with a confidence
# --------------------------
# `select` resamples the validation queries, and measures the reference on the same
# resamples, so a hard query counts against neither. The confidence accounts for how few
# queries there are, and for the choice among all trade-offs. Without ``confidence`` the
# limit only needs to hold on these queries. Low temperatures stay near the reference,
# which is temperature 0.

share = np.linspace(1, 0, 21)
trade_offs = np.column_stack([share, 1 - share])
front = ranker.pareto_front(
    validation.X,
    validation.Y,
    qid=validation.qid,
    weights=trade_offs,
    temperatures=(0, 0.1, 0.3, 1),
)
hopeful = front.select(at_least={"relevance": 0.98})
sure = front.select(at_least={"relevance": 0.98}, confidence=0.9)
for name, choice in [("hopeful", hopeful), ("sure", sure)]:
    kept, gained = choice.values / front.reference
    print(
        f"{name:8} dwell {choice.weights[1]:.2f}, temperature {choice.temperature:g}: "
        f"relevance {kept:.0%}, dwell {gained:.0%}, "
        f"confidence {choice.joint_confidence:.2f}"
    )
assert sure.weights[1] < hopeful.weights[1]

# %%
# The sure choice stays further from the limit, which costs dwell time.
#
# Evaluation
# ----------
# Both choices on the test queries:

both = [hopeful, sure]
after = ranker.pareto_front(test.X, test.Y, qid=test.qid, weights=both)
now = after.points / after.reference
for row, name in enumerate(["hopeful", "sure"]):
    print(
        f"{name:8} {now['relevance'][row]:.1%} of relevance, "
        f"{now['dwell'][row]:.1%} of dwell time"
    )
assert now["relevance"][0] < 0.98 <= now["relevance"][1]
assert (now["dwell"] > 1.05).all()

fig, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
before = front.points / front.reference
ax.plot(
    before["relevance"],
    before["dwell"],
    ".",
    color="0.7",
    label="all trade-offs, validation queries",
)
for row, (name, choice, colour) in enumerate(
    [("hopeful", hopeful, "#D55E00"), ("sure", sure, "#0072B2")]
):
    start, end = before.loc[choice.index], now.loc[row]
    ax.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": colour})
    ax.plot(*start, "o", color=colour, mfc="white")
    ax.plot(*end, "o", color=colour, label=f"{name}: from validation to test")
ax.axvline(0.98, color="0.3", ls=":")
ax.set(
    xlabel="share of the reference's relevance",
    ylabel="share of the reference's dwell time",
)
ax.legend(frameon=False)

# %%
# Here the hopeful choice breaks the limit and the sure one keeps it. Both have much more
# dwell time than the reference.
#
# How much to promise
# -------------------
# One split of 86 queries proves little. In the splits with seeds 0 to 4 the hopeful
# choice breaks the limit four times, and the sure one once (seed 2): five splits are too
# few to measure a confidence of 90%. With so few queries the sure one is the reference
# itself in two of them, and close to it in a third.
#
# The confidence of the sure choice on the test queries, which had no part in choosing
# it, for the limit and for any gain in dwell time:

alone = ranker.pareto_front(test.X, test.Y, qid=test.qid, weights=sure)
print(
    alone.select(at_least={"relevance": 0.98, "dwell": 1.0})
    .confidence.round(2)
    .to_string()
)

# %%
# :doc:`../front` shows how often such promises hold where the truth is known. If only
# the reference is sure enough, choose on more queries.
