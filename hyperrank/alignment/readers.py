"""Preference data from files, frames and datasets, in the layouts of TRL and of published collections."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from hyperrank.alignment.preferences import Example, Preferences, Prompt, column_order, is_chat

#: What an answer of HH-RLHF begins with.
ANSWER = "\n\nAssistant:"
#: Columns that stand for a prompt elsewhere: without it, the prompt is what both responses begin with.
OTHER_PROMPTS = frozenset({"question", "instruction", "query", "input", "Prompt"})
#: Lists of a stream by which losses are put on one scale.
SCALE_LISTS = 256
#: Functions of prompt and response that give further labels.
Scores = Mapping[str, Callable[[Prompt, str], float]]


class Row(NamedTuple):
    """One prompt, its responses, and their labels by objective."""

    prompt: Prompt
    responses: list[str]
    labels: dict[str, list[float]]


class PreferenceStream(IterableDataset[Example]):
    """Lists that are read anew for each pass, for data that do not fit in memory."""

    def __init__(self, rows: Iterable[Any], scores: Scores | None = None, names: Any = None) -> None:
        self.rows, self.scores, self.epoch = rows, scores, 0
        if iter(rows) is rows:
            raise ValueError("a generator can be read only once: give a dataset, or a list of its rows.")
        known = tuple(next(self._read())[1].labels)
        self.names: tuple[str, ...] = known if names is None else tuple(map(str, names))
        self.columns = [known[j] for j in column_order(known, known if names is None else names)]

    def renamed(self, names: Sequence[str]) -> PreferenceStream:
        """The stream with the objectives of a fit."""
        return PreferenceStream(self.rows, self.scores, names)

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate at the start of each pass."""
        self.epoch = epoch
        if hasattr(self.rows, "set_epoch"):
            self.rows.set_epoch(epoch)

    def content(self) -> None:
        """Nothing: a stream is not read through to tell a run by."""

    @property
    def labels(self) -> list[NDArray[np.float64]]:
        """Those of the first lists, by which losses are put on one scale."""
        return [example.labels for example in itertools.islice(self, SCALE_LISTS)]

    def __iter__(self) -> Iterator[Example]:
        worker = get_worker_info()  # each reads the whole stream, and gives its share
        for number, (where, row) in enumerate(self._read()):
            if worker is None or number % worker.num_workers == worker.id:
                labels = _table(where, row, self.columns)
                yield Example(row.prompt, row.responses, labels, self.epoch, number)

    def _read(self) -> Iterator[tuple[str, Row]]:
        return _rows(((f"row {number}", row) for number, row in enumerate(self.rows)), self.scores)


def to_preferences(data: Any, *, scores: Scores | None = None) -> Preferences | PreferenceStream:
    """Read rows in TRL's layouts.

    Parameters
    ----------
    data : datasets.Dataset or IterableDataset, pandas or polars frame, or iterable of mappings
        Each row has a ``prompt`` (a text, or messages with ``role`` and ``content``) and

        - ``chosen`` and ``rejected``, texts or messages: objective ``preference``. Without ``prompt`` it is
          what both begin with, up to the last ``Assistant:`` in it where there is one, as in HH-RLHF.
          Numbers in ``NAME_chosen`` and ``NAME_rejected``, such as ``score_chosen``, are labels of an
          objective of that name;
        - ``responses`` (or ``completions``) with ``labels``, a list of numbers by objective; ``scores`` or
          ``ranks`` (1 is best) with a number per response;
        - or PKU-SafeRLHF's ``response_0`` and ``response_1``: ``helpfulness`` (``better_response_id``) and
          ``harmlessness`` (``safer_response_id``), unobserved where missing, null or -1.

        None and NaN are unobserved labels. Rows without a length are read as a stream.
    scores : mapping of str to callable, optional
        Further objectives: functions of a prompt and a response, more is better.

    Returns
    -------
    Preferences or PreferenceStream
        Objectives in the order of the first row; one that a row lacks is unobserved in it.

    Raises
    ------
    ValueError
        With the row's number, if it has none of these layouts.

    Examples
    --------
    >>> rows = [{"prompt": "Hi.", "chosen": "Hello!", "rejected": "Go away."}]
    >>> data = to_preferences(rows, scores={"brevity": lambda prompt, response: -len(response)})
    >>> data.names, data.labels[0].tolist()
    (('preference', 'brevity'), [[1.0, -6.0], [0.0, -8.0]])
    """
    if isinstance(data, Preferences | PreferenceStream):
        return data
    if hasattr(data, "to_dicts"):  # polars
        data = data.to_dicts()
    elif hasattr(data, "to_dict") and hasattr(data, "columns"):
        data = data.to_dict("records")
    if isinstance(data, str | bytes | Mapping) or not isinstance(data, Iterable):
        raise ValueError(
            "data must be a dataset, a frame, or an iterable of rows such as "
            f"{{'prompt': ..., 'chosen': ..., 'rejected': ...}}; got {type(data).__name__}."
        )
    if not hasattr(data, "__len__"):
        return PreferenceStream(data, scores)
    return _gathered(_rows(((f"row {number}", row) for number, row in enumerate(data)), scores))


