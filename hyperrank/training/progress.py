"""What a run shows while it trains."""

from __future__ import annotations

from typing import Any

__all__ = ["TrainingProgress"]

#: Without epochs per second, which the time left tells: loss and score are whole in 80 columns.
BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"


class TrainingProgress:
    """A progress bar over epochs with loss, validation score and the time left.

    Parameters
    ----------
    max_epochs : int
        Length of the bar.
    verbose : int
        0 shows nothing, 1 a bar.
    score_name : str, default "score"
        What the validation score is called.
    done : int, default 0
        Epochs that an earlier process has trained.
    """

    def __init__(self, max_epochs: int, *, verbose: int, score_name: str = "score", done: int = 0) -> None:
        self.done = done
        self.max_epochs, self.verbose, self.score_name = max_epochs, verbose, score_name
        self.bar: Any = None
        self.shown: dict[str, str] = {}

    def __enter__(self) -> TrainingProgress:
        if self.verbose > 0:
            from tqdm.auto import tqdm

            shape: dict[str, Any] = {"total": self.max_epochs, "initial": self.done, "dynamic_ncols": True}
            self.bar = tqdm(desc="training", unit="epoch", bar_format=BAR, **shape)
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def update(self, entry: dict[str, float]) -> bool:
        """Show an epoch's loss, and its score where it was evaluated; True asks to stop training."""
        if self.bar is None:
            return False
        self.shown["loss"] = f"{entry['loss']:.4f}"
        if "score" in entry:
            self.shown[self.score_name] = f"{entry['score']:.4f}"
        self.bar.set_postfix(self.shown, refresh=False)
        self.bar.update()
        return False
