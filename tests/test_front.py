"""The profiled front: contents, hypervolume, selection by limits, and pictures."""

import sys
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hyperrank.front import ParetoFront, Selection
from hyperrank.simplex import as_weights, lattice_near

NAMES = ["relevance", "clicks", "dwell time", "quality", "freshness"]

#: Four trade-offs, the third of them dominated by the second.
POINTS = [[0.42, 0.30], [0.41, 0.38], [0.40, 0.37], [0.35, 0.40]]
WEIGHTS = [[1.0, 0.0], [0.7, 0.3], [0.4, 0.6], [0.0, 1.0]]


def small(**changes: Any) -> ParetoFront:
    settings = {"points": POINTS, "weights": WEIGHTS, "names": NAMES[:2], "reference": [0.40, 0.32]}
    return ParetoFront(**{**settings, **changes})


def concave(m: int, k: int = 15, shift: float = 0.0, **changes: Any) -> ParetoFront:
    """A front without dominated points."""
    weights = lattice_near(m, k)
    return ParetoFront(np.sqrt(weights) + shift, weights, names=NAMES[:m], **changes)


def test_contents() -> None:
    per_query = np.zeros((4, 3, 2))
    front = small(per_query=per_query, reference_per_query=per_query[0], label="ours", metric="err@5")
    assert front.points.columns.tolist() == front.weights.columns.tolist() == front.names == NAMES[:2]
    assert np.array_equal(front.points, POINTS)
    assert np.array_equal(front.weights, WEIGHTS)
    assert front.reference.to_dict() == {"relevance": 0.40, "clicks": 0.32}
    assert front.per_query.dtype == front.reference_per_query.dtype == np.float32
    assert front.per_query.shape == (4, 3, 2)
    assert (len(front), front.label, front.metric) == (4, "ours", "err@5")


def test_optional_contents_are_none() -> None:
    front = small(reference=None)
    assert front.reference is front.per_query is front.reference_per_query is front.label is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": 5}, "metric of a front must be a text; got 5"),
        ({"label": ["ours"]}, "label of a front must be a text"),
        ({"baseline": 1}, "baseline of a front must be a text"),
        ({"hypervolume": "large"}, "hypervolume must be a finite number"),
        ({"hypervolume": 0.9}, r"hypervolume is 0\.9, and that of the points 0\.16"),
        ({"temperature": [1]}, "must be a number"),
        ({"points": [3]}, "a front is a mapping with"),
    ],
)
def test_documents_that_are_no_front(changes: dict[str, Any], message: str) -> None:
    document = small().to_dict()
    assert ParetoFront.from_dict(document).to_frame().equals(small().to_frame())
    for point in document["points"] if "temperature" in changes else []:
        del point["temperature"]
    with pytest.raises(ValueError, match=message):
        ParetoFront.from_dict({**document, **changes})


def test_the_callers_arrays_are_copied() -> None:
    points = np.array(POINTS)
    front = small(points=points)
    points[:] = 9.0
    assert np.array_equal(front.points, POINTS)


def test_named_input_is_read_by_name() -> None:
    swapped = ["clicks", "relevance"]
    front = small(
        points=pd.DataFrame(POINTS, columns=NAMES[:2])[swapped],
        weights=pd.DataFrame(WEIGHTS, columns=NAMES[:2])[swapped],
        reference={"clicks": 0.32, "relevance": 0.40},
    )
    assert front.to_frame().equals(small().to_frame())
    assert front.reference.equals(small().reference)
    assert small(reference=front.reference[swapped]).reference.equals(front.reference)


def test_one_objective() -> None:
    front = ParetoFront([[0.4]], [1.0], names=["relevance"])
    assert front.hypervolume() == pytest.approx(0.4)
    assert front.select().weights.tolist() == [1.0]


def test_to_frame_and_representations() -> None:
    front = small(label="<ours>")
    table = front.to_frame()
    expected = ["weight_relevance", "weight_clicks", "relevance", "clicks", "non_dominated"]
    assert table.columns.tolist() == expected
    assert table["non_dominated"].tolist() == [True, True, False, True]
    summary = "ParetoFront of <ours>: ndcg@10 at 4 trade-offs, 3 of them non-dominated"
    assert repr(front).startswith(summary + "\n")
    assert "&lt;ours&gt;" in front._repr_html_()
    assert "<table" in front._repr_html_()


