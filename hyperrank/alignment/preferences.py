"""Preference lists: prompts, responses and several labels of each, checked before any model is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.simplex import as_weights
from hyperrank.weights import PerRow, in_order

#: A text, or a conversation for the tokenizer's chat template.
Prompt = str | Sequence[Mapping[str, str]]


@dataclass(frozen=True, eq=False)
class Preferences:
    """Prompts with several responses and their labels, for `HyperPromptAligner.fit`.

    Parameters
    ----------
    prompts : list of str, or of conversations
    responses : list of list of str
        Two or more for each prompt.
    labels : list of ndarray of shape (n_responses, m), float64
        More is better; NaN where unobserved.
    names : tuple of str
        Of the objectives.

    Examples
    --------
    >>> import numpy as np
    >>> data = Preferences(["Hi."], [["Hello.", "What?"]], [np.array([[1.0], [0.0]])], ("politeness",))
    >>> len(data), data.n_objectives
    (1, 1)
    """

    prompts: list[Prompt]
    responses: list[list[str]]
    labels: list[NDArray[np.float64]]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def n_objectives(self) -> int:
        """Number of labels of each response."""
        return len(self.names)

    def take(self, lists: Sequence[int] | NDArray[np.integer]) -> Preferences:
        """Some of the lists, by their numbers.

        Parameters
        ----------
        lists : sequence of int
            In the order in which they are returned.

        Returns
        -------
        Preferences
        """
        return Preferences(
            [self.prompts[number] for number in lists],
            [self.responses[number] for number in lists],
            [self.labels[number] for number in lists],
            self.names,
        )

    def split(self, test_size: float = 0.2, *, random_state: int = 0) -> tuple[Preferences, Preferences]:
        """Training and test lists; lists with the same prompt stay on one side.

        Parameters
        ----------
        test_size : float, default 0.2
            Share of the different prompts to set aside.
        random_state : int, default 0
            Seed of the draw.

        Returns
        -------
        train, test : Preferences

        Raises
        ------
        ValueError
            If the share leaves one side empty.
        """
        keys = [str(prompt) for prompt in self.prompts]
        distinct = sorted(set(keys))
        n_test = round(test_size * len(distinct))
        if not 0 < n_test < len(distinct):
            raise ValueError(
                f"test_size={test_size} of {len(distinct)} different prompts leaves one side without any."
            )
        drawn = np.random.default_rng(random_state).permutation(len(distinct))[:n_test]
        held_out = {distinct[number] for number in drawn}
        is_test = np.array([key in held_out for key in keys])
        return self.take(np.flatnonzero(~is_test)), self.take(np.flatnonzero(is_test))


def check_texts(prompts: Any, responses: Any = None, *, least: int = 1) -> None:
    """Check that there are prompts, and at least so many responses to each."""
    if isinstance(prompts, str) or not hasattr(prompts, "__len__") or len(prompts) == 0:
        raise ValueError(f"prompts must be a list of at least one text; got {_brief(prompts)}.")
    for number, prompt in enumerate(prompts):
        if not (isinstance(prompt, str) or is_chat(prompt)):
            raise ValueError(
                f"prompt {number} must be a text, or a list of messages with 'role' and 'content'; "
                f"got {_brief(prompt)}."
            )
    if responses is None:
        return
    if isinstance(responses, str) or not hasattr(responses, "__len__"):
        raise ValueError(f"responses must be one list of texts per prompt; got {_brief(responses)}.")
    if len(responses) != len(prompts):
        raise ValueError(
            f"{len(prompts)} prompts, but {len(responses)} lists of responses; expected one each."
        )
    for number, texts in enumerate(responses):
        if isinstance(texts, str) or not hasattr(texts, "__len__"):
            raise ValueError(f"responses[{number}] must be a list of texts; got {_brief(texts)}.")
        if len(texts) < least:
            expected = "two or more, between which there can be a preference" if least > 1 else "one or more"
            raise ValueError(f"responses[{number}] has {len(texts)}; expected {expected}.")
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f"responses[{number}][{place}] must be a text; got {_brief(text)}.")


def check_labels(labels: Any, responses: Sequence[Sequence[str]]) -> list[NDArray[np.float64]]:
    """Labels as arrays of shape (n_responses, m), one per prompt."""
    if not hasattr(labels, "__len__") or len(labels) != len(responses):
        given = len(labels) if hasattr(labels, "__len__") else type(labels).__name__
        raise ValueError(f"{len(responses)} lists of responses, but labels for {given}; expected one each.")
    blocks: list[NDArray[np.float64]] = []
    for number, (rows, texts) in enumerate(zip(labels, responses, strict=True)):
        try:
            block = np.asarray(rows, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"labels[{number}] must be numbers, NaN where unobserved: {error}.") from error
        block = block[:, None] if block.ndim == 1 else block
        m = blocks[0].shape[1] if blocks else block.shape[-1]
        if block.shape != (len(texts), m) or not m:
            raise ValueError(
                f"labels[{number}] have shape {np.shape(rows)}; expected (n_responses, n_objectives) = "
                f"({len(texts)}, {m})."
            )
        if np.isinf(block).any():
            raise ValueError(f"labels[{number}] hold an infinity; expected finite numbers, or NaN.")
        blocks.append(block)
    flat = sum((_spread(block) for block in blocks), start=np.zeros(blocks[0].shape[1], dtype=bool))
    if not flat.all():
        which = np.flatnonzero(~flat).tolist()
        raise ValueError(
            f"labels of objectives {which} differ within no list: there is nothing to learn for them. "
            "Leave the columns out, or give lists in which they differ."
        )
    return blocks


def read_weights(
    weights: ArrayLike | Mapping[str, float] | PerRow | None, names: Sequence[str], n_prompts: int
) -> tuple[NDArray[np.float64], bool]:
    """Weights of each prompt under k trade-offs, shape (n_prompts, k, m), and whether k stands for one."""
    m = len(names)
    if weights is None:
        weights = np.full(m, 1 / m)
    if isinstance(weights, PerRow):
        rows = as_weights(in_order(weights.table, names, strict=True), m, names)
        if rows.shape != (n_prompts, m):
            raise ValueError(
                f"PerRow was given weights of shape {rows.shape}; "
                f"expected one row per prompt, ({n_prompts}, {m})."
            )
        return rows[:, None, :], True
    values = as_weights(in_order(weights, names), m, names)
    shared = np.atleast_2d(values)
    return np.repeat(shared[None], n_prompts, axis=0), values.ndim == 1


def named_weights(
    weights: Mapping[str, ArrayLike] | None, names: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Trade-offs by name; each objective alone and all equally by default."""
    if weights is None:
        corners: Mapping[str, ArrayLike] = dict(zip(names, np.eye(len(names)), strict=True))
        weights = {**corners, "center": np.full(len(names), 1 / len(names))}
    elif not isinstance(weights, Mapping) or not weights:
        raise ValueError("weights must map names of trade-offs to weights, such as {'brief': [0.2, 0.8]}.")
    found = {str(name): read_weights(w, names, 1) for name, w in weights.items()}
    if not all(single for _, single in found.values()):
        raise ValueError("each of the weights must be one trade-off.")
    return {name: points[0, 0] for name, (points, _) in found.items()}


