"""Pictures as Display objects: what they show, where, and that files are the same each time."""

import io
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from sklearn.exceptions import NotFittedError

from hyperrank import (
    EarlyStopping,
    Explanation,
    ExplanationDisplay,
    HyperDPORanker,
    MixedScoresRanker,
    ParetoFront,
    ParetoFrontDisplay,
    TrainingDisplay,
    datasets,
)
from hyperrank.networks import MLP
from hyperrank.simplex import lattice_near

NAMES = ["relevance", "clicks", "dwell", "quality", "margin"]


def concave(m: int, k: int = 15, shift: float = 0.0, **changes: Any) -> ParetoFront:
    weights = lattice_near(m, k)
    return ParetoFront(np.sqrt(weights) + shift, weights, names=NAMES[:m], **changes)


def measured(m: int) -> ParetoFront:
    """A front that knows the values of 30 queries."""
    weights = lattice_near(m, 6)
    rng = np.random.default_rng(0)
    per_query = np.sqrt(weights)[:, None, :] + rng.normal(scale=0.1, size=(len(weights), 30, m))
    return ParetoFront(per_query.mean(axis=1), weights, names=NAMES[:m], per_query=per_query)


def texts(figure: Figure) -> list[str]:
    legends = figure.legends + [ax.get_legend() for ax in figure.axes if ax.get_legend()]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


@pytest.fixture(scope="module")
def fitted() -> tuple[Any, Any, Any]:
    """A ranker trained with validation, a baseline, and the data."""
    data = datasets.make_multilabel_ranking(30, 8, 4, 2, random_state=0)
    some = {"booster_params": {"num_iterations": 5}, "n_jobs": 1, "random_state": 0}
    options: dict[str, Any] = {
        "network": MLP(hidden=(8, 8)),
        "max_epochs": 3,
        "early_stopping": EarlyStopping(patience=2),
        **some,
    }
    ranker = HyperDPORanker("lightgbm", objectives=NAMES[:2], **options)
    baseline = MixedScoresRanker(objectives=NAMES[:2], **some)
    for each in (ranker, baseline):
        each.fit(data.X, data.Y, qid=data.qid)
    return ranker, baseline, data


def test_a_legend_is_not_over_the_data_of_a_callers_axes():
    figure, (left, _) = pyplot.subplots(1, 2, figsize=(9, 4), layout="constrained")
    front = concave(2, reference=[0.9, 0.2])
    front.plot(ax=left, selection=front.knee())
    figure.draw_without_rendering()
    legend, label = left.get_legend().get_window_extent(), left.xaxis.label.get_window_extent()
    assert legend.y1 <= label.y0
    assert legend.y0 >= 0
    pyplot.close(figure)


def test_an_estimator_and_its_baselines_are_profiled_on_the_same_queries(fitted):
    ranker, baseline, data = fitted
    front = ranker.pareto_front(data.X, data.Y, qid=data.qid)
    theirs = baseline.pareto_front(data.X, data.Y, qid=data.qid)
    display = ParetoFrontDisplay.from_estimator(
        ranker,
        data.X,
        data.Y,
        qid=data.qid,
        others={"mixed": baseline},
        at_least={"relevance": 0.9},
        name="ours",
    )
    assert isinstance(display, ParetoFrontDisplay)
    assert display.front.to_frame().equals(front.to_frame())
    assert display.others[0].to_frame().equals(theirs.to_frame())
    assert display.selection.index == front.select({"relevance": 0.9}).index
    shown = texts(display.figure_)
    assert [name for name in shown if name != "dominated"] == [
        "ours",
        "mixed",
        "reference",
        "selected",
        "limit",
    ]
    with pytest.raises(TypeError, match="a dict has no front"):
        ParetoFrontDisplay.from_estimator({}, data.X, data.Y)
    with pytest.raises(TypeError, match="others must be fronts; got a MixedScoresRanker"):
        ParetoFrontDisplay.from_front(front, others=baseline)


def test_plot_gives_the_display_itself_and_draws_anew():
    display = concave(2).plot()
    first = display.figure_
    assert display.plot(width="column") is display
    assert display.figure_ is not first
    assert display.ax_ is display.axes_[0]
    assert display.figure_.get_figwidth() == pytest.approx(3.4)
    assert concave(2).plot(width=5.5).figure_.get_figwidth() == pytest.approx(5.5)


