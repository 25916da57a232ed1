"""Preference data from columns, files, frames and datasets, in the layouts of TRL and of others."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import IterableDataset, get_worker_info

from hyperrank.alignment.preferences import Example, Preferences, Prompt

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
    labels: dict[str, NDArray[np.float64]]


class PreferenceStream(IterableDataset[Example]):
    """Lists that are read anew for each pass, for data that do not fit in memory."""

    def __init__(self, rows: Iterable[Any], scores: Scores | None = None, names: Any = None) -> None:
        self.rows, self.scores, self.epoch = rows, scores, 0
        if iter(rows) is rows:
            raise ValueError("a generator can be read only once: give a dataset, or a list of its rows.")
        known = tuple(next(self._read())[1].labels)
        self.names = known if names is None else tuple(map(str, names))
        self.columns = [known[j] for j in column_order(known, known if names is None else names)]

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
        return _rows(_numbered(self.rows), self.scores)


def to_preferences(data: Any, *, scores: Scores | None = None) -> Preferences | PreferenceStream:
    """Read rows in TRL's layouts.

    Parameters
    ----------
    data : path, datasets.Dataset or IterableDataset, pandas or polars frame, or iterable of mappings
        A path is of JSON lines, plain or gzip. Each row has a ``prompt`` (a text, or messages with ``role``
        and ``content``) and

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
        With the number of the row or line, if it has none of these layouts.

    Examples
    --------
    >>> rows = [{"prompt": "Hi.", "chosen": "Hello!", "rejected": "Go away."}]
    >>> data = to_preferences(rows, scores={"brevity": lambda prompt, response: -len(response)})
    >>> data.names, data.labels[0].tolist()
    (('preference', 'brevity'), [[1.0, -6.0], [0.0, -8.0]])
    """
    if isinstance(data, Preferences | PreferenceStream):
        if scores is not None:
            raise ValueError(f"scores= goes with rows, not with {type(data).__name__}: pass the rows.")
        return data
    if isinstance(data, str | Path):
        return _gathered(_rows(_lines(Path(data)), scores, str(data)))
    if hasattr(data, "to_dicts"):  # polars
        data = data.to_dicts()
    elif hasattr(data, "to_dict") and hasattr(data, "columns"):
        data = data.to_dict("records")
    if isinstance(data, bytes | Mapping) or not isinstance(data, Iterable):
        raise ValueError(
            "data must be a path, a dataset, a frame, or an iterable of rows such as "
            f"{{'prompt': ..., 'chosen': ..., 'rejected': ...}}; got {type(data).__name__}."
        )
    if not hasattr(data, "__len__"):
        return PreferenceStream(data, scores)
    return _gathered(_rows(_numbered(data), scores))


def read_lists(
    prompts: Any, responses: Any, labels: Any, names: Sequence[str] | None, *, least: int = 2
) -> Preferences | PreferenceStream:
    """Checked data of three columns, or of one thing that has all, with the objectives in order."""
    data = None if responses is not None or labels is not None else to_preferences(prompts)
    if isinstance(data, PreferenceStream):
        return data if names is None else PreferenceStream(data.rows, data.scores, names)
    if data is None or data is prompts:
        known = None if data is None else data.names
        columns = (
            (prompts, responses, labels) if data is None else (data.prompts, data.responses, data.labels)
        )
        data = _of_columns(*columns, known, least)
    if names is None:
        return data
    order = column_order(data.names, names)
    return replace(data, labels=[table[:, order] for table in data.labels], names=tuple(map(str, names)))


def column_order(known: Sequence[str], names: Sequence[str]) -> list[int]:
    """The column of each of `names` among the known ones; a renamed one stands where the old one did."""
    texts = [str(name) for name in names]
    order = [list(known).index(name) if name in known else j for j, name in enumerate(texts)]
    if not _is_list(names) or len(texts) != len(set(texts)) or sorted(order) != list(range(len(known))):
        raise ValueError(
            f"objectives {names!r} do not fit those of the data, {list(known)}: expected a list of "
            f"{len(known)} different names, the same in any order or others in their place."
        )
    return order


def check_texts(prompts: Any, responses: Any = None) -> None:
    """Check prompts, and lists of one or more responses to each."""
    for number, prompt in enumerate(_column("prompts", prompts)):
        with _located(f"prompt {number}"):
            _prompt({"prompt": prompt})
    lists = [] if responses is None else _column("responses", responses, len(prompts))
    for number, texts in enumerate(lists):
        with _located(f"responses[{number}]"):
            _responses(texts, "responses", 1)


def _of_columns(prompts: Any, responses: Any, labels: Any, names: Any, least: int) -> Preferences:
    """Preferences of columns, whose objectives are objective_0, objective_1, ... where they have no names."""
    texts = _column("prompts", prompts)
    columns = (texts, _column("responses", responses, len(texts)), _column("labels", labels, len(texts)))
    keys = ("prompt", "responses", "labels")
    rows = (dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True))
    data = _gathered(_rows(_numbered(rows), least=least), whole=True)
    if names is not None and len(names) != len(data.names):
        raise ValueError(f"there are labels of {len(data.names)} objectives, and the names {names!r}.")
    return data if names is None else replace(data, names=tuple(names))


def _column(name: str, values: Any, n: int | None = None) -> list[Any]:
    """A column as a list, of `n` entries or of at least one."""
    if not _is_list(values) or len(values) != (max(1, len(values)) if n is None else n):
        expected = "at least one entry" if n is None else f"{n}, one for each prompt"
        raise ValueError(f"{name} must be a list of {expected}; got {_brief(values)}.")
    return list(values)


def _numbered(rows: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    return ((f"row {number}", row) for number, row in enumerate(rows))


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


@contextmanager
def _located(where: str) -> Iterator[None]:
    """Errors of values inside say where."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}: {error}.") from error


