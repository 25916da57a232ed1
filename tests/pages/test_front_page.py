"""The page of a front as a file: its numbers are the front's own, and no name breaks out of its place."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_fronts import NAMES, measured

from hyperrank.front import ParetoFront

#: Names that end scripts, open comments, fill in places, or are not Latin.
NASTY = [
    "</script><script>boom()</script>",
    "<!-- <script>",
    "\"quoted\" & 'single' \\",
    "{{table}}",
    "الصلة 🎯 \u2028",
]


def text_of(front: ParetoFront, folder: Path, **options: Any) -> str:
    return front.to_html(folder / "front.html", **options).read_text(encoding="utf-8")


def data_of(page: str) -> dict[str, Any]:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1])


def test_numbers_are_the_fronts_own(tmp_path):
    front = measured()
    data = data_of(text_of(front, tmp_path))
    assert data["points"] == front.points.to_numpy().tolist()
    assert data["weights"] == front.weights.to_numpy().tolist()
    assert data["reference"] == front.reference.tolist()
    assert data["nonDominated"] == front.non_dominated.tolist()
    assert (data["names"], data["metric"]) == (front.names, "ndcg@10")
    assert data["first"] == front.select().index
    assert data["temperatures"] is None
    assert data_of(text_of(measured(temperature=0.3), tmp_path))["temperatures"] == [0.3] * len(front)


@pytest.mark.parametrize("level", [0.9, 0.5])
def test_intervals_are_those_of_selections(tmp_path, level):
    front = measured()
    evidence = data_of(text_of(front, tmp_path, level=level, random_state=3))["evidence"]
    wanted = front.select(maximize="clicks", random_state=3)
    np.testing.assert_allclose(evidence["interval"][wanted.index], wanted.interval(level), rtol=1e-6)


def test_differences_are_paired(tmp_path):
    """Queries differ far more than a trade-off and the reference on the same query."""
    front = measured(noise=0.0)
    evidence = data_of(text_of(front, tmp_path))["evidence"]
    low, high = np.moveaxis(np.array(evidence["difference"]), -1, 0)
    gains = front.points.to_numpy() - front.reference.to_numpy()
    # Without noise the difference is one number for all queries, but for those that are cut at 0.
    assert np.abs(np.stack([low, high]) - gains).max() < 0.02
    assert np.ptp(np.array(evidence["interval"]), axis=-1).min() > 0.012
    same = measured(
        points=front.points.iloc[:1], weights=front.weights.iloc[:1], per_query=front.per_query[:1]
    )
    same = ParetoFront(
        same.points,
        same.weights,
        names=same.names,
        per_query=same.per_query,
        reference=same.points.iloc[0],
        reference_per_query=same.per_query[0],
    )
    assert np.abs(data_of(text_of(same, tmp_path))["evidence"]["difference"]).max() == 0


def test_resamples_are_those_of_select_in_two_bytes(tmp_path):
    front = measured(k=6)
    packed = data_of(text_of(front, tmp_path))["evidence"]["resamples"]
    steps = np.frombuffer(base64.b64decode(packed["steps"]), "<u2").reshape(
        packed["number"], len(front) + 1, 3
    )
    means = np.array(packed["low"]) + steps * np.array(packed["step"])
    chosen = front.select(n_resamples=packed["number"])
    assert np.abs(means[:, chosen.index] - chosen.evidence.means).max() < 1e-5
    assert packed["number"] == 2000


def test_parts_of_many_trade_offs_are_the_whole(tmp_path, monkeypatch):
    front = measured()
    whole = text_of(front, tmp_path)
    monkeypatch.setattr("hyperrank.front.html.MEANS_AT_ONCE", 10_000)
    assert text_of(front, tmp_path) == whole


def test_few_queries_are_not_taken_for_certainty(tmp_path):
    evidence = data_of(text_of(measured(n_queries=7, seed=1), tmp_path))["evidence"]
    assert list(evidence) == ["missing"]
    assert "Fewer than 8 queries count for" in evidence["missing"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"per_query": None, "reference_per_query": None}, "holds no values by query"),
        ({"points": np.full((15, 3), 0.5)}, "not those of the points"),
    ],
)
def test_what_is_unknown_is_said(tmp_path, changes, reason):
    evidence = data_of(text_of(measured(**changes), tmp_path))["evidence"]
    assert list(evidence) == ["missing"]
    assert reason in evidence["missing"]


@pytest.mark.parametrize(
    "changes", [{"reference": None}, {"reference_per_query": None}, {"reference": [0.9] * 3}]
)
def test_without_a_reference_by_query_there_are_no_differences(tmp_path, changes):
    evidence = data_of(text_of(measured(**changes), tmp_path))["evidence"]
    assert evidence["difference"] is evidence["reference"] is None
    assert len(evidence["interval"]) == 15


class Structure(HTMLParser):
    """Scripts, and the text of cells and headings."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts, self.cells, self.inside = 0, [], None

    def handle_starttag(self, tag, attrs):
        self.scripts += tag == "script"
        self.inside = tag
        if tag == "bdi":
            self.cells.append("")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == "bdi":
            self.cells[-1] += data


