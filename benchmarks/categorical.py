"""High-cardinality categories: what they give rankers, beside LightGBM with its own categorical features.

MovieLens 100k has the film (1,682 of them), its genres (216 combinations) and the user's occupation (21) as
categories beside its 28 numbers; the generated data have the item (1,000) in the place of 12 of its 16
measured properties. Each ranker sees the categories, numbers in their place (in the order of the values), or
neither. Folds are of users: those of the test fold are new, and the films or items recur.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightgbm import LGBMRanker
from numpy.typing import NDArray

from benchmarks import machine
from benchmarks.markdown import markdown_table, mean_and_deviation
from hyperrank import HyperDPORanker, MixedScoresRanker, datasets
from hyperrank.boosters import BOOSTER_PARAMS
from hyperrank.model_selection import QueryKFold

__all__ = ["DATA", "RANKERS", "Ranked", "main", "table_of"]

#: Measured properties of an item in the generated data that stay beside its id.
STAYING = 4
N_ITEM_FEATURES = 16


@dataclass(frozen=True)
class Ranked:
    """Features, some of them categories, and labels of documents.

    Attributes
    ----------
    X : DataFrame
    Y : ndarray of shape (n, 2)
    qid : ndarray of shape (n,)
    names : tuple of str
        The objectives.
    """

    X: pd.DataFrame
    Y: NDArray[np.float32]
    qid: NDArray[Any]
    names: tuple[str, ...]

    @property
    def categories(self) -> list[str]:
        """The columns that are categories."""
        return list(self.X.select_dtypes("category").columns)


def movielens(home: Path) -> Ranked:
    """MovieLens 100k with film, genres and occupation."""
    data = datasets.fetch_movielens_100k(objectives=["rating", "long_tail"], data_home=home)
    ratings, films, users = (
        _read(home / "movielens_100k" / f"ml-100k.{kind}") for kind in ("inter", "item", "user")
    )
    ratings = ratings[ratings.user_id.isin(data.qid)].sort_values(["user_id", "item_id"])
    assert (ratings.user_id.to_numpy() == data.qid).all()
    X = pd.DataFrame(data.X, columns=list(data.feature_names)).assign(
        film=ratings.item_id.to_numpy(),
        genres=films.set_index("item_id")["class"].fillna("").loc[ratings.item_id].to_numpy(),
        occupation=users.set_index("user_id").occupation.loc[ratings.user_id].to_numpy(),
    )
    kinds = dict.fromkeys(("film", "genres", "occupation"), "category")
    return Ranked(X.astype(kinds), data.Y, data.qid, data.names)


def generated(_: Path) -> Ranked:
    """Recurring items, known by their ids and some of their properties."""
    data = datasets.make_user_item_ranking(random_state=0)
    X = pd.DataFrame(data.X, columns=[f"x{j}" for j in range(data.X.shape[1])])
    properties = list(X.columns[:N_ITEM_FEATURES])
    X["item"] = pd.Categorical(X.groupby(properties).ngroup())
    return Ranked(X.drop(columns=properties[STAYING:]), data.Y, data.qid, data.names)


DATA: Mapping[str, Callable[[Path], Ranked]] = {"generated": generated, "movielens": movielens}


def _read(path: Path) -> pd.DataFrame:
    table = pd.read_csv(path, sep="\t", dtype=str, quoting=3, encoding="utf-8")
    table.columns = [name.partition(":")[0] for name in table.columns]
    ids = [name for name in ("user_id", "item_id") if name in table]
    return table.astype(dict.fromkeys(ids, np.int64))


def _lightgbm() -> MixedScoresRanker:
    params = {name: value for name, value in BOOSTER_PARAMS.items() if name != "objective"}
    rounds = params.pop("num_boost_round")
    return MixedScoresRanker(LGBMRanker(n_estimators=rounds, n_jobs=1, verbose=-1, random_state=0, **params))


#: Epochs given, so that none are tried: a fit takes a third of the time.
SHORT: dict[str, Any] = {"max_epochs": 16}
#: Rankers by what the table calls them.
RANKERS: Mapping[str, Callable[[], Any]] = {
    "LGBMRanker for each objective, scores mixed": _lightgbm,
    "MixedScoresRanker": lambda: MixedScoresRanker(random_state=0, n_jobs=1),
    "HyperDPORanker, boosters as reference": lambda: HyperDPORanker(random_state=0, n_jobs=1, **SHORT),
    "HyperDPORanker(None), the network alone": lambda: HyperDPORanker(
        None, random_state=0, n_jobs=1, **SHORT
    ),
}


def _as_numbers(X: pd.DataFrame) -> pd.DataFrame:
    """Categories as numbers in the order of their values."""
    return X.assign(**{str(name): X[name].cat.codes.astype(float) for name in X.select_dtypes("category")})


#: What becomes of the categories.
VIEWS: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "categories": lambda X: X,
    "as numbers": _as_numbers,
    "left out": lambda X: X.select_dtypes(exclude="category"),
}


def table_of(data: Ranked, *, n_folds: int, rankers: Sequence[str] = tuple(RANKERS)) -> list[dict[str, str]]:
    """Hypervolume of the test front and the objectives at its ends, a row for each ranker and view."""
    folds = list(QueryKFold(n_folds, shuffle=True, random_state=0).split(data.X, qid=data.qid))
    rows = []
    for title in rankers:
        for view, shown in VIEWS.items():
            X, started, values = shown(data.X), time.process_time(), []
            for train, test in folds:
                ranker = RANKERS[title]().fit(X.iloc[train], data.Y[train], qid=data.qid[train])
                front = ranker.pareto_front(X.iloc[test], data.Y[test], qid=data.qid[test])
                values.append([front.hypervolume(), *np.max(front.points, axis=0)])
            columns = np.array(values).T
            seconds = (time.process_time() - started) / len(folds)
            measured = dict(zip(["hypervolume", *data.names], columns, strict=True))
            texts = {name: mean_and_deviation(column) for name, column in measured.items()}
            rows.append({"ranker": title, "categories": view, **texts, "CPU s": f"{seconds:.0f}"})
            print(rows[-1], flush=True)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; gives the exit status."""
    parser = argparse.ArgumentParser("python -m benchmarks.categorical", description=__doc__)
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA), metavar="NAME")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--rankers", default="", metavar="WORD", help="only those with this in their name")
    parser.add_argument(
        "--data-home", type=Path, default=Path(os.environ.get("HYPERRANK_DATA", "../shared/data"))
    )
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    rankers = [title for title in RANKERS if options.rankers in title]
    for name in options.data:
        data = DATA[name](options.data_home)
        print(f"\n{name}: {len(data.X):,} rows of {len(np.unique(data.qid)):,} users\n")
        print(markdown_table(table_of(data, n_folds=options.folds, rankers=rankers)))
    print(f"\n{machine.provenance('python -m benchmarks.categorical')}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
