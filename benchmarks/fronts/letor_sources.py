"""Data in LETOR text: MQ2008, a user's own MSLR-WEB10K, and any other file or folder."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fronts.sources import Fold, KFoldSource, Source, SourceError, chosen_from, split_off_main
from hyperrank.datasets import RankingData, load_letor, quantile_grades

__all__ = ["Column", "LetorFile", "LetorFolds", "Mq2008", "MslrFolder", "letor_source", "read_columns"]

N_PARTS = 5


@dataclass(frozen=True)
class Column:
    """An objective in LETOR text: the judged label, or a feature that leaves the features.

    Attributes
    ----------
    name : str
    number : int
        Of the feature, from 1; 0 is the label.
    sign : int
        -1 where less is better.
    """

    name: str
    number: int
    sign: int = 1


def read_columns(objectives: Sequence[str]) -> tuple[Column, ...]:
    """Objectives such as label, 41 and -45.

    Raises
    ------
    SourceError
        If one is none of these, or a column is named twice.

    Examples
    --------
    >>> read_columns(["label", "-45"])
    (Column(name='label', number=0, sign=1), Column(name='-45', number=45, sign=-1))
    """
    columns = []
    for name in objectives:
        if name != "label" and not re.fullmatch(r"-?[1-9]\d*", name):
            raise SourceError(
                f"{name!r} is no objective of LETOR text: give label, or numbers of feature columns from 1, "
                "with a minus where less is better, such as label,41,-45."
            )
        number = 0 if name == "label" else int(name)
        columns.append(Column(name, abs(number), -1 if number < 0 else 1))
    if len(columns) < 2 or len({column.number for column in columns}) < len(columns):
        raise SourceError(f"A front needs two or more columns, each once; got {', '.join(objectives)}.")
    return tuple(columns)


def as_objectives(data: RankingData, columns: Sequence[Column], dropped: Sequence[int] = ()) -> RankingData:
    """Labels out of columns: features graded 0 to 4 by quantile within the query, and taken out of X."""
    leaving = {column.number for column in columns if column.number} | set(dropped)
    if max(leaving, default=0) > data.X.shape[1]:
        raise SourceError(f"There is no feature {max(leaving)}: the data have {data.X.shape[1]}.")
    labels = [
        quantile_grades(column.sign * data.X[:, column.number - 1], data.qid) if column.number else data.y
        for column in columns
    ]
    kept = [j for j in range(data.X.shape[1]) if j + 1 not in leaving]
    return RankingData(
        X=np.ascontiguousarray(data.X[:, kept]),
        Y=np.column_stack(labels).astype(np.float32),
        qid=data.qid,
        names=tuple(column.name for column in columns),
        feature_names=tuple(data.feature_names[j] for j in kept),
        description=data.description,
    )


class LetorFile(KFoldSource):
    """One LETOR file, split by query."""

    def __init__(self, path: str | Path, columns: Sequence[Column], n_folds: int = 5) -> None:
        self.path, self.columns, self.n_folds = Path(path), tuple(columns), n_folds
        self.label = f"letor {self.path.name}"
        self.objectives = tuple(column.name for column in columns)
        self.protocol = (
            f"The file {self.path.name}; objectives out of feature columns as grades 0 to 4 by quantile "
            f"within the query. QueryKFold({n_folds}, shuffle=True, random_state=0)."
        )

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "bytes": self.path.stat().st_size}

    def load(self) -> RankingData:
        """All documents."""
        return as_objectives(_read([self.path]), self.columns)


class LetorFolds(Source):
    """A folder with folds of its own: S1.txt to S5.txt as LETOR deals them, or Fold1, Fold2, ...

    Of parts S1 to S5, fold i tests on S(i+4), validates on S(i+3) and trains on the other three, numbers
    modulo 5. A FoldN holds train.txt, vali.txt and test.txt. Either way training and validation queries go to
    every method together, which makes its own validation of them.

    Parameters
    ----------
    path : path
    columns : sequence of Column
        The objectives.
    n_folds : int, default 5
        How many of the folds are run, from the first.
    dropped : sequence of int
        Further features to leave out.
    main : Column, optional
        The objective of the reference ranker alone.
    n_features : int, optional
        Columns of every file; by default the largest feature number in a file.
    """

    def __init__(
        self,
        path: str | Path,
        columns: Sequence[Column],
        n_folds: int = 5,
        *,
        dropped: Sequence[int] = (),
        main: Column | None = None,
        n_features: int | None = None,
    ) -> None:
        self.path, self.columns = Path(path), tuple(columns)
        self.n_folds = n_folds
        self.dropped = tuple(dropped)
        self.n_features = n_features
        self.main_column = main
        self.main = None if main is None else main.name
        self.label = f"letor {self.path.name}"
        self.objectives = tuple(column.name for column in columns)
        self.protocol = (
            "The data's own folds, training and validation queries together handed to every method; "
            "objectives out of feature columns as grades 0 to 4 by quantile within the query."
        )

    def check(self) -> None:
        there = sum(bool(_fold_files(self.path, fold)[1]) for fold in range(N_PARTS))
        if self.n_folds > there:
            raise SourceError(f"{self.label} has {there} folds; got --folds {self.n_folds}.")
        files = [
            file for fold in range(self.n_folds) for part in _fold_files(self.path, fold) for file in part
        ]
        missing = sorted({str(file) for file in files if not file.is_file()})
        if missing:
            raise SourceError(f"There is no {missing[0]}, which fold-wise data need.")
        as_objectives(_read([min(files, key=_size)], self.n_features), self._all_columns(), self.dropped)

    def identity(self) -> dict[str, Any]:
        files = {file for fold in range(N_PARTS) for part in _fold_files(self.path, fold) for file in part}
        total = sum(_size(file) for file in files if file.is_file())
        # Folds are the same however many of them are run.
        return {**super().identity(), "folds": "own", "bytes": total, "main": self.main}

    def fold(self, number: int) -> Fold:
        train, test = (self._load(files) for files in _fold_files(self.path, number))
        if self.main is None:
            return Fold(train, test)
        return split_off_main(train, test, self.objectives, self.main)

    def _all_columns(self) -> tuple[Column, ...]:
        return self.columns if self.main_column is None else (self.main_column, *self.columns)

    def _load(self, files: Sequence[Path]) -> RankingData:
        return as_objectives(_read(files, self.n_features), self._all_columns(), self.dropped)


class Mq2008(LetorFolds):
    """MQ2008 of LETOR 4.0 with relevance, PageRank and short URLs, in LETOR's folds."""

    known = (Column("relevance", 0), Column("pagerank", 41), Column("short_urls", 45, -1))

    def __init__(
        self, objectives: Sequence[str] | None = None, n_folds: int = 5, home: str | Path | None = None
    ) -> None:
        names = tuple(column.name for column in self.known)
        chosen = chosen_from(names, objectives or names, "mq2008")
        by_name = {column.name: column for column in self.known}
        folder = _data_home(home) / "mq2008"
        # Both columns leave the features, whichever objectives are chosen.
        super().__init__(folder, [by_name[n] for n in chosen], n_folds, dropped=(41, 45), n_features=46)
        self.label = "mq2008"
        self.protocol = (
            "MQ2008 of LETOR 4.0 (784 queries, 15,211 documents), LETOR's own folds, training and validation "
            "queries together handed to every method. PageRank (column 41) and short URLs (column 45, "
            "negated) as grades 0 to 4 by quantile within the query; both columns leave the features. No "
            "other column orders documents alike: of the pairs that differ in PageRank the nearest, column "
            "19, orders 83% the same way, of those in URL length column 44 (slashes) 87%."
        )

    def check(self) -> None:
        if not (self.path / "S1.txt").is_file():
            raise SourceError(
                "mq2008 needs the environment variable HYPERRANK_DATA to name a folder that holds "
                "mq2008/S1.txt to mq2008/S5.txt."
            )
        super().check()


