"""Preference data from files, frames and datasets, in the layouts of TRL and of published collections."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hyperrank.alignment.preferences import Preferences, Prompt, is_chat

#: What an answer of HH-RLHF begins with.
ANSWER = "\n\nAssistant:"
#: How gzip data begin.
GZIP = b"\x1f\x8b"
#: Functions of prompt and response that give further labels.
Scores = Mapping[str, Callable[[Prompt, str], float]]


class Row(NamedTuple):
    """One prompt, its responses, and their labels by objective."""

    prompt: Prompt
    responses: list[str]
    labels: dict[str, list[float]]


class PreferenceStream:
    """Lists that are read anew for each pass, for data that do not fit in memory."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], scores: Scores | None = None) -> None:
        self.rows, self.scores = rows, scores
        if iter(rows) is rows:
            raise ValueError("a generator can be read only once: give a dataset, or a list of its rows.")
        self.names = tuple(next(self._read()).labels)

    def __iter__(self) -> Iterator[tuple[Prompt, list[str], NDArray[np.float64]]]:
        for number, row in enumerate(self._read()):
            yield row.prompt, row.responses, _table(row, self.names, f"row {number}")

    def _read(self) -> Iterator[Row]:
        empty = True
        for row in _rows(self.rows, self.scores):
            empty = False
            yield row
        if empty:
            raise ValueError("the data have no rows.")