def test_more_than_three_objectives_are_parallel_coordinates():
    front = concave(5, 35, reference=[0.3] * 5, label="ours")
    baseline = concave(5, 35, shift=-0.1, label="theirs")
    selection = front.select({"relevance": 0.5}, maximize="clicks")
    display = front.plot(others=baseline, selection=selection)
    ours, theirs = display.axes_
    assert [ours.get_ylabel(), theirs.get_ylabel()] == ["ours", "theirs"]
    labels = [label.get_text() for label in ours.get_xticklabels()]
    assert labels == ["relevance\n(ndcg@10)", *NAMES[1:]]
    assert texts(display.figure_) == ["reference", "selected", "limit"]
    heights = _heights(ours)
    # All fronts are on the same axes: what is higher is better, wherever it is drawn.
    assert heights.shape == (len(front), 5)
    low, high = baseline.points.to_numpy().min(axis=0), front.points.to_numpy().max(axis=0)
    room = 0.06 * (high - low)
    wanted = (front.points.to_numpy() - low + room) / (high - low + 2 * room)
    order = np.argsort(front.weights["relevance"], kind="stable")
    np.testing.assert_allclose(heights, wanted[order])
    np.testing.assert_allclose(
        _heights(theirs).max(axis=0), wanted.max(axis=0) - 0.1 / (high - low + 2 * room)
    )
    colours = ours.collections[-1].get_array()
    assert np.array_equal(colours, front.weights["relevance"].to_numpy()[order])


def _heights(ax: Any) -> np.ndarray:
    return np.array([segment[:, 1] for segment in ax.collections[-1].get_segments()])


def test_ticks_of_parallel_axes_tell_values():
    ax = concave(4).plot().ax_
    ticks = [(text.get_position(), text.get_text()) for text in ax.texts]
    for (x, height), text in ticks:
        value = -0.06 + height * 1.12  # values lie from 0 to 1, with room beyond
        assert float(text) == pytest.approx(value, abs=1e-9)
        assert round(x + 0.03) in range(4)
    assert len(ticks) >= 4 * 3


def test_dominated_trade_offs_are_faint_in_parallel_too():
    points = np.vstack([np.sqrt(lattice_near(4, 4)), np.full((1, 4), -0.1)])
    front = ParetoFront(points, np.vstack([lattice_near(4, 4), np.full((1, 4), 0.25)]), names=NAMES[:4])
    display = front.plot()
    assert [len(lines.get_segments()) for lines in display.ax_.collections] == [1, 4]
    assert texts(display.figure_) == ["dominated"]


@pytest.mark.parametrize("m", [2, 3, 5])
def test_limits_and_intervals_are_marked(m):
    front = measured(m)
    selection = front.select({"relevance": 0.2}, relative=False)
    display = front.plot(selection=selection, interval=0.8)
    assert {"selected", "limit", "80% interval"} <= set(texts(display.figure_))
    if m == 2:
        low, high = selection.interval(0.8).loc["clicks"]
        spans = [line.get_ydata() for line in display.ax_.lines]
        assert any(np.array_equal(span, [low, high]) for span in spans)
        assert any(np.array_equal(line.get_xdata(), [0.2, 0.2]) for line in display.ax_.lines)


def test_a_selection_is_of_the_front_that_is_drawn():
    with pytest.raises(ValueError, match=r"selection is of a front of .* and knows no \['dwell'\]"):
        concave(3).plot(selection=concave(2).select())
    with pytest.raises(TypeError, match=r"selection must be what select, .* got a list"):
        concave(2).plot(selection=[0.5, 0.5])


def test_an_interval_needs_the_values_of_queries():
    front = concave(2)
    with pytest.raises(ValueError, match="how sure this selection is cannot be told"):
        front.plot(selection=front.select(), interval=0.9)


@pytest.mark.parametrize("m", [2, 3])
def test_panels_share_the_place_of_the_callers_axes(m):
    figure, (left, right) = pyplot.subplots(1, 2)
    try:
        display = concave(m).plot(ax=right, others=concave(m, shift=-0.1))
        assert display.figure_ is figure
        figure.canvas.draw()
        assert not left.has_data()
        assert all(ax.get_position().x0 > 0.5 for ax in display.axes_)
        assert display._repr_png_() is None  # pyplot shows it
    finally:
        pyplot.close(figure)


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_files_are_the_same_each_time(kind):
    def file() -> bytes:
        buffer = io.BytesIO()
        concave(2, reference=[0.2] * 2).plot(width="column").savefig(buffer, format=kind)
        return buffer.getvalue()

    first = file()
    assert first == file()
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind])
    if kind == "pdf":
        assert b"/FontType 42" in first or b"/CIDFontType2" in first  # letters, not outlines
        assert b"CreationDate" not in first


