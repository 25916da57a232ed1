"""What users and their files rely on, written down: ``python tests/frozen/freeze.py`` does it anew.

A deliberate change of the outside is then this command and a diff to read. Model files and the store stand
for those that users have, and are written anew only by ``python tests/frozen/freeze.py files``.
"""

from __future__ import annotations

import importlib
import inspect
import json
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

import hyperrank
from hyperrank import HyperDPORanker, SpecializedRanker, TradeOffs, datasets
from hyperrank.cli import main
from hyperrank.losses import PlackettLuce
from hyperrank.networks import MLP, Transformer

HERE = Path(__file__).parent
NAMES = HERE / "names.json"
SCORES = HERE / "scores.json"
FILES = HERE / "files"
FILE_SCORES = FILES / "scores.json"
INPUTS = FILES / "inputs.npz"
STORE = FILES / "tiny.store"

#: The modules of the API reference, and where else public classes are at home.
MODULES = (
    "hyperrank",
    "hyperrank.alignment",
    "hyperrank.cli",
    "hyperrank.datasets",
    "hyperrank.export",
    "hyperrank.front",
    "hyperrank.lists",
    "hyperrank.losses",
    "hyperrank.metrics",
    "hyperrank.model_selection",
    "hyperrank.networks",
    "hyperrank.plots",
    "hyperrank.rankers",
    "hyperrank.reference",
    "hyperrank.simplex",
)

AT = [[1.0, 0.0], [0.3, 0.7]]
TINY: dict[str, Any] = {
    "booster_params": {"num_iterations": 3, "num_leaves": 4, "min_data_in_leaf": 3, "num_threads": 1},
    "n_jobs": 1,
    "random_state": 0,
}
SHORT: dict[str, Any] = {**TINY, "network": MLP(hidden=(8,)), "max_epochs": 2}

#: One of each ranker, whose files must keep loading.
RANKERS: dict[str, Any] = {
    "hyperdpo_mlp": HyperDPORanker(**SHORT),
    "hyperdpo_temperature": HyperDPORanker(**SHORT, trade_offs=TradeOffs(temperature_range=(0.5, 2.0))),
    "hyperdpo_transformer": HyperDPORanker(None, **{**SHORT, "network": Transformer(hidden=(8,))}),
    "lightgbm_scalarization": hyperrank.LightGBMScalarizationRanker(AT, **TINY),
    "linear_scalarization": hyperrank.LinearScalarizationRanker(AT, **SHORT),
    "mixed_scores": hyperrank.MixedScoresRanker(**TINY),
    "modpo": hyperrank.MODPORanker(AT, "lightgbm", **SHORT),
    "soup": hyperrank.SoupRanker("boosters", **SHORT),
}

#: Configurations whose scores under a seed stay what they are.
SEEDED: dict[str, Any] = {
    "default": HyperDPORanker(max_epochs=3, booster_params=TINY["booster_params"], n_jobs=1, random_state=0),
    "plackett_luce": HyperDPORanker(
        None,
        loss=PlackettLuce(ties="average"),
        network=MLP(conditioning="concat", hidden=(16,)),
        max_epochs=4,
        random_state=0,
    ),
    "transformer": HyperDPORanker(
        "lightgbm",
        network=Transformer(n_prompts=2, hidden=(16,)),
        max_epochs=3,
        booster_params=TINY["booster_params"],
        n_jobs=1,
        random_state=0,
    ),
}


def tiny_data() -> datasets.RankingData:
    """Lists of four to nine documents, some features missing."""
    data = datasets.make_multilabel_ranking(
        n_queries=30, list_size=(4, 9), n_features=5, n_objectives=2, random_state=0
    )
    data.X[::7, 1] = np.nan
    return data


def fitted(ranker: Any) -> Any:
    data = tiny_data()
    frame = pd.DataFrame(data.X, columns=data.feature_names or [f"f{i}" for i in range(data.X.shape[1])])
    return ranker.fit(frame, data.Y, qid=data.qid)


def scores_of(ranker: Any, X: np.ndarray, qid: np.ndarray) -> list[Any]:
    frame = pd.DataFrame(X, columns=ranker.feature_names_in_)
    if isinstance(ranker, SpecializedRanker):
        return ranker.predict(frame, qid=qid).tolist()
    return ranker.predict(frame, qid=qid, weights=AT).tolist()


def default_text(value: Any) -> str:
    return value.__name__ if inspect.isroutine(value) or inspect.isclass(value) else repr(value)


def parameters(function: Any) -> list[str]:
    """Parameters with their defaults: those by position in order, then those by name, sorted."""
    by_position, by_name = [], []
    for p in inspect.signature(function).parameters.values():
        if p.name == "self":
            continue
        stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        text = f"{stars}{p.name}"
        if p.default is not p.empty:
            text += f"={default_text(p.default)}"
        (by_name if p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD) else by_position).append(text)
    return [*by_position, *(["*, by name:"] if by_name else []), *sorted(by_name)]


