"""Resuming of an interrupted fit: its checkpoint file, and the check that it is the same fit."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._checks import Params, check_number
from hyperrank.files import ModelFileError
from hyperrank.metrics import parse_metric
from hyperrank.networks import get_network
from hyperrank.rankers.data import FitInputs, LabelledLists
from hyperrank.rankers.dpo.base import OBJECTS
from hyperrank.rankers.dpo.config import FitConfig, Phase
from hyperrank.rankers.dpo.reward_model import RewardModel
from hyperrank.reference import Reference
from hyperrank.reference.fit import is_fitted_here
from hyperrank.training import Checkpoint, TrainingResult

#: Options that do not change what is fitted, or whose effect is compared instead of them.
PASSING = ("callbacks", "checkpoint", "device", "n_jobs", "objectives", "verbose", "warm_start")
#: Options that are the same by name as by an object.
COMPARED_OBJECTS = ("loss", "network", "optimizer", "trade_offs")
#: Rows of features that are compared.
SAMPLED_ROWS = 4096


def agree_on_fit(
    params: Mapping[str, Any],
    inputs: FitInputs,
    config: FitConfig,
    checkpoint: Checkpoint,
    *,
    start: RewardModel | None = None,
) -> FitConfig:
    """Check that all processes, and an interrupted fit that is resumed, are of the same fit.

    What tells fits from each other are the options that matter; the shapes of all data; a hash of all labels,
    sizes of queries, weights and scores of a reference; and one of 4,096 rows of features, evenly spaced, so
    that it takes no time on millions of rows. Features that differ in other rows alone go unseen.
    """
    if checkpoint.path is not None:
        _refuse_unstorable(params["reference"])
    processes = checkpoint.processes
    options, data = _option_texts(params), _described_inputs(inputs, start)
    shared = {name: text for name, text in options.items() if name != "random_state"}
    processes.check_same({**shared, **{name: str(value) for name, value in data.items()}})
    seed = processes.on_rank_zero(lambda: config.seed)
    if checkpoint.path is not None:
        fit = {"options": {**options, "device": config.device.type}, "data": data}
        seed = _agreed_seed(fit, checkpoint, seed)
    return replace(config, seed=seed)


def _agreed_seed(fit: dict[str, Any], checkpoint: Checkpoint, seed: int) -> int:
    """The seed of the interrupted fit, if it is the same fit; or the seed at hand, of a fit that begins."""
    if not checkpoint.about:
        checkpoint.about = {"seed": seed, **fit}
        return seed
    try:
        _check_phases(checkpoint.phases)
        differences = _differences(checkpoint.about, fit)
        stored = int(checkpoint.about["seed"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(
            f"{checkpoint.path} is not a complete checkpoint: delete it to start over."
        ) from error
    if differences:
        raise ModelFileError(
            f"{checkpoint.path} is the checkpoint of another fit: {'; '.join(differences)}. "
            "Give what that fit was given, or delete the file to start over."
        )
    return stored


def _check_phases(phases: Mapping[str, Any]) -> None:
    """Refuse results that phases cannot have."""
    tuning = phases.get(Phase.TUNING)
    if tuning is not None:
        check_number("dropout", tuning.dropout, at_least=0, below=1)
        check_number("max_epochs", tuning.max_epochs, at_least=1, whole=True)
    for phase in {Phase.REFERENCE, Phase.TUNING_REFERENCE} & phases.keys():
        fitted = phases[phase]
        if not (isinstance(fitted.reference, Reference) and 0 < fitted.reward_scale < 1e18):
            raise ValueError(f"its {phase} is not a reference")
    logits = phases.get(Phase.REFERENCE_LOGITS, np.empty((0, 0)))
    if not (logits.ndim == 2 and np.isfinite(logits).all()):
        raise ValueError("its reference logits are not finite")


def warn_of_interrupt(result: TrainingResult, checkpoint: Path | None) -> None:
    """Say what a fit has kept that Ctrl-C ended."""
    how = "With warm_start=True, fit continues from there."
    if checkpoint is not None and checkpoint.exists():
        how = f"fit(..., resume=True) continues from {checkpoint} to what the whole fit would have been."
    warnings.warn(
        f"training was interrupted after {len(result.history)} whole epochs: the ranker is fitted, and holds "
        f"what it had learnt by then. {how}",
        UserWarning,
        stacklevel=4,
    )


def _refuse_unstorable(reference: Any) -> None:
    """Refuse a model to be fitted here that no file can hold, before it is fitted."""
    if isinstance(reference, str | None) or not is_fitted_here(reference):
        return
    kind = type(reference)
    if kind.__module__.split(".")[0] != "lightgbm" or kind.__name__ not in ("LGBMRanker", "LGBMRegressor"):
        raise ValueError(
            f"checkpoint cannot hold a {kind.__name__} that is fitted here: fit it and pass it fitted as "
            "reference, or leave checkpoint out."
        )


def _option_texts(params: Mapping[str, Any]) -> dict[str, str]:
    """Each parameter that matters as a text, the same for equal values of any kind."""
    texts: dict[str, str] = {}
    for name, value in params.items():
        option = OBJECTS[name](value) if name in COMPARED_OBJECTS else value
        if name in PASSING:
            continue
        texts[name] = _text(option)
        if isinstance(option, Params):
            texts |= {f"{name}__{key}": _text(inner) for key, inner in option.get_params(deep=False).items()}
    texts["metric"] = _text(str(parse_metric(params["metric"])))
    pretrained = getattr(get_network(params["network"]), "pretrained", None)
    if pretrained is not None:
        texts["network__pretrained"] = _network_digest(getattr(pretrained, "model_", None))
    return texts


def _text(value: Any) -> str:
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, str | bool):
        return repr(value)
    if isinstance(value, Real):
        return f"{float(value):.17g}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(value[key])}" for key in sorted(value, key=str)) + "}"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_text, value))})"
    return str(getattr(value, "__qualname__", type(value).__name__))


def _described_inputs(inputs: FitInputs, start: RewardModel | None) -> dict[str, Any]:
    """Names, shapes and hashes of all that is given to a fit."""
    return {
        **_described(inputs.training, ""),
        **({} if inputs.validation is None else _described(inputs.validation, "_val")),
        "query_weight": _digest(inputs.list_weight),
        "the network to continue from": None if start is None else _network_digest(start),
    }


def _described(data: LabelledLists, suffix: str) -> dict[str, Any]:
    """Names, shapes and hashes of data, by what the caller calls them."""
    rows = np.unique(np.linspace(0, len(data.X) - 1, SAMPLED_ROWS).astype(np.int64))
    sampled = _digest(data.X[rows])
    return {
        f"X{suffix}": f"{data.X.shape} {sampled}",
        f"y{suffix}": f"{data.Y.shape} {_digest(data.Y)}",
        f"the names of the objectives of y{suffix}": list(data.names),
        f"qid{suffix}": f"({data.lists.n_lists} queries) {_digest(data.lists.offsets)}",
        f"ref_scores{suffix}": _digest(data.ref_scores),
    }


def _digest(array: NDArray[Any] | None) -> str | None:
    if array is None:
        return None
    return hashlib.sha256(np.ascontiguousarray(array).data if array.size else b"").hexdigest()


def _network_digest(model: Any) -> str:
    """Hash of the parameters of a model's network."""
    digest = hashlib.sha256()
    if model is not None:
        for name, value in sorted(model.network.state_dict().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(value.detach().cpu().numpy()).data)
    return digest.hexdigest()


def _differences(known: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """What differs between two fits, in words."""
    words = []
    for name in sorted({*known["options"], *found["options"]}):
        was, now = (side["options"].get(name, "not an option") for side in (known, found))
        if was != now:
            words.append(f"{name} was {was} and is {now}")
    for name in sorted({*known["data"], *found["data"]}):
        was, now = (side["data"].get(name) for side in (known, found))
        if was != now:
            words.append(f"{name} {_how(was, now)}")
    return words


def _how(was: Any, now: Any) -> str:
    if was is None or now is None:
        return "was not given then" if was is None else "is not given now"
    if isinstance(was, str) and isinstance(now, str) and ")" in was + now:
        before, after = (text.partition(")")[0] + ")" for text in (was, now))
        return f"was {before} and is {after}" if before != after else f"holds other values ({before[1:]}"
    return "differs" if isinstance(was, str) else f"was {was} and is {now}"
