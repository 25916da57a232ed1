"""Training of a reward model: transform, network, loop, early stopping."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperrank._environment import NewTensors, isolated, own_threads
from hyperrank._progress import ProgressBar
from hyperrank.lists import QueryLists
from hyperrank.losses import ListLoss
from hyperrank.memmap import FeatureRows, MappedRows, take_rows
from hyperrank.metrics import hypervolume
from hyperrank.networks import ConditionedScorer, ListTransformer, Transformer
from hyperrank.networks.feature_transforms import fit_transform_module
from hyperrank.rankers.data import FitInputs, LabelledLists, few_rows
from hyperrank.rankers.dpo.config import FitConfig, Phase
from hyperrank.rankers.dpo.reference import FittedReference, reference_logits
from hyperrank.rankers.dpo.reward_model import ListRewardModel, RewardModel, one_thread_each
from hyperrank.reference.base import mix
from hyperrank.simplex import corners, lattice_near
from hyperrank.training import (
    Checkpoint,
    FeaturesOf,
    ListTensors,
    Margin,
    ReferenceLogits,
    ShardedLists,
    TrainingResult,
    train,
    with_generator,
)
from hyperrank.training.distributed import SingleProcess
from hyperrank.training.options import condition_weights

#: Trade-offs at which the validation front is measured in training.
VALIDATION_WEIGHTS = 21
#: Documents per batch up to which steps are too short for several threads to help.
SMALL_BATCH = 2048
#: Lists of more documents are split at random: more steps, and less memory.
LONGEST_LIST = 2048
#: Rows, about, that the losses under the reference are estimated from.
SCALE_ROWS = 200_000

#: Called after each epoch with the model and what is known of the epoch; True stops training.
OnEpoch = Callable[[RewardModel, dict[str, float]], bool]


@dataclass(frozen=True)
class TradeOffTask:
    """What an unconditioned network is trained for: one trade-off."""

    weights: NDArray[np.float64]
    metric_weights: NDArray[np.float64]
    margin: Margin | None = None

    def repeat(self, n: int) -> NDArray[np.float64]:
        """The weights of n draws, shape (n, m)."""
        return np.tile(self.weights, (n, 1))


@dataclass(frozen=True)
class ValidationScores:
    """Validation lists of this process, with the reference's scores of them."""

    data: LabelledLists
    reference: NDArray[np.float64]
    reward_scale: float

    @classmethod
    def of(
        cls, data: LabelledLists | None, fitted: FittedReference, processes: SingleProcess | None = None
    ) -> ValidationScores | None:
        """Score the validation lists that are this process's; None where there are none at all."""
        if data is None:
            return None
        if processes is not None and processes.size > 1:
            data = data.take(processes.shard(data.lists.sizes))
        scores = data.reference_scores(fitted.reference, 1.0) if len(data.X) else np.empty((0, 1))
        return cls(data, scores, fitted.reward_scale)


@isolated()
def train_reward_model(
    inputs: FitInputs,
    reference: FittedReference | None,
    config: FitConfig,
    checkpoint: Checkpoint | None = None,
    *,
    validation: ValidationScores | None = None,
    task: TradeOffTask | None = None,
    start: RewardModel | None = None,
    is_unseen: bool = False,
    keep_on_interrupt: bool = False,
    on_epoch: OnEpoch | None = None,
) -> tuple[RewardModel, TrainingResult]:
    """Train a reward model."""
    checkpoint = Checkpoint() if checkpoint is None else checkpoint
    processes, data = checkpoint.processes, inputs.training
    logits = None
    if config.temperature_range is not None and reference is not None:
        compute = partial(reference_logits, inputs, reference, config, is_unseen=is_unseen)
        with checkpoint.resuming():
            logits = checkpoint.on_rank_zero(Phase.REFERENCE_LOGITS, lambda _: compute())
            if len(logits) != len(data.X):
                raise ValueError(f"its {Phase.REFERENCE_LOGITS} are of {len(logits)} rows")
    rng = np.random.default_rng(config.seed)
    generator = torch.Generator().manual_seed(config.seed)
    parts = data.lists.split(LONGEST_LIST, np.random.default_rng([config.seed, 5]))
    with own_threads(_n_threads(config, processes)):
        if start is None:
            model, rng.bit_generator.state = processes.on_rank_zero(
                lambda: (
                    _new_model(data.X, data.Y.shape[1], config, rng, generator),
                    rng.bit_generator.state,
                )
            )
        else:
            model = start.copy()
        if not processes.is_rank_zero or config.device.type != "cpu":
            # What is dropped differs between processes.
            generator = torch.Generator(config.device).manual_seed(config.seed + processes.rank)
        loss = with_generator(config.loss, generator)
        tensors = _training_tensors(model, inputs, parts, config, processes, logits, task)
        evaluate = None
        if validation is not None:
            evaluate = FrontEvaluation(model, validation, data.names, config, task, processes)
        scale = _objective_scale(data.Y, parts, loss, config.device) if config.normalize_objectives else None
        with ProgressBar(
            config.training.max_epochs,
            verbose=config.verbose if processes.is_rank_zero else 0,
            unit="epoch",
            leave=True,
            done=len(checkpoint.history),
        ) as bar:
            result = train(
                model.network,
                tensors,
                loss=loss,
                settings=config.training,
                rng=rng,
                generator=generator,
                scale=scale,
                draw_weights=None if task is None else task.repeat,
                evaluate=evaluate,
                on_epoch=partial(_report, bar, model, on_epoch),
                keep_on_interrupt=keep_on_interrupt,
                checkpoint=checkpoint,
            )
    _refuse_divergence(model, data, config)
    return model, result


