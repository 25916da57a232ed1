"""A progress bar, or none."""

from __future__ import annotations

from typing import Any

__all__ = ["StepBar"]


class StepBar:
    """A bar over a number of steps, shown if `verbose`.

    Examples
    --------
    >>> with StepBar(3, "aligning", verbose=0) as bar:
    ...     bar.update(1, loss="0.69")
    """

    def __init__(self, total: int, name: str, verbose: int, *, done: int = 0, unit: str = "list") -> None:
        self.bar: Any = None
        if verbose > 0:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=total, initial=done, desc=name, unit=unit, dynamic_ncols=True)

    def __enter__(self) -> StepBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def update(self, n: int, **shown: str) -> None:
        """Go on by n, with figures beside the bar."""
        if self.bar is not None:
            if shown:
                self.bar.set_postfix(shown, refresh=False)
            self.bar.update(n)
