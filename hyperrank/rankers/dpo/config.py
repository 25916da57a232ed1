"""Constructor options of the network rankers, checked and resolved before any training starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from hyperrank._checks import _as_tuple, _check_choice, check_number
from hyperrank.boosters.search import is_search
from hyperrank.files import storable
from hyperrank.losses import ListLoss, named_loss
from hyperrank.metrics import parse_metric
from hyperrank.networks import CONDITIONINGS, NETWORKS
from hyperrank.networks.feature_transforms import TRANSFORMS
from hyperrank.rankers.dpo.reward_model import ListRewardModel
from hyperrank.training import (
    TrainingSettings,
)
from hyperrank.training.temperature import check_range

__all__ = ["FitPlan", "Trial", "automatic_epochs", "network_plan", "resolve_device"]


@dataclass(frozen=True)
class FitPlan:
    """What is to be trained, all options resolved.

    Attributes
    ----------
    settings : TrainingSettings
    loss : callable
    hidden, conditioning, dropout
        Of the network.
    transform, query_standardize
        Of the features.
    booster_inputs : bool
        Whether cross-fitted booster scores join the features.
    booster_params : mapping or None
    normalize_objectives : bool
    seed : int
    n_jobs : int or None
    device : torch.device
    verbose : int
    temperature_range : tuple of two floats, optional
        Temperatures that the network is trained at and told of; None for one that knows none.
    network : {"mlp", "transformer"}
    n_prompts : int
        Prompt vectors of a transformer.
    alone : bool
        Whether each document is a list of its own to a transformer.
    frozen : ListRewardModel, optional
        Whose transform and transformer are kept as they are, under new prompts.
    """

    settings: TrainingSettings
    loss: ListLoss
    hidden: tuple[int, ...]
    conditioning: str
    dropout: float
    transform: str
    query_standardize: bool
    booster_inputs: bool
    booster_params: Mapping[str, Any] | None
    normalize_objectives: bool
    seed: int
    n_jobs: int | None
    device: torch.device
    verbose: int
    temperature_range: tuple[float, float] | None = None
    network: str = "mlp"
    n_prompts: int = 4
    alone: bool = False
    frozen: ListRewardModel | None = None

    def for_trial(self, max_epochs: int) -> FitPlan:
        """The same for a network conditioned on weights alone that nothing stops, in silence."""
        return replace(
            self,
            settings=replace(self.settings, max_epochs=max_epochs, patience=None),
            conditioning="film" if self.conditioning == "none" else self.conditioning,
            verbose=0,
            temperature_range=None,
        )


def list_loss(name: str, *, gain: str, top_k: int | None, ties: str) -> ListLoss:
    """Bind the options of a named loss.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    return named_loss(name, gain=gain, top_k=top_k, ties=ties)


def automatic_epochs(n_rows: int) -> int:
    """Epochs for a data set of this size: 15 at 8,000 rows, falling with the fourth root of the size.

    Small data need many passes for enough steps; large ones see more in each. Measured on samples of
    MSLR and MQ2008; where a network learns more, a trial finds out and makes it several times as many.
    """
    return int(np.clip(round(15 * (8_000 / max(n_rows, 1)) ** 0.25), 4, 20))


@storable
@dataclass(frozen=True)
class Trial:
    r"""What was chosen on held-out lists.

    Attributes
    ----------
    dropout : float
    max_epochs : int
        Of the rung chosen, for the whole fit.
    pull : float
        What the default pull, 1 / beta, is multiplied by.
    tried : list of dict
        For each rung and pull: ``dropout``, ``epochs`` (of the trial), ``pull``, and ``utility``, the
        mean over held-out lists and trade-offs of :math:`\sum_j w_j M_j`. A pull of inf is the network alone.
    """

    dropout: float
    max_epochs: int
    pull: float
    tried: list[dict[str, float]]


#: What "auto" stands for, by network; benchmarks/results/ledger.md says what was compared.
LEARNING_RATES = {"mlp": 8e-3, "transformer": 2e-3}
DROPOUTS = {"mlp": 0.5, "transformer": 0.3}


