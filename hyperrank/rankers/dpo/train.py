"""From checked data to a trained reward model: boosters as inputs, transform, network, training."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperrank.boosters import BoosterSet, cross_fitted_scores, fit_boosters
from hyperrank.lists import QueryLists
from hyperrank.memmap import FeatureRows, MappedRows, with_columns
from hyperrank.metrics import Metric, hypervolume
from hyperrank.networks import ConditionedScorer, ListTransformer
from hyperrank.networks.feature_transforms import fit_transform_module
from hyperrank.rankers.dpo.config import FitPlan
from hyperrank.rankers.dpo.reward_model import ListRewardModel, RewardModel, one_thread_each
from hyperrank.rankers.inputs import LabelledLists
from hyperrank.reference import take_rows
from hyperrank.simplex import lattice_near
from hyperrank.training import (
    Anchor,
    Checkpoint,
    FeaturesOf,
    ListTensors,
    Margin,
    ShareOfLists,
    TrainingProgress,
    TrainingResult,
    current,
    train,
)
from hyperrank.training.distributed import mean_over_lists, threads
from hyperrank.training.temperature import beside_weights

__all__ = ["RewardMargin", "Validation", "fit_reward_model"]


def training_tensors(
    model: RewardModel,
    inputs: FeatureRows,
    data: LabelledLists,
    plan: FitPlan,
    list_weight: NDArray[np.float64] | None,
    margin: RewardMargin | None,
    anchor: NDArray[np.float32] | None,
) -> ListTensors | ShareOfLists:
    """What this process trains on: all lists, or its own of those that several train on together.

    Parameters
    ----------
    model : RewardModel
        Whose transform is fitted.
    inputs : ndarray or MappedRows of shape (n, d), float32
        Features with booster scores beside them.
    data : LabelledLists
    plan : FitPlan
    list_weight, margin, anchor
        As for `hyperrank.rankers.dpo.train.fit_reward_model`.

    Returns
    -------
    ListTensors or ShareOfLists
    """
    processes, lists, weight = current(), data.lists, list_weight
    rows: Any = slice(None)
    if processes.size > 1:
        own = processes.own(data.lists.sizes)
        rows, lists = data.lists.take(own)
        weight = None if list_weight is None else list_weight[own]
    tensors = ListTensors(
        _seen(model, inputs if processes.size == 1 else take_rows(inputs, rows), lists),
        torch.from_numpy(data.Y[rows]).to(plan.device),
        lists,
        None if weight is None else torch.from_numpy(weight).to(plan.device, torch.float32),
        None if margin is None else margin.on(plan.device).take(rows),
        _anchor(None if anchor is None else anchor[rows], plan),
    )
    if processes.size == 1:
        return tensors
    mean = 1.0 if list_weight is None else max(float(list_weight.mean()), float(np.finfo(np.float32).tiny))
    return ShareOfLists(tensors, own, data.lists, n_processes=processes.size, mean_weight=mean)


def _seen(model: RewardModel, inputs: FeatureRows, lists: QueryLists) -> Tensor | FeaturesOf:
    """What the network sees of all rows; of rows in a file, what makes it of some."""
    if isinstance(inputs, MappedRows):
        return lambda rows, some: _features(model, inputs[rows], some)
    return _features(model, inputs, lists)


def _features(model: RewardModel, inputs: NDArray[np.float32], lists: QueryLists) -> Tensor:
    """What the network sees; of no list at all nothing, as wide as it would be."""
    if lists.n_lists:
        return model.features(inputs, lists)
    one = np.zeros((1, inputs.shape[1]), dtype=np.float32)
    return model.features(one, QueryLists.from_sizes([1]))[:0]


def _anchor(parts: NDArray[np.float32] | None, plan: FitPlan) -> Anchor | None:
    """For training on the plan's device."""
    if parts is None or plan.temperature_range is None:
        return None
    return Anchor(torch.from_numpy(parts).to(plan.device), *plan.temperature_range)


#: Trade-offs at which the validation front is looked at in training.
VALIDATION_WEIGHTS = 21
#: Documents per batch up to which steps are too short for several threads to help.
SMALL_BATCH = 2048
#: Rows, about, that the losses under the reference are estimated from.
SCALE_ROWS = 200_000


@dataclass(frozen=True)
class Validation:
    """Held-out lists by which training is stopped.

    Attributes
    ----------
    data : LabelledLists
    metric : Metric
    mixed_reference : callable
        ``weights of shape (k, m) -> reference scores of shape (n, k) or (n, 1)`` of the grouped rows.
    pull : float
        What rewards are multiplied by before they are added to the reference: 1 / beta.
    """

    data: LabelledLists
    metric: Metric
    mixed_reference: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    pull: float