def _report(bar: ProgressBar, model: RewardModel, on_epoch: OnEpoch | None, entry: dict[str, float]) -> bool:
    """Show an epoch, and ask the caller whether training stops."""
    bar.show_epoch(entry)
    return on_epoch is not None and on_epoch(model, entry)


def _refuse_divergence(model: RewardModel, data: LabelledLists, config: FitConfig) -> None:
    """Refuse to serve a network whose rewards are not finite."""
    m, sample = data.Y.shape[1], few_rows(data, config.seed)
    probes = np.vstack([corners(m), np.full((1, m), 1 / m)])
    condition = condition_weights(probes, 1.0, config.temperature_range)
    if not np.isfinite(model.rewards(sample.X, sample.lists, condition)).all():
        raise FloatingPointError(
            "training diverged: the network's scores of training rows are not finite. Lower the learning "
            "rate, or look for extreme labels or features."
        )


def _training_tensors(
    model: RewardModel,
    inputs: FitInputs,
    parts: QueryLists,
    config: FitConfig,
    processes: SingleProcess,
    logits: NDArray[np.float32] | None,
    task: TradeOffTask | None,
) -> ListTensors | ShardedLists:
    """What this process trains on: all lists, or its shard of those that several train on together."""
    data, weight, device = inputs.training, inputs.list_weight, config.device
    X, lists, seen = data.X, parts, data.lists
    weight = None if weight is None else weight[parts.ids]
    mean = 1.0 if weight is None else max(float(weight.mean()), float(np.finfo(np.float32).tiny))
    rows: Any = slice(None)
    if processes.size > 1:
        shard = processes.shard(parts.sizes)
        rows, lists = parts.take(shard)
        rows, seen = parts.order[rows], lists
        weight = None if weight is None else weight[shard]
        X = take_rows(X, rows)
    margin = None if task is None else task.margin
    if margin is not None:
        margin = Margin(margin.values[rows].to(device, torch.float32), margin.weight)
    reference = None
    if logits is not None and config.temperature_range is not None:
        reference = ReferenceLogits(torch.from_numpy(logits[rows]).to(device), *config.temperature_range)
    tensors = ListTensors(
        _network_inputs(model, X, seen),
        torch.from_numpy(data.Y[rows]).to(device),
        lists,
        None if weight is None else torch.from_numpy(weight).to(device, torch.float32),
        margin,
        reference,
    )
    if processes.size == 1:
        return tensors
    return ShardedLists(tensors, shard, parts, n_processes=processes.size, mean_weight=mean)


def _network_inputs(model: RewardModel, inputs: FeatureRows, lists: QueryLists) -> Tensor | FeaturesOf:
    """What the network sees of all rows; of rows in a file, what makes it of some."""
    if isinstance(inputs, MappedRows):
        return lambda rows, lists: _features(model, inputs[rows], lists)
    return _features(model, inputs, lists)


def _features(model: RewardModel, inputs: NDArray[np.float32], lists: QueryLists) -> Tensor:
    """What the network sees; of no list at all nothing, as wide as it would be."""
    if lists.n_lists:
        return model.features(inputs, lists)
    one = np.zeros((1, inputs.shape[1]), dtype=np.float32)
    return model.features(one, QueryLists.from_sizes([1]))[:0]


