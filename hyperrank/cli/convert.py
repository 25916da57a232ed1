"""``hyperrank convert``: data as a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hyperrank.cli._command import Console, command
from hyperrank.cli._options import DATA, PATH, Layout, layout_options

__all__ = ["convert"]


@command(
    "convert",
    "train.csv train.store --labels relevance,clicks --qid query_id",
    "train.txt train.store --label-features clicks=134 --grade clicks",
)
@click.argument("data", type=DATA)
@click.argument("store", type=PATH)
@layout_options(labels=True, features=True)
@click.option(
    "--n-features", type=click.IntRange(min=1), help="Features of LETOR text, if it lacks the last ones."
)
@click.option("--force", is_flag=True, help="Replace a store that is there.")
def convert(
    console: Console, data: Path, store: Path, layout: Layout, n_features: int | None, force: bool
) -> None:
    """Write DATA as a store, which is opened at once and read as it is used.

    LETOR text and tables of any size go in bounded memory, unless labels or features are rearranged. STORE is
    a folder.
    """
    if store.exists() and not force:
        raise ValueError(f"{store} exists already: choose another name, or --force to replace it.")
    if store.exists() and not (store / "store.json").is_file():
        raise ValueError(f"{store} is not a store: nothing but a store is replaced.")
    from hyperrank import datasets
    from hyperrank.cli._data import is_text, read_data
    from hyperrank.datasets.table import is_table

    if n_features is not None and not is_text(data):
        raise ValueError(f"{data} is not LETOR text, which --n-features is for.")
    source: Any = data
    options: dict[str, Any] = {}
    is_rearranged = layout.label_features or layout.grade
    has_columns = layout.labels or layout.features or layout.drop or layout.categorical
    if is_table(data) and layout.labels and layout.group is None and not is_rearranged:
        options = {name: getattr(layout, name) for name in ("labels", "qid", "drop")}
        options["features"] = layout.features or None
        options["categorical_features"] = layout.categorical or "from_dtype"
    elif is_text(data) and not (is_rearranged or has_columns):
        options = {name: getattr(layout, name) for name in ("missing", "zero_based", "group")}
        options["n_features"] = n_features
    elif n_features is not None:
        raise ValueError("--n-features cannot be given where labels or features are rearranged.")
    else:
        source = read_data(data, layout)[0]
    made = datasets.convert(source, store, **options, overwrite=force)
    console.result(
        f"{store}: {str(made).removeprefix('Store(').removesuffix(')')}",
        {
            "store": str(store),
            "n_rows": len(made),
            "n_queries": len(made.offsets) - 1,
            "n_features": len(made.feature_names),
            "objectives": made.names,
        },
    )
