"""``hyperrank convert``."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hyperrank.cli._command import Console, command
from hyperrank.cli._options import Layout, layout_options

if TYPE_CHECKING:
    from hyperrank.datasets import Store

__all__ = ["convert"]


@command("convert")
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("store", type=click.Path(path_type=Path))
@layout_options(labels=True, features=True)
@click.option(
    "--n-features", type=click.IntRange(min=1), help="Features of LETOR text, if it lacks the last ones."
)
@click.option("--force", is_flag=True, help="Replace a store that is there.")
def convert(
    console: Console,
    data: Path,
    store: Path,
    layout: Layout,
    n_features: int | None,
    force: bool,
) -> None:
    """Write DATA as a store, which is opened at once and read as it is used.

    LETOR text and Parquet files of any size go in bounded memory, unless labels or features are to be
    rearranged. STORE is a folder.
    """
    if store.exists() and not force:
        raise ValueError(f"{store} exists already: choose another name, or --force to replace it.")
    if store.exists() and not (store / "store.json").is_file():
        raise ValueError(f"{store} is no store: nothing but a store is replaced.")
    made = _replaced(data, store, layout, n_features) if store.exists() else None
    if made is None:
        made = _converted(data, store, layout, n_features)
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


def _converted(data: Path, store: Path, layout: Layout, n_features: int | None) -> Store:
    """Write a store where there is nothing yet."""
    from hyperrank import datasets
    from hyperrank.cli._data import is_table, is_text, read_data

    if n_features is not None and not is_text(data):
        raise ValueError(f"{data} is not LETOR text, which --n-features is for.")
    as_it_is = not (layout.label_features or layout.grade)
    if is_text(data) and as_it_is and not (layout.labels or layout.features or layout.drop):
        return datasets.convert(
            data,
            store,
            missing=layout.missing,
            zero_based=layout.zero_based,
            group=layout.group,
            n_features=n_features,
        )
    if is_table(data) and as_it_is and layout.labels and layout.group is None:
        return datasets.convert(
            data,
            store,
            labels=layout.labels,
            features=layout.features or None,
            qid=layout.qid,
            drop=layout.drop,
        )
    if n_features is not None:
        raise ValueError("--n-features cannot be given where labels or features are rearranged.")
    return datasets.convert(read_data(data, layout)[0], store)


def _replaced(data: Path, store: Path, layout: Layout, n_features: int | None) -> Store:
    """Write a store beside the old one, and take its place when it is whole."""
    from hyperrank.datasets import open_store

    aside = Path(tempfile.mkdtemp(prefix=f".{store.name}.", suffix=".partial", dir=store.parent))
    try:
        _converted(data, aside / "new", layout, n_features)
        os.rename(store, aside / "old")
        try:
            os.rename(aside / "new", store)
        except BaseException:
            os.rename(aside / "old", store)
            raise
    finally:
        shutil.rmtree(aside)
    return open_store(store)
