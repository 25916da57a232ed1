"""Configuration of a fit: constructor parameters, checked and resolved before any training starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils import check_random_state

from hyperrank._checks import _as_tuple, _check_choice, check_number
from hyperrank.boosters.search import BoosterSearch, is_search
from hyperrank.files import storable
from hyperrank.losses import ListLoss, named_loss
from hyperrank.metrics import Metric, parse_metric
from hyperrank.networks import CONDITIONINGS, NETWORKS
from hyperrank.networks.feature_transforms import TRANSFORMS
from hyperrank.rankers.data import FitInputs
from hyperrank.rankers.dpo.reward_model import ListRewardModel, RewardModel
from hyperrank.rankers.inputs import resolve_objective
from hyperrank.reference import check_reference, is_fitted_here, trains_boosters
from hyperrank.training import TrainingSettings
from hyperrank.training.temperature import TemperatureRange, check_temperature_range

__all__ = [
    "UNCONDITIONED",
    "FitConfig",
    "NetworkConfig",
    "Phase",
    "Trial",
    "automatic_epochs",
    "resolve_device",
]

#: Parameters of `HyperDPORanker` that rankers of several unconditioned networks do not have.
UNCONDITIONED: Mapping[str, Any] = {
    "conditioning": "none",
    "network": "mlp",
    "temperature_range": None,
    "booster_inputs": False,
    # A network that ignores the weights gains nothing by more draws of the same ones.
    "n_draws": 1,
    "alpha": 1.0,
}
#: What "auto" stands for, by network; benchmarks/results/ledger.md says what was compared.
LEARNING_RATES = {"mlp": 8e-3, "transformer": 2e-3}
DROPOUTS = {"mlp": 0.5, "transformer": 0.3}
#: Lists from which on some are held out for early stopping, unless told otherwise. With fewer, what they
#: would teach is worth more than a noisy validation front: on MQ2008's 627 queries 0.6% of hypervolume.
MIN_LISTS_TO_HOLD_OUT = 1000


class Phase(StrEnum):
    """Phases of a fit that its checkpoint stores the results of."""

    BOOSTER_SEARCH = "booster_search"
    TUNING = "tuning"
    TUNING_REFERENCE = "tuning: reference"
    REFERENCE = "reference"
    REWARD_SCALE = "reward_scale"
    REFERENCE_LOGITS = "reference_logits"
    BOOSTER_INPUTS = "booster_inputs"


def tuning_phase(max_epochs: int) -> str:
    """Name of the part of `Phase.TUNING` that trains for a number of epochs."""
    return f"{Phase.TUNING}: {max_epochs} epochs"


@storable
@dataclass(frozen=True)
class Trial:
    r"""What was chosen on held-out lists.

    Attributes
    ----------
    dropout : float
    max_epochs : int
        Of the candidate chosen, for the whole fit.
    pull : float
        What the default reward scale, that of 1 / beta, is multiplied by.
    tried : list of dict
        For each candidate: ``dropout``, ``epochs`` (of tuning), ``pull``, and ``utility``, the mean over
        held-out lists and trade-offs of :math:`\sum_j w_j M_j`. A pull of inf is the network alone.
    """

    dropout: float
    max_epochs: int
    pull: float
    tried: list[dict[str, float]]


@dataclass(frozen=True)
class NetworkConfig:
    """A network to be trained.

    Attributes
    ----------
    kind : {"mlp", "transformer"}
    hidden : tuple of int
    conditioning : str
        Of an mlp.
    dropout : float
    n_prompts : int
        Prompt vectors of a transformer.
    alone : bool
        Whether each document is a list of its own to a transformer.
    frozen : ListRewardModel or None
        Whose transform and transformer stay as they are, under new prompts.
    """

    kind: str
    hidden: tuple[int, ...]
    conditioning: str
    dropout: float
    n_prompts: int
    alone: bool
    frozen: ListRewardModel | None

    @classmethod
    def from_params(cls, params: Mapping[str, Any], *, n_features: int, n_lists: int) -> Self:
        """Resolve the parameters ``network``, ``hidden``, ``conditioning``, ``dropout`` and ``n_prompts``.

        Raises
        ------
        ValueError
            If one is unknown, out of range, or none that the network has.
        """
        _check_choice("conditioning", params["conditioning"], (*CONDITIONINGS,))
        hidden = tuple(
            int(check_number("hidden", width, at_least=1, whole=True))
            for width in _as_tuple(params["hidden"])
        )
        if not hidden:
            raise ValueError("hidden must name at least one layer, such as (128, 128).")
        kind, frozen = resolve_network(params["network"])
        n_prompts = 0
        if kind == "transformer":
            _check_transformer(params, hidden, frozen, n_features)
            n_prompts = int(check_number("n_prompts", params["n_prompts"], at_least=1, whole=True))
        return cls(
            kind=kind,
            hidden=hidden,
            conditioning=params["conditioning"],
            dropout=DROPOUTS[kind]
            if params["dropout"] == "auto"
            else check_number("dropout", params["dropout"], at_least=0, below=1, or_auto=True),
            n_prompts=n_prompts,
            # One list has nothing to teach about lists.
            alone=n_lists == 1,
            frozen=frozen,
        )


@dataclass(frozen=True)
class FitConfig:
    """What is to be fitted and how, all parameters resolved.

    Attributes
    ----------
    reference : None, str or model
        As `HyperDPORanker` documents it.
    reference_objective : int
        Position of the objective that the reference ranker is for.
    beta : float or None
        None for the default of the reference.
    loss : callable
    metric : Metric
        What early stopping and tuning measure.
    network : NetworkConfig
    training : TrainingSettings
        Of the loop; its ``patience`` is None where nothing stops training early.
    feature_transform : str
    query_standardize : bool
    booster_inputs : bool
        Whether cross-fitted booster scores are appended to the features.
    booster_params : mapping or None
    normalize_objectives : bool
    temperature_range : tuple of two floats or None
        Temperatures that the network is trained at and conditioned on.
    tunes_boosters, tunes_epochs, tunes_reward_scale : bool
        What is left to `hyperrank.rankers.dpo.tuning.tune`: booster parameters, epochs with dropout, the
        reward scale.
    validation_fraction : float or None
        Share of the lists to hold out for early stopping; None for none.
    seed : int
    n_jobs : int or None
    device : torch.device
    verbose : int
    booster_search : BoosterSearch or None
        What a search for booster parameters found.
    tuning : Trial or None
        What tuning chose.
    """

    reference: Any
    reference_objective: int
    beta: float | None
    loss: ListLoss
    metric: Metric
    network: NetworkConfig
    training: TrainingSettings
    feature_transform: str
    query_standardize: bool
    booster_inputs: bool
    booster_params: Mapping[str, Any] | None
    normalize_objectives: bool
    temperature_range: TemperatureRange | None
    tunes_boosters: bool
    tunes_epochs: bool
    tunes_reward_scale: bool
    validation_fraction: float | None
    seed: int
    n_jobs: int | None
    device: torch.device
    verbose: int
    booster_search: BoosterSearch | None = None
    tuning: Trial | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any], inputs: FitInputs) -> Self:
        """Resolve the parameters of a ranker.

        Parameters
        ----------
        params : mapping
            Constructor parameters of `HyperDPORanker`; those of a ranker without a conditioned network,
            completed by `UNCONDITIONED`.
        inputs : FitInputs
            All lists given to fit: defaults follow from their sizes.

        Returns
        -------
        FitConfig

        Raises
        ------
        ValueError
            If a parameter is unknown, out of range, or does not fit the inputs or another parameter.
        """
        data, reference = inputs.training, params["reference"]
        n_rows, n_lists = len(data.X), data.lists.n_lists
        inputs.check_ref_scores(check_reference(reference))
        reference_objective = resolve_objective(params["reference_objective"], data.names)
        beta = params["beta"]
        _check_choice("feature_transform", params["feature_transform"], TRANSFORMS)
        _check_choice("gain", params["gain"], ("exp2", "linear"))
        _check_choice("ties", params["ties"], ("random", "average", "rating"))
        searches = is_search(params["booster_params"])
        query_standardize = params["query_standardize"]
        _check_choice("query_standardize", query_standardize, (True, False, "auto"))
        if params["top_k"] is not None:
            check_number("top_k", params["top_k"], at_least=1, whole=True)
        network = NetworkConfig.from_params(params, n_features=data.X.shape[1], n_lists=n_lists)
        if network.frozen is not None:
            query_standardize = network.frozen.query_standardize
        elif query_standardize == "auto":
            query_standardize = n_lists > 1
        validation_fraction, stops_early = resolve_early_stopping(params, inputs)
        return cls(
            reference=reference,
            reference_objective=reference_objective,
            beta=None if beta == "auto" else check_number("beta", beta, above=0, or_auto=True),
            loss=named_loss(params["loss"], gain=params["gain"], top_k=params["top_k"], ties=params["ties"]),
            metric=parse_metric(params["metric"]),
            network=network,
            training=resolve_training(params, n_rows, network.kind, stops_early=stops_early),
            feature_transform=params["feature_transform"],
            query_standardize=bool(query_standardize),
            booster_inputs=bool(params["booster_inputs"]),
            booster_params=None if searches else params["booster_params"],
            normalize_objectives=bool(params["normalize_objectives"]),
            temperature_range=None
            if params["temperature_range"] is None
            else check_temperature_range(
                params["temperature_range"], loss=params["loss"], reference=reference
            ),
            tunes_boosters=searches and (trains_boosters(reference) or bool(params["booster_inputs"])),
            tunes_epochs=params["dropout"] == "auto" and params["max_epochs"] == "auto",
            # Scores of a model fitted elsewhere may be in-sample, and then better than they will be.
            tunes_reward_scale=params["beta"] == "auto" and is_fitted_here(reference),
            validation_fraction=validation_fraction,
            seed=int(check_random_state(params["random_state"]).randint(2**31 - 1)),
            n_jobs=params["n_jobs"],
            device=resolve_device(params["device"]),
            verbose=int(params["verbose"]),
        )

    def with_booster_search(self, search: BoosterSearch) -> Self:
        """The booster parameters that a search found."""
        return replace(self, booster_params=search.params, booster_search=search, tunes_boosters=False)

    def with_tuning(self, tuning: Trial) -> Self:
        """The epochs and dropout that tuning chose; `FittedReference` applies the reward scale."""
        return replace(
            self,
            network=replace(self.network, dropout=tuning.dropout),
            training=replace(self.training, max_epochs=tuning.max_epochs),
            tuning=tuning,
        )

    def for_tuning(self, n_rows: int) -> Self:
        """Of a network conditioned on weights alone that nothing stops early, in silence."""
        conditioning = "film" if self.network.conditioning == "none" else self.network.conditioning
        max_epochs = automatic_epochs(n_rows) if self.tunes_epochs else self.training.max_epochs
        return replace(
            self,
            network=replace(self.network, conditioning=conditioning),
            training=replace(self.training, max_epochs=max_epochs, patience=None),
            temperature_range=None,
            verbose=0,
        )

    def for_epochs(self, max_epochs: int) -> Self:
        """The same for another number of epochs."""
        return replace(self, training=replace(self.training, max_epochs=max_epochs))

    def continuing(self, model: RewardModel, trained: TemperatureRange | None) -> Self:
        """What a network that was trained before cannot do otherwise.

        Parameters
        ----------
        model : RewardModel
            Of the last fit.
        trained : tuple of two floats or None
            Its temperatures.
        """
        return replace(self, booster_inputs=bool(model.boosters), temperature_range=trained)


def check_continues(trained: TemperatureRange | None, loss: str) -> None:
    """Refuse to train a network that knows the temperature by a loss that does not.

    Raises
    ------
    ValueError
        If that is so.
    """
    if trained is not None and loss != "listnet":
        raise ValueError(
            f"the last fit had temperature_range={trained}, which needs loss='listnet' to go on; "
            f"got loss={loss!r}."
        )


def automatic_epochs(n_rows: int) -> int:
    """Epochs for a data set of this size: 15 at 8,000 rows, falling with the fourth root of the size.

    Small data need many passes for enough steps; large ones see more in each. Measured on samples of
    MSLR and MQ2008; where a network learns more, tuning finds out and makes it several times as many.
    """
    return int(np.clip(round(15 * (8_000 / max(n_rows, 1)) ** 0.25), 4, 20))


def resolve_training(
    params: Mapping[str, Any], n_rows: int, network: str, *, stops_early: bool
) -> TrainingSettings:
    """Settings of the training loop.

    Raises
    ------
    ValueError
        If one is out of range.
    """
    epochs, batch_docs, rate = params["max_epochs"], params["batch_docs"], params["learning_rate"]
    if epochs == "auto":
        epochs = automatic_epochs(n_rows)
    if batch_docs == "auto":
        batch_docs = 1024 if n_rows < 200_000 else 8192
    if rate == "auto":
        rate = LEARNING_RATES[network]
    patience = (
        int(check_number("patience", params["patience"], at_least=1, whole=True)) if stops_early else None
    )
    return TrainingSettings(
        max_epochs=int(check_number("max_epochs", epochs, at_least=1, whole=True, or_auto=True)),
        batch_docs=int(check_number("batch_docs", batch_docs, at_least=1, whole=True, or_auto=True)),
        learning_rate=check_number("learning_rate", rate, above=0, or_auto=True),
        weight_decay=check_number("weight_decay", params["weight_decay"], at_least=0),
        average_decay=check_number("average_decay", params["average_decay"], at_least=0, below=1),
        n_draws=int(check_number("n_draws", params["n_draws"], at_least=1, whole=True)),
        alpha=check_number("alpha", params["alpha"], above=0),
        patience=patience,
    )


def resolve_early_stopping(params: Mapping[str, Any], inputs: FitInputs) -> tuple[float | None, bool]:
    """Share of the lists to hold out, or None for none; and whether training stops early.

    Raises
    ------
    ValueError
        If an option is unknown, or there is too little to hold out.
    """
    early_stopping = params["early_stopping"]
    if early_stopping not in (True, False, "auto"):
        raise ValueError(f"early_stopping must be True, False or 'auto'; got {early_stopping!r}.")
    share = check_number("validation_fraction", params["validation_fraction"], above=0, below=1)
    n_lists = inputs.training.lists.n_lists
    if early_stopping is False:
        return None, False
    if inputs.validation is not None:
        return None, True
    if early_stopping == "auto" and n_lists < MIN_LISTS_TO_HOLD_OUT:
        return None, False
    if n_lists < 2:
        raise ValueError(
            "early_stopping=True needs X_val, or at least 2 queries to hold one out; "
            f"qid names {n_lists}, of {inputs.training.lists.n_rows} sample(s)."
        )
    return share, True


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


def _check_transformer(
    params: Mapping[str, Any], hidden: tuple[int, ...], frozen: ListRewardModel | None, n_features: int
) -> None:
    """Refuse options that a transformer does not have, or that would change one that is kept."""
    if params["temperature_range"] is not None:
        raise ValueError("temperature_range needs network='mlp': prompts know the weights alone.")
    if len(set(hidden)) != 1:
        raise ValueError(f"hidden must be one width for all layers of a transformer; got {hidden}.")
    if frozen is None:
        return
    if params["booster_inputs"]:
        raise ValueError("booster_inputs must be False where network is a fitted ranker.")
    expected = params["network"].n_features_in_
    if expected != n_features:
        raise ValueError(f"network was fitted on {expected} features; X has {n_features}.")


def resolve_device(device: Any) -> torch.device:
    """The device to train on: ``"auto"`` takes a GPU where there is one.

    Of several processes that train together each takes the GPU that `process_group` has set for it.

    Raises
    ------
    ValueError
        If torch knows no such device.
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
