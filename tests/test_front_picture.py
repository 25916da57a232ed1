"""Small pictures of fronts and selections in notebooks."""

from xml.etree import ElementTree

import pytest

from hyperrank.front import ParetoFront

POINTS = [[0.2, 0.8], [0.6, 0.6], [0.5, 0.5], [1.0, 0.2]]
WEIGHTS = [[0, 1], [0.5, 0.5], [0.6, 0.4], [1, 0]]


def picture_of(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])


def test_a_front_shows_what_is_optimal_and_the_reference():
    front = ParetoFront(POINTS, WEIGHTS, names=["a<b>", "clicks"], reference=[0.6, 0.2])
    picture = picture_of(front._repr_html_())
    dots = picture.findall("circle")
    assert [dot.get("fill") == "none" for dot in dots] == [True, False, False, False]
    assert [float(dot.get("cx")) for dot in dots] == pytest.approx([119.5, 28, 150, 272], abs=0.1)
    assert [float(dot.get("cy")) for dot in dots] == pytest.approx([110, 28, 82.7, 192], abs=0.1)
    assert picture.find("path").get("d").startswith("M145.0 192.0")
    assert [text.text for text in picture.findall("text")] == ["a<b> 0.200 to 1.000", "clicks 0.200 to 0.800"]


def test_a_front_of_one_objective_and_point():
    picture = picture_of(ParetoFront([[0.4]], [[1.0]], names=["relevance"])._repr_html_())
    assert len(picture.findall("circle")) == len(picture.findall("text")) == 1


def test_a_selection_shows_its_weights():
    choice = ParetoFront(POINTS, WEIGHTS, names=["a<b>", "clicks"]).select(maximize="clicks")
    bars = [float(bar.get("width")) for bar in picture_of(choice._repr_html_()).findall("rect")]
    assert bars == [0, 140]
