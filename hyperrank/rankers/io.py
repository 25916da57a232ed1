"""Saving and loading of fitted rankers: safetensors and JSON, nothing that could be run."""

from __future__ import annotations

import os
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from hyperrank._categories import Categories, categorical_of
from hyperrank._version import __version__
from hyperrank.boosters import BoosterSet
from hyperrank.files import ModelFileError, read_model_file, write_model_file
from hyperrank.metrics import parse_metric
from hyperrank.networks import MLP, Transformer
from hyperrank.networks.conditioning import conditioning_name
from hyperrank.reference import MixedModelsReference, ModelReference, PerObjectiveReference, Reference
from hyperrank.reference.base import MixedReference
from hyperrank.training import CheckpointFile

#: Versions that are noted, for whoever wonders later.
LIBRARIES = ("numpy", "torch", "scikit-learn", "lightgbm")
#: Rows whose scores a file holds, so that loading can tell whether they are still the same.
N_PROBES = 5
#: How far scores may lie apart on another machine, as a share of their size.
TOLERANCE = 1e-4

#: What to do about parameters that are the user's own code, which files do not hold.
OWN_CODE = {
    "loss": "hyperrank.losses.register_loss gives a loss of your own a name: pass that.",
    "network": "hyperrank.networks.register_conditioning gives a conditioning of your own a name: pass that.",
    "reference_": "Of models, files hold LightGBM's alone: pickle the ranker, or fit it with the reference "
    "'scores' in the place of the model, whose predictions are then ref_scores of fit and predict.",
    "early_stopping": "A fitted ranker does not need it: set_params(early_stopping='auto') before.",
}

R = TypeVar("R", bound=BaseEstimator)


def save_ranker(ranker: BaseEstimator, path: str | Path) -> Path:
    """Write a fitted ranker to a file; see `hyperrank.rankers.base.BaseRanker.save`."""
    check_is_fitted(ranker)
    getattr(ranker, "feature_importances_", None)  # computed when first asked for, and a file has no rows
    fitted = {name: value for name, value in vars(ranker).items() if _is_fitted_name(name)}
    probe = _probe(ranker)
    content = {"params": _params(ranker, path), "fitted": fitted, "probe": probe}
    if probe is not None and not np.isfinite(probe).all():
        raise ModelFileError(
            f"{path} was not written: the ranker's scores are not finite, so that its training diverged. "
            "Fit it anew with a lower learning_rate."
        )
    head = {
        "class": type(ranker).__name__,
        "objectives": list(fitted["objectives_"]),
        "n_features": int(fitted["n_features_in_"]),
        "versions": versions(),
    }
    try:
        return write_model_file(path, content, head=head)
    except ModelFileError as error:
        hints = [hint for name, hint in OWN_CODE.items() if f".{name}" in str(error)]
        if not hints:
            raise
        raise ModelFileError(f"{error} {hints[0]}") from error


def load_ranker(path: str | Path, base: type[R]) -> R:
    """Read a ranker of a class, or of one derived from it; see `hyperrank.load`."""
    head, content = read_model_file(path)
    if str(head.get("class")).endswith("checkpoint"):
        raise ModelFileError(
            f"{path} is the checkpoint of an unfinished fit, not a ranker: fit with it as checkpoint "
            "and resume=True, and save the fitted ranker."
        )
    cls = _classes(base).get(str(head.get("class")))
    if cls is None:
        raise ModelFileError(
            f"{path} holds a {str(head.get('class'))[:40]}; expected "
            f"{' or '.join(sorted(_classes(base)))}. A class of your own must be imported before."
        )
    try:
        if set(content) != {"params", "fitted", "probe"}:
            raise ValueError(f"it consists of {sorted(content)[:5]}")
        ranker = cls(**content["params"])
        for name, value in content["fitted"].items():
            if not _is_fitted_name(name):
                raise ValueError(f"{name!r} is not an attribute that fit sets")
            setattr(ranker, name, value)
        if getattr(ranker, "reference", None) == _FITTED:
            fitted = ranker.reference_
            is_mapping = isinstance(fitted, PerObjectiveReference)
            ranker.reference = fitted.given(ranker.objectives_) if is_mapping else fitted.model
        _check_description(ranker, head, n_bytes=Path(path).stat().st_size)
        stored = content["probe"]
        # Models that were fitted elsewhere may want features of another kind than made-up ones.
        models = ModelReference | MixedModelsReference
        references = _references(getattr(ranker, "reference_", None))
        if stored is None and any(isinstance(reference, models) for reference in references):
            scores = _probe(ranker)
        else:
            scores = _probe_scores(ranker)
            # At the ends of the simplex too, or by each of its models.
            weights = getattr(ranker, "weights_", np.eye(len(ranker.objectives_)))
            if not np.isfinite(_probe_scores(ranker, weights)).all():
                raise ValueError("its scores are not finite at all trade-offs")
    except Exception as error:  # whatever hostile content runs into
        raise ModelFileError(f"{path} is not a complete {cls.__name__}: {error}") from error
    if scores is None:
        return ranker
    if not np.isfinite(scores).all():
        raise ModelFileError(
            f"{path} holds a ranker whose scores are not finite: its training diverged, or it is damaged. "
            "Fit it anew with a lower learning_rate."
        )
    if stored is not None and not _agree(scores, stored):
        raise ModelFileError(
            f"{path} does not score as it did when it was saved, under {_versions_text(head)}: "
            "fit and save it anew with the libraries of this machine."
        )
    return ranker


