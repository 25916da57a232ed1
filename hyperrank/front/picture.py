"""Small pictures of fronts and selections, for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from hyperrank.front.selection import FrontData, Selection

#: Size of a front's picture, and the margin that its labels need.
WIDTH, HEIGHT, MARGIN = 300, 220, 28
#: Height of a bar of a selection's picture.
BAR = 18


def front_picture(front: FrontData) -> str:
    """Points in the first two objectives: hollow where dominated; the reference is a cross."""
    names = front.names[:2]
    points = front.points[names].to_numpy()
    if len(names) == 1:
        points = np.column_stack([points, np.zeros(len(points))])
    reference = None if front.reference is None else front.reference[names].to_numpy()
    if reference is not None:
        reference = np.append(reference, 0.0)[:2]
    every = points if reference is None else np.vstack([points, reference])
    low, span = every.min(axis=0), np.ptp(every, axis=0)
    span[span == 0] = 1.0

    def place(point: np.ndarray) -> tuple[float, float]:
        x, y = (point - low) / span
        return MARGIN + x * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - y * (HEIGHT - 2 * MARGIN)

    marks = []
    for point, is_optimal in sorted(zip(points, front.non_dominated, strict=True), key=lambda pair: pair[1]):
        x, y = place(point)
        fill = "#1f77b4" if is_optimal else "none"
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{fill}" stroke="#1f77b4"/>')
    if reference is not None:
        x, y = place(reference)
        marks.append(f'<path d="M{x - 5:.1f} {y:.1f}h10m-5 -5v10" stroke="#d62728" stroke-width="2"/>')
    titles = [f"{escape(name[:24])} {low[j]:.3f} to {low[j] + span[j]:.3f}" for j, name in enumerate(names)]
    texts = [f'<text x="{WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">{titles[0]}</text>']
    if len(titles) > 1:
        turn = f"translate(14 {HEIGHT / 2}) rotate(-90)"
        texts.append(f'<text transform="{turn}" text-anchor="middle">{titles[1]}</text>')
    return _svg(WIDTH, HEIGHT, marks + texts)


def selection_picture(selection: Selection) -> str:
    """A bar for the weight of each objective."""
    parts = []
    for row, (name, weight) in enumerate(selection.named_weights.items()):
        y = row * (BAR + 4)
        parts.append(f'<rect x="120" y="{y}" width="{140 * weight:.1f}" height="{BAR}" fill="#1f77b4"/>')
        parts.append(f'<text x="114" y="{y + 13}" text-anchor="end">{escape(str(name)[:18])}</text>')
        parts.append(f'<text x="{126 + 140 * weight:.1f}" y="{y + 13}">{weight:.2g}</text>')
    return _svg(WIDTH, len(selection.weights) * (BAR + 4), parts)


def _svg(width: int, height: int, parts: list[str]) -> str:
    """A picture that takes the colour of the text around it."""
    style = "font: 12px sans-serif; fill: currentColor"
    shape = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img"'
    return f'<svg {shape} style="{style}">{"".join(parts)}</svg>'