@dataclass(frozen=True)
class RewardMargin:
    """What the loss sees the rewards less of, and what the rest is divided by; see `margin_reward`.

    Attributes
    ----------
    values : ndarray of shape (n,)
        One for each training row, grouped.
    weight : float
        The weight of the objective that is trained on.
    """

    values: NDArray[np.floating[Any]]
    weight: float

    def on(self, device: torch.device) -> Margin:
        """For training on a device."""
        return Margin(torch.from_numpy(self.values).to(device, torch.float32), self.weight)


def fit_reward_model(
    data: LabelledLists,
    plan: FitPlan,
    *,
    validation: Validation | None = None,
    list_weight: NDArray[np.float64] | None = None,
    draw_weights: Callable[[int], NDArray[np.float64]] | None = None,
    start: RewardModel | None = None,
    keep_boosters: bool = False,
    margin: RewardMargin | None = None,
    anchor: NDArray[np.float32] | None = None,
    progress: Callable[[RewardModel], TrainingProgress] | None = None,
    keep_on_interrupt: bool = False,
    checkpoint: Checkpoint | None = None,
) -> tuple[RewardModel, TrainingResult]:
    """Train a reward model.

    Parameters
    ----------
    data : LabelledLists
        Training rows.
    plan : FitPlan
        What to train and how.
    validation : Validation, optional
        Stops training by the hypervolume of its front.
    list_weight : ndarray of shape (n_lists,), optional
        How much each list counts.
    draw_weights : callable, optional
        ``n -> weights of shape (n, m)``; Dirichlet draws by default.
    start : RewardModel, optional
        Whose transform is kept, and whose network is what a copy of is trained on.
    keep_boosters : bool, default False
        Whether the boosters of `start` score the training rows, which they then must not have seen.
    margin : RewardMargin, optional
        What is taken off the rewards before the loss sees them.
    anchor : ndarray of shape (n, 1) or (n, m), optional
        Reference scores of the training rows in units of reward, where the plan has a range of temperatures.
    progress : callable, optional
        Makes of the model in training what its epochs are reported to.
    keep_on_interrupt : bool, default False
        Whether Ctrl-C in training ends it, rather than raising KeyboardInterrupt.
    checkpoint : Checkpoint, optional
        What was done before the interruption of this fit, and where it is kept.

    Returns
    -------
    RewardModel
    TrainingResult
    """
    rng = np.random.default_rng(plan.seed)
    checkpoint = checkpoint or Checkpoint()
    if start is not None and keep_boosters:
        boosters, inputs = start.boosters, start.inputs(data.X)
    else:
        boosters, inputs = _booster_inputs(data, plan, list_weight, checkpoint)
    with _threads(plan), _seeded(plan.seed, plan.device):
        if start is None:
            make = partial(_new_model, inputs, data.Y.shape[1], plan, boosters)
            model, rng.bit_generator.state = current().of_first(lambda: (make(rng), rng.bit_generator.state))
        else:
            model = start.copy(boosters)
        if not current().is_first:
            torch.manual_seed(plan.seed + current().rank)  # what is dropped differs between processes
        epochs = plan.settings.max_epochs
        result = train(
            model.network,
            training_tensors(model, inputs, data, plan, list_weight, margin, anchor),
            loss=plan.loss,
            settings=plan.settings,
            rng=rng,
            scale=_objective_scale(data, plan) if plan.normalize_objectives else None,
            draw_weights=draw_weights,
            evaluate=None if validation is None else _front_score(model, validation, plan.temperature_range),
            progress=progress(model)
            if progress
            else TrainingProgress(epochs, verbose=plan.verbose, score_name="hypervolume"),
            keep_on_interrupt=keep_on_interrupt,
            checkpoint=checkpoint,
        )
    return model, result


def _booster_inputs(
    data: LabelledLists, plan: FitPlan, list_weight: NDArray[np.float64] | None, checkpoint: Checkpoint
) -> tuple[BoosterSet, FeatureRows]:
    """Boosters for serving, and the features with scores of boosters that have not seen their query."""
    if not plan.booster_inputs:
        return BoosterSet([]), data.X
    options: dict[str, Any] = {
        "objectives": range(data.Y.shape[1]),
        "params": plan.booster_params,
        "seed": plan.seed,
        "list_weight": list_weight,
        "n_jobs": plan.n_jobs,
    }

    def grown() -> tuple[NDArray[np.float64], BoosterSet]:
        X = np.asarray(data.X)
        scores = cross_fitted_scores(X, data.Y, data.lists, **options)
        return scores, BoosterSet.of(fit_boosters(X, data.Y, data.lists, **options))

    scores, boosters = checkpoint.phase("booster_inputs", lambda: current().of_first(grown))
    return boosters, with_columns(data.X, scores)


