"""Progress of the phases of a fit, on stderr where there is one."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from threading import Lock
from typing import Any, TextIO, TypeVar

T = TypeVar("T")
#: Without epochs per second, which the time left tells: loss and score are whole in 80 columns.
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
#: The same for a log, which has no place for a bar, and for phases whose length is not known.
LINE, ELAPSED = BAR.replace("|{bar}|", ""), "{desc} [{elapsed}]"
#: Seconds between two lines about one phase in a log.
SECONDS_BETWEEN_LINES = 60.0


class LogLines:
    """A log that is written to line by line, where a terminal updates one line in place."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> None:
        """Write what is more than moves of a cursor."""
        line = text.strip()
        if line and not line.startswith("\x1b"):
            self.stream.write(f"{line}\n")

    def flush(self) -> None:
        """Flush the stream."""
        self.stream.flush()


class ProgressBar:
    """A phase: a line that is updated in terminals and notebooks, and one at its end in logs.

    In a log a long phase has a line each minute too. A phase that is not the last to be shown leaves no
    line in a terminal. Nothing is shown where stderr is closed, or ends.
    """

    def __init__(
        self,
        total: int | None = None,
        *,
        verbose: int,
        desc: str = "training",
        unit: str = "it",
        leave: bool = False,
        done: int = 0,
    ) -> None:
        self.bar: Any = None
        self.lock = Lock()
        stream = sys.stderr
        if verbose <= 0 or stream is None or stream.closed:
            return
        from tqdm.auto import tqdm

        options: dict[str, Any] = {"file": stream, "leave": leave, "bar_format": BAR if total else ELAPSED}
        if not (stream.isatty() or type(stream).__module__.startswith("ipykernel")):
            options = {
                "file": LogLines(stream),
                "mininterval": SECONDS_BETWEEN_LINES,
                "miniters": 1,
                "delay": 1e-9,  # no line before there is something to tell
                "bar_format": LINE if total else ELAPSED,
            }
        with suppress(OSError, ValueError):
            self.bar = tqdm(total=total, desc=desc, unit=unit, initial=done, dynamic_ncols=True, **options)

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def advance(self, shown: dict[str, str] | None = None) -> None:
        """Count one more, from any thread, and show some values beside the bar."""
        if self.bar is None:
            return
        try:
            with self.lock:
                if shown is not None:
                    self.bar.set_postfix(shown, refresh=False)
                self.bar.update()
        except (OSError, ValueError):
            self.close()

    def show_epoch(self, entry: dict[str, float]) -> None:
        """Count an epoch of training, and show its loss and the hypervolume of validation lists."""
        shown = {"loss": f"{entry['loss']:.4f}"}
        if "score" in entry:
            shown["hypervolume"] = f"{entry['score']:.4f}"
        self.advance(shown)

    def extend(self, more: int) -> None:
        """Expect more than was known of."""
        if self.bar is not None:
            self.bar.total += more

    def close(self) -> None:
        """Leave the bar as it is."""
        if self.bar is not None:
            with suppress(OSError, ValueError):
                self.bar.close()
            self.bar.disable = True
            self.bar = None


def with_progress(
    items: Iterable[T], *, total: int, unit: str, verbose: int, desc: str = "training"
) -> Iterator[T]:
    """The items one by one, with a bar over them where `verbose` is 1."""
    with ProgressBar(total, verbose=verbose, unit=unit, desc=desc, leave=True) as bar:
        for item in items:
            yield item
            bar.advance()