def _rows(
    entries: Iterable[tuple[str, Any]],
    scores: Scores | None = None,
    source: str = "the data",
    least: int = 2,
) -> Iterator[tuple[str, Row]]:
    """Rows read, with further scores, and where each stands."""
    where = None
    for where, columns in entries:
        with _located(where):
            row = _read_row(columns, least)
            taken = sorted(row.labels.keys() & (scores or {}))
            if taken:
                raise ValueError(f"there are labels of {taken} already: give these scores other names")
            for name, score in (scores or {}).items():
                values = [score(row.prompt, text) for text in row.responses]
                row.labels[name] = _numbers(name, values, len(values))
        yield where, row
    if where is None:
        raise ValueError(f"{source}: there are no rows.")


def _gathered(rows: Iterator[tuple[str, Row]], *, whole: bool = False) -> Preferences:
    """Preferences of rows; with `whole` each row has the labels of all objectives."""
    places, found = zip(*rows, strict=True)
    names = tuple(found[0].labels)
    tables = [_table(where, row, names) for where, row in zip(places, found, strict=True)]
    lacking = next((n for n, row in enumerate(found) if len(row.labels) < len(names)), None)
    if whole and lacking is not None:
        raise ValueError(
            f"{places[lacking]}: labels of {len(found[lacking].labels)} objectives, not {len(names)}."
        )
    return Preferences([row.prompt for row in found], [row.responses for row in found], tables, names)


def _table(where: str, row: Row, names: Sequence[str]) -> NDArray[np.float64]:
    unknown = set(row.labels) - set(names)
    if unknown:
        raise ValueError(
            f"{where}: labels of {sorted(unknown)}, which the first row lacks; it has {list(names)}."
        )
    unobserved = np.full(len(row.responses), np.nan)
    return np.stack([row.labels.get(name, unobserved) for name in names], axis=1)


def _read_row(row: Any, least: int) -> Row:
    """One row in a layout of `to_preferences`."""
    if not isinstance(row, Mapping):
        raise ValueError(f"expected a mapping of columns, got a {type(row).__name__}")
    row = {key: _objects(v).tolist() if isinstance(v, np.ndarray) else v for key, v in row.items()}
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
    prompt, responses = _prompt(row), _responses(row[key], key, least)
    labels, n = row.get("labels"), len(responses)
    if labels is None and row.get("scores") is not None:
        labels = {"preference": row["scores"]}
    elif labels is None and row.get("ranks") is not None:
        labels = {"preference": -_numbers("ranks", row["ranks"], n)}
    elif _is_list(labels):
        table = _objects(labels)
        columns = table[:, None] if table.ndim == 1 else table
        labels = {f"objective_{j}": columns[:, j] for j in range(columns.shape[1])}
    if not isinstance(labels, Mapping) or not labels:
        raise ValueError(f"'labels' must hold for each objective a list of numbers; got {_brief(labels)}")
    return Row(prompt, responses, {str(k): _numbers(k, v, n) for k, v in labels.items() if v is not None})


