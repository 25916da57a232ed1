"""Comparing two trade-offs on the page, and taking something away from it: a link, JSON, CSV."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from page_fronts import measured

from hyperrank.front import Selection

expect = pytest.importorskip("playwright.sync_api").expect


def chosen(page) -> int:
    return int(page.get_attribute("body", "data-trade-off"))


def saved(page, button: str) -> str:
    with page.expect_download() as download:
        page.click(button)
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        return file.read()


def test_a_pinned_trade_off_is_compared_with_the_chosen_one(opened):
    front = measured(3, 15)
    page = opened(front)
    first = chosen(page)
    page.click("#pin")
    page.focus("#weight-1")
    page.keyboard.press("End")
    second = chosen(page)
    assert second != first
    cells = page.eval_on_selector_all(
        "#pinned tbody tr", "rows => rows.map(r => [...r.querySelectorAll('td')].map(c => c.innerText))"
    )
    differences = front.per_query[second] - front.per_query[first]
    rng = np.random.default_rng(1)
    for j, (a, b, gap) in enumerate(cells):
        assert (a, b) == tuple(f"{front.points.iloc[i, j]:.4f}" for i in (first, second))
        value, low, high = (float(n.replace("\u2212", "-")) for n in gap.replace("to", " ").split())
        assert value == pytest.approx(front.points.iloc[second, j] - front.points.iloc[first, j], abs=1e-4)
        # Another bootstrap over the same queries.
        drawn = differences[rng.integers(len(differences), size=(2000, len(differences))), j]
        assert [low, high] == pytest.approx(np.quantile(np.nanmean(drawn, axis=1), [0.05, 0.95]), abs=2e-3)
    assert page.text_content(f"[data-focus=dot-{first}] .letter") == "A"
    page.click("#unpin")
    assert not page.is_visible("#pinned")
    assert page.locator(".letter").count() == 0


def test_a_link_restores_what_was_shown(opened):
    page = opened(measured(3, 28))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.fill("#limit-0", "98.3")
    page.select_option("#maximize", label="clicks")
    page.select_option("#confidence", "0.8")
    page.select_option("#axis-x", "2")
    page.click("#pin")
    page.click("#best")
    page.click("#copy-link")
    expect(page.locator("#copied")).not_to_be_empty()
    link = page.evaluate("navigator.clipboard.readText()")
    before = [page.inner_text(name) for name in ("#python", "#select-line", "#pinned", "#kept")]
    page.evaluate("location.hash = ''")
    page.reload()
    assert page.input_value("#limit-0") == ""
    page.evaluate("link => location.replace(link)", link)
    expect(page.locator("#limit-0")).to_have_value("98.3")
    assert [page.inner_text(name) for name in ("#python", "#select-line", "#pinned", "#kept")] == before
    assert page.input_value("#limit-0") == "98.3"
    assert page.input_value("#axis-x") == "2"


@pytest.mark.parametrize(
    "state", ["row=99999", "row=-1&limits=a_b", "limits=1_2_3_4&axes=7_8", "%", "pinned=1e3"]
)
def test_a_link_that_means_nothing_changes_nothing(opened, state):
    front = measured(3, 6)
    page = opened(front)
    page.evaluate("state => { location.hash = state; }", state)
    page.wait_for_timeout(50)
    assert chosen(page) == front.select().index
    assert not page.is_visible("#pinned")


def test_the_choice_is_saved_as_python_reads_it(opened):
    front = measured(3, 28, temperature=0.3)
    page = opened(front)
    page.fill("#limit-0", "98.3")
    page.click("#best")
    wanted = front.select({"relevance": 0.983})
    choice = Selection.from_dict(json.loads(saved(page, "#save-choice")))
    assert choice.temperature == 0.3
    assert choice.index == wanted.index
    assert choice.named_weights.equals(wanted.named_weights)
    assert choice.values.equals(wanted.values)
    assert choice.limits.to_dict() == pytest.approx(wanted.limits.to_dict())


def test_the_table_is_saved_as_csv(opened):
    front = measured(2, 6, names=['a "b", c', "clicks"])
    table = pd.read_csv(io.StringIO(saved(opened(front), "#save-table")), index_col="row")
    assert table[front.names].to_numpy().tolist() == front.points.to_numpy().tolist()
    assert (
        table[[f"weight of {n}" for n in front.names]].to_numpy().tolist()
        == front.weights.to_numpy().tolist()
    )


def test_limits_brush_the_lines_of_all_objectives(opened):
    front = measured(3, 15)
    page = opened(front)
    assert page.locator("#lines path.now").count() == 1
    page.focus("[data-focus=tab-line-2]")
    page.keyboard.press("PageUp")
    limit = float(page.input_value("#limit-2"))
    breaks = front.points["dwell time"] < limit / 100 * front.reference["dwell time"]
    assert page.locator("#lines .tangle .out").count() == breaks.sum() - breaks[chosen(page)]
    assert page.evaluate("document.activeElement.dataset.focus") == "tab-line-2"
    assert page.evaluate("document.querySelector('.tangle').lastChild.getAttribute('class')") == "now"
    assert not opened(measured(2, 6)).is_visible("#parallel")


def test_other_fronts_stand_beside(opened):
    front = measured(2, 6)
    page = opened(front, others={"mixed <b>scores</b>": measured(2, 4, seed=1)})
    assert "mixed <b>scores</b>" in page.inner_text("#chart-key")
    assert page.locator("#plot .mark.other").count() == 4
    box, plot = page.locator("#plot .mark.other").first.bounding_box(), page.locator("#plot").bounding_box()
    assert plot["x"] < box["x"] < plot["x"] + plot["width"]
    with pytest.raises(ValueError, match="others must be of the objectives"):
        front.to_html("never.html", others=measured(3, 6))
    with pytest.raises(TypeError, match="others must be fronts; got a str"):
        front.to_html("never.html", others=["ours"])


@pytest.mark.parametrize("width", [1400, 800, 390])
def test_axe_finds_nothing(opened, width):
    axe = pytest.importorskip("axe_core_python.base", reason="pip install axe-core-python")
    page = opened(measured(3, 15), width=width, scheme="light" if width == 800 else "dark")
    page.evaluate("pin(0)")
    page.evaluate("take(9)")
    page.fill("#limit-1", "95")
    page.click("summary")
    page.evaluate(axe.AXE_SCRIPT)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(v["id"], [n["html"][:90] for n in v["nodes"][:3]]) for v in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_query_before_and_after(opened):
    """Ranks of documents at each trade-off, as ``ranker.rank(..., weights=front)`` gives them."""
    front = measured(2, 3)
    orders = [["Bowl <i>", "Cup", "Jug"], ["Cup", "Bowl <i>", "Mug"], ["Mug", "Jug", "Cup"]]
    table = pd.concat(
        pd.DataFrame({"query": query, "document": order[::way], "trade_off": row, "rank": [1, 2, 3]})
        for query, way in (("cups", 1), ("bowls", -1))
        for row, order in enumerate(orders)
    )
    page = opened(front, queries=table, selection=front.select(at_least={"relevance": 0.0}))
    shown = "rows => rows.map(r => [...r.children].map(c => c.innerText))"

    def at(row: int) -> list[list[str]]:
        page.evaluate(f"take({row})")
        return page.eval_on_selector_all("#ranking tbody tr", shown)

    page.evaluate("pin(0)")
    assert at(0) == [["1", "Bowl <i>", "1", "same"], ["2", "Cup", "2", "same"], ["3", "Jug", "3", "same"]]
    assert at(1) == [
        ["1", "Cup", "2", "up 1"],
        ["2", "Bowl <i>", "1", "down 1"],
        ["3", "Mug", "", "new"],
        ["", "Jug", "3", "gone"],
    ]
    page.select_option("#query", label="bowls")
    assert at(2)[0] == ["1", "Cup", "2", "up 1"]
    page.evaluate("pin(null)")
    assert "where the page began" in page.inner_text("#ranking caption")
    link = page.evaluate("stateText()")
    assert link.endswith("query=1")


def test_why_documents_move(opened):
    """Features by what they contribute to the change from any row to any other; shown as far as top_k."""
    front = measured(2, 2)
    table = pd.DataFrame(
        {
            "query": "cups",
            "document": ["Cup", "Mug", "Jug", "Jug", "Mug", "Cup"],
            "trade_off": [0, 0, 0, 1, 1, 1],
            "rank": [1, 2, 7, 1, 2, 5],
            "contribution_<b>": [0.5, 0, -1, 0.25, 1, 0.5],
            "contribution_price": [0.5, 0, 0.25, -1.5, 1, -1],
            "contribution_age": [0.1] * 6,
        }
    )
    page = opened(front, queries=table)
    page.evaluate("pin(0), take(1)")
    rows = page.eval_on_selector_all(
        "#ranking tbody tr", "r => r.map(x => [...x.children].map(c => c.innerText))"
    )
    assert [[*row[:-1], row[-1].replace("\u2212", "-")] for row in rows] == [
        ["1", "Jug", "", "new", "price -1.75, <b> +1.25"],
        ["2", "Mug", "2", "same", ""],
        ["", "Cup", "1", "gone", "price -1.50"],
    ]
    with pytest.raises(ValueError, match="each document of query 'cups' once at each"):
        front.to_html("never.html", queries=table[table["rank"] < 7])


def test_queries_of_another_front_are_refused(tmp_path):
    front = measured(2, 3)
    table = pd.DataFrame({"query": "q", "document": [0, 1], "trade_off": [0, 1], "rank": [1, 1]})
    with pytest.raises(ValueError, match="at 2 trade-offs, and the front has 3"):
        front.to_html(tmp_path / "page.html", queries=table)
    with pytest.raises(TypeError, match="queries must be the table"):
        front.to_html(tmp_path / "page.html", queries=table.drop(columns="trade_off"))
