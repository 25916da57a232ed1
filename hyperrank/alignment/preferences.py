"""Prompts with several responses and several labels of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperrank.alignment.inputs import Prompt

__all__ = ["Preferences"]


@dataclass(frozen=True, eq=False)
class Preferences:
    """What `HyperPromptAligner.fit` takes: ``fit(data.prompts, data.responses, data.labels)``.

    Parameters
    ----------
    prompts : list of str, or of conversations
        What is answered.
    responses : list of list of str
        Two or more for each prompt.
    labels : list of ndarray of shape (n_responses, m), float64
        More is better; NaN where unobserved.
    names : tuple of str
        What each label is called.

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
        """Keep some of the lists.

        Parameters
        ----------
        lists : sequence of int
            Their numbers, in the order wanted.

        Returns
        -------
        Preferences
            Those lists.
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
            Share of the different prompts to put aside.
        random_state : int, default 0
            Seed of the draw.

        Returns
        -------
        train, test : Preferences
            Both sides.

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
