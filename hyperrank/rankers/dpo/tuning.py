"""A trial before the whole fit: how long to train, how much to drop, how far to pull, by held-out lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.metrics import Metric
from hyperrank.rankers.dpo.config import FitPlan, Trial
from hyperrank.rankers.dpo.train import fit_reward_model
from hyperrank.rankers.inputs import LabelledLists
from hyperrank.reference import Reference
from hyperrank.simplex import lattice_near
from hyperrank.training import Checkpoint

__all__ = ["run_trial", "split_for_trial"]

#: Lists below which nothing is tried: the few that could be held out would choose by chance.
MIN_LISTS = 100
#: Lists at most that a trial trains on, and that it judges by; more would choose the same.
MAX_TRAINED, MAX_JUDGED = 2000, 500
#: Rows at most, about, of each: a trial of a few hundred long lists is not to take as long as the fit.
MAX_TRAINED_ROWS, MAX_JUDGED_ROWS = 1 << 19, 1 << 17
#: Share of the lists that judge where no others are at hand.
JUDGED_SHARE = 0.2
#: Dropout of an mlp, and how many times the shortest training, of each rung; the next is tried while it pays.
RUNGS = ((0.5, 1), (0.3, 2), (0.2, 4), (0.1, 8))
#: Pulls that are tried, as multiples of the default one.
PULLS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
#: Trade-offs at which a trial judges.
N_WEIGHTS = 21


@dataclass(frozen=True)
class _Judge:
    """Held-out lists, with the reference's scores of them where those can be trusted."""

    data: LabelledLists
    metric: Metric
    weights: NDArray[np.float64]
    reference: NDArray[np.float64] | None
    pull: float
    pulls: Sequence[float]

    def utilities(self, rewards: NDArray[np.floating[Any]]) -> dict[float, NDArray[np.float64]]:
        """Utility of each list under each pull, and under the network alone (inf)."""
        found = {np.inf: self.of(rewards)}
        if self.reference is not None:
            found |= {pull: self.of(self.reference + pull * self.pull * rewards) for pull in self.pulls}
        return found

    def of(self, scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Utility of each list, shape (q,): the weighted metrics, mean over trade-offs; NaN for none."""
        values = self.metric(scores, self.data.Y, qid=self.data.lists.in_place, per_query=True)
        counts = self.weights * ~np.isnan(values)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.nansum(counts * values, axis=(1, 2)) / counts.sum(axis=(1, 2)))


def split_for_trial(
    data: LabelledLists,
    held: LabelledLists | None,
    rng: np.random.Generator,
    list_weight: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.int64], LabelledLists] | None:
    """Numbers of the lists to try on and the lists to judge by; None if nothing can be tried.

    That is with too few lists, or where those to try on would lack an objective's labels.

    Parameters
    ----------
    data : LabelledLists
        Training rows.
    held : LabelledLists or None
        Lists that training does not see anyway: they judge.
    rng : numpy.random.Generator
        Picks lists.
    list_weight : ndarray of shape (n_lists,), optional
        How much each list of the training rows counts.
    """
    n_lists = data.lists.n_lists
    if n_lists < MIN_LISTS:
        return None
    order = rng.permutation(n_lists)
    if held is not None:
        trained = _up_to(MAX_TRAINED_ROWS, order[:MAX_TRAINED], data)
        chosen = rng.permutation(held.lists.n_lists)[:MAX_JUDGED]
        judged = held.take(_up_to(MAX_JUDGED_ROWS, chosen, held))
    else:
        n_judged = min(MAX_JUDGED, round(JUDGED_SHARE * n_lists))
        trained = _up_to(MAX_TRAINED_ROWS, order[n_judged:][:MAX_TRAINED], data)
        judged = data.take(_up_to(MAX_JUDGED_ROWS, order[:n_judged], data))
    weighs = np.ones(len(trained), dtype=bool) if list_weight is None else list_weight[trained] > 0
    is_known = np.logical_or.reduceat(~np.isnan(data.Y), data.lists.offsets[:-1], axis=0)
    return (trained, judged) if is_known[trained[weighs]].any(axis=0).all() else None


def _up_to(n_rows: int, order: NDArray[np.int64], data: LabelledLists) -> NDArray[np.int64]:
    """The first of some lists, up to a number of rows but one in any case, in their own order."""
    n_fit = int(np.searchsorted(np.cumsum(data.lists.sizes[order]), n_rows, side="right"))
    return np.sort(order[: max(1, n_fit)])


def run_trial(
    trained: LabelledLists,
    judged: LabelledLists,
    plan: FitPlan,
    *,
    reference: Reference | None,
    pull: float,
    metric: Metric,
    list_weight: NDArray[np.float64] | None,
    climbs: bool,
    pulls: bool,
    shortest: int,
    checkpoint: Checkpoint,
) -> Trial:
    """Train on some lists, and choose by the others.

    Parameters
    ----------
    trained, judged : LabelledLists
    plan : FitPlan
        How to train at the first rung.
    reference : Reference or None
        Fitted without the judged lists; None chooses the rung by the network alone, and no pull.
    pull : float
        The default pull.
    metric : Metric
        What is looked at.
    list_weight : ndarray or None
        How much each list that is trained on counts.
    climbs : bool
        Whether longer training with less dropout may be tried, beside the plan's own.
    pulls : bool
        Whether other pulls than the default may be.
    shortest : int
        Epochs of the first rung in the whole fit.
    checkpoint : Checkpoint
        Where finished rungs are kept.

    Returns
    -------
    Trial
    """
    weights = lattice_near(judged.Y.shape[1], N_WEIGHTS)
    scores = None if reference is None else reference.mix(judged.parts(reference), weights)
    judge = _Judge(judged, metric, weights, scores, pull, PULLS if pulls else (1.0,))
    # In parts of the plan's dropout, where the network is one that begins with less.
    start = plan.dropout / RUNGS[0][0]
    rungs = [(dropout * start, factor) for dropout, factor in RUNGS] if climbs else [(plan.dropout, 1)]
    tried: list[dict[str, float]] = []
    best: tuple[NDArray[np.float64], float, float, int] | None = None
    for dropout, factor in rungs:
        epochs = factor * plan.settings.max_epochs
        rung = replace(plan, dropout=dropout, settings=replace(plan.settings, max_epochs=epochs), verbose=0)
        found = checkpoint.phase(
            f"trial: {epochs} epochs", partial(_rung_utilities, trained, rung, list_weight, judge)
        )
        tried += [
            {"dropout": dropout, "epochs": epochs, "pull": p, "utility": _mean(u)} for p, u in found.items()
        ]
        chosen = np.inf if scores is None else _best_pull(found)
        if best is not None and not _surely_better(found[chosen], best[0]):
            break
        best = (found[chosen], chosen, dropout, factor)
        if scores is not None and _surely_better(judge.of(scores), found[np.inf]):
            break  # the reference is the better learner here: longer training would only fit its noise
    assert best is not None
    _, chosen, dropout, factor = best
    return Trial(dropout, factor * shortest, 1.0 if np.isinf(chosen) else chosen, tried)


def _rung_utilities(
    trained: LabelledLists, plan: FitPlan, list_weight: NDArray[np.float64] | None, judge: _Judge
) -> dict[float, NDArray[np.float64]]:
    """Train as one rung has it, and judge what comes of it."""
    model, _ = fit_reward_model(trained, plan, list_weight=list_weight)
    return judge.utilities(model.rewards(judge.data.X, judge.data.lists.in_place, judge.weights))


def _best_pull(found: dict[float, NDArray[np.float64]]) -> float:
    """The pull of the highest utility, if it is surely better than the default."""
    finite = {pull: utility for pull, utility in found.items() if np.isfinite(pull)}
    best = max(finite, key=lambda pull: _mean(finite[pull]))
    return best if _surely_better(finite[best], finite[1.0]) else 1.0


def _mean(utility: NDArray[np.float64]) -> float:
    """Mean over the lists that can be measured; 0 for none, as where labels say nothing."""
    known = utility[~np.isnan(utility)]
    return float(known.mean()) if len(known) else 0.0


def _surely_better(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    """Whether a's mean over lists is above b's by more than the standard error of the difference."""
    difference = (a - b)[~np.isnan(a - b)]
    if len(difference) < 2:
        return False
    return float(difference.mean()) > float(difference.std(ddof=1)) / len(difference) ** 0.5