def members(cls: type) -> Iterator[tuple[str, list[str]]]:
    """Methods that are ours, with their parameters, and properties, which have none."""
    for name in sorted(dir(cls)):
        found = inspect.getattr_static(cls, name)
        if name.startswith("_"):
            continue
        if isinstance(found, property):
            yield name, ["(property)"]
        elif inspect.isroutine(found) or isinstance(found, (classmethod, staticmethod)):
            method = getattr(cls, name)
            if str(getattr(method, "__module__", "")).startswith("hyperrank"):
                yield name, parameters(method)


def signatures() -> dict[str, list[str]]:
    """Of each public class, method and function."""
    table = {}
    # The first module has its names from the others; those of the references are called by rankers alone.
    for module in MODULES[1:]:
        if module in ("hyperrank.cli", "hyperrank.reference"):
            continue
        room = importlib.import_module(module)
        for name in room.__all__:
            value = getattr(room, name)
            if inspect.isclass(value):
                if not issubclass(value, Exception):
                    table[f"{module}.{name}"] = parameters(value)
                table.update({f"{module}.{name}.{key}": found for key, found in members(value)})
            elif callable(value):
                table[f"{module}.{name}"] = parameters(value)
    for name in hyperrank.__all__:
        value = getattr(hyperrank, name)
        known = any(key.endswith(f".{name}") for key in table)
        if callable(value) and not known and not (inspect.isclass(value) and issubclass(value, Exception)):
            table[f"hyperrank.{name}"] = parameters(value)
            if inspect.isclass(value):
                table.update({f"hyperrank.{name}.{key}": found for key, found in members(value)})
    return dict(sorted(table.items()))


def fitted_attributes(rankers: dict[str, Any]) -> dict[str, list[str]]:
    """Names that end in an underscore, of instances and as properties."""

    def of(ranker: Any) -> list[str]:
        names = {*vars(ranker), *(n for n, found in members(type(ranker)) if found == ["(property)"])}
        return sorted(name for name in names if name.endswith("_") and not name.startswith("_"))

    return {name: of(ranker) for name, ranker in rankers.items()}


def option_text(parameter: click.Parameter) -> str:
    text = "/".join([*parameter.opts, *parameter.secondary_opts])
    if isinstance(parameter, click.Argument):
        text = text.upper()
    if isinstance(parameter.type, click.Choice):
        text += " {" + "|".join(parameter.type.choices) + "}"
    default = parameter.default
    # Where there is no default, click's versions differ in what stands for it.
    if isinstance(default, (str, float, tuple)) or (isinstance(default, int) and default is not False):
        text += f" = {default!r}"
    return (
        text + (" (required)" if parameter.required else "") + (" (multiple)" if parameter.multiple else "")
    )


def commands() -> dict[str, list[str]]:
    assert isinstance(main, click.Group)
    return {name: sorted(map(option_text, command.params)) for name, command in sorted(main.commands.items())}


def names(rankers: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """The whole outside but files and scores, of some fitted rankers."""
    return {
        "modules": {module: sorted(importlib.import_module(module).__all__) for module in MODULES},
        "signatures": signatures(),
        "fitted attributes": fitted_attributes(rankers),
        "commands": commands(),
    }


def fitted_rankers() -> dict[str, Any]:
    rankers = {name: fitted(ranker) for name, ranker in RANKERS.items()}
    return {**rankers, "specialized": rankers["hyperdpo_mlp"].specialize([0.4, 0.6])}


def seeded_scores(name: str) -> list[Any]:
    data = tiny_data()
    ranker = fitted(SEEDED[name])
    rows = data.qid < np.unique(data.qid)[3]
    return scores_of(ranker, data.X[rows], data.qid[rows])


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def write_names() -> None:
    _write(NAMES, names(fitted_rankers()))


def write_scores() -> None:
    _write(SCORES, {name: seeded_scores(name) for name in SEEDED})


def write_files() -> None:
    shutil.rmtree(FILES, ignore_errors=True)
    FILES.mkdir()
    data, rankers = tiny_data(), fitted_rankers()
    datasets.convert(data, STORE)
    rows = data.qid < np.unique(data.qid)[3]
    X, qid = data.X[rows], data.qid[rows]
    np.savez(INPUTS, X=X, qid=qid)
    for name, ranker in rankers.items():
        ranker.save(FILES / f"{name}.safetensors")
    _write(FILE_SCORES, {name: scores_of(ranker, X, qid) for name, ranker in rankers.items()})


WRITERS = {"names": write_names, "scores": write_scores, "files": write_files}

if __name__ == "__main__":
    warnings.simplefilter("error")
    for part in sys.argv[1:] or ("names", "scores"):
        WRITERS[part]()
