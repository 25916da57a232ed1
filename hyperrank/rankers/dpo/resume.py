"""Going on with a fit that was interrupted: its file, and whether the fit at hand is the same one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._checks import check_number
from hyperrank.boosters import Cached
from hyperrank.files import ModelFileError
from hyperrank.metrics import parse_metric
from hyperrank.rankers.dpo.config import resolve_device
from hyperrank.rankers.inputs import LabelledLists
from hyperrank.reference import Reference, is_fitted_here
from hyperrank.training import Checkpoint, current

__all__ = ["agreed_seed", "kept_reference", "opened_checkpoint", "option_texts"]

#: Options that do not change what is fitted, or whose effect is compared instead of them.
PASSING = frozenset(
    {
        "checkpoint",
        "checkpoint_every",
        "device",
        "n_jobs",
        "network",
        "objectives",
        "verbose",
        "warm_start",
    }
)
#: Rows of features that are compared.
SAMPLED_ROWS = 4096


def opened_checkpoint(estimator: Any, resume: bool) -> Checkpoint:
    """The checkpoint that an estimator's options ask for, with what it holds where `resume` asks for that.

    Of several processes that train together the first one's, whose file others need not see.

    Raises
    ------
    ValueError
        If the options are wrong, or a file is there that would be lost, or that is damaged.
    """
    found: list[Checkpoint] = []

    def content() -> tuple[Any, ...]:
        found.append(_opened(estimator, resume))
        return found[0].content

    held = current().of_first(content)
    checkpoint = found[0] if found else Checkpoint.holding(held)
    checkpoint.processes = current()
    return checkpoint


def _opened(estimator: Any, resume: bool) -> Checkpoint:
    if resume not in (True, False):
        raise ValueError(f"resume must be True or False; got {resume!r}.")
    every = check_number("checkpoint_every", estimator.checkpoint_every, at_least=0)
    if estimator.checkpoint is None:
        if resume:
            raise ValueError(
                "resume=True needs the file that the fit was kept in: "
                f"{type(estimator).__name__}(checkpoint='fit.checkpoint')."
            )
        return Checkpoint()
    path = _checked_path(estimator.checkpoint)
    _refuse_unstorable(estimator.reference)
    if not path.exists():
        return Checkpoint(path, every)
    if not resume:
        Checkpoint.read(path, every)  # nobody is told to delete a file that is no checkpoint
        raise ValueError(
            f"checkpoint {path} is there already: fit(..., resume=True) goes on from it; delete it to begin "
            "anew, or give another file."
        )
    return Checkpoint.read(path, every)


def agreed_seed(
    checkpoint: Checkpoint,
    estimator: Any,
    data: LabelledLists,
    held: LabelledLists | None,
    list_weight: NDArray[np.float64] | None,
    seed: int,
    *,
    is_new: bool,
) -> int:
    """The seed of the fit: the one drawn now, or that of the interrupted fit, if it is the same fit.

    What tells fits from each other are the options that matter; the shapes of all data; a hash of all labels,
    sizes of queries, weights and scores of a reference; and one of 4,096 rows of features, evenly spaced, so
    that it takes no time on millions of rows. Features that differ in other rows alone go unseen.

    Raises
    ------
    ModelFileError
        If it is another fit, saying what differs.
    """
    if checkpoint.path is None:
        return seed
    device = resolve_device(estimator.device).type
    found = {
        "options": {**option_texts(estimator), "device": device},
        "data": {
            **_described(data, ""),
            **({} if held is None else _described(held, "_val")),
            "query_weight": _digest(list_weight),
            "the network to go on from": None if is_new else _network_digest(estimator.model_),
        },
    }
    if not checkpoint.about:
        checkpoint.about = {"seed": seed, **found}
        return seed
    try:
        differences = _differences(checkpoint.about, found)
        known = int(checkpoint.about["seed"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(
            f"{checkpoint.path} is not a complete checkpoint: delete it to start over."
        ) from error
    if differences:
        raise ModelFileError(
            f"{checkpoint.path} is the checkpoint of another fit: {'; '.join(differences)}. "
            "Give what that fit was given, or delete the file to begin anew."
        )
    return known


def kept_reference(
    checkpoint: Checkpoint, wanted: Any, fit: Callable[[Cached | None], tuple[Reference, float]]
) -> tuple[Reference, float]:
    """A reference and its pull: of the interrupted fit, or fitted now.

    A fitted model is not kept: the caller gives it again, and its pull tells whether it scores as it did.

    Raises
    ------
    ModelFileError
        If it does not.
    """
    if isinstance(wanted, str | None) or is_fitted_here(wanted):
        return checkpoint.phase("reference", lambda: fit(checkpoint.parts_of("reference")))
    reference, pull = fit(None)
    if checkpoint.phase("pull", lambda: pull) != pull:
        raise ModelFileError(
            f"{checkpoint.path} is the checkpoint of another fit: the model given as reference scores the "
            "training rows otherwise. Give the same one, or delete the file to begin anew."
        )
    return reference, pull


def _checked_path(given: Any) -> Path:
    if not isinstance(given, str | os.PathLike):
        raise ValueError(f"checkpoint must be None or the path of a file; got {given!r}.")
    path = Path(given)
    if path.is_dir():
        raise ValueError(f"checkpoint {path} is a folder: give the name of a file.")
    if not path.parent.is_dir():
        raise ValueError(f"checkpoint {path} cannot be written: there is no folder {path.parent}.")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(f"checkpoint {path} cannot be written: no permission in {path.parent}.")
    return path


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


def option_texts(estimator: Any) -> dict[str, str]:
    """Each option that matters as a text, the same for equal values of any kind."""
    params = {name: value for name, value in estimator.get_params(deep=False).items() if name not in PASSING}
    params["metric"] = str(parse_metric(estimator.metric))
    found = {name: _text(value) for name, value in params.items()}
    network = getattr(estimator, "network", "mlp")
    if not isinstance(network, str):
        network = _network_digest(getattr(network, "model_", None))
    found["network"] = network
    return found


def _text(value: Any) -> str:
    if value is None or isinstance(value, str | bool | np.bool_):
        return repr(value.item() if isinstance(value, np.bool_) else value)
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Real):
        return f"{float(value):.17g}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_text(value[key])}" for key in sorted(value, key=str)) + "}"
    if isinstance(value, list | tuple | np.ndarray):
        return f"({', '.join(_text(item) for item in value)})"
    return type(value).__name__


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