def _check_description(ranker: Any, head: Mapping[str, Any], *, n_bytes: int) -> None:
    """Check that a file's header, and the numbers that rows to score are made of, fit what it holds."""
    n_features, objectives = ranker.n_features_in_, ranker.objectives_
    if head.get("n_features") != n_features or head.get("objectives") != list(objectives):
        raise ValueError("its header names other features or objectives")
    if type(n_features) is not int or not all(isinstance(name, str) for name in objectives):
        raise ValueError("its features or objectives are not named as fit names them")
    names = getattr(ranker, "feature_names_in_", None)
    if names is not None and (names.dtype != object or names.shape != (n_features,)):
        raise ValueError(f"it has {n_features} features and {np.shape(names)} names for them")
    fitted = [value for name, value in vars(ranker).items() if _is_fitted_name(name)]
    importances = vars(ranker).get("feature_importances_")
    if importances is not None and np.shape(importances) != (n_features,):
        raise ValueError(f"it has {n_features} features and {np.shape(importances)} importances")
    widths = {width for value in fitted for width in _widths(value)}
    if widths - {n_features} or (not widths and n_features > n_bytes):
        raise ValueError(f"its parts take {sorted(widths)} features, and it says {n_features}")
    main = getattr(getattr(ranker, "reference_", None), "main", None)
    if main is not None and (type(main) is not int or not 0 <= main < len(objectives)):
        raise ValueError(f"its reference stands for objective {main!r}")
    if any(position >= n_features for position in categorical_of(ranker)):
        raise ValueError("its categories are of features that it does not have")
    for reference in _references(getattr(ranker, "reference_", None)):
        columns = getattr(reference, "columns", getattr(reference, "column", None))
        if columns is not None and not {*np.ravel(columns).tolist()} <= set(range(n_features)):
            raise ValueError("its reference takes columns that it does not have")
    parse_metric(ranker.metric)
    if not isinstance(getattr(ranker, "verbose", 0), int):
        raise ValueError(f"its verbose is {ranker.verbose!r}")
    _check_summary(getattr(ranker, "data_summary_", None), objectives)


def _check_summary(summary: Any, objectives: Sequence[str]) -> None:
    """Check what a ranker says of its training data, as `summarize_data` makes it."""
    if summary is None:
        return
    sizes, labels = summary["list_size"], [summary["labels"][name] for name in objectives]
    numbers = {name: value for name, value in summary.items() if name not in ("list_size", "labels")}
    is_complete = (
        {*numbers} == {"n_rows", "n_queries", "missing"}
        and {*sizes} == {"min", "median", "max"}
        and all({*known} in ({"observed"}, {"observed", "mean", "max", "positive"}) for known in labels)
        and all(type(x) in (int, float) for table in (numbers, sizes, *labels) for x in table.values())
        and all(min(known["mean"], known["max"]) > 0 for known in labels if known.get("positive"))
    )
    if not is_complete:
        raise ValueError("its summary of the training data is not one that fit makes")