def evaluation_points(n_objectives: int) -> NDArray[np.float64]:
    """Corners of the simplex and its center, where there is more than one objective."""
    corners = np.eye(n_objectives)
    return corners if n_objectives == 1 else np.vstack([corners, np.full(n_objectives, 1 / n_objectives)])


def pair_counts(labels: NDArray[np.float64], rewards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of one list the pairs that rewards order alike, all pairs, and their reward margins; shape (3, m)."""
    better = labels[:, None, :] > labels[None, :, :]
    margin = (rewards[:, None] - rewards[None, :])[:, :, None]
    alike = 0.5 * (1 + np.sign(margin))
    return np.stack([(better * part).sum(axis=(0, 1)) for part in (alike, np.ones_like(margin), margin)])


def preference_accuracy(labels: Sequence[ArrayLike], rewards: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Of pairs with different labels the share that rewards order alike, by objective.

    Parameters
    ----------
    labels : sequence of array-like of shape (n_responses, m)
        NaN where unobserved.
    rewards : sequence of array-like of shape (n_responses,)
        As `HyperPromptAligner.score` gives them under one trade-off.

    Returns
    -------
    ndarray of shape (m,), float64
        Equal rewards count half; NaN for an objective without a preference.

    Examples
    --------
    >>> preference_accuracy([[[1, 0], [0, 2]], [[1, 1], [0, 1]]], [[0.3, 0.1], [0.1, 0.2]]).tolist()
    [0.5, 0.0]
    """
    total: NDArray[np.float64] | None = None
    for of_list, reward in zip(labels, rewards, strict=True):
        z, r = np.asarray(of_list, dtype=np.float64), np.asarray(reward, dtype=np.float64)
        z = z[:, None] if z.ndim == 1 else z
        if r.shape != z.shape[:1]:
            raise ValueError(
                f"rewards of shape {r.shape} for labels of shape {z.shape}; expected one per response."
            )
        counts = pair_counts(z, r)
        total = counts if total is None else total + counts
    if total is None:
        raise ValueError("there are no lists.")
    return np.asarray(np.divide(total[0], total[1], out=np.full(len(total[0]), np.nan), where=total[1] > 0))


def is_chat(prompt: object) -> bool:
    """Whether something is a list of messages."""
    if not isinstance(prompt, list | tuple) or not prompt:
        return False
    return all(isinstance(m, Mapping) and {"role", "content"} <= set(m) for m in prompt)


def _spread(block: NDArray[np.float64]) -> NDArray[np.bool_]:
    low = np.where(np.isnan(block), np.inf, block).min(axis=0)
    high = np.where(np.isnan(block), -np.inf, block).max(axis=0)
    return np.asarray(high > low)


def _brief(value: object) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:60] + '...'}"