def network_plan(
    estimator: Any, n_rows: int, n_lists: int, *, conditioning: str, seed: int, stops: bool
) -> FitPlan:
    """Resolve an estimator's options into a plan.

    Parameters
    ----------
    estimator : HyperDPORanker or LinearScalarizationRanker
        Whose parameters are read.
    n_rows : int
        Training rows, from which ``"auto"`` epochs and batches follow.
    n_lists : int
        Training lists; one alone has nothing to be standardised within.
    conditioning : str
        Of the network.
    seed : int
        For everything random.
    stops : bool
        Whether there is a validation front to stop by.

    Raises
    ------
    ValueError
        If an option is unknown or out of range.
    """
    _check_choice("conditioning", conditioning, CONDITIONINGS)
    _check_choice("feature_transform", estimator.feature_transform, TRANSFORMS)
    _check_choice("gain", estimator.gain, ("exp2", "linear"))
    _check_choice("ties", estimator.ties, ("random", "average", "rating"))
    parse_metric(estimator.metric)
    is_search(estimator.booster_params)
    within = estimator.query_standardize
    _check_choice("query_standardize", within, (True, False, "auto"))
    hidden = tuple(
        int(check_number("hidden", width, at_least=1, whole=True)) for width in _as_tuple(estimator.hidden)
    )
    if not hidden:
        raise ValueError("hidden must name at least one layer, such as (128, 128).")
    if estimator.top_k is not None:
        check_number("top_k", estimator.top_k, at_least=1, whole=True)
    epochs = estimator.max_epochs
    if epochs == "auto":
        epochs = automatic_epochs(n_rows)
    batch_docs = estimator.batch_docs
    if batch_docs == "auto":
        batch_docs = 1024 if n_rows < 200_000 else 8192
    network, frozen = resolve_network(getattr(estimator, "network", "mlp"))
    if network == "transformer":
        _check_transformer(estimator, hidden, frozen)
        n_prompts = int(check_number("n_prompts", estimator.n_prompts, at_least=1, whole=True))
    rate = LEARNING_RATES[network] if estimator.learning_rate == "auto" else estimator.learning_rate
    settings = TrainingSettings(
        max_epochs=int(check_number("max_epochs", epochs, at_least=1, whole=True, or_auto=True)),
        batch_docs=int(check_number("batch_docs", batch_docs, at_least=1, whole=True, or_auto=True)),
        learning_rate=check_number("learning_rate", rate, above=0, or_auto=True),
        weight_decay=check_number("weight_decay", estimator.weight_decay, at_least=0),
        average_decay=check_number("average_decay", estimator.average_decay, at_least=0, below=1),
        n_draws=int(check_number("n_draws", estimator.n_draws, at_least=1, whole=True)),
        alpha=check_number("alpha", estimator.alpha, above=0),
        patience=int(check_number("patience", estimator.patience, at_least=1, whole=True)) if stops else None,
    )
    return FitPlan(
        settings=settings,
        loss=list_loss(estimator.loss, gain=estimator.gain, top_k=estimator.top_k, ties=estimator.ties),
        hidden=hidden,
        conditioning=conditioning,
        dropout=DROPOUTS[network]
        if estimator.dropout == "auto"
        else check_number("dropout", estimator.dropout, at_least=0, below=1, or_auto=True),
        transform=estimator.feature_transform,
        query_standardize=(n_lists > 1 if within == "auto" else bool(within))
        if frozen is None
        else frozen.query_standardize,
        booster_inputs=bool(estimator.booster_inputs),
        booster_params=estimator.booster_params,
        normalize_objectives=bool(estimator.normalize_objectives),
        seed=seed,
        n_jobs=estimator.n_jobs,
        device=resolve_device(estimator.device),
        verbose=int(estimator.verbose),
        temperature_range=check_range(
            getattr(estimator, "temperature_range", None),
            loss=estimator.loss,
            reference=getattr(estimator, "reference", None),
        ),
        network=network,
        n_prompts=n_prompts if network == "transformer" else 0,
        # One list has nothing to teach about lists.
        alone=n_lists == 1,
        frozen=frozen,
    )


def resolve_network(network: Any) -> tuple[str, ListRewardModel | None]:
    """The kind of a network, and the model whose transformer is kept, if a fitted ranker was given.

    Raises
    ------
    ValueError
        If it is neither a kind nor a fitted ranker with a transformer.
    """
    if isinstance(network, str):
        _check_choice("network", network, NETWORKS)
        return network, None
    model = getattr(network, "model_", None)
    if not isinstance(model, ListRewardModel):
        unfitted = ""
        if model is None and hasattr(network, "fit"):
            # scikit-learn's clone, as searches call it, copies rankers without what they learnt.
            unfitted = ", which is not fitted: fit it, and wrap it in FrozenEstimator against clone"
        raise ValueError(
            f"network must be one of {NETWORKS} or a fitted ranker of network='transformer'; "
            f"got {type(network).__name__}{unfitted}."
        )
    if model.boosters:
        raise ValueError(
            "network is a ranker with booster_inputs, whose boosters have seen its training rows."
        )
    return "transformer", model


def _check_transformer(estimator: Any, hidden: tuple[int, ...], frozen: ListRewardModel | None) -> None:
    """Refuse options that a transformer does not know, or not otherwise than one that is kept."""
    if estimator.temperature_range is not None:
        raise ValueError("temperature_range needs network='mlp': prompts know the weights alone.")
    if len(set(hidden)) != 1:
        raise ValueError(f"hidden must be one width for all layers of a transformer; got {hidden}.")
    if frozen is None:
        return
    if estimator.booster_inputs:
        raise ValueError("booster_inputs must be False where network is a fitted ranker.")
    wanted, given = estimator.network.n_features_in_, estimator.n_features_in_
    if wanted != given:
        raise ValueError(f"network was fitted on {wanted} features; X has {given}.")


def resolve_device(device: Any) -> torch.device:
    """The device to train on: ``"auto"`` takes a GPU where there is one.

    Of several processes that train together each takes the GPU that `joined` has set for it.

    Raises
    ------
    ValueError
        If torch knows no such device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device must be 'auto' or one that torch knows, such as 'cpu'; got {device!r}."
        ) from error
