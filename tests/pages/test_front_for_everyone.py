"""The page by keyboard alone, for ears, in light and in dark."""

import numpy as np
import pytest
from page_fronts import measured

CONTROLS = "input, select, button, summary, a[href], [tabindex='0'], [role=slider], [role=radio]"

#: What a control is called: as browsers compute it, in the cases that the page has.
NAMES = """controls => controls.filter(c => c.checkVisibility()).map(c => {
  const labels = [...(c.labels || [])].map(label => label.textContent).join(' ');
  const content = c.matches('button, summary, a') ? c.textContent : '';
  return [c.outerHTML.slice(0, 80), (c.getAttribute('aria-label') || labels || content).trim()];
})"""

#: Contrast by the formula of WCAG 2, of each visible piece of text with what lies behind it.
CONTRASTS = """() => {
  const channels = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (c) => [0.2126, 0.7152, 0.0722].reduce((sum, share, i) => {
    const v = c[i] / 255;
    return sum + share * (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  }, 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const c = channels(getComputedStyle(at).backgroundColor);
      if (c.length < 4 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || node.matches('script, style, option, :disabled, .skip, noscript *')) continue;
    if (!node.checkVisibility()) continue;
    const style = getComputedStyle(node);
    const fore = channels(node.closest('svg') ? style.fill : style.color);
    const [a, b] = [luminance(fore), luminance(behind(node))].sort((x, y) => y - x);
    found.push([text.slice(0, 40), (a + 0.05) / (b + 0.05)]);
  }
  return found;
}"""


FOCUSED = """(() => {
  const at = document.activeElement;
  return at.id || at.dataset.focus || at.outerHTML.slice(0, 60);
})()"""


def test_every_control_has_a_name(opened):
    page = opened(measured(3, 6))
    page.click("summary")
    found = page.eval_on_selector_all(CONTROLS, NAMES)
    assert len(found) > 25
    assert [markup for markup, name in found if not name] == []


def test_the_tab_key_reaches_all_that_can_be_used(opened):
    page = opened(measured(3, 6))
    wanted = page.eval_on_selector_all(
        "input, select, button:not(:disabled), summary, .skip, pre, .tab, .trade-off.now",
        "all => all.filter(n => n.checkVisibility()).length",
    )
    seen = []
    for _ in range(wanted + 1):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at in seen:
            break
        seen.append(at)
    order = [
        "weight-0",
        "limit-0",
        "limit-slider-0",
        "maximize",
        "confidence",
        "best",
        "axis-y",
        "axis-x",
        "line",
        "copy",
    ]
    assert [at for at in seen if at in order] == order
    assert {"tab-0", "tab-1"} < set(seen)
    assert any(at.startswith("dot-") for at in seen)
    assert len(seen) >= wanted


def test_focus_is_seen(opened):
    page = opened(measured(3, 6))
    for control in ("#weight-0", "#limit-0", "#best", "#axis-x", "#line", "summary"):
        page.focus(control)
        page.keyboard.press("Shift")  # the keyboard is in use
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", control


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_in_dark(opened, scheme):
    page = opened(measured(3, 15, segments=np.repeat(["de", "fr"], 30)), scheme=scheme)
    page.fill("#limit-0", "130")
    page.click("summary")
    found = page.evaluate(CONTRASTS)
    assert len(found) > 60
    assert [(text, round(ratio, 2)) for text, ratio in found if ratio < 4.5] == []
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, shade[4:-1].split(","))) < 200) == (scheme == "dark")


def test_headings_and_landmarks(opened):
    page = opened(measured(2, 6))
    levels = page.eval_on_selector_all("h1, h2, h3", "all => all.map(h => h.tagName)")
    assert levels == ["H1"] + ["H2"] * 4 + ["H3"] + ["H2"] * 4
    assert page.get_attribute("html", "lang") == "en"
    for landmark in ("header", "main", "footer"):
        assert page.locator(landmark).count() == 1
    assert page.locator("[role=status]").count() == 3
    assert page.get_attribute("#weight-0", "aria-valuetext").endswith("\u00a0%")
    assert page.evaluate("document.querySelectorAll('[id]').length") == page.evaluate(
        "new Set([...document.querySelectorAll('[id]')].map(n => n.id)).size"
    )


def test_a_picture_of_the_page_has_something_on_it(opened):
    """Not a blank sheet: as many colours as a page with text and a chart has."""
    page = opened(measured(2, 15))
    assert len(page.screenshot(full_page=True)) > 30_000