def _pair(row: Mapping[str, Any]) -> Row:
    chosen, rejected = row.get("chosen"), row.get("rejected")
    prompt: Prompt | None = None if row.get("prompt") is None else _prompt(row)
    if is_chat(chosen) and is_chat(rejected) and (prompt is None or len(chosen) > 1):
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
    labels = {"preference": np.array([1.0, 0.0])}
    for key in row:
        name, _, which = str(key).rpartition("_")
        if name and which in ("chosen", "rejected"):
            keys = [f"{name}_chosen", f"{name}_rejected"]
            absent = [other for other in keys if other not in row]
            if absent:
                raise ValueError(f"there is a column {key!r}, and no {absent[0]!r}")
            labels[name] = _numbers(name, [row[other] for other in keys], 2)
    return Row(prompt, [_response(chosen, "chosen"), _response(rejected, "rejected")], labels)


def _common_end(first: str, second: str) -> int:
    """Where the prompt that two dialogues share ends: after the last "Assistant:", else the last space."""
    common = os.path.commonprefix([first, second])  # noqa: RUF071 - character by character is meant
    answer = common.rfind(ANSWER)
    return answer + len(ANSWER) if answer >= 0 else max(common.rfind(" "), common.rfind("\n")) + 1


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key!r} must be a text; got {'nothing' if value is None else _brief(value)}")
    return value


def _prompt(row: Mapping[str, Any]) -> Prompt:
    value = row.get("prompt")
    if isinstance(value, str) or is_chat(value):
        return value
    raise ValueError(
        f"'prompt' must be a text, or a list of messages with 'role' and 'content'; got {_brief(value)}"
    )


def _responses(values: Any, key: str, least: int) -> list[str]:
    if not _is_list(values) or len(values) < least:
        raise ValueError(
            f"{key!r} must be a list of {'two' if least > 1 else 'one'} or more texts; got {_brief(values)}"
        )
    return [_response(value, f"{key}[{number}]") for number, value in enumerate(values)]


def _response(value: Any, key: str) -> str:
    """A response as text, or as one message of the assistant."""
    if is_chat(value):
        if len(value) != 1 or value[0]["role"] != "assistant":
            raise ValueError(f"{key!r} must be one message of the assistant; got {len(value)} messages")
        value = value[0]["content"]
    return _text({key: value}, key)


def _choice(row: Mapping[str, Any], key: str) -> NDArray[np.float64]:
    """Labels of two responses of which one was chosen."""
    choice = row.get(key)
    if choice is None or choice != choice or choice == -1:
        return np.full(2, np.nan)
    if isinstance(choice, bool) or choice not in (0, 1):
        raise ValueError(f"{key!r} must be 0 or 1, or null where unobserved; got {choice!r}")
    return np.array([1.0 - choice, float(choice)])


def _numbers(name: object, values: Any, n: int) -> NDArray[np.float64]:
    """Labels of n responses: numbers, and not what numpy would make numbers of, such as dates."""
    entries = _objects(values if _is_list(values) else ())
    fits = entries.shape == (n,) and all(v is None or isinstance(v, Real) for v in entries)
    numbers = entries.astype(np.float64) if fits else np.array([np.inf])
    if np.isinf(numbers).any():
        raise ValueError(
            f"labels of {name!r} must be {n} finite numbers, one per response, null where unobserved; "
            f"got {_brief(values)}"
        )
    return numbers


def _objects(values: Any) -> NDArray[np.object_]:
    """Entries as objects, times as text: numpy makes whole numbers of those in nanoseconds."""
    with suppress(ValueError):  # of rows of several lengths
        given = np.asarray(values)
        if given.dtype.kind in "mM":
            values = given.astype(str)
    return np.asarray(values, dtype=object)


def is_chat(prompt: object) -> TypeGuard[Sequence[Mapping[str, str]]]:
    """Whether something is a list of messages."""
    if not isinstance(prompt, list | tuple) or not prompt:
        return False
    return all(
        isinstance(m, Mapping) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str)
        for m in prompt
    )


def _is_list(value: object) -> bool:
    """Whether something is a column or a list, rather than a text, a mapping or a frame of named columns."""
    is_other = isinstance(value, str | bytes | Mapping | set) or hasattr(value, "columns")
    return hasattr(value, "__len__") and hasattr(value, "__getitem__") and not is_other


def _brief(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:60] + '...'}"
