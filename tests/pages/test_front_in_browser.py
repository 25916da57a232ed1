"""The page of a front as people use it, in a real browser."""

import numpy as np
import pandas as pd
import pytest
from page_fronts import NAMES, measured

from hyperrank.front import ParetoFront

expect = pytest.importorskip("playwright.sync_api").expect


def quick(kinds, *names):
    """Kinds to try, those that are not named among the slow tests."""
    return [name if name in names else pytest.param(name, marks=pytest.mark.slow) for name in kinds]


def chosen(page) -> int:
    return int(page.get_attribute("body", "data-trade-off"))


def predicted(page, at: float | None = None) -> dict[str, float]:
    """The weights of the line of Python, as the ranker gets them, at the temperature expected."""

    class Ranker:
        def predict(self, X, *, qid, weights, temperature=None):
            assert temperature == at
            return weights

    return eval(page.inner_text("#python"), {"ranker": Ranker(), "X": 0, "qid": 0})


def asked_for(page, front):
    """What the page's line for the same choice by limits gives."""
    return eval(page.inner_text("#select-line"), {"front": front})


CELLS = """[...document.querySelectorAll('#outcome .numbers')].map(
  row => [...row.querySelectorAll('td')].map(cell => cell.innerText))"""


def shown(page) -> list[list[str]]:
    """Value, its interval, the gain and all that is said of it, by objective."""
    return page.evaluate(CELLS)


def test_a_moved_weight_changes_every_number(opened):
    front = measured(3, 15)
    page = opened(front)
    before = shown(page)
    assert chosen(page) == front.select().index
    page.focus("#weight-1")
    weights = [front.weights.iloc[chosen(page), 1]]
    while weights[-1] < 1:
        page.keyboard.press("ArrowRight")
        weights.append(front.weights.iloc[chosen(page), 1])
        assert weights[-1] > weights[-2], "each press of a key arrives at more weight"
    assert len(weights) > 2
    corner = front.select(maximize="clicks")
    assert front.weights.iloc[chosen(page)].tolist() == [0, 1, 0]
    for j, (old, new) in enumerate(zip(before, shown(page), strict=True)):
        value, interval = new[0].split("\n")
        low, high = front.select(maximize="clicks").interval().iloc[j]
        assert value == f"{front.points.iloc[chosen(page), j]:.4f}"
        assert interval == f"{low:.4f} to {high:.4f}"
        assert new[0] != old[0]
        assert new[1] != old[1]
        gain = front.points.iloc[chosen(page), j] - front.reference.iloc[j]
        assert (
            new[1]
            .replace("\u2212", "-")
            .startswith(f"{gain:+.4f} ({100 * gain / front.reference.iloc[j]:+.1f}")
        )
    assert predicted(page) == dict(zip(front.names, front.weights.iloc[chosen(page)], strict=True))
    assert corner.index == chosen(page)
    expect(page.locator("#said")).to_contain_text("Row 10")
    # Back again, to the mix of the others that was there before.
    page.keyboard.press("Home")
    assert front.weights.iloc[chosen(page), 1] == 0
    mix = front.select().weights * [1, 0, 1]
    away = ((front.weights - mix / mix.sum()) ** 2).sum(axis=1)
    assert away[chosen(page)] == away.min()


def test_a_slider_dragged_lands_on_what_was_measured(opened):
    front = measured(2, 6)
    page = opened(front)
    box = page.locator("#weight-0").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.77 * box["width"], box["y"] + box["height"] / 2, steps=4)
    assert front.weights.iloc[chosen(page), 0] == 0.8
    assert page.input_value("#weight-0") not in ("80", "20")
    page.mouse.up()
    assert page.input_value("#weight-0") == "80"
    assert page.input_value("#weight-1") == "20"
    assert page.text_content("output[for=weight-0]") == "80\u00a0%"


FRONTS = {
    "measured": {},
    "no-reference": {"reference": None, "reference_per_query": None},
    "reference-in-points-alone": {"reference_per_query": None},
    "values-alone": {"per_query": None, "reference_per_query": None},
    "negative": {"reference": [-0.1, 0.3, 0.3]},
}
#: How errors of select begin, and what the page says instead.
REFUSALS = {
    "cannot be met": "out of reach",
    "can each be met": "all of them together",
    "with confidence": "The surest",
}
CHOOSE = "cases => cases.map(([limits, maximize, sure]) => choose(limits, maximize, sure))"


