"""
Keeping 98% of relevance while raising dwell time
=================================================

"You may do what you like for dwell time, as long as relevance stays within 2% of today's." This is how
trade-offs are agreed upon, and the difficulty is the second half: a limit that holds on the queries you
looked at holds on others about every other time. Here the trade-off is chosen on validation queries *with a
confidence*, and judged on queries that had no part in it.
"""

# %%
# Three sets of queries
# ---------------------
# One to train on, one to choose on, one to judge. Queries are never split.

import matplotlib.pyplot as plt
import numpy as np

from hyperrank import HyperDPORanker, QueryShuffleSplit, datasets

data = datasets.fetch_mslr_sample(objectives=("relevance", "dwell"))


def split(part, share):
    """A part without, and with, a share of its queries."""
    kept, aside = next(
        QueryShuffleSplit(1, test_size=share, random_state=1).split(
            part.X, qid=part.qid
        )
    )
    return part.take(kept), part.take(aside)


rest, test = split(data, 0.3)
train, validation = split(rest, 0.45)
for name, part in [("train", train), ("validation", validation), ("test", test)]:
    print(f"{name:10} {len(np.unique(part.qid))} queries")

# %%
# By default the reference is fitted on the way: boosters for each objective. The limit is relative to the one
# for relevance, which stands for what would be served if nobody asked for dwell time.

ranker = HyperDPORanker(objectives=data.names, max_epochs=15, random_state=0)
ranker.fit(train.X, train.Y, qid=train.qid)

# %%
# Choosing with a confidence
# --------------------------
# `select` resamples the validation queries; the reference is measured on the same resample, so a hard query
# counts against neither. Without ``confidence`` the limit only needs to hold on the queries themselves.

share = np.linspace(1, 0, 21)
trade_offs = np.column_stack([share, 1 - share])
front = ranker.pareto_front(
    validation.X, validation.Y, qid=validation.qid, weights=trade_offs
)
hopeful = front.select(at_least={"relevance": 0.98})
sure = front.select(at_least={"relevance": 0.98}, confidence=0.9)
for name, choice in [("hopeful", hopeful), ("sure", sure)]:
    kept, gained = choice.values / front.reference
    print(
        f"{name:8} weight of dwell {choice.weights[1]:.2f}: {kept:.0%} of relevance and {gained:.0%} of "
        f"dwell time on validation queries; keeps the limit in {choice.joint_confidence:.0%} of resamples"
    )
assert sure.weights[1] < hopeful.weights[1]

# %%
# Being sure costs dwell time: the trade-off stays further from the limit.
#
# Judging
# -------
# Both, on the test queries.

both = np.array([hopeful.weights, sure.weights])
after = ranker.pareto_front(test.X, test.Y, qid=test.qid, weights=both)
now = after.points / after.reference
for row, name in enumerate(["hopeful", "sure"]):
    print(
        f"{name:8} {now['relevance'][row]:.1%} of relevance, {now['dwell'][row]:.1%} of dwell time"
    )
assert (now["relevance"] >= 0.98).all()
assert (now["dwell"] > 1.05).all()

fig, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
before = front.points / front.reference
ax.plot(
    before["relevance"],
    before["dwell"],
    ".-",
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
# On these test queries both keep 98% of relevance, and both have more dwell time than the reference; the sure
# one has more relevance and less dwell time than the hopeful one, which is what was bought.
#
# What may be promised
# --------------------
# One split of 86 queries proves little: with another seed the same code may find nothing that is sure
# enough, in which case `select` says how sure one can be, or a choice that falls a few percent short on the
# test queries. How sure the test queries, which picked nothing, are of the limit and of a gain:

alone = ranker.pareto_front(test.X, test.Y, qid=test.qid, weights=sure)
print(
    alone.select(at_least={"relevance": 0.98, "dwell": 1.0})
    .confidence.round(2)
    .to_string()
)

# %%
# :doc:`../results/selection` counts over folds, seeds and data sets how often such choices kept their word.
# On this sample, with its few queries to choose on, most fell short of 98% on the test queries, if by no
# more than so few queries can tell; on MQ2008, which has more of them, 13 of the 14 that were found kept
# it. If a promise matters, bring queries. If there are no more, hold closer to the reference:
# ``temperature=0.5`` pulls half as hard, without training.
