"""Fitted rankers as files, and back: safetensors and JSON, nothing that could be run."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from hyperrank._version import __version__
from hyperrank.files import ModelFileError, read_model_file, write_model_file
from hyperrank.reference import ModelReference

__all__ = ["load_ranker", "save_ranker", "versions"]

#: Versions that are noted, for whoever wonders later.
LIBRARIES = ("numpy", "torch", "scikit-learn", "lightgbm")
#: Rows whose scores a file holds, so that loading can tell whether they are still the same.
N_PROBES = 5
#: How far scores may lie apart on another machine, as a share of their size.
TOLERANCE = 1e-4

R = TypeVar("R", bound=BaseEstimator)


def save_ranker(ranker: BaseEstimator, path: str | Path) -> Path:
    """Write a fitted ranker to a file; see `hyperrank.rankers.base.BaseRanker.save`."""
    check_is_fitted(ranker)
    fitted = {name: value for name, value in vars(ranker).items() if _is_fitted_name(name)}
    content = {"params": _params(ranker, path), "fitted": fitted, "probe": _probe(ranker)}
    head = {
        "class": type(ranker).__name__,
        "objectives": list(fitted["objectives_"]),
        "n_features": int(fitted["n_features_in_"]),
        "versions": versions(),
    }
    return write_model_file(path, content, head=head)


def load_ranker(path: str | Path, base: type[R]) -> R:
    """Read a ranker of a class, or of one derived from it; see `hyperrank.load`."""
    head, content = read_model_file(path)
    if str(head.get("class")).endswith("checkpoint"):
        raise ModelFileError(
            f"{path} is the checkpoint of an unfinished fit, not a ranker: fit with it as checkpoint "
            "and resume, and save what comes of it."
        )
    cls = _classes(base).get(str(head.get("class")))
    if cls is None:
        raise ModelFileError(
            f"{path} holds a {str(head.get('class'))[:40]}; wanted {' or '.join(sorted(_classes(base)))}. "
            "A class of your own must be imported before."
        )
    try:
        ranker = cls(**content["params"])
        for name, value in content["fitted"].items():
            if not _is_fitted_name(name):
                raise ValueError(f"{name!r} is nothing that fit leaves")
            setattr(ranker, name, value)
        if getattr(ranker, "reference", None) == _FITTED:
            ranker.reference = ranker.reference_.model
        found = _probe_scores(ranker) if content["probe"] is not None else None
    except Exception as error:  # whatever hostile content runs into
        raise ModelFileError(f"{path} holds no whole {cls.__name__}: {error}") from error
    if found is not None and not _agree(found, content["probe"]):
        raise ModelFileError(
            f"{path} does not score as it did when it was saved, under {head.get('versions')}: "
            "fit and save it anew with the libraries of this machine."
        )
    return ranker


#: Stands for a reference model in the parameters: it is among what was fitted.
_FITTED = "$fitted"


def _params(ranker: BaseEstimator, path: str | Path) -> dict[str, Any]:
    """Constructor parameters, with what files hold in the place of what they do not."""
    params: dict[str, Any] = ranker.get_params(deep=False)
    if isinstance(params.get("random_state"), np.random.RandomState):
        params["random_state"] = None
    if isinstance(params.get("checkpoint"), os.PathLike):
        params["checkpoint"] = os.fspath(params["checkpoint"])
    if not isinstance(params.get("network", ""), str):
        params["network"] = "transformer"  # what was kept of it is among what was fitted
    if "reference" in params and not isinstance(params["reference"], str | None):
        reference = ranker.reference_
        if not isinstance(reference, ModelReference):
            raise ModelFileError(f"{path} was not written: reference is not what the ranker was fitted with.")
        params["reference"] = _FITTED
    return params


def _is_fitted_name(name: str) -> bool:
    """Whether an attribute is what fit leaves, by scikit-learn's rule."""
    return name.endswith("_") and not name.startswith("_") and name.isidentifier()


def _classes(base: type[R]) -> dict[str, type[R]]:
    """A class and all derived from it that have been imported, by name."""
    found = {base.__name__: base}
    for derived in base.__subclasses__():
        found |= _classes(derived)
    return found


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of what rankers are made of, as they are here."""
    return {"hyperrank": __version__, "python": platform.python_version(), **dict(_versions())}


def _versions() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def _probe(ranker: BaseEstimator) -> NDArray[np.float64] | None:
    """Scores of a few made-up rows; None where the reference model wants another kind of features."""
    try:
        return _probe_scores(ranker)
    except Exception:  # a model of any kind may refuse them in any way
        return None


def _probe_scores(ranker: Any) -> NDArray[np.float64]:
    rows = np.random.default_rng(0).normal(size=(N_PROBES, ranker.n_features_in_)).astype(np.float32)
    names = getattr(ranker, "feature_names_in_", None)
    held = getattr(ranker, "weights_", None)
    options: dict[str, Any] = {} if held is None else {"weights": held[0]}
    if getattr(getattr(ranker, "reference_", None), "needs_scores", False):
        options["ref_scores"] = np.zeros(N_PROBES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = ranker.predict(rows if names is None else pd.DataFrame(rows, columns=names), **options)
    return np.asarray(scores, dtype=np.float64)


def _agree(found: NDArray[np.float64], saved: Any) -> bool:
    """Whether scores are the same up to rounding."""
    saved = np.asarray(saved)
    if saved.shape != found.shape or not np.isfinite(saved).all():
        return False
    return bool(np.abs(found - saved).max() <= TOLERANCE * max(1.0, np.abs(saved).max()))
