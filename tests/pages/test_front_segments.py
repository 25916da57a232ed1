"""Segments on the page of a front: what is reached in each, and limits that hold in every one."""

import numpy as np
import pytest
from page_fronts import measured
from scipy import stats

expect = pytest.importorskip("playwright.sync_api").expect

MARKETS = np.repeat(["de", "<fr>"], [40, 20])
CELLS = """[...document.querySelectorAll('#segments tbody tr')].map(
  row => [...row.children].map(cell => cell.innerText.replaceAll('\u2212', '-').split('\\n')))"""


def test_each_segment_tells_what_a_trade_off_changes_there(opened):
    front = measured(3, 15, segments=MARKETS)
    page = opened(front)
    rows = page.evaluate(CELLS)
    assert [row[0] for row in rows] == [["<fr>"], ["de"]]
    table = front.by_segment.set_index(["segment", "trade_off", "objective"])
    for (segment,), (queries,), *cells in rows:
        for name, (change, around) in zip(front.names, cells, strict=True):
            row = table.loc[segment, front.select().index, name]
            half = stats.t.ppf(0.95, row.n_queries - 1) * row.change_error
            assert int(queries) >= row.n_queries
            assert change.startswith(f"{row.change:+.4f} ({100 * row.change / row.baseline:+.1f}")
            assert around == f"{row.change - half:+.4f} to {row.change + half:+.4f}"
    page.fill("#limit-0", "300")
    expect(page.locator("#segments tbody td:nth-child(3) .worse")).to_have_text(["below its limit"] * 2)


@pytest.mark.parametrize("baseline", [True, False])
def test_limits_in_every_segment_pick_what_select_picks(opened, baseline):
    changes = {} if baseline else {"reference": None, "reference_per_query": None}
    front = measured(3, 15, noise=0.1, segments=MARKETS, **changes)
    limit = 1.2 if baseline else 0.78
    page = opened(front)
    page.fill("#limit-0", f"{100 * limit:g}")
    page.click("#best")
    alone = front.select({"relevance": limit}).index
    everywhere = front.select({"relevance": limit}, in_every_segment=True).index
    assert page.get_attribute("body", "data-trade-off") == str(alone) != str(everywhere)
    expect(page.locator("#kept")).to_contain_text("keep all limits. The chosen one does.")
    page.check("#everywhere")
    expect(page.locator("#kept")).to_contain_text("all limits in every segment. The chosen one does not.")
    expect(page.locator("#confidence")).to_be_hidden()
    page.click("#best")
    assert page.get_attribute("body", "data-trade-off") == str(everywhere)
    assert page.locator("#segments .worse").count() == 0
    assert eval(page.inner_text("#select-line"), {"front": front}).index == everywhere
    page.click("#copy-link")
    page.reload()
    expect(page.locator("#everywhere")).to_be_checked()


def test_without_segments_there_is_nothing_of_them(opened):
    page = opened(measured(2, 6))
    expect(page.locator("#by-segment")).to_be_hidden()
    expect(page.locator("#everywhere")).to_be_hidden()
