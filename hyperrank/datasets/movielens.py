"""MovieLens 100k: one list of rated films per user, with release year and long tail besides the rating."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hyperrank.datasets._archive import Archive
from hyperrank.datasets.grades import quantile_grades
from hyperrank.datasets.ranking_data import RankingData, check_objectives

INTERACTIONS, ITEMS, USERS = "ml-100k.inter", "ml-100k.item", "ml-100k.user"
ARCHIVE = Archive(
    title="MovieLens 100k",
    requirements=Path(__file__).with_name("recbole.txt"),
    prefix="recbole/dataset_example/ml-100k/",
    digests={
        INTERACTIONS: "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
        ITEMS: "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
        USERS: "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
    },
    folder="movielens_100k",
    is_wheel=True,
)
OBJECTIVES = ("rating", "release_year", "long_tail")
GENRES = (
    "Action",
    "Adventure",
    "Animation",
    "Children's",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Fantasy",
    "Film-Noir",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
)
#: Ages from which the second and the third age group begin.
AGE_GROUPS = (25, 40)
#: What the closest users to compare with have in common.
COHORT = ["is_female", "age_group"]
#: Share of the users whose ratings make the item statistics; their lists are left out.
STATISTICS_SHARE = 1 / 3
SEED = 0


def fetch_movielens_100k(
    *,
    objectives: Sequence[str] = OBJECTIVES,
    data_home: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> RankingData:
    """Load the films that 629 users of MovieLens rated, one list per user, with three objectives.

    A third of the users, drawn once, give statistics of each film and are then left out, so that no rating is
    among the features of its own list. Films recur across lists, and the second and third objective are fixed
    properties of a film, as price, margin or age are in commerce.

    Parameters
    ----------
    objectives : sequence of str
        Some of "rating" (0 to 4), "release_year" (grade 0 to 4, the newest fifth of the films highest) and
        "long_tail" (grade 0 to 4, the least rated fifth highest), in the order of the label columns; all
        three by default. Release year and number of ratings are never features.
    data_home : path, optional
        Folder of the data; by default the environment variable ``HYPERRANK_DATA``, or else ``hyperrank`` in
        the user's cache. The files may be in it or in its subfolder ``movielens_100k``, which is where a
        download puts them.
    download : bool, default True
        Whether to download the files, once, if they are not there: pip fetches the wheel (2.1 MB) of the
        package recbole 1.2.1 from the package registry, verifies its hash, and the files are taken out of it.

    Returns
    -------
    RankingData
        With ``X`` (n, 28) float32, ``Y`` (n, m) float32, ``qid`` (n,) int64 (the user), ``names`` and
        ``feature_names``. Statistics of films that nobody in the first third rated are NaN, as is the grade
        of an unknown release year.

    Raises
    ------
    FetchError
        An `OSError`: if the files are not there and cannot be downloaded, or a file found is damaged.
    ValueError
        If an objective is unknown.

    References
    ----------
    Harper and Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5 (2015). The files are part
    of RecBole (Zhao et al., CIKM 2021).

    Examples
    --------
    .. code-block:: python

        data = datasets.fetch_movielens_100k(objectives=["rating", "long_tail"])
        ranker = HyperDPORanker().fit(data.X, data.Y, qid=data.qid)
    """
    chosen = check_objectives(objectives, OBJECTIVES)
    paths = ARCHIVE.find([INTERACTIONS, ITEMS, USERS], data_home, download=download)
    ratings, items, users = map(_read, paths)
    ratings = ratings.astype({"rating": np.float64}).join(_user_features(users), on="user_id")
    order = np.random.default_rng(SEED).permutation(np.sort(ratings["user_id"].unique()))
    is_statistic = ratings["user_id"].isin(order[: int(len(order) * STATISTICS_SHARE)])
    statistics = _item_statistics(ratings[is_statistic]).reindex(items["item_id"])
    lists = ratings[~is_statistic].sort_values(["user_id", "item_id"])
    films = _genres(items).join(statistics.drop(columns="count"))
    # What users of the same gender and age group gave, which differs between lists.
    cohort = _cohort_means(ratings[is_statistic])
    X = lists[["age", "is_female"]].join(films.loc[lists["item_id"]].set_index(lists.index))
    X["cohort_mean"] = cohort.reindex(pd.MultiIndex.from_frame(lists[["item_id", *COHORT]])).to_numpy()
    grades = pd.DataFrame(
        {
            "release_year": quantile_grades(_years(items), None),
            "long_tail": quantile_grades(-statistics["count"].fillna(0).to_numpy(), None),
        },
        index=items["item_id"],
    )
    Y = np.column_stack([lists["rating"] - 1, grades.loc[lists["item_id"]]])
    data = RankingData(
        X=X.to_numpy(np.float32),
        Y=Y.astype(np.float32),
        qid=lists["user_id"].to_numpy(np.int64),
        names=OBJECTIVES,
        feature_names=tuple(X.columns),
        description="MovieLens 100k, one list per user; item statistics by other users.",
    )
    return data.select(chosen)


def _read(path: Path) -> pd.DataFrame:
    """A table of tab-separated text whose header has ``name:kind``; ids as integers, the rest as text."""
    table = pd.read_csv(path, sep="\t", dtype=str, quoting=3, encoding="utf-8")
    table.columns = [name.partition(":")[0] for name in table.columns]
    ids = [name for name in ("user_id", "item_id") if name in table]
    return table.astype(dict.fromkeys(ids, np.int64))


def _user_features(users: pd.DataFrame) -> pd.DataFrame:
    """Age, gender and age group, by user id."""
    age = users["age"].astype(np.int64)
    features = {"age": age, "is_female": users["gender"] == "F", "age_group": np.digitize(age, AGE_GROUPS)}
    return pd.DataFrame(features).astype(np.int64).set_index(users["user_id"])


def _item_statistics(ratings: pd.DataFrame) -> pd.DataFrame:
    """Count, mean and spread of an item's ratings, and means by gender and age group, by item id."""
    by_item = ratings.groupby("item_id")["rating"]
    table = pd.DataFrame(
        {"count": by_item.count(), "rating_mean": by_item.mean(), "rating_spread": by_item.std()}
    )
    for column, title in (("is_female", "rating_mean_female"), ("age_group", "rating_mean_age_group")):
        means = ratings.groupby(["item_id", column])["rating"].mean().unstack()
        table = table.join(means.add_prefix(f"{title}_"))
    return table


def _cohort_means(ratings: pd.DataFrame) -> pd.Series:
    """Mean rating by item, gender and age group."""
    return ratings.groupby(["item_id", *COHORT])["rating"].mean()


def _genres(items: pd.DataFrame) -> pd.DataFrame:
    """One column of 0 and 1 per genre, by item id."""
    named = items["class"].fillna("").str.split()
    columns = {f"genre_{genre}": named.map(lambda names, genre=genre: genre in names) for genre in GENRES}
    return pd.DataFrame(columns).astype(np.int64).set_index(items["item_id"])


def _years(items: pd.DataFrame) -> NDArray[np.float64]:
    """Release year of each item, NaN where it is unknown."""
    return pd.to_numeric(items["release_year"], errors="coerce").to_numpy(np.float64)
