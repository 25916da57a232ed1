"""What a caller passes, checked before any model runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.simplex import as_weights
from hyperrank.weights import PerRow, in_order

__all__ = ["Prompt", "check_texts", "read_labels", "read_weights"]

#: A text, or a conversation for the tokenizer's chat template.
Prompt = str | Sequence[Mapping[str, str]]


def check_texts(prompts: Any, responses: Any = None, *, least: int = 1) -> None:
    """See that there are prompts, and at least so many responses to each.

    Raises
    ------
    ValueError
        With what was given, where, and what is wanted.
    """
    if isinstance(prompts, str) or not isinstance(prompts, Sequence | np.ndarray) or len(prompts) == 0:
        raise ValueError(f"prompts must be a list of at least one text; got {_brief(prompts)}.")
    for number, prompt in enumerate(prompts):
        if not (isinstance(prompt, str) or _is_chat(prompt)):
            raise ValueError(
                f"prompt {number} must be a text, or a list of messages with 'role' and 'content'; "
                f"got {_brief(prompt)}."
            )
    if responses is None:
        return
    if isinstance(responses, str) or not hasattr(responses, "__len__"):
        raise ValueError(f"responses must be one list of texts per prompt; got {_brief(responses)}.")
    if len(responses) != len(prompts):
        raise ValueError(f"{len(prompts)} prompts, but {len(responses)} lists of responses; wanted one each.")
    for number, texts in enumerate(responses):
        if isinstance(texts, str) or not hasattr(texts, "__len__"):
            raise ValueError(f"responses[{number}] must be a list of texts; got {_brief(texts)}.")
        if len(texts) < least:
            wanted = "two or more, which is what a preference is between" if least > 1 else "one or more"
            raise ValueError(f"responses[{number}] has {len(texts)}; wanted {wanted}.")
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f"responses[{number}][{place}] must be a text; got {_brief(text)}.")


def read_labels(
    labels: Any, responses: Sequence[Sequence[str]], n_objectives: int | None = None
) -> NDArray[np.float64]:
    """Labels of all responses, flat, shape (n, m).

    Parameters
    ----------
    labels : sequence of array-like of shape (n_responses, m)
        One per prompt; more is better, NaN where unobserved. Shape (n_responses,) is one objective.
    responses : sequence of sequence of str
    n_objectives : int, optional
        m, where it is known already.

    Raises
    ------
    ValueError
        If shapes do not fit, a label is infinite, or an objective prefers nothing anywhere.
    """
    if not hasattr(labels, "__len__") or len(labels) != len(responses):
        given = len(labels) if hasattr(labels, "__len__") else type(labels).__name__
        raise ValueError(f"{len(responses)} lists of responses, but labels for {given}; wanted one each.")
    found = []
    for number, (rows, texts) in enumerate(zip(labels, responses, strict=True)):
        try:
            block = np.asarray(rows, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"labels[{number}] must be numbers, NaN where unobserved: {error}.") from error
        block = block[:, None] if block.ndim == 1 else block
        n_objectives = n_objectives or (block.shape[1] if block.ndim == 2 else 0)
        if block.shape != (len(texts), n_objectives) or not n_objectives:
            raise ValueError(
                f"labels[{number}] have shape {np.shape(rows)}; wanted (n_responses, n_objectives) = "
                f"({len(texts)}, {n_objectives})."
            )
        if np.isinf(block).any():
            raise ValueError(f"labels[{number}] hold an infinity; wanted finite numbers, or NaN.")
        found.append(block)
    _check_preferences(found)
    return np.concatenate(found)


def read_weights(
    weights: ArrayLike | Mapping[str, float] | PerRow | None, names: Sequence[str], n_prompts: int
) -> tuple[NDArray[np.float64], bool]:
    """Weights of each prompt under k trade-offs, shape (n_prompts, k, m), and whether k stands for one.

    Raises
    ------
    ValueError
        If they are off the simplex, or there is not one row for each prompt where that is what is meant.
    """
    m = len(names)
    if weights is None:
        weights = np.full(m, 1 / m)
    if isinstance(weights, PerRow):
        rows = as_weights(in_order(weights.table, names, strict=True), m, names)
        if rows.shape != (n_prompts, m):
            raise ValueError(
                f"PerRow was given weights of shape {rows.shape}; "
                f"wanted one row per prompt, ({n_prompts}, {m})."
            )
        return rows[:, None, :], True
    values = as_weights(weights, m, names)
    shared = np.atleast_2d(values)
    return np.broadcast_to(shared, (n_prompts, *shared.shape)), values.ndim == 1


def _check_preferences(blocks: Sequence[NDArray[np.float64]]) -> None:
    """See that each objective prefers something to something."""
    m = blocks[0].shape[1]
    spread = np.zeros(m, dtype=bool)
    for block in blocks:
        low = np.where(np.isnan(block), np.inf, block).min(axis=0)
        high = np.where(np.isnan(block), -np.inf, block).max(axis=0)
        spread |= high > low
    if not spread.all():
        which = np.flatnonzero(~spread).tolist()
        raise ValueError(
            f"labels of objectives {which} differ within no list: there is nothing to learn for them. "
            "Leave the columns out, or give lists in which they differ."
        )


def _is_chat(prompt: Any) -> bool:
    if not isinstance(prompt, list | tuple) or not prompt:
        return False
    return all(isinstance(m, Mapping) and {"role", "content"} <= set(m) for m in prompt)


def _brief(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:60] + '...'}"
