"""HTML page of a front: template, style, script and data in one file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from hyperrank.front import bootstrap
from hyperrank.front.limits import reference_rows
from hyperrank.front.selection import Selection, at_temperature, labelled_fronts

if TYPE_CHECKING:
    from hyperrank.front.pareto_front import ParetoFront

__all__ = ["front_evidence", "front_page"]

#: Resampled means in memory at a time.
MEANS_AT_ONCE = 8_000_000
#: Means that a page carries at most: all resamples if they fit, else some, and none where these are too few.
MEANS_AT_MOST = 1_000_000
FEWEST = 200
#: Steps in which the page holds resampled means; the number above the last one stands for NaN.
STEPS = 65_534


def front_evidence(front: ParetoFront, level: float, n_resamples: int, seed: int) -> dict[str, Any]:
    """Intervals of all values and of their differences from the reference, and the resamples themselves.

    `Selection.interval` with the same level, number of resamples and seed gives the same intervals. Only
    ``missing``, a reason, where nothing can be told.
    """
    if front.per_query is None:
        return {"missing": "The front holds no values by query, so that nothing is known of its uncertainty."}
    counts = bootstrap.count_queries(front.per_query)
    if counts.min() < bootstrap.MIN_QUERIES:
        return {
            "missing": f"Fewer than {bootstrap.MIN_QUERIES} queries count for "
            f"{front.names[counts.argmin()]}, which tells too little of others."
        }
    if not bootstrap.agrees(front.points, front.per_query):
        return {
            "missing": "The values by query are not those of the points, so that they tell no uncertainty."
        }
    reference = _reference_per_query(front)
    of_reference = None if reference is None else _means(reference[None], n_resamples, seed)[:, 0]
    carried = min(_n_carried(len(front), len(front.names)), n_resamples)
    intervals, differences, resamples = [], [], []
    for chunk in _chunks(front.per_query, n_resamples):
        means = _means(chunk, n_resamples, seed)
        intervals.append(bootstrap.percentile_interval(means, level, chunk))
        resamples.append(means[:carried])
        if of_reference is not None and reference is not None:
            change = means - of_reference[:, None]
            differences.append(bootstrap.percentile_interval(change, level, chunk - reference))
    evidence: dict[str, Any] = {
        "level": level,
        "n_resamples": n_resamples,
        "seed": seed,
        "n_queries": front.per_query.shape[1],
        "counts": counts.tolist(),
        "interval": _rounded(np.concatenate(intervals)),
        "reference": None,
        "difference": None,
    }
    if of_reference is not None and reference is not None:
        evidence["reference"] = _rounded(
            bootstrap.percentile_interval(of_reference[:, None], level, reference[None])[0]
        )
        evidence["difference"] = _rounded(np.concatenate(differences))
        resamples.append(of_reference[:carried, None])
    evidence["resamples"] = _packed(np.concatenate(resamples, axis=1)) if carried else None
    return evidence


def _reference_per_query(front: ParetoFront) -> NDArray[np.float32] | None:
    """The reference's values by query, if they are those of the reference."""
    reference, per_query = front.reference, front.reference_per_query
    if reference is None or per_query is None or not bootstrap.agrees(reference, per_query):
        return None
    return per_query


def _n_carried(k: int, m: int) -> int:
    """How many resamples a page carries."""
    fitting = MEANS_AT_MOST // ((k + 1) * m)
    return fitting if fitting >= FEWEST else 0