def load_preferences(path: str | Path, *, scores: Scores | None = None) -> Preferences:
    r"""Read JSON lines in any of the layouts of `to_preferences`, HH-RLHF's and PKU-SafeRLHF's among them.

    Parameters
    ----------
    path : path
        JSONL, plain or gzip.
    scores : mapping of str to callable, optional
        Further objectives, as for `to_preferences`.

    Returns
    -------
    Preferences

    Raises
    ------
    ValueError
        With file and line number, if a line has none of the layouts.

    References
    ----------
    Bai et al.: Training a Helpful and Harmless Assistant with RLHF, arXiv 2204.05862.
    Ji et al.: PKU-SafeRLHF, arXiv 2406.15513.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> start = "\n\nHuman: Hi.\n\nAssistant:"
    >>> row = {"chosen": start + " Hello!", "rejected": start + " Go away."}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "pairs.jsonl").write_text(json.dumps(row))
    ...     data = load_preferences(Path(folder, "pairs.jsonl"))
    >>> data.responses, data.labels[0].tolist()
    ([[' Hello!', ' Go away.']], [[1.0], [0.0]])
    """
    return _gathered(_rows(_lines(Path(path)), scores, str(path)))


def _lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Values of JSON lines, and where each stands."""
    where = str(path)
    with open(path, "rb") as raw:
        zipped = raw.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if zipped else open(path, "rb") as file:
        try:
            for number, line in enumerate(file, start=1):
                where = f"{path}, line {number}"
                if line.strip():
                    yield where, json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"after {where}: damaged gzip data ({error}).") from error
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"{where}: {error}.") from error


def _rows(
    entries: Iterable[tuple[str, Any]], scores: Scores | None, source: str = "the data"
) -> Iterator[tuple[str, Row]]:
    """Rows read, with further scores, and where each stands; a ValueError says where."""
    where = None
    for where, columns in entries:
        try:
            row = read_row(columns)
            taken = sorted(row.labels.keys() & (scores or {}))
            if taken:
                raise ValueError(f"there are labels of {taken} already: give these scores other names")
            found = {k: [f(row.prompt, text) for text in row.responses] for k, f in (scores or {}).items()}
            more = {name: _numbers(name, values, len(row.responses)) for name, values in found.items()}
        except ValueError as error:
            raise ValueError(f"{where}: {error}.") from error
        yield where, row._replace(labels={**row.labels, **more})
    if where is None:
        raise ValueError(f"{source}: there are no rows.")


def _gathered(rows: Iterator[tuple[str, Row]]) -> Preferences:
    places, found = zip(*rows, strict=True)
    names = tuple(found[0].labels)
    tables = [_table(where, row, names) for where, row in zip(places, found, strict=True)]
    return Preferences([row.prompt for row in found], [row.responses for row in found], tables, names)


def _table(where: str, row: Row, names: Sequence[str]) -> NDArray[np.float64]:
    unknown = set(row.labels) - set(names)
    if unknown:
        raise ValueError(
            f"{where}: labels of {sorted(unknown)}, which the first row lacks; it has {list(names)}."
        )
    unobserved = [np.nan] * len(row.responses)
    return np.array([row.labels.get(name, unobserved) for name in names], dtype=np.float64).T


def read_row(row: Any) -> Row:
    """One row in a layout of `to_preferences`."""
    if not isinstance(row, Mapping):
        raise ValueError(f"expected a mapping of columns, got a {type(row).__name__}")
    row = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in row.items()}
    if "response_0" in row:
        responses = [_text(row, "response_0"), _text(row, "response_1")]
        keys = {"helpfulness": "better_response_id", "harmlessness": "safer_response_id"}
        return Row(_text(row, "prompt"), responses, {name: _choice(row, key) for name, key in keys.items()})
    if "chosen" in row or "rejected" in row:
        return _pair(row)
    key = "completions" if "completions" in row else "responses"
    if key not in row:
        raise ValueError(
            "expected columns 'prompt', 'chosen' and 'rejected', or another of to_preferences' layouts; "
            f"got {sorted(map(str, row))}"
        )
    responses = row.get(key)
    if not isinstance(responses, list) or len(responses) < 2:
        raise ValueError(f"{key!r} must be a list of two or more texts")
    texts = [_response(text, key) for text in responses]
    labels = row.get("labels")
    if labels is None and row.get("scores") is not None:
        labels = {"preference": row["scores"]}
    elif labels is None and row.get("ranks") is not None:
        ranks = _numbers("ranks", row["ranks"], len(texts))
        return Row(_prompt(row), texts, {"preference": [-rank for rank in ranks]})
    if not isinstance(labels, Mapping) or not labels:
        raise ValueError("'labels' must hold for each objective a list of numbers")
    numbers = {str(k): _numbers(k, v, len(texts)) for k, v in labels.items() if v is not None}
    return Row(_prompt(row), texts, numbers)


def _pair(row: Mapping[str, Any]) -> Row:
    chosen, rejected = row.get("chosen"), row.get("rejected")
    prompt = None if row.get("prompt") is None else _prompt(row)
    if isinstance(chosen, list) and isinstance(rejected, list) and (prompt is None or len(chosen) > 1):
        # Whole conversations: the prompt is what they share.
        n = next((n for n, (a, b) in enumerate(zip(chosen, rejected, strict=False)) if a != b), len(chosen))
        prompt, chosen, rejected = chosen[:n], chosen[n:], rejected[n:]
    elif prompt is None:
        others = sorted(key for key in OTHER_PROMPTS if key in row)
        if others:
            raise ValueError(f"there is no 'prompt', but {others}: rename the column")
        chosen, rejected = _text(row, "chosen"), _text(row, "rejected")
        end = _common_end(chosen, rejected)
        prompt, chosen, rejected = chosen[:end], chosen[end:], rejected[end:]
    if not prompt:
        raise ValueError("there is no 'prompt', and 'chosen' and 'rejected' do not begin alike")
    labels = {"preference": [1.0, 0.0]}
    for key in row:
        name, _, which = str(key).rpartition("_")
        other = f"{name}_rejected" if which == "chosen" else f"{name}_chosen"
        if name and which in ("chosen", "rejected"):
            if other not in row:
                raise ValueError(f"there is a column {key!r}, and no {other!r}")
            labels[name] = _numbers(name, [row[f"{name}_chosen"], row[f"{name}_rejected"]], 2)
    return Row(prompt, [_response(chosen, "chosen"), _response(rejected, "rejected")], labels)


def _common_end(first: str, second: str) -> int:
    """Where the prompt that two dialogues share ends: after the last "Assistant:", else the last space."""
    common = os.path.commonprefix([first, second])  # noqa: RUF071 - character by character is meant
    answer = common.rfind(ANSWER)
    return answer + len(ANSWER) if answer >= 0 else max(common.rfind(" "), common.rfind("\n")) + 1


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        given = f"a {type(value).__name__}" if key in row else "nothing"
        raise ValueError(f"{key!r} must be a text; got {given}")
    return value


def _prompt(row: Mapping[str, Any]) -> Prompt:
    value = row.get("prompt")
    return value if is_chat(value) else _text(row, "prompt")  # type: ignore[return-value]


def _response(value: Any, key: str) -> str:
    """A response as text, or as one message of the assistant."""
    if is_chat(value):
        if len(value) != 1 or value[0]["role"] != "assistant":
            raise ValueError(f"{key!r} must be one message of the assistant; got {len(value)} messages")
        value = value[0]["content"]
    return _text({key: value}, key)


def _choice(row: Mapping[str, Any], key: str) -> list[float]:
    """Labels of two responses of which one was chosen."""
    choice = row.get(key)
    if choice is None or choice != choice or (choice == -1 and not isinstance(choice, bool)):
        return [np.nan, np.nan]
    if isinstance(choice, bool) or choice not in (0, 1):
        raise ValueError(f"{key!r} must be 0 or 1, or null where unobserved; got {choice!r}")
    return [1.0 - choice, float(choice)]


def _numbers(name: object, values: Any, n: int) -> list[float]:
    values = values.tolist() if isinstance(values, np.ndarray) else values
    kinds = (int, float, np.number, type(None))
    numbers = isinstance(values, list) and not any(
        isinstance(v, bool) or not isinstance(v, kinds) or v in (np.inf, -np.inf) for v in values
    )
    if not numbers or len(values) != n:
        raise ValueError(
            f"labels of {name!r} must be {n} finite numbers, one per response, null where unobserved"
        )
    return [np.nan if value is None else float(value) for value in values]
