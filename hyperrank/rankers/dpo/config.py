"""Configuration of a fit: constructor parameters, checked and resolved before any training starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

import numpy as np
import torch

from hyperrank._checks import check_choice, check_n_jobs, check_number, check_random_state, check_verbose
from hyperrank.boosters.search import BoosterSearch
from hyperrank.boosters.training import is_search
from hyperrank.files import storable
from hyperrank.losses import ListLoss, ListNet, get_loss
from hyperrank.metrics import Metric, parse_metric
from hyperrank.networks import MLP, Transformer, get_network
from hyperrank.networks.feature_transforms import TRANSFORMS
from hyperrank.rankers.data import FitInputs, LabelledLists, hold_out
from hyperrank.rankers.dpo.reward_model import ListRewardModel
from hyperrank.rankers.inputs import resolve_objective
from hyperrank.reference.fit import (
    check_reference,
    is_fitted_here,
    resolve_reference,
    stand_in,
    trains_boosters,
)
from hyperrank.reference.per_objective import GivenScorers
from hyperrank.training import StoppingRule, TradeOffs, TrainingSettings, resolve_stopping
from hyperrank.training.options import TemperatureRange, get_optimizer, get_trade_offs

#: Lists from which on some are held out for early stopping, unless told otherwise. With fewer, what they
#: would teach is worth more than a noisy validation front: on MQ2008's 627 queries 0.6% of hypervolume.
MIN_LISTS_TO_HOLD_OUT = 1000

#: Rounds at most of the ranking boosters of pairs that are tuned: they take several times as long as
#: regressions, and gain less by more.
MAX_RANKING_ROUNDS = 200


class Phase(StrEnum):
    """Phases of a fit that its checkpoint stores the results of."""

    BOOSTER_SEARCH = "booster_search"
    TUNING = "tuning"
    TUNING_BOOSTERS = "tuning: boosters"
    TUNING_REFERENCE = "tuning: reference"
    REFERENCE = "reference"
    REWARD_SCALE = "reward_scale"
    REFERENCE_LOGITS = "reference_logits"


def tuning_phase(max_epochs: int) -> str:
    """Name of the part of `Phase.TUNING` that trains for a number of epochs."""
    return f"{Phase.TUNING}: {max_epochs} epochs"


@storable
@dataclass(frozen=True)
class Tuning:
    """What was tried and chosen on held-out lists.

    Attributes
    ----------
    dropout, max_epochs, reward_scale_factor
        Chosen for the network; the factor is on the default reward scale.
    candidates : list of dict
        Networks that were tried: ``dropout``, ``epochs``, ``reward_scale_factor`` (inf is the network
        alone), and ``utility``, the mean over held-out lists and trade-offs of the weighted metrics.
    reference : str or None
        Chosen in the place of ``"booster_pairs"``, where that was asked for.
    booster_params : dict
        Chosen for the boosters of the reference; empty for the default ones.
    booster_candidates : list of dict
        Parameters of boosters that were tried, and ``utility``.
    reference_utility : float or None
        That of the reference alone; None where it is not known.
    """

    dropout: float
    max_epochs: int
    reward_scale_factor: float
    candidates: list[dict[str, float]]
    reference: str | None = None
    booster_params: dict[str, Any] = field(default_factory=dict)
    booster_candidates: list[dict[str, Any]] = field(default_factory=list)
    reference_utility: float | None = None


@dataclass(frozen=True)
class FitConfig:
    """What is to be fitted and how, all parameters resolved."""

    reference: Any
    reference_objective: int
    beta: float | None
    loss: ListLoss
    metric: Metric
    network: MLP | Transformer
    pretrained: ListRewardModel | None
    is_one_list: bool
    training: TrainingSettings
    feature_transform: str
    query_standardize: bool
    booster_params: Mapping[str, Any] | None
    normalize_objectives: bool
    temperature_range: TemperatureRange | None
    tunes_boosters: bool
    tunes_capacity: bool
    tunes_epochs: bool
    tunes_reward_scale: bool
    validation_fraction: float | None
    seed: int
    n_jobs: int | None
    device: torch.device
    verbose: int
    #: Number of categories of each categorical feature, by its position.
    categories: Mapping[int, int]
    #: Of pairs whose parameters were tuned.
    max_ranking_rounds: int | None = None
    booster_search: BoosterSearch | None = None
    tuning: Tuning | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any], inputs: FitInputs) -> Self:
        """Resolve the parameters of a ranker."""
        data = inputs.training
        reference = resolve_reference(params["reference"], data.names, data.frame)
        n_rows, n_lists = len(data.X), data.lists.n_lists
        inputs.check_ref_scores(check_reference(reference))
        check_scorers(reference, data)
        reference_objective = resolve_objective(params["reference_objective"], data.names)
        beta, metric = params["beta"], parse_metric(params["metric"])
        check_choice("feature_transform", params["feature_transform"], TRANSFORMS)
        searches = is_search(params["booster_params"])
        query_standardize = params["query_standardize"]
        check_choice("query_standardize", query_standardize, (True, False, "auto"))
        loss, trade_offs = get_loss(params["loss"]), get_trade_offs(params["trade_offs"])._resolve()
        options = get_network(params["network"])
        network, pretrained = resolve_network(options, data.X.shape[1], n_lists)
        if trade_offs.temperature_range is not None:
            check_knows_temperature(loss, reference, network)
        if pretrained is not None:
            query_standardize = pretrained.query_standardize
        elif query_standardize == "auto":
            query_standardize = n_lists > 1
        stopping, validation_fraction = resolve_early_stopping(params["early_stopping"], inputs)
        tuning = params.get("tuning", True)  # rankers that are compared with it always tune
        check_choice("tuning", tuning, (True, False))
        check_choice("normalize_objectives", params["normalize_objectives"], (True, False))
        is_named_boosters = isinstance(stand_in(reference), str) and trains_boosters(reference)
        return cls(
            reference=reference,
            reference_objective=reference_objective,
            beta=None if beta == "auto" else check_number("beta", beta, above=0, or_auto=True),
            loss=loss,
            metric=metric,
            network=network,
            pretrained=pretrained,
            is_one_list=n_lists == 1,
            training=resolve_training(params, n_rows, network, trade_offs, stopping),
            feature_transform=params["feature_transform"],
            query_standardize=bool(query_standardize),
            booster_params=None if searches else params["booster_params"],
            normalize_objectives=bool(params["normalize_objectives"]),
            temperature_range=trade_offs.temperature_range,
            tunes_boosters=searches and trains_boosters(reference),
            tunes_capacity=tuning and params["booster_params"] is None and is_named_boosters,
            tunes_epochs=tuning and options.dropout == "auto" and params["max_epochs"] == "auto",
            # Scores of a model fitted elsewhere may be in-sample, and then better than they will be.
            tunes_reward_scale=tuning and beta == "auto" and is_fitted_here(stand_in(reference)),
            validation_fraction=validation_fraction,
            seed=int(check_random_state(params["random_state"]).randint(2**31 - 1)),
            n_jobs=check_n_jobs(params["n_jobs"]),
            device=resolve_device(params["device"]),
            verbose=check_verbose(params["verbose"]),
            categories=inputs.categories,
        )

    def with_booster_search(self, search: BoosterSearch) -> Self:
        """The booster parameters that a search found."""
        return replace(self, booster_params=search.params, booster_search=search, tunes_boosters=False)

    def with_tuning(self, tuning: Tuning) -> Self:
        """What tuning chose but for the reward scale, which `FittedReference` applies."""
        return replace(
            self,
            reference=self._reference_of(tuning),
            booster_params=tuning.booster_params or self.booster_params,
            max_ranking_rounds=MAX_RANKING_ROUNDS if tuning.booster_params else None,
            network=replace(self.network, dropout=tuning.dropout),
            training=replace(self.training, max_epochs=tuning.max_epochs),
            tuning=tuning,
        )

    def _reference_of(self, tuning: Tuning) -> Any:
        """The reference, of the boosters that tuning chose."""
        if tuning.reference is None:
            return self.reference
        if isinstance(self.reference, GivenScorers):
            return replace(self.reference, boosters=tuning.reference)
        return tuning.reference

    def for_tuning(self, n_rows: int) -> Self:
        """Of a network conditioned on weights alone that nothing stops early."""
        network = self.network
        if isinstance(network, MLP) and network.conditioning == "none":
            network = replace(network, conditioning=MLP().conditioning)
        max_epochs = automatic_epochs(n_rows) if self.tunes_epochs else self.training.max_epochs
        return replace(
            self,
            reference=stand_in(self.reference),
            network=network,
            training=replace(self.training, max_epochs=max_epochs, stopping=None),
            temperature_range=None,
        )

    def for_epochs(self, max_epochs: int) -> Self:
        """The same for another number of epochs."""
        return replace(self, training=replace(self.training, max_epochs=max_epochs))

    def hold_out(self, inputs: FitInputs) -> FitInputs:
        """The inputs with lists for early stopping, held out of those to train on unless some were given."""
        if self.training.stopping is None:
            return replace(inputs, validation=None)
        share = self.validation_fraction
        return inputs if share is None else hold_out(inputs, share, self.seed)

    def continuing(self, trained: TemperatureRange | None) -> Self:
        """The same for a network that was trained at a range of temperatures before, or at none."""
        if trained is not None and not isinstance(self.loss, ListNet):
            raise ValueError(
                f"the last fit had temperature_range={trained}, which needs loss='listnet' to continue; "
                f"got loss={self.loss!r}."
            )
        return replace(self, temperature_range=trained)


def unconditioned(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a ranker of several unconditioned networks, as those of `HyperDPORanker`."""
    network = get_network(params["network"])
    if not isinstance(network, MLP):
        raise ValueError(f"network must be 'mlp' or an MLP, which sees no weights here; got {network!r}.")
    # A network that ignores the weights gains nothing by more draws of the same ones.
    return {**params, "network": replace(network, conditioning="none"), "trade_offs": TradeOffs(n_draws=1)}