def selected(front: ParetoFront, limits: list[float | None], maximize, sure, relative: bool) -> dict:
    wanted = {name: limit for name, limit in zip(front.names, limits, strict=True) if limit is not None}
    goal = None if maximize is None else front.names[maximize]
    sure = sure if wanted else None
    try:
        found = front.select(wanted, maximize=goal, confidence=sure, relative=relative)
    except ValueError as error:
        return {"why": next(ours for python, ours in REFUSALS.items() if python in str(error))}
    return {"index": found.index}


@pytest.mark.parametrize("kind", quick(FRONTS, "measured", "no-reference"))
def test_the_page_picks_what_select_picks(opened, kind):
    front = measured(3, 21, **FRONTS[kind])
    page = opened(front)
    relative, can_be_sure = page.evaluate("[relative, canBeSure]")
    assert relative == (kind != "negative")
    assert can_be_sure == (kind in ("measured", "no-reference", "negative"))
    assert can_be_sure == page.is_visible("#confidence")
    rng = np.random.default_rng(7)
    highest = front.points.max() / (front.reference if relative and front.reference is not None else 1)
    cases = []
    for _ in range(40):
        limits = [float(round(highest.iloc[j] * rng.uniform(0.6, 1.02), 3)) for j in range(3)]
        limits = [limit if rng.random() < 0.5 else None for limit in limits]
        maximize = None if rng.random() < 0.6 else int(rng.integers(3))
        sure = float(rng.choice([0.5, 0.8, 0.9])) if can_be_sure and rng.random() < 0.5 else None
        cases.append((limits, maximize, sure))
    found = page.evaluate(CHOOSE, cases)
    outcomes = set()
    for case, ours in zip(cases, found, strict=True):
        wanted = selected(front, *case, relative)
        outcomes.add(wanted.get("why", wanted.get("index")))
        if "why" in wanted:
            assert wanted["why"] in ours["why"]
        else:
            assert ours == wanted
    assert len(outcomes) > 6


def test_limits_are_asked_for_by_people(opened):
    front = measured(3, 28)
    page = opened(front)
    page.fill("#limit-0", "98.3")
    page.select_option("#maximize", label="clicks")
    page.select_option("#confidence", "0.8")
    page.click("#best")
    wanted = front.select({"relevance": 0.983}, maximize="clicks", confidence=0.8)
    assert chosen(page) == wanted.index
    assert asked_for(page, front).index == wanted.index
    assert f"queries: {100 * wanted.joint_confidence:.1f}" in page.inner_text("#kept")
    page.fill("#limit-0", "900")
    page.click("#best")
    assert chosen(page) == wanted.index
    assert not page.is_visible("#select-line"), "select would raise"
    assert "relevance of 900.0\u00a0% of the reference" in page.inner_text("#kept")
    assert "is out of reach" in page.inner_text("#kept")


def test_lines_of_python_are_what_is_shown(opened):
    """The line of select goes where a slider moves off its choice; that of predict has the temperature."""
    front = measured(3, 28, temperature=0.3)
    page = opened(front)
    page.fill("#limit-0", "98.3")
    page.click("#best")
    assert asked_for(page, front).index == chosen(page)
    choice = front.weights.iloc[chosen(page)]
    assert predicted(page, at=0.3) == choice.to_dict()
    page.focus("#weight-2")
    page.keyboard.press("End")
    assert front.weights.iloc[chosen(page), 2] == 1
    assert not page.is_visible("#select-line")
    assert predicted(page, at=0.3) == {"relevance": 0, "clicks": 0, "dwell time": 1}
    page.click("#best")
    assert asked_for(page, front).index == chosen(page)
    assert f"row {chosen(page)} of" in page.inner_text("#snapped").replace(",", "")
    assert "at temperature 0.3" in page.inner_text(".about")


def test_limits_grey_what_breaks_them(opened):
    front = measured(2, 15)
    page = opened(front)
    assert page.locator(".trade-off.out").count() == 0
    assert "No limits yet" in page.inner_text("#kept")
    page.fill("#limit-0", "110")
    keeps = front.points["relevance"] >= 1.1 * front.reference["relevance"]
    assert 0 < keeps.sum() < len(front)
    out = page.eval_on_selector_all(
        ".trade-off.out", "dots => dots.map(d => Number(d.dataset.focus.slice(4)))"
    )
    assert sorted(out) == np.flatnonzero(~keeps).tolist()
    assert page.inner_text("#kept").startswith(f"{keeps.sum()} of {len(front)} trade-offs")
    labels = page.eval_on_selector_all(
        ".trade-off.out", "dots => dots.map(d => d.getAttribute('aria-label'))"
    )
    assert all(label.endswith("It breaks a limit.") for label in labels)
    page.click("#clear")
    assert page.locator(".trade-off.out").count() == 0
    assert page.input_value("#limit-0") == ""


