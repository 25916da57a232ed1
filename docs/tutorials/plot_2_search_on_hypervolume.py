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

from hyperrank import (
    HyperDPORanker,
    QueryKFold,
    datasets,
    make_hypervolume_scorer,
    make_ranking_scorer,
)

data = datasets.fetch_mslr_sample("train", objectives=("relevance", "dwell"))
Y = pd.DataFrame(data.Y, columns=data.names)

# %%
# What is searched
# ----------------
# How closely to hold to the reference, here one LightGBM ranker for relevance, and how weights reach the
# network. Training is kept short. Beside the hypervolume, the search reports relevance where all weight is
# on it.

ranker = HyperDPORanker(
    "lightgbm",
    booster_params={"num_boost_round": 60},
    max_epochs=5,
    hidden=(64, 64),
    random_state=0,
)
grid = {"beta": [0.1, 1.0], "conditioning": ["film", "concat"]}
scoring = {
    "front": make_hypervolume_scorer(weights=11),
    "relevance": make_ranking_scorer(objective="relevance", weights=[1, 0]),
}
with sklearn.config_context(enable_metadata_routing=True):
    search = GridSearchCV(
        ranker,
        grid,
        cv=QueryKFold(3),
        scoring=scoring,
        refit="front",
        error_score="raise",
    )
    search.fit(data.X, Y, qid=data.qid)

# %%
# ``error_score="raise"`` matters: by default scikit-learn turns a failing fit into a NaN and goes on.
#
# What it found
# -------------

found = pd.DataFrame(search.cv_results_)
found.index = [
    f"beta {beta}, {kind}"
    for beta, kind in zip(found["param_beta"], found["param_conditioning"], strict=True)
]
columns = [
    "mean_test_front",
    "std_test_front",
    "mean_test_relevance",
    "std_test_relevance",
]
print(found[columns].round(3).to_string())

fig, axes = plt.subplots(1, 2, figsize=(8.4, 2.6), layout="constrained", sharey=True)
titles = {
    "front": "hypervolume of the front",
    "relevance": "relevance at its corner, NDCG@10",
}
for ax, (score, title) in zip(axes, titles.items(), strict=True):
    ax.barh(
        found.index,
        found[f"mean_test_{score}"],
        xerr=found[f"std_test_{score}"],
        color="#56B4E9",
    )
    ax.set_xlabel(title)

# %%
# How closely to hold to the reference decides: it ranks by relevance alone, and a network that is held to
# it at beta 1 never gets far from there, so its front is short. Judged by relevance alone one would not
# have noticed. How the weights reach the network matters less than the three folds of some 14 queries can
# tell; a better judge of that has more queries, not a finer grid.

front, spread = found["mean_test_front"], found["std_test_front"].mean()
by_beta = front.groupby(found["param_beta"]).mean()
by_kind = front.groupby(found["param_conditioning"]).mean()
relevance = found["mean_test_relevance"].groupby(found["param_beta"]).mean()
print(
    f"front: beta {by_beta[0.1] - by_beta[1.0]:+.3f}, conditioning {by_kind['concat'] - by_kind['film']:+.3f}"
)
print(
    f"relevance: beta {relevance[0.1] - relevance[1.0]:+.3f}; deviation of the front over folds {spread:.3f}"
)
assert by_beta[0.1] - by_beta[1.0] > 2 * spread
assert abs(by_kind["concat"] - by_kind["film"]) < spread
assert abs(relevance[0.1] - relevance[1.0]) < found["std_test_relevance"].mean()

# %%
# The search has fitted the best candidate on all queries: it predicts at any trade-off, as any ranker does.

scores = search.best_estimator_.predict(data.X, qid=data.qid, weights=[0.8, 0.2])
