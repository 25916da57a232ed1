"""LETOR and svmlight files."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from .letor_block import Block, Rules, densify, merge_ids
from .letor_fast import parse_block
from .letor_files import whole_lines
from .letor_groups import query_ids
from .letor_lines import LineError, comments_of, parse_lines
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
) -> RankingData:
    r"""Read ranking data from LETOR or svmlight text.

    Each line is ``label qid:ID index:value index:value ... # comment`` with feature numbers from 1 in
    ascending order. Blank lines and lines of comment alone are passed over.

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
    paths = _paths(path)
    _check_options(n_features, missing)
    blocks: list[Block] = []
    notes: list[str] | None = [] if comments else None
    rules = Rules(n_features=n_features)
    for file in paths:
        n_before = len(blocks)
        for block in _read_blocks(file, rules, notes):
            blocks.append(block)
            rules = Rules(has_qid=block.ids is not None, n_features=n_features)
        if len(blocks) == n_before:
            raise ValueError(f"{file}: no document found; the file is empty or holds comments alone.")
    qid = merge_ids([block.ids for block in blocks])
    n_rows = sum(len(block.labels) for block in blocks)
    qid = query_ids(paths, qid, group, n_rows)
    Y = np.concatenate([block.labels for block in blocks])[:, None]
    X = densify(blocks, n_rows, n_features, missing)
    return RankingData(
        X=X,
        Y=Y,
        qid=qid,
        names=("relevance",),
        feature_names=tuple(f"feature_{j}" for j in range(1, X.shape[1] + 1)),
        description=f"Read from {', '.join(map(str, paths))}.",
        comments=None if notes is None else tuple(notes),
    )


def _paths(path: PathLike | Sequence[PathLike]) -> list[Path]:
    """One or several paths as a list."""
    given = [path] if isinstance(path, str | os.PathLike) else list(path)
    if not given:
        raise ValueError("path is an empty sequence; give at least one file.")
    return [Path(p) for p in given]


def _check_options(n_features: int | None, missing: float) -> None:
    """Refuse options that cannot be meant."""
    if n_features is not None and n_features < 1:
        raise ValueError(f"n_features must be at least 1; got {n_features}.")
    if np.isinf(missing):
        raise ValueError("missing must be finite or NaN; features must not be infinite.")


def _read_blocks(path: Path, rules: Rules, notes: list[str] | None) -> Iterator[Block]:
    """Read one file block by block, appending comments to `notes`."""
    line = 1
    for text in whole_lines(path):
        block = parse_block(text)
        if block is None or not rules.admit(block):
            try:
                block = parse_lines(text, line, rules)
            except LineError as error:
                raise ValueError(f"{path}, {error}") from None
        line += text.count(b"\n")
        if not len(block.labels):
            continue
        rules = Rules(has_qid=block.ids is not None, n_features=rules.n_features)
        if notes is not None:
            notes.extend(comments_of(text))
        yield block