def test_limits_are_dragged_in_the_chart_and_moved_by_keys(opened):
    front = measured(2, 15)
    page = opened(front)
    page.locator("#plot").scroll_into_view_if_needed()
    plot = page.locator("#plot").bounding_box()
    tab = page.locator(".tab.across").bounding_box()
    middle = tab["x"] + tab["width"] / 2, tab["y"] + tab["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(plot["x"] + 0.6 * plot["width"], middle[1], steps=5)
    page.mouse.up()
    limit = float(page.input_value("#limit-0"))
    assert float(page.input_value("#limit-slider-0")) == limit
    line = page.locator(".barrier").bounding_box()
    assert line["x"] == pytest.approx(plot["x"] + 0.6 * plot["width"], abs=3)
    assert page.get_attribute(".tab.across", "aria-valuetext").startswith(f"at least {limit:.1f}")
    page.keyboard.press("ArrowRight")  # the tab has kept the focus
    assert float(page.input_value("#limit-0")) > limit
    page.keyboard.press("Home")
    assert page.input_value("#limit-0") == ""
    page.focus(".tab.up")
    page.keyboard.press("End")
    assert "0 of" in page.inner_text("#kept") or "out of reach" in page.inner_text("#kept")
    assert page.get_attribute(".tab.up", "aria-valuenow") == page.get_attribute(".tab.up", "aria-valuemax")


def test_arrow_keys_walk_through_the_chart(opened):
    front = measured(3, 15)
    page = opened(front)
    page.focus(".trade-off.now")
    page.keyboard.press("Home")
    assert chosen(page) == front.points["relevance"].argmin()
    for _ in range(len(front) - 1):
        page.keyboard.press("ArrowRight")
    assert chosen(page) == front.points["relevance"].argmax()
    page.keyboard.press("ArrowUp")
    up = front.points["clicks"].sort_values()
    assert chosen(page) == up.index[list(up.index).index(front.points["relevance"].argmax()) + 1]
    assert page.locator(".trade-off[tabindex='0']").count() == 1
    assert page.is_visible("#tip")


def test_axes_are_chosen_and_change_places(opened):
    front = measured(3, 15)
    page = opened(front)
    assert page.locator("#plot .title").all_text_contents() == ["relevance \u2192", "clicks \u2192"]
    page.select_option("#axis-y", "2")
    page.select_option("#axis-x", "2")
    assert page.locator("#plot .title").all_text_contents() == ["dwell time \u2192", "relevance \u2192"]
    assert page.input_value("#axis-y") == "0"
    x = {
        i: page.locator(f"[data-focus=dot-{i}]").bounding_box()["x"]
        for i in front.points["dwell time"].sort_values().index
    }
    assert np.corrcoef(list(x.values()), front.points["dwell time"].loc[list(x)])[0, 1] > 0.99


def test_a_click_and_the_table_choose_too(opened):
    front = measured(2, 6)
    page = opened(front)
    page.click("[data-focus=dot-5]", force=True)
    assert chosen(page) == 5
    page.click("summary")
    page.click("#table >> text=/^1$/")
    assert chosen(page) == 1
    assert page.get_attribute("#table tbody tr.now button", "aria-label") == "Take row 1"


@pytest.mark.parametrize("clipboard", [True, False])
def test_the_line_is_copied(opened, clipboard):
    page = opened(measured(2, 6))
    if clipboard:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    else:
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.click("#copy")
    expect(page.locator("#copied")).not_to_be_empty()
    if clipboard:
        assert page.evaluate("navigator.clipboard.readText()") == page.inner_text("#python")
    else:
        assert page.evaluate("String(getSelection())") == page.inner_text("#python")


ODD = {
    "one-objective": lambda: measured(1, 1),
    "one-objective-many": lambda: ParetoFront([[0.2], [0.3]], [[1], [1]], names=["a"], reference=[0.25]),
    "one-point": lambda: ParetoFront([[0.4, 0.3]], [[0.5, 0.5]], names=NAMES[:2]),
    "equal-points": lambda: ParetoFront(
        [[0.4, 0.3]] * 3, [[0.5, 0.5]] * 3, names=NAMES[:2], reference=[0.4, 0.3]
    ),
    "zeros": lambda: ParetoFront([[0, 0.3], [0, 0.2]], [[0, 1], [1, 0]], names=NAMES[:2], reference=[0, 0.1]),
    "large-numbers": lambda: ParetoFront([[1e6, 3e-9], [2e6, 1e-9]], [[0, 1], [1, 0]], names=NAMES[:2]),
    "eight-objectives": lambda: measured(8, 36, n_queries=20),
    "nasty-names": lambda: measured(3, 6, names=["</script><b>x", "الصلة 🎯", "a'b\"c\\" + "long " * 40]),
    "one-query": lambda: measured(
        2, 6, per_query=np.full((6, 1, 2), 0.5), reference_per_query=np.full((1, 2), 0.5)
    ),
}


@pytest.mark.parametrize("kind", quick(ODD, "one-objective", "equal-points", "eight-objectives"))
def test_odd_fronts_give_sane_pages(opened, kind):
    front = ODD[kind]()
    page = opened(front, width=360)
    assert chosen(page) == front.select().index
    page.focus("#weight-0")
    page.keyboard.press("End")
    page.click("#best")
    assert chosen(page) == front.select().index
    assert predicted(page) == dict(zip(front.names, front.weights.iloc[chosen(page)], strict=True))
    shown_and_drawn = page.inner_text("body") + page.inner_html("#plot") + page.inner_html("#outcome")
    for nonsense in ("NaN", "undefined", "Infinity", "null"):
        assert nonsense not in shown_and_drawn
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1200, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 1200


@pytest.mark.slow
def test_a_thousand_trade_offs_answer_at_once(opened):
    """Nothing is lost, or waited for, where there are many points."""
    rng = np.random.default_rng(0)
    weights = rng.dirichlet([1, 1, 1], size=1000)
    page = opened(ParetoFront(np.sqrt(weights), weights, names=NAMES[:3], reference=[0.5, 0.5, 0.5]))
    page.focus("#weight-0")
    for _ in range(5):
        page.keyboard.press("PageUp")
        page.keyboard.press("PageDown")
    assert page.locator(".trade-off").count() == 1000


def test_without_a_script_the_table_is_there(opened):
    front = measured(2, 6)
    page = opened(front, script=False)
    assert "needs JavaScript" in page.inner_text(".notice")
    assert not page.is_visible("#live")
    rows = page.locator("#table tbody tr").all_inner_texts()
    assert len(rows) == 1 + len(front)
    assert rows[1].split() == ["0", *(f"{v:.4f}" for v in [*front.weights.iloc[0], *front.points.iloc[0]])]


def test_what_is_shown_outlives_the_frame(opened):
    """A front read by name, whose order of columns is its own."""
    front = measured(2, 6)
    swapped = ParetoFront(
        front.points[["clicks", "relevance"]],
        pd.DataFrame(front.weights[["clicks", "relevance"]]),
        names=["relevance", "clicks"],
    )
    page = opened(swapped)
    assert page.locator("#outcome tbody th").all_inner_texts() == ["relevance", "clicks"]
    assert shown(page)[0][0].startswith(f"{swapped.points.iloc[chosen(page), 0]:.4f}")


def test_a_temperature_is_chosen_beside_the_weights(opened):
    """Weights move among the trade-offs of one temperature, and the line serves what is shown."""
    weights = [[1, 0], [0.5, 0.5], [0, 1]]
    rng = np.random.default_rng(0)
    per_query = np.float32(rng.uniform(0.3, 0.6, (7, 20, 2)))
    front = ParetoFront(
        per_query.mean(axis=1), [[1, 0], *weights, *weights], names=NAMES[:2], per_query=per_query,
        reference=per_query[0].mean(axis=0), reference_per_query=per_query[0],
        temperature=[0, 0.3, 0.3, 0.3, 2, 2, 2], baseline="reference",
    )  # fmt: skip
    page = opened(front, selection=front.nearest(front.points.iloc[4].to_dict()))
    start = int(page.get_attribute("body", "data-trade-off"))
    assert page.input_value("#temperature") == f"{front.temperatures[start]:g}"
    assert page.locator("#temperature").bounding_box()["width"] > 60  # room for the number
    for t in ("2", "0.3"):
        page.select_option("#temperature", t)
        for place in ("100", "0"):
            page.fill("#weight-0", place)
            row = int(page.get_attribute("body", "data-trade-off"))
            assert front.temperatures[row] == float(t)
            assert front.weights["relevance"][row] == float(place) / 100
            assert page.inner_text("#python").endswith(f"temperature={t})")
    page.select_option("#temperature", "0")
    assert page.get_attribute("body", "data-trade-off") == "0"
    page.fill("#limit-0", "100")
    page.select_option("#confidence", "0.9")
    page.click("#best")
    assert page.get_attribute("body", "data-trade-off") == str(
        front.select({"relevance": 1.0}, confidence=0.9).index
    )