def _widths(value: Any) -> Iterator[int]:
    """How many features the parts of a ranker take, as far as they know."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _widths(item)
    elif isinstance(value, Reference | BoosterSet):
        if value.n_features is not None:
            yield value.n_features
    elif hasattr(value, "transform") and hasattr(value, "network"):
        yield value.transform.n_in
    elif hasattr(value, "num_feature"):
        yield value.num_feature()


def _references(reference: Any) -> Iterator[Any]:
    """A reference, and those of one objective each that it is made of."""
    reference = reference.reference if isinstance(reference, MixedReference) else reference
    yield reference
    if isinstance(reference, PerObjectiveReference):
        yield from reference.scorers


def _versions_text(head: Mapping[str, Any]) -> str:
    versions = head.get("versions")
    pairs = versions.items() if isinstance(versions, dict) else ()
    return ", ".join(f"{name} {version}"[:40] for name, version in list(pairs)[:10]) or "unknown versions"


#: Stands for a reference model in the parameters: it is among the fitted attributes.
_FITTED = "$fitted"


def _params(ranker: BaseEstimator, path: str | Path) -> dict[str, Any]:
    """Constructor parameters; those that files cannot hold are replaced."""
    params: dict[str, Any] = ranker.get_params(deep=False)
    params.pop("callbacks", None)
    if isinstance(params.get("random_state"), np.random.RandomState):
        params["random_state"] = None
    checkpoint = params.get("checkpoint")
    if isinstance(checkpoint, CheckpointFile):
        params["checkpoint"] = replace(checkpoint, path=os.fspath(checkpoint.path))
    elif isinstance(checkpoint, os.PathLike):
        params["checkpoint"] = os.fspath(checkpoint)
    network = params.get("network")
    if isinstance(network, Transformer):
        params["network"] = replace(network, pretrained=None)  # it is among what was fitted
    if isinstance(network, MLP):
        params["network"] = replace(network, conditioning=conditioning_name(network.conditioning))
    if "reference" in params and not isinstance(params["reference"], str | None):
        reference = ranker.reference_
        if not isinstance(reference, ModelReference | PerObjectiveReference):
            raise ModelFileError(f"{path} was not written: reference is not what the ranker was fitted with.")
        params["reference"] = _FITTED
    return params


def _is_fitted_name(name: str) -> bool:
    """Whether an attribute is set by fit, by scikit-learn's rule."""
    return name.endswith("_") and not name.startswith("_") and name.isidentifier()


def _classes(base: type[R]) -> dict[str, type[R]]:
    """A class and all derived from it that have been imported, by name."""
    classes = {base.__name__: base}
    for derived in base.__subclasses__():
        classes |= _classes(derived)
    return classes


def versions() -> dict[str, str]:
    """Versions of this package, of Python and of what rankers are made of, as they are here."""
    here = {"hyperrank": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            here[name] = version(name)
    return here


def _probe(ranker: BaseEstimator) -> NDArray[np.float64] | None:
    """Scores of a few made-up rows; None where the reference model takes another kind of features."""
    try:
        return _probe_scores(ranker)
    except Exception:  # a model of any kind may refuse them in any way
        return None


def _probe_scores(ranker: Any, weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    rows = np.random.default_rng(0).normal(size=(N_PROBES, ranker.n_features_in_)).astype(np.float32)
    names = getattr(ranker, "feature_names_in_", None)
    X: Any = rows if names is None else pd.DataFrame(rows, columns=names)
    categories: Categories | None = getattr(ranker, "categories_", None)
    if categories is not None:
        for j, size in categories.sizes.items():
            rows[:, j] = np.arange(N_PROBES) % max(1, size)
        rows[0] = np.nan
        X = categories.decode(rows, getattr(ranker, "column_labels_in_", None) if names is None else names)
    grid = getattr(ranker, "weights_", None)
    if weights is None and grid is not None:
        weights = grid[0]
    options: dict[str, Any] = {} if weights is None else {"weights": weights}
    n_scores = int(getattr(getattr(ranker, "reference_", None), "needs_scores", 0))
    if n_scores:
        options["ref_scores"] = np.zeros((N_PROBES, n_scores))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = ranker.predict(X, **options)
    return np.asarray(scores, dtype=np.float64)


def _agree(scores: NDArray[np.float64], stored: Any) -> bool:
    """Whether scores are the same up to rounding."""
    stored = np.asarray(stored, dtype=np.float64)
    if stored.shape != scores.shape or not np.isfinite(stored).all():
        return False
    return bool(np.abs(scores - stored).max() <= TOLERANCE * max(1.0, np.abs(stored).max()))