def _new_model(
    X: FeatureRows,
    n_objectives: int,
    config: FitConfig,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> RewardModel:
    """A transform fitted to the features, and an untrained network with parameters by the generator."""
    network, pretrained, device = config.network, config.pretrained, config.device
    if pretrained is not None and isinstance(network, Transformer):
        n_prompts, dropout = network.n_prompts, float(network.dropout)
        prompts = pretrained.network.with_prompts(n_objectives, n_prompts, dropout, generator)
        return ListRewardModel(
            copy.deepcopy(pretrained.transform).to(device),
            prompts.to(device),
            device,
            query_standardize=pretrained.query_standardize,
        )
    categories = [config.categories[j] for j in sorted(config.categories)]
    transform = fit_transform_module(X, config.feature_transform, rng=rng, categorical=config.categories).to(
        device
    )
    n_features = (transform.n_out - len(categories)) * (2 if config.query_standardize else 1)
    kind: type[RewardModel] = RewardModel
    module: ConditionedScorer | ListTransformer
    with NewTensors(generator):
        if isinstance(network, Transformer):
            kind, alone = ListRewardModel, config.is_one_list
            module = network.build(n_features, n_objectives, alone=alone, categories=categories)
        else:
            n_more = 0 if config.temperature_range is None else 1
            module = network.build(n_features, n_objectives, n_more=n_more, categories=categories)
    return kind(transform, module.to(device), device, query_standardize=config.query_standardize)


def _objective_scale(
    Y: NDArray[np.float32], parts: QueryLists, loss: ListLoss, device: torch.device
) -> Tensor:
    """Each objective's loss under the reference, where all rewards are 0; 1 where it has none."""
    evenly = np.arange(parts.n_lists)[:: max(1, parts.n_rows // SCALE_ROWS)]
    rows, lists = parts.take(evenly)
    labels = torch.from_numpy(Y[parts.order[rows]]).to(device)
    offsets = torch.from_numpy(lists.offsets).to(device)
    zeros = torch.zeros(len(labels), device=device)
    under_reference = loss(zeros, labels, offsets, reduction="none").mean(dim=0)
    return torch.where(under_reference > 0, under_reference, torch.ones_like(under_reference))


class FrontEvaluation:
    """Hypervolume of the validation front of a model in training, or its mean metric at one trade-off."""

    def __init__(
        self,
        model: RewardModel,
        validation: ValidationScores,
        names: tuple[str, ...],
        config: FitConfig,
        task: TradeOffTask | None,
        processes: SingleProcess,
    ) -> None:
        self.model, self.validation, self.names = model, validation, names
        self.config, self.processes = config, processes
        data, trained = validation.data, config.temperature_range
        m = data.Y.shape[1]
        self.is_scalar = task is not None
        self.weights = lattice_near(m, VALIDATION_WEIGHTS) if task is None else task.metric_weights[None]
        self.temperatures = (1.0,) if trained is None else tuple(np.geomspace(*trained, 3).tolist())
        self.reference = mix(validation.reference, self.weights)
        stays = isinstance(data.X, MappedRows) or not data.lists.n_lists
        self.features = None if stays else model.features(data.X, data.lists)

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """The score, and each objective's highest metric on the front; `network` is that of the model."""
        points = [self._points_at(temperature) for temperature in self.temperatures]
        known = ~np.isnan(points[0]).all(axis=0)
        best = np.mean([np.nanmax(some[:, known], axis=0) for some in points], axis=0)
        names = np.array(self.names, dtype=object)[known]
        metrics = {f"validation/{name}": float(value) for name, value in zip(names, best, strict=True)}
        return {"score": float(np.mean([self._score(some) for some in points])), **metrics}

    def _points_at(self, temperature: float) -> NDArray[np.float64]:
        """The metric at each trade-off, shape (k, m)."""
        data, is_alone = self.validation.data, self.processes.size == 1
        values = np.empty((0, *self.weights.shape))
        if data.lists.n_lists:  # or other processes have the few lists that there are
            scale = temperature * self.validation.reward_scale
            scores = self.reference + scale * self._rewards(temperature)
            values = self.config.metric(scores, data.Y, qid=data.lists.in_place, per_query=not is_alone)
        return np.atleast_2d(values if is_alone else self.processes.nanmean(values))

    def _rewards(self, temperature: float) -> NDArray[np.float32]:
        data = self.validation.data
        condition = condition_weights(self.weights, temperature, self.config.temperature_range)
        if self.features is None:
            return self.model.rewards(data.X, data.lists.in_place, condition)
        at = torch.from_numpy(condition).to(self.model.device, torch.float32)
        with one_thread_each() as n_threads:
            rewards = self.model.scores(self.features, data.lists.in_place, at, n_threads)
        return np.asarray(rewards.cpu().numpy())

    def _score(self, points: NDArray[np.float64]) -> float:
        """Hypervolume, or the weighted metric at the one trade-off."""
        known = ~np.isnan(points)
        if self.is_scalar:
            return float(np.where(known, points, 0.0)[0] @ self.weights[0])
        points = points[:, known.any(axis=0)]
        return self.processes.on_rank_zero(lambda: hypervolume(points) if points.size else 0.0)


def _n_threads(config: FitConfig, processes: SingleProcess) -> int:
    """One of torch's threads for small batches on a CPU, and as many as there are for others.

    Two threads gained nothing on an idle machine at 1,024 documents a step (3.7 s against 3.3 s of one
    thread), and took ten times as long where other processes kept the cores busy.
    """
    n_threads = torch.get_num_threads()
    if config.device.type != "cpu":
        return n_threads
    return 1 if config.training.batch_docs <= SMALL_BATCH else processes.threads(n_threads)