class MslrFolder(LetorFolds):
    """A user's own MSLR-WEB10K, with relevance for the reference and five auxiliary objectives."""

    known = (
        Column("quality", 132),
        Column("quality2", 133),
        Column("query_clicks", 134),
        Column("url_clicks", 135),
        Column("dwell", 136),
    )

    def __init__(self, path: str | Path, objectives: Sequence[str] | None = None, n_folds: int = 5) -> None:
        names = tuple(column.name for column in self.known)
        chosen = chosen_from(names, objectives or names, "mslr")
        by_name = {column.name: column for column in self.known}
        super().__init__(
            path,
            [by_name[n] for n in chosen],
            n_folds,
            dropped=[column.number for column in self.known],
            main=Column("relevance", 0),
            n_features=136,
        )
        self.label = f"mslr {self.path.name}"
        self.protocol = (
            "MSLR-WEB10K's own folds, train.txt and vali.txt together handed to every method. Relevance is "
            "the main objective, on which the LightGBM reference alone is fitted; methods are trained on the "
            "auxiliary objectives, columns 132 to 136 as grades 0 to 4 by quantile within the query, all "
            "five of which leave the features. The reference is fitted once per fold, and methods trained by "
            "DPO start from its scores."
        )

    def check(self) -> None:
        if not (self.path / "Fold1").is_dir():
            raise SourceError(
                f"{self.path} holds no Fold1: give the folder of MSLR-WEB10K with Fold1 to Fold5, "
                "each with train.txt, vali.txt and test.txt."
            )
        super().check()


def letor_source(path: str | Path, objectives: Sequence[str], n_folds: int = 5) -> Source:
    """A LETOR file, split by query, or a folder with folds of its own.

    Raises
    ------
    SourceError
        If there is no such file or folder, or the folder holds neither S1.txt nor Fold1.
    """
    columns, place = read_columns(objectives), Path(path)
    if place.is_file():
        return LetorFile(place, columns, n_folds)
    if not place.is_dir():
        raise SourceError(f"There is no file or folder {place}.")
    if not (place / "S1.txt").is_file() and not (place / "Fold1").is_dir():
        raise SourceError(
            f"{place} holds neither S1.txt to S5.txt nor Fold1, Fold2, ...; give such a folder."
        )
    return LetorFolds(place, columns, n_folds)


def _fold_files(folder: Path, number: int) -> tuple[list[Path], list[Path]]:
    """Files of a fold, counted from 0: to train on, and to test on; none where there is no such fold."""
    if (folder / "S1.txt").is_file():
        parts = [folder / f"S{(number + shift) % N_PARTS + 1}.txt" for shift in range(N_PARTS)]
        return parts[:4], parts[4:]
    fold = folder / f"Fold{number + 1}"
    if not fold.is_dir():
        return [], []
    return [fold / "train.txt", fold / "vali.txt"], [fold / "test.txt"]


def _size(file: Path) -> int:
    return file.stat().st_size


def _read(files: Sequence[Path], n_features: int | None = None) -> RankingData:
    try:
        return load_letor(list(files), n_features=n_features)
    except (OSError, ValueError) as error:
        raise SourceError(" ".join(str(error).split())) from error


def _data_home(given: str | Path | None) -> Path:
    """Where data sets lie, as `hyperrank.datasets` looks for the MSLR sample."""
    chosen = given or os.environ.get("HYPERRANK_DATA")
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "hyperrank"