def test_hypervolume_by_hand() -> None:
    front = ParetoFront([[1.0, 2.0], [2.0, 1.0]], [[0, 1], [1, 0]], names=["a", "b"])
    assert front.hypervolume() == pytest.approx(3.0)
    assert front.hypervolume(0.5) == pytest.approx(1.25)
    assert front.hypervolume([0.0, 0.5]) == pytest.approx(2.0)
    assert front.hypervolume({"b": 0.5}) == pytest.approx(2.0)
    assert front.hypervolume(5.0) == 0.0
    corner = namedtuple("Corner", "b a")(b=0.5, a=0)
    assert front.hypervolume(corner) == pytest.approx(2.0)
    with pytest.raises(ValueError, match=r"reference_point names unknown objectives \['c'\]"):
        front.hypervolume({"c": 0.5})
    with pytest.raises(ValueError, match="reference_point"):
        front.hypervolume([0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": [[0.4, np.nan]] * 4}, "points must be finite; got nan for 'clicks' in row 0"),
        ({"points": np.full((4, 2), np.nan)}, "points must be finite"),
        ({"points": [0.4, 0.3]}, r"points must have one value for each of .* got shape \(2,\)"),
        ({"points": np.zeros((0, 2))}, r"got shape \(0, 2\)"),
        ({"weights": WEIGHTS[:3]}, "4 points were given with 3 weights"),
        ({"weights": [[0.5, 0.6]] * 4}, "weights must sum to 1"),
        ({"names": ["a", "a"]}, "names must be unique strings"),
        ({"names": [1, 2]}, "names must be unique strings"),
        ({"names": []}, "names must be unique strings"),
        ({"reference": [0.4]}, "reference must have one value for each"),
        ({"reference": [0.4, np.inf]}, "reference must be finite; got inf for 'clicks'"),
        ({"reference": {"relevance": 0.4}}, r"labels of reference .* no value for \['clicks'\]"),
        ({"per_query": np.zeros((3, 5, 2))}, r"per_query must have shape \(4, 'n_queries', 2\)"),
        ({"per_query": np.zeros((4, 2))}, r"per_query must have shape .* got \(4, 2\)"),
        (
            {"per_query": np.zeros((4, 5, 2)), "reference_per_query": np.zeros((6, 2))},
            r"reference_per_query must have shape \(5, 2\); got \(6, 2\)",
        ),
    ],
)
def test_refused_contents(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**changes)


@pytest.mark.parametrize(
    ("arguments", "row"),
    [
        ({"at_least": {"relevance": 0.98}}, 1),  # 0.392 of the reference's 0.40
        ({"at_least": {"relevance": 1.04}}, 0),
        ({"at_least": {"relevance": 0.98}, "maximize": "relevance"}, 0),
        ({"at_least": {"relevance": 0.30}}, 3),
        ({"at_least": {"relevance": 0.30}, "relative": False}, 3),
        ({"at_least": {"relevance": 0.36}, "relative": False}, 1),
        ({"at_least": {"relevance": 1.0, "clicks": 1.1}}, 1),
        ({}, 1),
        ({"maximize": "clicks"}, 3),
        ({"maximize": {"relevance": 1.0, "clicks": 0.01}}, 0),
        ({"maximize": {"relevance": 1.0, "clicks": 1.0}}, 1),
    ],
)
def test_select(arguments: dict[str, Any], row: int) -> None:
    selection = small().select(**arguments)
    assert selection.index == row
    assert selection.weights.tolist() == WEIGHTS[row]
    assert selection.values.tolist() == POINTS[row]


def test_without_reference_limits_are_shares_of_the_best() -> None:
    front = small(reference=None)
    assert front.select(at_least={"relevance": 0.98}).index == 0  # 0.4116
    assert front.select(at_least={"relevance": 0.97}).index == 1  # 0.4074
    assert front.select(at_least={"relevance": 1.0}).index == 0


def test_objectives_count_by_the_share_of_the_best_value() -> None:
    front = ParetoFront([[1.0, 80.0], [0.5, 100.0]], [[1, 0], [0, 1]], names=["a", "b"])
    assert front.select().index == 0


def test_an_objective_that_is_never_reached_does_not_decide() -> None:
    front = ParetoFront([[0.1, 0.0], [0.2, 0.0]], [[0, 1], [1, 0]], names=["a", "b"])
    assert front.select().index == 1
    assert front.select(at_least={"b": 0.9}).index == 1


def test_a_dominated_tie_is_never_selected() -> None:
    front = ParetoFront([[0.4, 0.1], [0.4, 0.2]], [[1, 0], [0, 1]], names=["a", "b"])
    assert front.select(maximize="a").index == 1


