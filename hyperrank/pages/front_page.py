"""The page of a front: template, style, script and data put into one file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np

from hyperrank.bootstrap import check_resampling
from hyperrank.pages.evidence import front_evidence
from hyperrank.tradeoff import Selection, number

if TYPE_CHECKING:
    from hyperrank.front import ParetoFront

__all__ = ["front_page"]

#: The script in the order in which it is put together.
SCRIPTS = ("model.js", "choosing.js", "words.js", "outcome.js", "chart.js", "limits.js", "controls.js")
PLACE = re.compile(r"\{\{(\w+)\}\}")


def front_page(
    front: ParetoFront,
    *,
    title: str | None,
    selection: Selection | None,
    level: float,
    n_resamples: int,
    random_state: int,
) -> str:
    """Write the page of a front; see `hyperrank.front.ParetoFront.to_html`."""
    check_resampling(n_resamples, random_state, None)
    if not 0 < number(level, "level") < 1:
        raise ValueError(f"level must be a probability between 0 and 1, such as 0.9; got {level!r}.")
    if not isinstance(title, str | None):
        raise TypeError(f"title must be a text or None; got {title!r}.")
    data = _document(front, _first(front, selection))
    data["evidence"] = front_evidence(front, float(level), int(n_resamples), int(random_state))
    style = _part("front.css")
    script = '"use strict";\n' + "\n".join(_part(name) for name in SCRIPTS)
    parts = {
        "title": escape("Choose a trade-off" if title is None else title),
        "about": escape(_about(front)),
        "style": style,
        "script": script,
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "data": _embedded(data),
        "table": _table(front),
    }
    return PLACE.sub(lambda found: parts[found[1]], _part("front.html"))


def _first(front: ParetoFront, selection: Selection | None) -> int:
    """The trade-off that the page opens with."""
    if selection is None:
        return front.select(n_resamples=1).index
    if not isinstance(selection, Selection):
        raise TypeError(
            "selection must be what select, knee or nearest of this front gave; "
            f"got a {type(selection).__name__}."
        )
    row = selection.index
    fits = 0 <= row < len(front) and np.array_equal(front.weights.iloc[row], selection.weights)
    if not fits:
        raise ValueError(
            f"selection must be one of this front's own trade-offs; its row {row} has other weights. "
            "Pass what select, knee or nearest of this front gave."
        )
    return row


def _document(front: ParetoFront, first: int) -> dict[str, Any]:
    """The front in numbers, to the bit: the page picks by the rules of `select` and is to pick the same."""
    return {
        "names": front.names,
        "literals": [repr(name) for name in front.names],
        "metric": front.metric,
        "weights": front.weights.to_numpy().tolist(),
        "points": front.points.to_numpy().tolist(),
        "nonDominated": front.non_dominated.tolist(),
        "reference": None if front.reference is None else front.reference.tolist(),
        "first": first,
    }


def _about(front: ParetoFront) -> str:
    queries = "" if front.per_query is None else f" on {front.per_query.shape[1]:,} queries"
    count = "1 trade-off" if len(front) == 1 else f"{len(front):,} trade-offs"
    label = "" if front.label is None else f"{front.label}: "
    return f"{label}{front.metric}{queries}, measured at {count}; more is better"


def _embedded(data: Mapping[str, Any]) -> str:
    """JSON that no name can end, open or comment out within HTML."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _table(front: ParetoFront) -> str:
    """All trade-offs as rows of a table, there without a script too."""
    names = [escape(name) for name in front.names]
    heads = [f'<th scope="col">weight of <bdi>{name}</bdi></th>' for name in names]
    heads += [f'<th scope="col"><bdi>{name}</bdi></th>' for name in names]
    rows = []
    if front.reference is not None:
        cells = "<td></td>" * len(names) + "".join(f"<td>{value:.4f}</td>" for value in front.reference)
        rows.append(f'<tr class="is-reference"><th scope="row">reference</th>{cells}</tr>')
    numbers = np.column_stack([front.weights.to_numpy(), front.points.to_numpy()])
    for i, row in enumerate(numbers, start=1):
        cells = "".join(f"<td>{value:.4f}</td>" for value in row)
        rows.append(f'<tr><th scope="row">{i}</th>{cells}</tr>')
    head = f'<thead><tr><th scope="col">Trade-off</th>{"".join(heads)}</tr></thead>'
    return f"{head}\n<tbody>\n" + "\n".join(rows) + "\n</tbody>"


def _part(name: str) -> str:
    return files("hyperrank.pages").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What the page's own security policy knows a part by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
