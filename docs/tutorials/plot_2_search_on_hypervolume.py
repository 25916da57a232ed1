"""
Searching parameters by the hypervolume of the front
====================================================

Which parameters are best for a ranker that serves every trade-off? The hypervolume, the
volume that the front dominates, is one number for all trade-offs, and a scorer makes it
available to scikit-learn's searches.
"""

# %%
# Data, and metadata routing
# --------------------------
# With routing on, scikit-learn passes query ids to the ranker, the splitter and the
# scorer. Labels in a frame keep their names.

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
from hyperrank.networks import MLP

data = datasets.fetch_mslr_sample("train", objectives=("relevance", "dwell"))
Y = pd.DataFrame(data.Y, columns=data.names)

# %%
# The search
# ----------
# The grid has ``beta``, which keeps the network close to the reference (here one LightGBM
# ranker for relevance), and the conditioning of the network on the weights. Training is
# short. Besides the hypervolume, the search reports relevance with all weight on it.

ranker = HyperDPORanker(
    "lightgbm",
    booster_params={"num_boost_round": 60},
    max_epochs=5,
    network=MLP(hidden=(64, 64)),
    random_state=0,
)
grid = {"beta": [0.1, 1.0], "network__conditioning": ["film", "concat"]}
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
# With the default ``error_score`` scikit-learn would turn a failing fit into a NaN and
# continue.
#
# Results
# -------

results = pd.DataFrame(search.cv_results_)
results.index = [
    f"beta {beta}, {kind}"
    for beta, kind in zip(
        results["param_beta"], results["param_network__conditioning"], strict=True
    )
]
columns = [
    "mean_test_front",
    "std_test_front",
    "mean_test_relevance",
    "std_test_relevance",
]
short = [name.replace("mean_test_", "") for name in columns]
print(results[columns].set_axis(short, axis=1).round(3).to_string())

fig, axes = plt.subplots(1, 2, figsize=(8.4, 2.6), layout="constrained", sharey=True)
titles = {
    "front": "hypervolume of the front",
    "relevance": "relevance at its corner, NDCG@10",
}
for ax, (score, title) in zip(axes, titles.items(), strict=True):
    ax.barh(
        results.index,
        results[f"mean_test_{score}"],
        xerr=results[f"std_test_{score}"],
        color="#56B4E9",
    )
    ax.set_xlabel(title)

# %%
# ``beta`` matters most: the reference ranks by relevance alone, and at beta 1 the network
# stays close to it, so the front is short. Relevance alone would not have shown this. The
# conditioning makes no difference that three folds of about 14 queries could show; that
# would take more queries, not a finer grid.

front, spread = results["mean_test_front"], results["std_test_front"].mean()
by_beta = front.groupby(results["param_beta"]).mean()
by_kind = front.groupby(results["param_network__conditioning"]).mean()
relevance = results["mean_test_relevance"].groupby(results["param_beta"]).mean()
print(
    f"front: beta {by_beta[0.1] - by_beta[1.0]:+.3f}, "
    f"conditioning {by_kind['concat'] - by_kind['film']:+.3f}"
)
print(
    f"relevance: beta {relevance[0.1] - relevance[1.0]:+.3f}; "
    f"deviation of the front over folds {spread:.3f}"
)
assert by_beta[0.1] - by_beta[1.0] > 2 * spread
assert abs(by_kind["concat"] - by_kind["film"]) < spread
assert abs(relevance[0.1] - relevance[1.0]) < results["std_test_relevance"].mean()

# %%
# The search has refitted the best candidate on all queries, and it predicts at any
# trade-off.

scores = search.best_estimator_.predict(data.X, qid=data.qid, weights=[0.8, 0.2])