def test_selection_stands_for_its_weights() -> None:
    front = small()
    selection = front.select(at_least={"relevance": 0.98})
    assert isinstance(selection, Selection)
    assert np.asarray(selection).tolist() == [0.7, 0.3]
    assert as_weights(selection, 2).tolist() == [0.7, 0.3]
    assert np.asarray(selection, dtype=np.float32).dtype == np.float32
    assert selection.limits.to_dict() == pytest.approx({"relevance": 0.392})
    assert selection.margin.to_dict() == pytest.approx({"relevance": 0.018})
    assert "relevance     0.7   0.41  0.392   0.018" in repr(selection)
    assert "limit" not in repr(front.select())
    selection.weights[:] = 0.0
    assert np.array_equal(front.weights, WEIGHTS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"at_least": {"relevance": 1.2}},
            r"relevance >= 0\.48 \(1\.2 of the reference's 0\.4\) cannot be met: the best is 0\.42, "
            r"a share of 1\.049, at weights {relevance: 1, clicks: 0}\.",
        ),
        (
            {"at_least": {"relevance": 90}},
            r"cannot be met: .*\. Limits are shares: 0\.9 keeps 90%\.",
        ),
        (
            {"at_least": {"relevance": 90}, "relative": False},
            r"cannot be met: the best is 0\.42, at weights {relevance: 1, clicks: 0}\.$",
        ),
        (
            {"at_least": {"relevance": 0.5, "clicks": 0.6}, "relative": False},
            r"relevance >= 0\.5 cannot .* clicks >= 0\.6 cannot be met: the best is 0\.4,",
        ),
        (
            {"at_least": {"relevance": 0.42, "clicks": 0.4}, "relative": False},
            r"relevance >= 0\.42 and clicks >= 0\.4 can each be met, but by no point together\. The closest "
            r"is {relevance: 0\.41, clicks: 0\.38}, at weights {relevance: 0\.7, clicks: 0\.3}, which keeps "
            r"at_least={'relevance': 0\.41, 'clicks': 0\.38}\.",
        ),
        ({"at_least": {"sales": 0.9}}, r"at_least names unknown objectives \['sales'\]; the front has"),
        ({"maximize": "sales"}, r"maximize names unknown objectives \['sales'\]"),
        ({"maximize": {"sales": 1.0}}, r"maximize names unknown objectives \['sales'\]"),
        ({"maximize": {"clicks": -1.0}}, "maximize must hold weights >= 0"),
        ({"maximize": {"clicks": 0.0}}, "maximize must hold weights >= 0"),
        ({"maximize": {"clicks": "all"}}, r"maximize\['clicks'\] must be a finite number; got 'all'"),
        ({"at_least": {"clicks": np.nan}}, r"at_least\['clicks'\] must be a finite number; got nan"),
        ({"at_least": 0.98}, "at_least must map objectives to limits, as in {'relevance': 0.98}; got 0.98"),
    ],
)
def test_refused_selections(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small().select(**arguments)


def test_shares_of_the_best_are_named_so_in_errors() -> None:
    with pytest.raises(ValueError, match=r"\(1\.1 of the front's best 0\.42\) cannot be met"):
        small(reference=None).select({"relevance": 1.1})


def test_shares_of_negative_values_are_refused() -> None:
    with pytest.raises(ValueError, match="pass relative=False"):
        small(reference=[-0.1, 0.3]).select({"relevance": 0.9})


@given(data=st.data(), m=st.integers(1, 4))
def test_select_is_the_best_of_what_keeps_the_limits(data: st.DataObject, m: int) -> None:
    k = data.draw(st.integers(1, 12))
    value = st.integers(0, 5).map(float)
    points = np.array(data.draw(st.lists(st.lists(value, min_size=m, max_size=m), min_size=k, max_size=k)))
    front = ParetoFront(points, np.full((k, m), 1 / m), names=NAMES[:m])
    limits = data.draw(st.dictionaries(st.sampled_from(NAMES[:m]), value))
    target = data.draw(st.sampled_from(NAMES[:m]))
    wanted = np.array([limits.get(name, 0.0) for name in NAMES[:m]])
    feasible = (points >= wanted).all(axis=1)
    if not feasible.any():
        with pytest.raises(ValueError, match="met"):
            front.select(limits, maximize=target, relative=False)
        return
    selection = front.select(limits, maximize=target, relative=False)
    assert feasible[selection.index]
    assert selection.values[target] == points[feasible, NAMES.index(target)].max()
    assert front.non_dominated[selection.index]
    assert (selection.margin >= 0).all()


@pytest.mark.parametrize("m", [2, 4])
def test_plot_draws_every_pair_without_pyplot(m: int) -> None:
    front = concave(m, reference=[0.2] * m, label="ours")
    kind = "auto" if m < 3 else "pairs"
    display = front.plot(others=[concave(m, shift=-0.1, label="theirs")], selection=front.select(), kind=kind)
    figure = display.figure_
    assert isinstance(figure, Figure)
    assert display.axes_ == panels(figure)
    assert not pyplot.get_fignums()
    labels = [(ax.get_xlabel(), ax.get_ylabel()) for ax in panels(figure)]
    assert len(labels) == m * (m - 1) // 2
    assert all(f"{name} (ndcg@10)" in np.ravel(labels) for name in NAMES[:m])
    assert display._repr_png_().startswith(b"\x89PNG")


def panels(figure: Figure) -> list[Axes]:
    """Axes with points on them: neither colour bars nor the corner of the legend."""
    return [ax for ax in figure.axes if ax.collections and ax.get_label() != "<colorbar>"]


def legend_texts(figure: Figure) -> list[str]:
    legends = figure.legends + [ax.get_legend() for ax in figure.axes if ax.get_legend()]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def drawn(figure: Figure) -> list[list[list[float]]]:
    """Coordinates of each cloud of points of the first panel."""
    return [np.asarray(cloud.get_offsets()).tolist() for cloud in panels(figure)[0].collections]


def test_plot_separates_dominated_points_and_bounds_the_rest() -> None:
    figure = small().plot().figure_
    assert [POINTS[2]] in drawn(figure)
    assert [POINTS[0], POINTS[1], POINTS[3]] in drawn(figure)
    steps = panels(figure)[0].lines[0]
    assert steps.get_drawstyle() == "steps-pre"
    assert steps.get_xydata().tolist() == [POINTS[3], POINTS[1], POINTS[0]]
    assert legend_texts(figure) == ["front", "dominated", "reference"]


def test_plot_names_all_that_it_shows() -> None:
    front = concave(3, reference=[0.2] * 3)
    baselines = [concave(3, shift=-0.1, label="theirs"), concave(3, shift=-0.2)]
    texts = legend_texts(front.plot(others=baselines, selection=front.select()).figure_)
    assert texts == ["front", "theirs", "other 2", "reference", "selected"]


def test_a_lone_front_needs_no_legend() -> None:
    assert legend_texts(concave(2).plot().figure_) == []


def test_plot_keeps_the_order_asked_for() -> None:
    ax = concave(3).plot(["clicks", "relevance"]).ax_
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("clicks (ndcg@10)", "relevance (ndcg@10)")


@pytest.mark.parametrize(
    ("objectives", "expected"), [(None, "relevance"), (["clicks", "relevance"], "clicks")]
)
def test_colours_follow_the_weight_of_the_first(objectives: list[str] | None, expected: str) -> None:
    front = concave(2)
    figure = front.plot(objectives).figure_
    colours = panels(figure)[0].collections[-1].get_array()
    assert np.array_equal(colours, front.weights[expected])
    assert any(ax.get_ylabel() == f"weight of {expected}" for ax in figure.axes)


def test_plot_on_the_callers_axes() -> None:
    figure, (left, right) = pyplot.subplots(1, 2)
    try:
        assert small().plot(ax=right, others=small(label="same")).figure_ is figure
        assert right.get_xlabel() == "relevance (ndcg@10)"
        assert not left.has_data()
        assert "same" in [text.get_text() for text in right.get_legend().get_texts()]
        assert pyplot.get_fignums() == [figure.number]
    finally:
        pyplot.close(figure)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda f: f.plot(["relevance", "sales"]), r"objectives names unknown objectives \['sales'\]"),
        (lambda f: f.plot([]), "at least one objective, each once"),
        (lambda f: f.plot(["clicks", "clicks"]), "at least one objective, each once"),
        (lambda f: f.plot(ax=Figure().add_axes((0, 0, 1, 1))), "ax stands free in its figure"),
        (lambda f: f.plot(kind="plane"), "kind='plane' draws two objectives, not 3"),
        (lambda f: f.plot("clicks", kind="parallel"), "kind='parallel' draws two objectives or more, not 1"),
        (lambda f: f.plot("clicks"), "kind='auto' draws two objectives or more, not 1"),
        (lambda f: f.plot(kind="pie"), "kind must be one of auto, plane, .*; got 'pie'"),
        (lambda f: f.plot(width="poster"), "width must be inches from 1 to 100, 'column' or 'page'"),
        (lambda f: f.plot(width=3, ax=Figure().add_subplot()), "ax has a size already"),
        (lambda f: f.plot(interval=0.9), "interval is of a selection"),
        (lambda f: f.plot(others=small()), r"objectives \(for others\) names unknown .*'dwell time'"),
        (lambda f: f.plot(others=concave(3, metric="mrr")), "must share the metric 'ndcg@10'; got 'mrr'"),
    ],
)
def test_refused_plots(draw: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(concave(3))


def test_plot_without_matplotlib_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("hyperrank.plots.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install hyperrank\[plot\]"):
        small().plot()
