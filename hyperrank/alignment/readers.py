"""Preference data in the layouts that they are published in."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.alignment.inputs import Prompt
from hyperrank.alignment.jsonl import read_jsonl
from hyperrank.alignment.preferences import Preferences

__all__ = ["load_hh_rlhf", "load_preferences", "load_safe_rlhf"]

#: What an answer of HH-RLHF begins with.
ANSWER = "\n\nAssistant:"
#: One line: a prompt, its responses, and their labels, by objective or in rows.
Row = tuple[Prompt, list[str], Mapping[str, Sequence[float]]]


def load_hh_rlhf(path: str | Path, *, name: str = "harmlessness", brevity: bool = True) -> Preferences:
    r"""Read pairs in HH-RLHF's layout: whole dialogues ``chosen`` and ``rejected``.

    The prompt is all that both have in common, up to the last ``Assistant:`` in it; the responses are what
    follows. Where the dialogues part before their last turn, a response holds the turns from there on.

    Parameters
    ----------
    path : path
        JSONL, plain or gzip.
    name : str, default "harmlessness"
        What the choice was made for.
    brevity : bool, default True
        Whether a second label is derived: less the number of characters of the response.

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

    def read(row: dict[str, Any]) -> Row:
        both = [_text(row, key) for key in ("chosen", "rejected")]
        common = os.path.commonprefix(both)  # noqa: RUF071 - character by character is what is meant
        at = common.rfind(ANSWER)
        if at < 0:
            raise ValueError("chosen and rejected have no turn of the assistant in common")
        end = at + len(ANSWER)
        responses = [text[end:] for text in both]
        labels: dict[str, Sequence[float]] = {name: [1.0, 0.0]}
        if brevity:
            labels["brevity"] = [-float(len(text)) for text in responses]
        return common[:end], responses, labels

    return _gathered(path, read_jsonl(path, read))


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

    def read(row: dict[str, Any]) -> Row:
        responses = [_text(row, "response_0"), _text(row, "response_1")]
        labels = {
            "helpfulness": _chosen(row, "better_response_id"),
            "harmlessness": _chosen(row, "safer_response_id"),
        }
        return _text(row, "prompt"), responses, labels

    return _gathered(path, read_jsonl(path, read))


def load_preferences(path: str | Path) -> Preferences:
    """Read lists of any length with any labels: ``prompt``, ``responses`` and ``labels`` by objective.

    Parameters
    ----------
    path : path
        JSONL, plain or gzip. ``prompt`` is a text or a list of messages; ``labels`` has for each objective a
        list of one number per response, null where unobserved.

    Returns
    -------
    Preferences
        Objectives in the order of the first line; one that a line lacks is unobserved in it.

    Raises
    ------
    ValueError
        With file and line number, if a line is not of the layout.

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

    def read(row: dict[str, Any]) -> Row:
        responses, labels = row.get("responses"), row.get("labels")
        texts = isinstance(responses, list) and all(isinstance(text, str) for text in responses)
        if not isinstance(responses, list) or not texts or len(responses) < 2:
            raise ValueError("'responses' must be a list of two or more texts")
        if not isinstance(labels, dict) or not labels:
            raise ValueError("'labels' must hold for each objective a list of numbers")
        return _prompt(row), responses, {k: _numbers(k, v, len(responses)) for k, v in labels.items()}

    return _gathered(path, read_jsonl(path, read))


def _gathered(path: str | Path, rows: Sequence[Row]) -> Preferences:
    names = tuple(rows[0][2])
    for number, (_, _, labels) in enumerate(rows, start=1):
        unknown = set(labels) - set(names)
        if unknown:
            raise ValueError(
                f"{path}, entry {number}: labels of {sorted(unknown)}, of which the first entry has none; "
                f"its objectives are {list(names)}."
            )
    return Preferences(
        [prompt for prompt, _, _ in rows],
        [responses for _, responses, _ in rows],
        [_table(labels, names, len(responses)) for _, responses, labels in rows],
        names,
    )


def _table(labels: Mapping[str, Sequence[float]], names: Sequence[str], n: int) -> NDArray[np.float64]:
    unobserved = [np.nan] * n
    return np.array([labels.get(name, unobserved) for name in names], dtype=np.float64).T


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        given = f"a {type(value).__name__}" if key in row else "nothing"
        raise ValueError(f"{key!r} must be a text; got {given}")
    return value


def _prompt(row: Mapping[str, Any]) -> Prompt:
    value = row.get("prompt")
    if (
        isinstance(value, list)
        and value
        and all(isinstance(m, dict) and {"role", "content"} <= set(m) for m in value)
    ):
        return value
    return _text(row, "prompt")


def _chosen(row: Mapping[str, Any], key: str) -> list[float]:
    """Labels of two responses of which one was chosen."""
    chosen = row.get(key)
    if chosen is None or (chosen == -1 and not isinstance(chosen, bool)):
        return [np.nan, np.nan]
    if isinstance(chosen, bool) or chosen not in (0, 1):
        raise ValueError(f"{key!r} must be 0 or 1, or null where unobserved; got {chosen!r}")
    return [1.0, 0.0] if chosen == 0 else [0.0, 1.0]


def _numbers(name: str, values: Any, n: int) -> list[float]:
    numbers = isinstance(values, list) and all(
        value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values
    )
    if not numbers or len(values) != n:
        raise ValueError(f"labels of {name!r} must be {n} numbers, one per response, null where unobserved")
    return [np.nan if value is None else float(value) for value in values]
