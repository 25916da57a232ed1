"""A real browser, started once for the tests of each file."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hyperrank.front import ParetoFront

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: Quiet, and without anything that would ask a network.
OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@pytest.fixture(scope="module")  # its loop of events would be in the way of other tests that run one
def browser() -> Iterator[Any]:
    where = next(filter(None, map(shutil.which, BROWSERS)), None)
    missing = None if where else f"none of {', '.join(BROWSERS)} is on the path: apt-get install chromium"
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        missing = "playwright is not installed: pip install playwright"
    if missing:
        if os.environ.get("HYPERRANK_BROWSER") == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=where, args=OPTIONS)
        yield started
        started.close()


@pytest.fixture
def opened(browser, tmp_path) -> Iterator[Callable[..., Any]]:
    """Open the page of a front: ``opened(front, width=360)``. It may not complain, nor ask for anything."""
    pages, complaints, asked = [], [], []

    def look_at(
        front: ParetoFront, width: int = 1200, script: bool = True, scheme: str = "light", **options: Any
    ):
        path = front.to_html(tmp_path / f"{len(pages)}.html", **options)
        page = browser.new_page(
            viewport={"width": width, "height": 900}, java_script_enabled=script, color_scheme=scheme
        )
        pages.append(page)
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        return page

    yield look_at
    for page in pages:
        page.close()
    assert complaints == []
    assert list(dict.fromkeys(asked)) == [
        (tmp_path / f"{number}.html").as_uri() for number in range(len(pages))
    ]