def to_preferences(data: Any, *, scores: Scores | None = None) -> Preferences | PreferenceStream:
    """Read rows in TRL's layouts.

    Parameters
    ----------
    data : datasets.Dataset or IterableDataset, pandas or polars frame, or iterable of mappings
        Each row has a ``prompt`` (a text, or messages with ``role`` and ``content``) and

        - ``chosen`` and ``rejected``, texts or messages: objective ``preference``. Without ``prompt`` it is
          what both begin with. Numbers in ``NAME_chosen`` and ``NAME_rejected``, such as
          ``score_chosen``, are labels of an objective of that name;
        - ``responses`` (or ``completions``) with ``labels``, a list of numbers by objective; ``scores`` or
          ``ranks`` (1 is best) with a number per response;
        - or PKU-SafeRLHF's ``response_0`` and ``response_1``.

        None and NaN are unobserved labels. Rows without a length are read as a stream.
    scores : mapping of str to callable, optional
        Further objectives: functions of a prompt and a response, more is better.

    Returns
    -------
    Preferences or PreferenceStream

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
    return _gathered("data", list(_rows(data, scores)))


def load_hh_rlhf(path: str | Path, *, name: str = "harmlessness", brevity: bool = True) -> Preferences:
    r"""Read pairs in HH-RLHF's layout: whole dialogues ``chosen`` and ``rejected``.

    The prompt is all that both have in common, up to the last ``Assistant:`` in it; the responses are what
    follows. Where the dialogues part before their last turn, a response holds the turns from there on.

    Parameters
    ----------
    path : path
        JSONL, plain or gzip.
    name : str, default "harmlessness"
        Of the objective that the choice was made by.
    brevity : bool, default True
        Whether to add an objective, minus the number of characters of the response.

    Returns
    -------
    Preferences

    Raises
    ------
    ValueError
        With file and line number, if a line is not of the layout.

    References
    ----------
    Bai et al.: Training a Helpful and Harmless Assistant with RLHF, arXiv 2204.05862.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> start = "\n\nHuman: Hi.\n\nAssistant:"
    >>> line = json.dumps({"chosen": start + " Hello!", "rejected": start + " Go away."})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "pairs.jsonl").write_text(line)
    ...     data = load_hh_rlhf(Path(folder, "pairs.jsonl"))
    >>> data.responses, data.labels[0].tolist()
    ([[' Hello!', ' Go away.']], [[1.0, -7.0], [0.0, -9.0]])
    """

    def read(row: Mapping[str, Any]) -> Row:
        chosen, rejected = _text(row, "chosen"), _text(row, "rejected")
        end = _common_end(chosen, rejected)
        if ANSWER not in chosen[:end]:
            raise ValueError("chosen and rejected have no turn of the assistant in common")
        responses = [chosen[end:], rejected[end:]]
        labels: dict[str, list[float]] = {name: [1.0, 0.0]}
        if brevity:
            labels["brevity"] = [-float(len(text)) for text in responses]
        return Row(chosen[:end], responses, labels)

    return _gathered(path, _read_jsonl(path, read))


def load_safe_rlhf(path: str | Path) -> Preferences:
    """Read pairs in PKU-SafeRLHF's layout: two responses, which is better and which is safer.

    Objectives are ``helpfulness`` (``better_response_id``) and ``harmlessness`` (``safer_response_id``); an
    id that is missing, null or -1 is unobserved.

    Parameters
    ----------
    path : path
        JSONL, plain or gzip.

    Returns
    -------
    Preferences

    Raises
    ------
    ValueError
        With file and line number, if a line is not of the layout.

    References
    ----------
    Ji et al.: PKU-SafeRLHF, arXiv 2406.15513.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> row = {"prompt": "Hi.", "response_0": "Hello!", "response_1": "Go away.", "better_response_id": 0}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "pairs.jsonl").write_text(json.dumps(row))
    ...     load_safe_rlhf(Path(folder, "pairs.jsonl")).labels[0].tolist()
    [[1.0, nan], [0.0, nan]]
    """
    return _gathered(path, _read_jsonl(path, _safe_rlhf))


def load_preferences(path: str | Path) -> Preferences:
    """Read rows in any of the layouts of `to_preferences`.

    Parameters
    ----------
    path : path
        JSONL, plain or gzip.

    Returns
    -------
    Preferences
        Objectives in the order of the first line; one that a line lacks is unobserved in it.

    Raises
    ------
    ValueError
        With file and line number, if a line has none of the layouts.

    Examples
    --------
    >>> import json, tempfile
    >>> from pathlib import Path
    >>> row = {"prompt": "Hi.", "responses": ["Hello!", "Hm.", "No."], "labels": {"warmth": [2, 1, None]}}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "lists.jsonl").write_text(json.dumps(row))
    ...     load_preferences(Path(folder, "lists.jsonl")).labels[0].tolist()
    [[2.0], [1.0], [nan]]
    """
    return _gathered(path, _read_jsonl(path, read_row))


def read_row(row: Mapping[str, Any]) -> Row:
    """One row in a layout of `to_preferences`."""
    if not isinstance(row, Mapping):
        raise ValueError(f"expected a mapping of columns, got a {type(row).__name__}")
    row = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in row.items()}
    if "response_0" in row:
        return _safe_rlhf(row)
    if "chosen" in row or "rejected" in row:
        return _pair(row)
    key = "completions" if "completions" in row else "responses"
    responses = row.get(key)
    if not isinstance(responses, list) or len(responses) < 2:
        raise ValueError(f"{key!r} must be a list of two or more texts")
    texts = [_response(text, key) for text in responses]
    labels = row.get("labels")
    if labels is None and ("scores" in row or "ranks" in row):
        best_first = "ranks" in row and "scores" not in row
        values = _numbers("scores", row["ranks" if best_first else "scores"], len(texts))
        return Row(_prompt(row), texts, {"preference": [-v for v in values] if best_first else values})
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
        first, second = _text(row, "chosen"), _text(row, "rejected")
        end = _common_end(first, second)
        prompt, chosen, rejected = first[:end], first[end:], second[end:]
    if not prompt:
        raise ValueError("there is no 'prompt', and 'chosen' and 'rejected' do not begin alike")
    labels = {"preference": [1.0, 0.0]}
    for key in row:
        name = key.removesuffix("_chosen")
        if name != key and f"{name}_rejected" in row:
            labels[name] = _numbers(name, [row[key], row[f"{name}_rejected"]], 2)
    return Row(prompt, [_response(chosen, "chosen"), _response(rejected, "rejected")], labels)


def _safe_rlhf(row: Mapping[str, Any]) -> Row:
    responses = [_text(row, "response_0"), _text(row, "response_1")]
    keys = {"helpfulness": "better_response_id", "harmlessness": "safer_response_id"}
    return Row(_text(row, "prompt"), responses, {name: _chosen(row, key) for name, key in keys.items()})


def _common_end(first: str, second: str) -> int:
    """Where the prompt that two dialogues share ends: after the last "Assistant:", else the last space."""
    common = os.path.commonprefix([first, second])  # noqa: RUF071 - character by character is meant
    answer = common.rfind(ANSWER)
    return answer + len(ANSWER) if answer >= 0 else max(common.rfind(" "), common.rfind("\n")) + 1


def _rows(rows: Iterable[Mapping[str, Any]], scores: Scores | None) -> Iterator[Row]:
    for number, columns in enumerate(rows):
        try:
            row = read_row(columns)
            more = {
                name: [float(f(row.prompt, t)) for t in row.responses] for name, f in (scores or {}).items()
            }
        except ValueError as error:
            raise ValueError(f"row {number}: {error}.") from error
        yield Row(row.prompt, row.responses, {**row.labels, **more})


def _gathered(source: str | Path, rows: Sequence[Row]) -> Preferences:
    if not rows:
        raise ValueError(f"{source}: there are no rows.")
    names = tuple(rows[0].labels)
    tables = [_table(row, names, f"{source}, entry {number}") for number, row in enumerate(rows, start=1)]
    return Preferences([row.prompt for row in rows], [row.responses for row in rows], tables, names)


def _table(row: Row, names: Sequence[str], where: str) -> NDArray[np.float64]:
    unknown = set(row.labels) - set(names)
    if unknown:
        raise ValueError(
            f"{where}: labels of {sorted(unknown)}, which the first row lacks; it has {list(names)}."
        )
    unobserved = [np.nan] * len(row.responses)
    return np.array([row.labels.get(name, unobserved) for name in names], dtype=np.float64).T


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


def _chosen(row: Mapping[str, Any], key: str) -> list[float]:
    """Labels of two responses of which one was chosen."""
    chosen = row.get(key)
    if chosen is None or (chosen == -1 and not isinstance(chosen, bool)):
        return [np.nan, np.nan]
    if isinstance(chosen, bool) or chosen not in (0, 1):
        raise ValueError(f"{key!r} must be 0 or 1, or null where unobserved; got {chosen!r}")
    return [1.0, 0.0] if chosen == 0 else [0.0, 1.0]


def _numbers(name: object, values: Any, n: int) -> list[float]:
    values = values.tolist() if isinstance(values, np.ndarray) else values
    numbers = isinstance(values, list) and all(
        value is None or (isinstance(value, int | float | np.number) and not isinstance(value, bool))
        for value in values
    )
    if not numbers or len(values) != n:
        raise ValueError(f"labels of {name!r} must be {n} numbers, one per response, null where unobserved")
    return [np.nan if value is None else float(value) for value in values]


def _read_jsonl(path: str | Path, read: Callable[[Mapping[str, Any]], Row]) -> list[Row]:
    path = Path(path)
    rows, number = [], 0
    with open(path, "rb") as raw:
        zipped = raw.read(2) == GZIP
    with gzip.open(path, "rb") if zipped else open(path, "rb") as file:
        try:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
                    if not isinstance(row, dict):
                        raise ValueError(f"expected a JSON object, got a {type(row).__name__}")
                    rows.append(read(row))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}, after line {number}: damaged gzip data ({error}).") from error
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}, line {number}: {error}.") from error
    return rows