def check_scorers(reference: Any, data: LabelledLists) -> None:
    """Refuse scorers of a mapping that cannot score the first list, before minutes of training."""
    if isinstance(reference, GivenScorers):
        first = data.take(np.zeros(1, dtype=np.int64))
        for scorer in reference.scorers.values():
            if not scorer.needs_scores:
                first.reference_scores(scorer)


def check_knows_temperature(loss: ListLoss, reference: Any, network: MLP | Transformer) -> None:
    """Refuse a range of temperatures where loss, reference or network have no temperature to know."""
    if not isinstance(network, MLP):
        raise ValueError("temperature_range needs network='mlp': prompts know the weights alone.")
    if not isinstance(loss, ListNet):
        raise ValueError(f"temperature_range needs loss='listnet'; got loss={loss!r}.")
    if reference is None:
        raise ValueError(
            "temperature_range needs a reference: without one, scores are the same at every temperature "
            "up to a factor; got reference=None."
        )


def automatic_epochs(n_rows: int) -> int:
    """Epochs for a data set of this size: 15 at 8,000 rows, falling with the fourth root of the size.

    Small data need many passes for enough steps; large ones see more in each. Measured on samples of
    MSLR and MQ2008; where a network learns more, tuning finds out and makes it several times as many.
    """
    return int(np.clip(round(15 * (8_000 / max(n_rows, 1)) ** 0.25), 4, 20))


