"""``hyperrank predict``: scores of documents, or the best of each query."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hyperrank.cli import _options
from hyperrank.cli._command import Console, command
from hyperrank.cli._completion import complete_objectives

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from hyperrank.cli._data import ModelData
    from hyperrank.rankers import BaseRanker

__all__ = ["predict"]


@command(
    "predict",
    "model.safetensors today.csv --weights trade-off.json --out scores.csv",
    "model.safetensors today.csv --weights relevance=0.7,clicks=0.3 --top 10",
    "model.safetensors - --weights relevance=1 < today.csv > scores.csv",
)
@click.argument("model", type=_options.PATH)
@click.argument("data", type=_options.DATA)
@click.option(
    "--weights",
    multiple=True,
    metavar="NAME=NUMBER,...|FILE",
    help="The trade-off, as relevance=0.7,clicks=0.3 or a .json file that select wrote; several give a "
    "column each. Equal weights by default.",
    shell_complete=complete_objectives,
)
@_options.TEMPERATURE
@click.option("--top", type=click.IntRange(min=1), metavar="K", help="The K best of each query, in order.")
@_options.out_option(
    "Where to write: .csv, .parquet or .npy (scores alone). By default, and as -, CSV to stdout."
)
@_options.layout_options(labels=False, features=False)
@_options.REF_SCORES
def predict(
    console: Console,
    model: Path,
    data: Path,
    weights: tuple[str, ...],
    temperature: float | None,
    top: int | None,
    out: Path | None,
    force: bool,
    layout: _options.Layout,
    ref_scores: str | None,
) -> None:
    """Score the documents of DATA with MODEL.

    DATA needs no labels. Rows come in the order of the file, with --top in that of their ranks.
    """
    out = None if out == _options.STDOUT else out
    kinds = [".csv", ".parquet"] if top else [".csv", ".parquet", ".npy"]
    _options.check_output(out, force=force, kinds=kinds)
    if top and len(weights) > 1:
        raise click.UsageError("--top ranks by one trade-off: give --weights once.")
    from hyperrank.cli._data import read_features, scoring_options, summary
    from hyperrank.cli.select import read_trade_offs
    from hyperrank.rankers import load

    ranker = load(model)
    at, temperature = read_trade_offs(weights, temperature, ranker.objectives_)
    documents = read_features(ranker, data, layout, extra=ref_scores)
    console.note(summary(data, documents.data))
    options = scoring_options(ranker, temperature)
    scores = _score(console, ranker, documents, weights=at, **options)
    table = score_table(documents.data.qid, scores, top)
    if out is not None:
        _write(out, table, scores)
        console.note(f"{out}: {len(table):,} rows")
    elif not console.as_json:
        click.echo(table.to_csv(index=False, lineterminator="\n"), nl=False)
    if console.as_json:
        rows = {"out": str(out)} if out is not None else {name: table[name] for name in table.columns}
        told = {"model": str(model), "weights": at, **options, "n_rows": len(table)}
        console.result("", {**told, **rows})


def _score(
    console: Console, ranker: BaseRanker, documents: ModelData, **options: Any
) -> NDArray[np.floating[Any]]:
    """Scores of all rows, of a store chunk by chunk."""
    import numpy as np

    from hyperrank._progress import with_progress

    scores, chunks = [], list(documents.chunks())
    verbose = int(console.shows_progress)
    for rows in with_progress(chunks, total=len(chunks), unit="chunk", verbose=verbose, desc="scoring"):
        if documents.ref_scores is not None:
            options["ref_scores"] = documents.ref_scores[rows]
        scores.append(ranker.predict(documents.features(rows), qid=documents.data.qid[rows], **options))
    return np.concatenate(scores)


def score_table(qid: NDArray[Any], scores: NDArray[np.floating[Any]], top: int | None) -> pd.DataFrame:
    """Scores with their query ids: columns ``qid`` and ``score``, or ``score_1`` to ``score_k``.

    With `top`, how many of each query are kept, also ``rank`` from 1 and ``row``, its number in the data from
    0; queries are in the order of their first rows, and of equal scores the earlier row is first.
    """
    import pandas as pd

    from hyperrank.lists import QueryLists
    from hyperrank.rankers.rankings import ranking_table

    columns = [scores] if scores.ndim == 1 else list(scores.T)
    names = ["score"] if scores.ndim == 1 else [f"score_{j}" for j in range(1, len(columns) + 1)]
    table = pd.DataFrame({"qid": qid, **dict(zip(names, columns, strict=True))})
    if top is None:
        return table
    lists = QueryLists.from_qid(qid)
    best = ranking_table(lists.group(scores), lists, lists.order, top)
    return best.rename(columns={"query": "qid", "document": "row"})[["qid", "score", "rank", "row"]]


def _write(path: Path, table: pd.DataFrame, scores: NDArray[np.floating[Any]]) -> None:
    """Write scores in the form that the name of the file says, whole or not at all."""
    import numpy as np

    from hyperrank.files import write_atomically

    buffer = io.BytesIO()
    if path.suffix.lower() == ".npy":
        np.save(buffer, scores, allow_pickle=False)
    elif path.suffix.lower() == ".parquet":
        table.to_parquet(buffer, index=False, engine="pyarrow")
    else:
        table.to_csv(buffer, index=False, lineterminator="\n")
    write_atomically(path, buffer.getvalue())
