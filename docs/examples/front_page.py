"""A ranker of real search data, the page of its front, and a picture of that page.

    python docs/examples/front_page.py front.html --picture docs/front_page.png

The picture needs playwright, Pillow and a Chromium on the path.
"""

import argparse
import shutil
from io import BytesIO
from pathlib import Path

from hyperrank import HyperDPORanker, datasets

OBJECTIVES = ("relevance", "quality", "dwell")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def write_page(path: Path) -> Path:
    """Train on one half of the MSLR sample, and write what the other half measures."""
    train, test = (datasets.fetch_mslr_sample(part, objectives=OBJECTIVES) for part in ("train", "test"))
    ranker = HyperDPORanker(objectives=OBJECTIVES, random_state=0).fit(train.X, train.Y, qid=train.qid)
    front = ranker.pareto_front(test.X, test.Y, qid=test.qid, label="MSLR sample")
    return front.to_html(path)


def take_picture(page: Path, picture: Path) -> None:
    """The page in light, with a limit on the first objective and the best that keeps it."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    where = next(filter(None, map(shutil.which, CHROMIUM)))
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=where, args=["--no-sandbox", "--disable-gpu"])
        view = browser.new_page(viewport={"width": 1180, "height": 1250}, color_scheme="light")
        view.goto(page.resolve().as_uri())
        view.fill("#limit-0", "98")
        view.click("#best")
        view.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        taken = view.screenshot()
        browser.close()
    Image.open(BytesIO(taken)).convert("RGB").quantize(256, Image.Quantize.MEDIANCUT).save(
        picture, optimize=True
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    print(write_page(given.page))
    if given.picture:
        take_picture(given.page, given.picture)
