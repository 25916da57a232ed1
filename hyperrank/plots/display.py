"""What all displays share: the figure once it is drawn, as a file and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Display", "drawing"]


class Display:
    """What is drawn and, once `plot` has been called, the picture, as scikit-learn's displays are.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        A figure of its own is not registered with pyplot: there is nothing to close. For a window of
        pyplot's, pass axes of it: ``plot(ax=pyplot.figure().add_subplot())``.
    axes_ : list of matplotlib.axes.Axes
        The panels, without colour bars.
    ax_ : matplotlib.axes.Axes
        The first of them.
    """

    figure_: Figure
    axes_: list[Axes]

    @property
    def ax_(self) -> Axes:
        """The first panel."""
        return self.axes_[0]

    def savefig(self, path: Any, **options: Any) -> None:
        """Write the picture to a file, such as ``front.pdf``; ``figure_.savefig`` in short.

        Parameters
        ----------
        path : path or binary file
            Its ending says what to write: ``.png``, ``.pdf``, ``.svg``, ...
        **options
            As ``matplotlib.figure.Figure.savefig`` takes them.
        """
        self.figure_.savefig(path, **options)

    def _repr_png_(self) -> bytes | None:
        """The picture for notebooks; pyplot shows its own figures itself."""
        figure = getattr(self, "figure_", None)
        if figure is None or hasattr(figure, "number"):
            return None
        buffer = BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()


@contextmanager
def drawing() -> Iterator[None]:
    """Where matplotlib is imported: without it, an error that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "matplotlib":
            raise
        raise ImportError("Plots need matplotlib: pip install hyperrank[plot]") from error