def _chunks(per_query: NDArray[np.float32], n_resamples: int) -> Iterator[NDArray[np.float32]]:
    """Some trade-offs at a time; the same seed draws the same queries for each part."""
    rows = max(1, MEANS_AT_ONCE // (n_resamples * per_query.shape[2]))
    for first in range(0, len(per_query), rows):
        yield per_query[first : first + rows]


def _means(per_query: NDArray[np.float32], n_resamples: int, seed: int) -> NDArray[np.float64]:
    return bootstrap.resampled_means(per_query, n_resamples=n_resamples, seed=seed)[0]


def _rounded(values: NDArray[np.float64], digits: int = 7) -> Any:
    """Nested lists of short numbers, None for NaN."""
    if values.ndim:
        return [_rounded(row, digits) for row in values]
    return float(f"{values:.{digits}g}") if np.isfinite(values) else None


def _packed(means: NDArray[np.float64]) -> dict[str, Any]:
    """Resampled means of shape (r, rows, m) in two bytes each: steps between an objective's extremes."""
    observed = ~np.isnan(means)
    low = np.where(observed, means, np.inf).min(axis=(0, 1))
    high = np.where(observed, means, -np.inf).max(axis=(0, 1))
    low, high = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
    step = np.where(high > low, (high - low) / STEPS, 1.0)
    steps = np.where(observed, np.rint((means - low) / step), STEPS + 1).astype("<u2")
    return {
        "number": len(means),
        "low": low.tolist(),
        "step": step.tolist(),
        "steps": base64.b64encode(steps.tobytes()).decode("ascii"),
    }


#: The script in the order in which it is put together.
SCRIPTS = (
    "model.js",
    "choosing.js",
    "words.js",
    "outcome.js",
    "compare.js",
    "segments.js",
    "queries.js",
    "chart.js",
    "parallel.js",
    "limits.js",
    "share.js",
    "controls.js",
)
#: What names of columns of contributions begin with, and how many features the page names for a document.
CONTRIBUTION, REASONS = "contribution_", 3
PLACE = re.compile(r"\{\{(\w+)\}\}")


def front_page(
    front: ParetoFront,
    *,
    title: str | None,
    selection: Selection | None,
    others: ParetoFront | Sequence[ParetoFront] | Mapping[str, ParetoFront],
    queries: pd.DataFrame | None,
    level: float,
    n_resamples: int,
    random_state: int,
) -> str:
    """Write the page of a front; see `hyperrank.front.ParetoFront.to_html`."""
    bootstrap.check_resampling(n_resamples, random_state, None)
    bootstrap.check_probability("level", level)
    if not isinstance(title, str | None):
        raise TypeError(f"title must be a text or None; got {title!r}.")
    contributions = [] if queries is None else _contributions(queries)
    data = {
        **_document(front),
        "first": _first(front, selection),
        "others": list(_others(front, others)),
        "queries": [] if queries is None else list(_queries(front, queries)),
        "features": [name.removeprefix(CONTRIBUTION) for name in contributions],
        "segments": list(_segments(front, float(level))),
        "segmentLevel": level,
        "canHoldInSegments": front.segments is not None,
        "evidence": front_evidence(front, float(level), int(n_resamples), int(random_state)),
    }
    style = _read("front.css")
    script = '"use strict";\n' + "\n".join(_read(name) for name in SCRIPTS)
    pieces = {
        "title": escape("Choose a trade-off" if title is None else title),
        "about": escape(_about(front)),
        "meaning": escape(_meaning(front)),
        "style": style,
        "script": script,
        "style_hash": _hash(style),
        "script_hash": _hash(script),
        "data": _embedded(data),
        "table": _table(front),
    }
    return PLACE.sub(lambda found: pieces[found[1]], _read("front.html"))


def _first(front: ParetoFront, selection: Selection | None) -> int:
    """Row of the trade-off that the page opens with."""
    if selection is None:
        return front.select(n_resamples=1).index
    if not isinstance(selection, Selection):
        raise TypeError(
            "selection must be what select, knee or nearest of this front gave; "
            f"got a {type(selection).__name__}."
        )
    row = selection.index
    fits = 0 <= row < len(front) and np.array_equal(front.weights.iloc[row], selection.weights)
    if not fits:
        raise ValueError(
            f"selection must be one of this front's own trade-offs; its row {row} has other weights. "
            "Pass what select, knee or nearest of this front gave."
        )
    return row


def _others(front: ParetoFront, given: Any) -> Iterator[dict[str, Any]]:
    """Label and points of each front to compare with, in the front's order of objectives."""
    for number, other in enumerate(labelled_fronts(given), start=1):
        if sorted(other.names) != sorted(front.names) or other.metric != front.metric:
            raise ValueError(
                f"others must be of the objectives {front.names} and the metric {front.metric!r}; "
                f"got {other.names} and {other.metric!r}."
            )
        label = f"front {number}" if other.label is None else other.label
        yield {"label": label, "points": other.points[front.names].to_numpy().tolist()}


def _queries(front: ParetoFront, given: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Documents of each query, and their numbers in the order of each trade-off."""
    columns = {"query", "document", "trade_off", "rank"}
    if not (isinstance(given, pd.DataFrame) and columns <= {*given}):
        raise TypeError(
            "queries must be the table that ranker.rank(X, qid=qid, weights=front, top_k=10) gives; "
            f"got a {type(given).__name__}."
        )
    for query, rows in given.groupby("query", sort=False):
        numbers, documents = pd.factorize(rows["document"])
        ranked = rows.assign(number=numbers).sort_values("rank").groupby("trade_off")["number"]
        orders = {row: order.tolist() for row, order in ranked}
        if list(orders) != list(range(len(front))):
            raise ValueError(
                f"queries ranks query {query!r} at {len(orders)} trade-offs, and the front has {len(front)}: "
                "ranker.rank(X, qid=qid, weights=front) ranks at all."
            )
        texts = [str(document) for document in documents]
        embedded = {"query": str(query), "documents": texts, "orders": [*orders.values()], "reasons": None}
        if names := _contributions(given):
            if any(len(order) != len(texts) for order in orders.values()):
                raise ValueError(
                    f"queries must have contributions of each document of query {query!r} once at each "
                    "trade-off: pass all rows of ranker.rank(..., contributions=True), with distinct titles."
                )
            # Documents below the first so many are there for what contributes to them.
            ranks = rows.sort_values(["trade_off", "rank"])["rank"].to_numpy().reshape(len(front), -1)
            n_shown = int((ranks == np.arange(1, len(texts) + 1)).all(axis=0).sum())
            embedded["orders"] = [order[:n_shown] for order in orders.values()]
            placed = rows.assign(number=numbers).sort_values(["trade_off", "number"])
            shares = placed[names].to_numpy(np.float64).reshape(len(front), len(texts), len(names))
            embedded["reasons"] = [_reasons(shares[:, document]) for document in range(len(texts))]
        yield embedded


def _contributions(queries: pd.DataFrame) -> list[str]:
    """Columns of what features contribute."""
    return [name for name in queries if isinstance(name, str) and name.startswith(CONTRIBUTION)]


def _reasons(shares: NDArray[np.float64]) -> list[list[Any]]:
    """Contributions (k, d) to the scores of a document, of features that lead between any two trade-offs."""
    leading: set[int] = set()
    for row in shares:
        leading.update(np.argsort(-np.abs(shares - row), axis=1, kind="stable")[:, :REASONS].ravel().tolist())
    return [[j, shares[:, j].round(3).tolist()] for j in sorted(leading)]


def _segments(front: ParetoFront, level: float) -> Iterator[dict[str, Any]]:
    """What each trade-off reaches in each segment, and half the interval of its change or of itself."""
    if front.by_segment is None:
        return
    for name, rows in front.by_segment.groupby("segment", sort=False):
        table = rows.pivot(index="trade_off", columns="objective").reindex(range(len(front)))
        counts = table["n_queries"][front.names].to_numpy()
        error = table["change_error" if "change_error" in table else "error"][front.names].to_numpy()
        baseline = table["baseline"][front.names].to_numpy() if "baseline" in table else None
        yield {
            "name": str(name),
            "queries": int(counts.max()),
            "points": _rounded(table["value"][front.names].to_numpy(), 17),
            "half": _rounded(stats.t.ppf((1 + level) / 2, counts - 1) * error),
            "reference": None if baseline is None else _rounded(baseline[0], 17),
        }


#: What the metrics of the registry say, for people who choose without knowing them.
MEANINGS = {
    "ndcg": "NDCG is 1 for a list in its best possible order and falls with each good document ranked low",
    "map": "MAP is 1 where all relevant documents come first, and falls with each irrelevant one above them",
    "mrr": "MRR is 1 where the first document is relevant, 1/2 where the first relevant one is second",
    "precision": "Precision is the share of relevant documents among those counted",
    "err": "ERR is high where a reader who goes down the list is satisfied early",
}


def _meaning(front: ParetoFront) -> str:
    """What the numbers are, in a sentence each."""
    name, _, cutoff = front.metric.partition("@")
    sentences = [
        MEANINGS.get(name.partition("(")[0].lower(), f"Values are means of {front.metric} over queries")
    ]
    if cutoff.isdigit() and name.partition("(")[0].lower() in MEANINGS:
        sentences.append(f"Only the first {cutoff} documents of each list count")
    if front.reference is not None:
        sentences.append(
            "The reference is the ranking that training started from, such as the one in production"
        )
    return ". ".join(sentences) + "."


def _document(front: ParetoFront) -> dict[str, Any]:
    """The front in numbers, to the bit: the page picks by the rules of `select` and is to pick the same."""
    return {
        "names": front.names,
        "literals": [repr(name) for name in front.names],
        "metric": front.metric,
        "temperatures": None if front.temperatures is None else front.temperatures.tolist(),
        "weights": front.weights.to_numpy().tolist(),
        "points": front.points.to_numpy().tolist(),
        "certain": reference_rows(front).tolist(),
        "baseline": front.baseline or "reference",
        "nonDominated": front.non_dominated.tolist(),
        "reference": None if front.reference is None else front.reference.tolist(),
    }


def _about(front: ParetoFront) -> str:
    queries = "" if front.per_query is None else f" on {front.per_query.shape[1]:,} queries"
    count = "1 trade-off" if len(front) == 1 else f"{len(front):,} trade-offs"
    label = "" if front.label is None else f"{front.label}: "
    temperature = at_temperature(front.temperatures)
    return f"{label}{front.metric}{queries}, measured at {count}{temperature}; more is better"


def _embedded(data: Mapping[str, Any]) -> str:
    """JSON that no name can end, open or comment out within HTML."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _table(front: ParetoFront) -> str:
    """All trade-offs as rows of a table, there without a script too."""
    names = [escape(name) for name in front.names]
    at = front.temperatures
    has_several = at is not None and front.temperature is None
    heads = ['<th scope="col">temperature</th>'] if has_several else []
    heads += [f'<th scope="col">weight of <bdi>{name}</bdi></th>' for name in names]
    heads += [f'<th scope="col"><bdi>{name}</bdi></th>' for name in names]
    rows = []
    if front.reference is not None:
        cells = "<td></td>" * (len(names) + has_several)
        cells += "".join(f"<td>{value:.4f}</td>" for value in front.reference)
        name = escape(front.baseline or "reference")
        rows.append(f'<tr class="is-reference"><th scope="row">{name}</th>{cells}</tr>')
    numbers = np.column_stack([front.weights.to_numpy(), front.points.to_numpy()])
    for i, row in enumerate(numbers):
        cells = f"<td>{at[i]:g}</td>" if has_several and at is not None else ""
        cells += "".join(f"<td>{value:.4f}</td>" for value in row)
        rows.append(f'<tr><th scope="row">{i}</th>{cells}</tr>')
    head = f'<thead><tr><th scope="col">Row</th>{"".join(heads)}</tr></thead>'
    return f"{head}\n<tbody>\n" + "\n".join(rows) + "\n</tbody>"


def _read(name: str) -> str:
    return files("hyperrank.front.html").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What the page's own security policy knows a part by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
