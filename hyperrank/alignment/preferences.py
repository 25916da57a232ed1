"""Preference lists: prompts, responses and several labels of each, checked before any model is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.simplex import as_weights
from hyperrank.weights import PerRow, in_order

#: A text, or a conversation for the tokenizer's chat template.
Prompt = str | Sequence[Mapping[str, str]]


class Example(NamedTuple):
    """One list, and its place in the run, which its weights are drawn by."""

    prompt: Prompt
    responses: Sequence[str]
    labels: NDArray[np.float64]
    epoch: int = 0
    number: int = 0
    points: NDArray[np.float64] | None = None


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
    >>> data
    <Preferences n_prompts=1 n_responses=2 names=['politeness']>
    """

    prompts: list[Prompt]
    responses: list[list[str]]
    labels: list[NDArray[np.float64]]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.prompts)

    def __repr__(self) -> str:
        n_responses = sum(len(some) for some in self.responses)
        return f"<Preferences n_prompts={len(self)} n_responses={n_responses} names={list(self.names)}>"

    @property
    def n_objectives(self) -> int:
        """Number of labels of each response."""
        return len(self.names)

    def take(self, lists: Sequence[int] | NDArray[np.integer | np.bool_]) -> Preferences:
        """Some of the lists, by their numbers.

        Parameters
        ----------
        lists : sequence of int
            In the order in which they are returned; or a mask.

        Returns
        -------
        Preferences
        """
        numbers = np.arange(len(self))[np.asarray(lists)] if len(lists) else ()
        return Preferences(
            [self.prompts[number] for number in numbers],
            [self.responses[number] for number in numbers],
            [self.labels[number] for number in numbers],
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
        is_test = np.isin(keys, [distinct[number] for number in drawn])
        return self.take(~is_test), self.take(is_test)


def checked(
    prompts: Any, responses: Any, labels: Any, names: Sequence[str] | None = None, *, least: int = 2
) -> Preferences:
    """Preferences of checked columns; objectives without names are objective_0, objective_1, ..."""
    check_texts(prompts, responses, least=least)
    blocks = check_labels(labels, responses)
    m = blocks[0].shape[1]
    names = tuple(f"objective_{j}" for j in range(m) if names is None) or names or ()
    if len(names) != m:
        raise ValueError(f"there are labels of {m} objectives, and the names {names!r}.")
    return Preferences(list(prompts), list(map(list, responses)), blocks, tuple(names))


def check_texts(prompts: Any, responses: Any = None, *, least: int = 1) -> None:
    """Check that there are prompts, and at least so many responses to each."""
    if not _is_list(prompts) or len(prompts) == 0:
        raise ValueError(f"prompts must be a list of at least one text; got {_brief(prompts)}.")
    for number, prompt in enumerate(prompts):
        if not (isinstance(prompt, str) or is_chat(prompt)):
            raise ValueError(
                f"prompt {number} must be a text, or a list of messages with 'role' and 'content'; "
                f"got {_brief(prompt)}."
            )
    if responses is None:
        return
    if not _is_list(responses) or len(responses) != len(prompts):
        raise ValueError(
            f"responses must be one list of texts for each of the {len(prompts)} prompts; "
            f"got {_brief(responses)}."
        )
    for number, texts in enumerate(responses):
        if not _is_list(texts) or len(texts) < least or not all(isinstance(text, str) for text in texts):
            expected = "two or more texts, between which there can be a preference" if least > 1 else "texts"
            raise ValueError(f"responses[{number}] must be a list of {expected}; got {_brief(texts)}.")


def check_labels(labels: Any, responses: Sequence[Sequence[str]]) -> list[NDArray[np.float64]]:
    """Labels as arrays of shape (n_responses, m), one per prompt."""
    if not _is_list(labels) or len(labels) != len(responses):
        raise ValueError(
            f"labels must be one array for each of the {len(responses)} lists of responses; "
            f"got {_brief(labels)}."
        )
    blocks: list[NDArray[np.float64]] = []
    for number, (rows, texts) in enumerate(zip(labels, responses, strict=True)):
        try:
            given = np.asarray(rows if _is_list(rows) else None)
            # Not texts, dates or complex numbers, of which numpy would make numbers.
            block = given.astype(np.float64, casting="unsafe" if given.dtype.kind in "biufO" else "no")
        except (TypeError, ValueError) as error:
            raise ValueError(f"labels[{number}] must be numbers, NaN where unobserved: {error}.") from error
        block = block[:, None] if block.ndim == 1 else block
        m = blocks[0].shape[1] if blocks else block.shape[-1] if block.ndim else 0
        if block.shape != (len(texts), m) or not m:
            raise ValueError(
                f"labels[{number}] must be an array of shape (n_responses, n_objectives) = "
                f"({len(texts)}, {m}), NaN where unobserved; got {_brief(rows)}."
            )
        if np.isinf(block).any():
            raise ValueError(f"labels[{number}] hold an infinity; expected finite numbers, or NaN.")
        blocks.append(block)
    return blocks


def check_differences(data: Preferences) -> None:
    """Check that each objective has a preference in some list."""
    counts = sum(pair_counts(labels, np.zeros(len(labels)))[1] for labels in data.labels)
    flat = [name for name, count in zip(data.names, np.atleast_1d(counts), strict=True) if not count]
    if flat:
        raise ValueError(
            f"labels of objectives {flat} differ within no list: there is nothing to learn for them. "
            "Leave the columns out, or give lists in which they differ."
        )


def in_objective_order(data: Preferences, names: Sequence[str]) -> Preferences:
    """Data with the objectives of a fit: by name, or in the order given where they have other names."""
    order = column_order(data.names, names)
    return replace(data, labels=[labels[:, order] for labels in data.labels], names=tuple(map(str, names)))


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


def read_weights(
    weights: ArrayLike | Mapping[str, float] | PerRow | None, names: Sequence[str], n_prompts: int
) -> tuple[NDArray[np.float64], bool]:
    """Weights of each prompt under k trade-offs, shape (n_prompts, k, m), and whether k stands for one."""
    m = len(names)
    if weights is None:
        weights = np.full(m, 1 / m)
    if isinstance(weights, PerRow):
        rows = as_weights(in_order(weights.table, names), m, names)
        if rows.shape != (n_prompts, m):
            raise ValueError(
                f"PerRow was given weights of shape {rows.shape}; "
                f"expected one row per prompt, ({n_prompts}, {m})."
            )
        return rows[:, None, :], True
    values = as_weights(weights, m, names)
    return np.repeat(np.atleast_2d(values)[None], n_prompts, axis=0), values.ndim == 1


def one_weight(weights: ArrayLike | Mapping[str, float], names: Sequence[str]) -> NDArray[np.float64]:
    """One trade-off, shape (m,)."""
    points, single = read_weights(weights, names, 1)
    if not single or isinstance(weights, PerRow):
        raise ValueError(f"weights must be one trade-off of shape ({len(names)},); got {_brief(weights)}.")
    return points[0, 0]


def named_weights(
    weights: Mapping[str, ArrayLike] | None, names: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Trade-offs by name; each objective alone and all equally by default."""
    if weights is None:
        return dict(zip([*names, "center"], evaluation_points(len(names)), strict=False))
    if not isinstance(weights, Mapping) or not weights:
        raise ValueError("weights must map names of trade-offs to weights, such as {'brief': [0.2, 0.8]}.")
    return {str(name): one_weight(w, names) for name, w in weights.items()}


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
    """Share of pairs with different labels that rewards order as the labels do, by objective.

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
    arrays = [np.asarray(reward, dtype=np.float64) for reward in rewards]
    if not arrays or any(reward.ndim != 1 for reward in arrays):
        raise ValueError("rewards must be at least one array of shape (n_responses,), under one trade-off.")
    blocks = check_labels(labels, arrays)  # type: ignore[arg-type]
    right, total, _ = np.sum([pair_counts(z, r) for z, r in zip(blocks, arrays, strict=True)], axis=0)
    return np.asarray(np.divide(right, total, out=np.full(len(total), np.nan), where=total > 0))


def is_chat(prompt: object) -> bool:
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
    size = f" of {len(value)}" if hasattr(value, "__len__") and not isinstance(value, str) else ""
    return f"{type(value).__name__}{size} {text if len(text) <= 60 else text[:60] + '...'}"