def _new_model(
    inputs: FeatureRows,
    n_objectives: int,
    plan: FitPlan,
    boosters: BoosterSet,
    rng: np.random.Generator,
) -> RewardModel:
    """A transform fitted to the inputs, and a network that knows nothing yet."""
    if plan.frozen is not None:
        known = plan.frozen.network.with_prompts(n_objectives, plan.n_prompts, plan.dropout)
        return ListRewardModel(
            copy.deepcopy(plan.frozen.transform).to(plan.device),
            known.to(plan.device),
            plan.device,
            boosters=boosters,
            query_standardize=plan.frozen.query_standardize,
        )
    transform = fit_transform_module(inputs, plan.transform, rng=rng).to(plan.device)
    n_features = transform.n_out * (2 if plan.query_standardize else 1)
    shared: dict[str, Any] = {"hidden": plan.hidden, "dropout": plan.dropout}
    options: dict[str, Any] = {"boosters": boosters, "query_standardize": plan.query_standardize}
    if plan.network == "transformer":
        shared |= {"n_prompts": plan.n_prompts, "alone": plan.alone}
        transformer = ListTransformer(n_features, n_objectives, **shared).to(plan.device)
        return ListRewardModel(transform, transformer, plan.device, **options)
    shared |= {"conditioning": plan.conditioning, "n_more": 0 if plan.temperature_range is None else 1}
    network = ConditionedScorer(n_features, n_objectives, **shared).to(plan.device)
    return RewardModel(transform, network, plan.device, **options)


def _objective_scale(data: LabelledLists, plan: FitPlan) -> Tensor:
    """Each objective's loss under the reference, where all rewards are 0; 1 where it has none."""
    evenly = np.arange(data.lists.n_lists)[:: max(1, data.lists.n_rows // SCALE_ROWS)]
    rows, lists = data.lists.take(evenly)
    labels = torch.from_numpy(data.Y[rows]).to(plan.device)
    offsets = torch.from_numpy(lists.offsets).to(plan.device)
    zeros = torch.zeros(len(labels), device=plan.device)
    under_reference = plan.loss(zeros, labels, offsets, reduction="none").mean(dim=0)
    return torch.where(under_reference > 0, under_reference, torch.ones_like(under_reference))


def _front_score(
    model: RewardModel, validation: Validation, trained: tuple[float, float] | None
) -> Callable[[torch.nn.Module], float]:
    """Hypervolume of the validation front, as a function of the network in training.

    Where the network knows the temperature: the mean over the ends and the middle of its range.
    """
    data = validation.data
    inputs, is_alone = model.inputs(data.X), current().size == 1
    stays = isinstance(inputs, MappedRows) or not data.lists.n_lists
    features = None if stays else model.features(inputs, data.lists)
    weights = lattice_near(data.Y.shape[1], VALIDATION_WEIGHTS)
    reference = validation.mixed_reference(weights)
    temperatures = [1.0] if trained is None else np.geomspace(*trained, 3).tolist()

    def hypervolume_at(temperature: float) -> float:
        if not data.lists.n_lists:  # other processes have the few lists that there are
            return hypervolume_of(np.empty((0, *weights.shape)))
        beside = weights if trained is None else beside_weights(weights, temperature, trained)
        pull = temperature * validation.pull
        if features is None:
            rewards = model.rewards(data.X, data.lists.in_place, beside)
        else:
            at = torch.from_numpy(beside).to(model.device, torch.float32)
            with one_thread_each() as n_threads:
                rewards = model.scores(features, data.lists.in_place, at, n_threads).cpu().numpy()
        scores = reference + pull * rewards
        values = validation.metric(scores, data.Y, qid=data.lists.in_place, per_query=not is_alone)
        return hypervolume_of(values)

    def hypervolume_of(values: NDArray[np.float64]) -> float:
        points = np.atleast_2d(values if is_alone else mean_over_lists(values))
        known = ~np.isnan(points).all(axis=0)
        return current().of_first(lambda: hypervolume(points[:, known]) if known.any() else 0.0)

    return lambda _: float(np.mean([hypervolume_at(t) for t in temperatures]))


@contextmanager
def _threads(plan: FitPlan) -> Iterator[None]:
    """One torch thread for small batches on a CPU, and as many as before afterwards.

    Two threads gained nothing on an idle machine at 1,024 documents a step (3.7 s against 3.3 s of one
    thread), and took ten times as long where other processes kept the cores busy.
    """
    before = torch.get_num_threads()
    is_small = plan.settings.batch_docs <= SMALL_BATCH
    if plan.device.type == "cpu":
        torch.set_num_threads(1 if is_small else threads(before))
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's generators seeded for a while, and as before afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
