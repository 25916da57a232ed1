"""The MSLR-WEB10K sample: real web search queries with relevance and five more signals."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperrank.datasets._archive import Archive
from hyperrank.datasets.grades import quantile_grades
from hyperrank.datasets.letor import load_letor
from hyperrank.datasets.ranking_data import RankingData, check_objectives

FILES = {"train": "msn1.fold1.train.5k.txt", "test": "msn1.fold1.test.5k.txt"}
DIGESTS = {
    "msn1.fold1.train.5k.txt": "6d1721de961a35fbaef7085dc5b41e2940f0ddb04bab5f7a8566cf7db4158fa6",
    "msn1.fold1.test.5k.txt": "13d3c638edd23e482c38f4316c2680c938c2eaedbe096970ab30a48e364463d3",
}
ARCHIVE = Archive(
    title="The MSLR sample",
    requirements=Path(__file__).with_name("rankeval.txt"),
    prefix="rankeval-0.8.2/rankeval/test/data/",
    digests=DIGESTS,
    folder="mslr_web10k_5k",
)

N_FEATURES = 131  # of 136 columns; the last five are objectives
OBJECTIVES = ("relevance", "quality", "quality2", "query_clicks", "url_clicks", "dwell")
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
    objectives: Sequence[str] = OBJECTIVES,
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
    if split is not None and split not in FILES:
        raise ValueError(f"split must be 'train', 'test' or None for both; got {split!r}.")
    if labels not in ("grades", "raw"):
        raise ValueError(f"labels must be 'grades' or 'raw'; got {labels!r}.")
    chosen = check_objectives(objectives, OBJECTIVES)
    files = [FILES[split]] if split else list(FILES.values())
    table = load_letor(
        ARCHIVE.find(files, data_home, download=download), n_features=N_FEATURES + len(OBJECTIVES) - 1
    )
    data = RankingData(
        X=np.ascontiguousarray(table.X[:, :N_FEATURES]),
        Y=_labels(table, labels),
        qid=table.qid,
        names=OBJECTIVES,
        feature_names=feature_names(),
        description=f"The first rows of MSLR-WEB10K, fold 1, {' and '.join(files)}; labels: {labels}.",
    )
    return data.select(chosen)


def feature_names() -> tuple[str, ...]:
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


def _labels(table: RankingData, labels: str) -> NDArray[np.float32]:
    """Relevance and the five signals, in the order of the objectives."""
    signals = table.X[:, N_FEATURES:]
    if labels == "grades":
        signals = quantile_grades(signals, table.qid)
    return np.column_stack([table.y, signals])
