"""Progress bars over epochs and networks, on stderr where there is one."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["TrainingProgress", "with_progress"]

T = TypeVar("T")
#: Without epochs per second, which the time left tells: loss and score are whole in 80 columns.
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


class ProgressBar:
    """A bar on stderr, or nothing where stderr is closed or ends."""

    def __init__(
        self, total: int, *, verbose: int, unit: str, desc: str = "training", **options: Any
    ) -> None:
        self.bar: Any = None
        if verbose > 0 and sys.stderr is not None and not sys.stderr.closed:
            from tqdm.auto import tqdm

            with suppress(OSError, ValueError):
                self.bar = tqdm(
                    total=total, desc=desc, unit=unit, dynamic_ncols=True, file=sys.stderr, **options
                )

    def advance(self, shown: dict[str, str] | None = None) -> None:
        """Count one more, and show some values beside the bar."""
        if self.bar is None:
            return
        try:
            if shown is not None:
                self.bar.set_postfix(shown, refresh=False)
            self.bar.update()
        except (OSError, ValueError):
            self.close()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self.bar is not None:
            with suppress(OSError, ValueError):
                self.bar.close()
            self.bar.disable = True
            self.bar = None


class TrainingProgress:
    """A progress bar over epochs with loss, validation score and the time left."""

    def __init__(self, max_epochs: int, *, verbose: int, score_name: str = "score", done: int = 0) -> None:
        self.max_epochs, self.verbose, self.score_name, self.done = max_epochs, verbose, score_name, done
        self.shown: dict[str, str] = {}
        self.bar: ProgressBar | None = None

    def __enter__(self) -> TrainingProgress:
        self.bar = ProgressBar(
            self.max_epochs, verbose=self.verbose, unit="epoch", initial=self.done, bar_format=BAR
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def update(self, entry: dict[str, float]) -> bool:
        """Show an epoch's loss, and its score where it was evaluated; True asks to stop training."""
        self.shown["loss"] = f"{entry['loss']:.4f}"
        if "score" in entry:
            self.shown[self.score_name] = f"{entry['score']:.4f}"
        if self.bar is not None:
            self.bar.advance(self.shown)
        return False


def with_progress(
    items: Iterable[T], *, total: int, unit: str, verbose: int, desc: str = "training"
) -> Iterator[T]:
    """The items one by one, with a bar over them where `verbose` is 1."""
    bar = ProgressBar(total, verbose=verbose, unit=unit, desc=desc)
    try:
        for item in items:
            yield item
            bar.advance()
    finally:
        bar.close()
