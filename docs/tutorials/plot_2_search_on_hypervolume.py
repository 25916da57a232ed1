"""
Searching parameters by the hypervolume of the front
====================================================

Which parameters are best for a ranker that serves every trade-off? Not those that win at one of them. The
hypervolume, what the whole front dominates, is one number for all; a scorer brings it to scikit-learn's
searches.
"""

# %%
# Data, and metadata routing
# --------------------------
# With routing on, query ids reach the ranker, the splitter and the scorer by themselves. Labels in a frame
# keep their names.

import matplotlib.pyplot as plt
import pandas as pd
import sklearn
from sklearn.model_selection import GridSearchCV

from hyperrank import HyperDPORanker, QueryKFold, datasets, make_hypervolume_scorer, make_ranking_scorer

data = datasets.fetch_mslr_sample("train", objectives=("relevance", "dwell"))
Y = pd.DataFrame(data.Y, columns=data.names)

# %%
# What is searched
# ----------------
# How closely to hold to the reference, here one LightGBM ranker for relevance, and how weights reach the
# network. Training is kept short. Beside the hypervolume, the search reports relevance where all weight is
# on it.

ranker = HyperDPORanker("lightgbm", max_epochs=6, hidden=(64, 64), random_state=0)
grid = {"beta": [0.03, 0.1, 1.0], "conditioning": ["film", "concat"]}
scoring = {
    "front": make_hypervolume_scorer(weights=11),
    "relevance": make_ranking_scorer(objective="relevance", weights=[1, 0]),
}
with sklearn.config_context(enable_metadata_routing=True):
    search = GridSearchCV(ranker, grid, cv=QueryKFold(3), scoring=scoring, refit="front", error_score="raise")
    search.fit(data.X, Y, qid=data.qid)

# %%
# ``error_score="raise"`` matters: by default scikit-learn turns a failing fit into a NaN and goes on.
#
# What it found
# -------------

found = pd.DataFrame(search.cv_results_)
columns = ["param_beta", "param_conditioning", "mean_test_front", "std_test_front", "mean_test_relevance"]
print(found[columns].sort_values("mean_test_front", ascending=False).round(3).to_string(index=False))

fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.4), layout="constrained", sharex=True)
for conditioning, part in found.groupby("param_conditioning"):
    axes[0].errorbar(
        part["param_beta"], part["mean_test_front"], part["std_test_front"], marker="o", label=conditioning
    )
    axes[1].plot(part["param_beta"], part["mean_test_relevance"], marker="o", label=conditioning)
axes[0].set(xscale="log", xlabel="beta", ylabel="hypervolume of the front")
axes[1].set(xlabel="beta", ylabel="relevance at its corner, NDCG@10")
axes[0].legend(title="conditioning", frameon=False)

# %%
# The bars are deviations over three folds of 14 queries each, and they are wider than what lies between the
# candidates: with so little data the search can rule out what is clearly bad, and no more. A better judge
# has more queries, not a finer grid.

best, worst = found["mean_test_front"].max(), found["mean_test_front"].min()
print(
    f"best {best:.3f}, worst {worst:.3f}, a typical deviation over folds {found['std_test_front'].mean():.3f}"
)
assert best - worst < 2 * found["std_test_front"].mean()

# %%
# The search has fitted the best candidate on all queries: it predicts at any trade-off, as any ranker does.

scores = search.best_estimator_.predict(data.X, qid=data.qid, weights=[0.8, 0.2])