def test_training_is_drawn_from_the_history(fitted):
    ranker = fitted[0]
    display = ranker.plot_training(name="ours")
    assert isinstance(display, TrainingDisplay)
    loss, score = display.axes_
    epochs = np.arange(1, len(ranker.history_) + 1)
    np.testing.assert_array_equal(loss.lines[0].get_xdata(), epochs)
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), [entry["loss"] for entry in ranker.history_])
    np.testing.assert_array_equal(score.lines[0].get_ydata(), [entry["score"] for entry in ranker.history_])
    assert score.lines[1].get_xydata().tolist() == [[ranker.best_epoch_, ranker.best_score_]]
    assert (loss.get_ylabel(), score.get_ylabel()) == ("loss", "validation hypervolume")
    assert texts(display.figure_) == [f"best epoch: {ranker.best_epoch_}"]
    assert loss.get_title(loc="left") == "ours"
    assert not pyplot.get_fignums()


def test_training_without_validation_is_one_panel():
    display = TrainingDisplay([{"epoch": 1.0, "loss": 0.9}, {"epoch": 2.0, "loss": 0.8}], best_epoch=2).plot()
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss"]


def test_what_has_no_history_says_so(fitted):
    with pytest.raises(TypeError, match="a MixedScoresRanker has no history"):
        fitted[1].plot_training()
    with pytest.raises(NotFittedError):
        HyperDPORanker().plot_training()


def explanation(labels: bool = True) -> Explanation:
    rng = np.random.default_rng(0)
    return Explanation(
        features=("price", "age", "clicks"),
        objectives=("relevance", "margin"),
        against=np.array([1.0, 0.0]),
        weights=np.array([0.5, 0.5]),
        metric="ndcg@10",
        change=np.array([0.1, -0.02, 0.6]),
        change_error=np.array([0.02, 0.01, np.nan]),
        direction=np.array([-0.5, 0.1, 0.3]),
        drops=rng.normal(size=(3, 2, 20, 2)) if labels else None,
        reached=np.ones((2, 2)) if labels else None,
        n_rows=100,
        n_queries=20,
        common=0.5,
    )


@pytest.mark.parametrize("labels", [True, False])
def test_an_explanation_is_drawn_with_the_largest_share_first(labels):
    found = explanation(labels)
    display = found.plot(n_features=2)
    assert isinstance(display, ExplanationDisplay)
    bars = display.ax_
    assert [label.get_text() for label in bars.get_yticklabels()] == ["clicks", "price"]
    assert [bar.get_width() for bar in bars.patches] == [0.6, 0.1]
    assert [to_hex(bar.get_facecolor()) for bar in bars.patches] == ["#0072b2", "#d55e00"]  # rises, falls
    assert len(display.axes_) == (3 if labels else 1)
    if labels:
        drawn = [line.get_xdata() for line in display.axes_[2].lines if line.get_marker() == "o"]
        np.testing.assert_array_equal(drawn[0], found.importances[[2, 0], 0, 1])
        np.testing.assert_array_equal(drawn[1], found.importances[[2, 0], 1, 1])
        assert texts(display.figure_)[2:] == ["at relevance 1", "at relevance 0.5, margin 0.5"]
    with pytest.raises(ValueError, match="n_features must be at least 1"):
        found.plot(n_features=0)


def test_a_ranker_is_explained_and_drawn_at_once(fitted):
    ranker, _, data = fitted
    display = ExplanationDisplay.from_estimator(
        ranker, data.X, qid=data.qid, weights=[[1, 0], [0, 1]], n_repeats=1, random_state=0, width=4
    )
    assert display.explanation.drops is None
    assert display.figure_.get_figwidth() == 4


def test_displays_are_imported_without_matplotlib():
    script = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from hyperrank import ParetoFrontDisplay, TrainingDisplay, ParetoFront\n"
        "try: TrainingDisplay([{'epoch': 1, 'loss': 1}]).plot()\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Plots need matplotlib: pip install hyperrank[plot]"
