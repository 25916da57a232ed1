"""Figures that pyplot does not know, such as fronts', shown in the tutorials that make them."""

from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

_seen: set[int] = set()


def save_figures(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save the figures that a block made and bound to a name.

    Parameters
    ----------
    block, block_vars, gallery_conf
        As sphinx-gallery passes them to its scrapers.

    Returns
    -------
    str
        reStructuredText that shows them.
    """
    paths = []
    for value in block_vars["example_globals"].values():
        if not isinstance(value, Figure) or id(value) in _seen:
            continue
        _seen.add(id(value))
        # pyplot's have a manager until they are closed, and sphinx-gallery saves those itself.
        if value.canvas.manager is None:
            paths.append(next(block_vars["image_path_iterator"]))
            value.savefig(paths[-1], dpi=110, bbox_inches="tight")
    return figure_rst(paths, gallery_conf["src_dir"])


def reset(gallery_conf: dict[str, Any], fname: str) -> None:
    """Forget the figures of the last tutorial: ids are used again."""
    _seen.clear()
