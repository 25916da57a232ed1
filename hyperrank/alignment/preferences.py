"""Preference lists, pairs counted in them, and the trade-offs that are evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hyperrank.simplex import as_weights
from hyperrank.weights import PerRow, in_order

#: A text, or a conversation for the tokenizer's chat template.
Prompt = str | Sequence[Mapping[str, str]]
#: What may stand as weights.
Weights = ArrayLike | Mapping[str, float] | PerRow | None


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

    def take(self, lists: Sequence[int] | NDArray[np.integer | np.bool_]) -> Preferences:
        """Some of the lists.

        Parameters
        ----------
        lists : sequence of int
            Their numbers, in the order in which they are returned; or a mask.

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


def pair_counts(labels: NDArray[np.float64], rewards: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of one list the pairs that rewards (n, k) order alike, all, and their margins; shape (3, k, m)."""
    better = (labels[:, None] > labels[None])[:, :, None]
    margin = (rewards[:, None] - rewards[None])[..., None]
    alike = 0.5 * (1 + np.sign(margin))
    return np.stack([(better * part).sum(axis=(0, 1)) for part in (alike, np.ones_like(margin), margin)])


def check_differences(data: Preferences) -> None:
    """Check that each objective has a preference in some list."""
    counts = sum(pair_counts(labels, np.zeros((len(labels), 1)))[1, 0] for labels in data.labels)
    flat = [name for name, count in zip(data.names, np.atleast_1d(counts), strict=True) if not count]
    if flat:
        raise ValueError(
            f"labels of objectives {flat} differ within no list: there is nothing to learn for them. "
            "Leave the columns out, or give lists in which they differ."
        )


def read_weights(weights: Weights, names: Sequence[str], n_prompts: int) -> tuple[NDArray[np.float64], bool]:
    """Weights of each prompt under k trade-offs, shape (n_prompts, k, m), and whether k stands for one."""
    m = len(names)
    if isinstance(weights, PerRow):
        rows = as_weights(in_order(weights.table, names), m, names)
        if rows.shape != (n_prompts, m):
            raise ValueError(
                f"PerRow was given weights of shape {rows.shape}; "
                f"expected one row per prompt, ({n_prompts}, {m})."
            )
        return rows[:, None, :], True
    values = as_weights(np.full(m, 1 / m) if weights is None else weights, m, names)
    return np.repeat(np.atleast_2d(values)[None], n_prompts, axis=0), values.ndim == 1


def one_weight(weights: Weights, names: Sequence[str]) -> NDArray[np.float64]:
    """One trade-off, shape (m,)."""
    points, single = read_weights(weights, names, 1)
    if not single or isinstance(weights, PerRow):
        raise ValueError(f"weights must be one trade-off of shape ({len(names)},); got {weights!r}.")
    return points[0, 0]


def named_weights(
    weights: Mapping[str, ArrayLike] | None, names: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Trade-offs by name; each objective alone and, of several, all equally by default."""
    if weights is None:
        m = len(names)
        center = {"center": np.full(m, 1 / m)} if m > 1 else {}
        return dict(zip(names, np.eye(m), strict=True)) | center
    if not isinstance(weights, Mapping) or not weights:
        raise ValueError("weights must map names of trade-offs to weights, such as {'brief': [0.2, 0.8]}.")
    return {str(name): one_weight(w, names) for name, w in weights.items()}