def resolve_training(
    params: Mapping[str, Any],
    n_rows: int,
    network: MLP | Transformer,
    trade_offs: TradeOffs,
    stopping: StoppingRule | None,
) -> TrainingSettings:
    """Settings of the training loop."""
    epochs = params["max_epochs"]
    if epochs == "auto":
        epochs = automatic_epochs(n_rows)
    optimizer = get_optimizer(params["optimizer"])._resolve(n_rows, network.auto_learning_rate)
    return TrainingSettings(
        max_epochs=int(check_number("max_epochs", epochs, at_least=1, whole=True, or_auto=True)),
        **optimizer.get_params(),
        n_draws=trade_offs.n_draws,
        alpha=trade_offs.alpha,
        stopping=stopping,
    )


def resolve_early_stopping(
    early_stopping: Any, inputs: FitInputs
) -> tuple[StoppingRule | None, float | None]:
    """The rule that stops training and the share of the lists to hold out for it, each None for none."""
    rule, fraction = resolve_stopping(early_stopping)
    n_lists = inputs.training.lists.n_lists
    if rule is None or inputs.validation is not None:
        return rule, None
    if early_stopping == "auto" and n_lists < MIN_LISTS_TO_HOLD_OUT:
        return None, None
    if n_lists < 2:
        raise ValueError(
            "early_stopping=True needs X_val, or at least 2 queries to hold one out; "
            f"qid names {n_lists}, of {inputs.training.lists.n_rows} sample(s)."
        )
    return rule, fraction


def resolve_network(
    network: MLP | Transformer, n_features: int, n_queries: int
) -> tuple[MLP | Transformer, ListRewardModel | None]:
    """A network with its options checked, and the model whose transformer is kept, if any."""
    pretrained = network.pretrained if isinstance(network, Transformer) else None
    if isinstance(network, MLP):
        return network.resolve(n_queries), None
    if pretrained is None:
        return network.resolve(), None
    model = getattr(pretrained, "model_", None)
    if not isinstance(model, ListRewardModel):
        unfitted = ""
        if model is None and hasattr(pretrained, "fit"):
            # scikit-learn's clone, as searches call it, copies rankers without what they learnt.
            unfitted = ", which is not fitted: fit it, and wrap it in FrozenEstimator against clone"
        raise ValueError(
            "pretrained must be a fitted ranker of network='transformer'; got "
            f"{type(pretrained).__name__}{unfitted}."
        )
    expected = pretrained.n_features_in_
    if expected != n_features:
        raise ValueError(f"pretrained was fitted on {expected} features; X has {n_features}.")
    return replace(network, hidden=model.network.hidden).resolve(), model


def resolve_device(device: Any) -> torch.device:
    """The device to train on: ``"auto"`` takes a GPU where there is one.

    Of several processes that train together each takes the GPU that `process_group` has set for it.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.ones(1, device=resolved).cpu()
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].rstrip(".") if isinstance(device, str | torch.device) else ""
        raise ValueError(
            f"device must be 'auto' or one that torch can use here, such as 'cpu'; got {device!r}"
            f"{f' ({reason})' if reason else ''}."
        ) from error
    return resolved