def test_names_stay_names(tmp_path):
    front = measured(5, names=NASTY, label=NASTY[0], metric="<i>")
    page = text_of(front, tmp_path, title=NASTY[1])
    assert data_of(page)["names"] == NASTY
    found = Structure()
    found.feed(page)
    assert found.scripts == 2
    assert "<" not in re.search(r'id="data">(.*?)</script>', page)[1]
    assert found.cells == [NASTY[1], *NASTY, *NASTY]
    assert (
        page.count("boom()") == page.count("&lt;/script&gt;&lt;script&gt;boom()") + 2
    )  # JSON: name, literal
    assert [eval(literal) for literal in data_of(page)["literals"]] == NASTY


def test_a_title_that_utf8_does_not_know(tmp_path):
    assert "<title>?</title>" in text_of(measured(2), tmp_path, title="\ud800")


def test_the_page_is_whole_and_says_so(tmp_path):
    page = text_of(measured(), tmp_path)
    assert "http:" not in page
    assert "https:" not in page
    assert not re.search(r"\b(src|href)=\"(?!#)|@import|url\(|fetch\(|XMLHttp|WebSocket", page)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.startswith("default-src 'none'; ")
    for tag, part in [("style", "style-src"), ("script", "script-src")]:
        content = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{part} 'sha256-{digest}'" in policy
    assert "{{" not in page


def test_a_page_is_small(tmp_path):
    bare = ParetoFront([[0.5, 0.5]], [[1, 0]], names=NAMES[:2]).to_html(tmp_path / "bare.html")
    assert bare.stat().st_size < 80_000
    default = measured(3, 66, n_queries=30).to_html(tmp_path / "default.html")
    # All 2,000 resamples that `select` looks at, so that the page is as sure of limits: half of it.
    assert default.stat().st_size < 1_200_000
    many = measured(5, 1000, n_queries=20).to_html(tmp_path / "many.html", n_resamples=300)
    assert many.stat().st_size < 4_000_000


def test_too_many_trade_offs_carry_no_resamples(tmp_path, monkeypatch):
    monkeypatch.setattr("hyperrank.front.html.MEANS_AT_MOST", 9_000)
    evidence = data_of(text_of(measured(), tmp_path))["evidence"]
    assert evidence["resamples"] is None
    assert len(evidence["interval"]) == 15


def test_without_a_script_every_number_is_there(tmp_path):
    front = measured(2, 5)
    page = text_of(front, tmp_path)
    assert "<noscript>" in page
    cells = re.findall(
        r"<td>([\d.]*)</td>", re.search(r'<table id="table">(.*?)</table>', page, re.DOTALL)[1]
    )
    rows = np.array([float(cell or "nan") for cell in cells]).reshape(-1, 4)
    np.testing.assert_allclose(rows[0, 2:], front.reference, atol=5e-5)
    np.testing.assert_allclose(rows[1:], np.hstack([front.weights, front.points]), atol=5e-5)


def test_a_page_opens_with_the_selection(tmp_path):
    front = measured()
    corner = front.select(maximize="clicks")
    assert data_of(text_of(front, tmp_path, selection=corner))["first"] == corner.index
    with pytest.raises(ValueError, match="selection must be one of this front's own trade-offs"):
        measured(3, 6).to_html(tmp_path / "other.html", selection=corner)
    with pytest.raises(TypeError, match=r"selection must be what select, .* got a list"):
        front.to_html(tmp_path / "other.html", selection=[0.5, 0.5])
    with pytest.raises(TypeError, match="title must be a text or None; got 3"):
        front.to_html(tmp_path / "other.html", title=3)
    assert not (tmp_path / "other.html").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 90}, "level must be a probability between 0 and 1"),
        ({"level": "high"}, "level must be a probability"),
        ({"n_resamples": 0}, "n_resamples must be a whole number"),
        ({"random_state": None}, "random_state must be a whole number"),
    ],
)
def test_refused_options(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        measured().to_html(tmp_path / "front.html", **options)
    assert list(tmp_path.iterdir()) == []


def test_files_are_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "front.html"
    path.write_text("before")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        measured().to_html(tmp_path / "nowhere" / "front.html")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        measured().to_html(path)
    assert [entry.read_text() for entry in tmp_path.iterdir()] == ["before"]
    monkeypatch.undo()
    assert measured().to_html(str(path)) == path
    assert path.read_text().startswith("<!DOCTYPE html>")
