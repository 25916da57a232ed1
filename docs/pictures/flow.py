"""Flow of X, Y, qid and weights through fit and predict: ``python docs/pictures/flow.py`` writes flow.svg."""

from html import escape
from pathlib import Path

WIDTH, HEIGHT = 920, 610
FIT, PREDICT = 20, 500  # left edges of the two columns
STEP = 400  # width of a step
PLAIN, DATA, STORED = "#ffffff", "#e8f1fa", "#fdf1dc"


def box(x: float, y: float, width: float, title: str, text: str = "", fill: str = PLAIN) -> list[str]:
    """A rounded box with a title in code type and a line below it."""
    height = 52 if text else 30
    parts = [
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{fill}" stroke="#5b6b7b"/>',
        f'<text x="{x + width / 2}" y="{y + 20}" class="code">{escape(title)}</text>',
    ]
    if text:
        parts.append(f'<text x="{x + width / 2}" y="{y + 40}">{escape(text)}</text>')
    return parts


def arrow(*points: tuple[float, float], dashed: bool = False) -> str:
    """An arrow along straight lines; dashed for what is stored in the fitted ranker."""
    path = " L".join(f"{x} {y}" for x, y in points)
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    return f'<path d="M{path}" class="arrow"{dash} marker-end="url(#head)"/>'


def label(x: float, y: float, text: str, kind: str = "note") -> str:
    """Text by itself."""
    return f'<text x="{x}" y="{y}" class="{kind}">{escape(text)}</text>'


def fit_column() -> list[str]:
    """Five steps, each with what it gives to the next."""
    middle = FIT + STEP / 2
    steps = [
        ("1  read_fit_inputs", "rows grouped by query, float32, offsets; names resolved"),
        ("2  FitConfig", "every option resolved to a value"),
        ("3  tune", "on held-out queries: epochs, dropout, reward scale"),
        ("4  fit_reference", "boosters per objective, or the model that you pass"),
        ("5  train_reward_model", "each query draws w ~ Dirichlet; loss is the sum of w_j L_j(r)"),
    ]
    parts = [label(middle, 24, "fit", "heading")]
    for x, name in zip((FIT, FIT + 140, FIT + 280), ("X (n, d)", "Y (n, m)", "qid (n,)"), strict=True):
        parts += box(x, 40, 120, name, fill=DATA)
        parts.append(arrow((x + 60, 70), (x + 60, 104)))
    for number, (title, text) in enumerate(steps):
        y = 106 + 86 * number
        parts += box(FIT, y, STEP, title, text)
        if number:
            parts.append(arrow((middle, y - 34), (middle, y - 2)))
    return parts


def predict_column() -> list[str]:
    """From rows and weights to scores in the caller's order."""
    left, right, last = PREDICT, PREDICT + 180, PREDICT + 375
    parts = [label(PREDICT + STEP / 2, 24, "predict", "heading")]
    for x, width, name in ((0, 86, "X (n, d)"), (96, 86, "qid (n,)"), (192, 128, "weights (k, m)")):
        parts += box(PREDICT + x, 40, width, name, fill=DATA)
        parts.append(arrow((PREDICT + x + width / 2, 70), (PREDICT + x + width / 2, 104)))
    parts += box(last - 25, 40, 50, "t", fill=DATA)
    parts += box(PREDICT, 106, 320, "read_features", "names matched, rows grouped by query")
    parts += box(left, 364, 165, "s_ref(x, w)", "mixed by the weights", STORED)
    parts += box(right, 450, 165, "r(x, w)", "trunk once, w modulates", STORED)
    parts += [
        arrow((left + 60, 158), (left + 60, 362)),
        arrow((right + 60, 158), (right + 60, 448)),
        label(left + 66, 260, "X, qid, w", "side"),
        label(right + 66, 260, "X, qid, w", "side"),
        arrow((FIT + STEP, 390), (left - 2, 390), dashed=True),
        arrow((FIT + STEP, 476), (right - 2, 476), dashed=True),
        label((FIT + STEP + PREDICT) / 2, 382, "reference_"),
        label((FIT + STEP + PREDICT) / 2, 468, "model_"),
    ]
    formula = "s = s_ref + t (\u03c3/\u03b2) r"
    parts += box(PREDICT, 542, STEP, formula, "in the caller's row order: (n,) or (n, k)", DATA)
    parts += [
        arrow((left + 60, 416), (left + 60, 540)),
        arrow((right + 60, 502), (right + 60, 540)),
        arrow((last, 70), (last, 540)),
    ]
    return parts


def main() -> None:
    """Write the picture."""
    style = (
        "text{font:13px system-ui,sans-serif;text-anchor:middle;fill:#1c2733}"
        ".code{font:600 14px ui-monospace,monospace}.heading{font:700 17px system-ui,sans-serif}"
        ".note{font:12px ui-monospace,monospace}.side{font:12px ui-monospace,monospace;text-anchor:start}"
        ".arrow{fill:none;stroke:#5b6b7b;stroke-width:1.5}"
    )
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#5b6b7b"/></marker>'
    )
    legend = [
        label(FIT + STEP / 2, 560, "dashed: stored in the fitted ranker, and in its file"),
        label(FIT + STEP / 2, 580, "with a temperature range the network is given log t too"),
    ]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">',
        "<title>The flow of X, Y, qid and weights through fit and predict</title>",
        f"<style>{style}</style><defs>{head}</defs>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *fit_column(),
        *predict_column(),
        *legend,
        "</svg>",
    ]
    (Path(__file__).resolve().parents[1] / "flow.svg").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
