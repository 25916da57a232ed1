"""LETOR and svmlight files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .growing_rows import GrowingRows
from .letor_block import Rules, dense_parts, merge_ids
from .letor_groups import query_ids
from .letor_lines import comments_of
from .letor_stream import check_options, paths_of, stream_blocks
from .ranking_data import RankingData

__all__ = ["load_letor"]

PathLike = str | os.PathLike[str]


def load_letor(
    path: PathLike | Sequence[PathLike],
    *,
    group: PathLike | Sequence[PathLike] | ArrayLike | None = None,
    n_features: int | None = None,
    missing: float = 0.0,
    comments: bool = False,
    zero_based: bool = False,
) -> RankingData:
    r"""Read ranking data from LETOR or svmlight text.

    Each line is ``label qid:ID index:value index:value ... # comment`` with feature numbers from 1 in
    ascending order. Blank lines and lines of comment alone are passed over. Lines are parsed on all cores,
    five times as fast again where numba is installed (``hyperrank[fast]``); beside X itself a few blocks of
    text are in memory.

    Parameters
    ----------
    path : path or sequence of paths
        One file, or several whose rows are put one after the other; a query id that stands in two of them is
        one query. A name that ends in ``.gz`` is decompressed.
    group : path, sequence of paths or array-like of int, optional
        For files without ``qid:``: rows per query in the order of the rows, or files that list them one a
        line, such as LightGBM's ``.query`` files. Queries are then numbered from 0.
    n_features : int, optional
        Number of columns of X; the largest feature number by default. Give it where a file may lack the last
        features.
    missing : float, default 0.0
        The value of features that a line leaves out: 0 as in svmlight, or ``float("nan")``.
    comments : bool, default False
        Whether to return the comment of each document.
    zero_based : bool, default False
        Whether features are numbered from 0, as scikit-learn writes them unless told otherwise.

    Returns
    -------
    RankingData
        With ``X`` (n, d) float32, ``Y`` (n, 1) float32 and its column ``y`` (n,), ``qid`` (n,) as int64 if
        all ids are integers and as str else, and ``comments``. A label or value written ``nan`` is NaN.

    Raises
    ------
    ValueError
        If a line is not in the format, naming file, line and what is wrong; if lines with and without
        ``qid:`` are mixed, or neither ``qid:`` nor `group` is there; if `group` does not sum to the number of
        rows; if a feature number exceeds `n_features`; if a file holds no document or is cut off.
    OSError
        If a file cannot be opened.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "train.txt")
    >>> _ = file.write_text("2 qid:7 1:0.5 3:1 # doc A\n0 qid:7 2:4\n")
    >>> data = load_letor(file, comments=True)
    >>> data.X.tolist(), data.y.tolist(), data.qid.tolist(), data.comments
    ([[0.5, 0.0, 1.0], [0.0, 4.0, 0.0]], [2.0, 0.0], [7, 7], ('doc A', ''))
    >>> folder.cleanup()
    """
    paths = paths_of(path)
    check_options(n_features, missing)
    rules = Rules(n_features=n_features, first=0 if zero_based else 1)
    ids: list[NDArray[Any] | None] = []
    labels: list[NDArray[np.float32]] = []
    X = GrowingRows(n_features or 1, missing)
    notes: list[str] | None = [] if comments else None
    for block, text in stream_blocks(paths, rules):
        ids.append(block.ids)
        labels.append(block.labels)
        for _, rows in dense_parts(block, rules.first, missing):
            X.append(rows)
        if notes is not None:
            notes.extend(comments_of(text))
    n_rows = sum(map(len, labels))
    qid = query_ids(paths, merge_ids(ids), group, n_rows)
    return RankingData(
        X=X.finish(),
        Y=np.concatenate(labels)[:, None],
        qid=qid,
        names=("relevance",),
        feature_names=tuple(f"feature_{j}" for j in range(rules.first, rules.first + X.width)),
        description=f"Read from {', '.join(map(str, paths))}.",
        comments=None if notes is None else tuple(notes),
    )
