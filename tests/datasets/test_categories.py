"""Categorical columns of tables: read by value, kept in stores, used by the commands."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from click.testing import CliRunner

import hyperrank
from hyperrank.cli import main
from hyperrank.datasets import RankingData, StoreError, convert, load_table, open_store

N = 240
RNG = np.random.default_rng(0)
KINDS = np.array(["north", "south", "007", "1.10", "east, and more", "west"])
FRAME = pd.DataFrame(
    {
        "qid": np.repeat(np.arange(N // 8), 8),
        "price": RNG.normal(size=N).round(3),
        "kind": KINDS[RNG.integers(6, size=N)],
        "shop": RNG.choice([3, 70, 12345], N),
        "clicks": RNG.integers(3, size=N),
    }
).assign(relevance=lambda frame: 2 * frame.kind.isin(["north", "west"]) + (frame.shop == 70))
LABELS = ["relevance", "clicks"]
NAMED = {"kind": "category", "shop": "category"}
HOLDERS = {
    "pandas": lambda _: FRAME.astype(NAMED),
    "polars": lambda _: pl.from_pandas(FRAME.astype({"shop": str})).with_columns(
        pl.col("kind").cast(pl.Enum(KINDS[::-1])), pl.col("shop").cast(pl.Categorical)
    ),
    "parquet": lambda folder: write(folder / "t.parquet"),
    "feather": lambda folder: write(folder / "t.feather"),
}


TYPED = FRAME.astype(NAMED)


def write(path, frame=TYPED):
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        getattr(frame, f"to_{path.suffix[1:]}")(path)
    return path


@pytest.mark.parametrize("holder", HOLDERS)
def test_tables_have_categories_by_their_types(holder, tmp_path):
    data = load_table(HOLDERS[holder](tmp_path), labels=LABELS)
    assert list(data.X.dtypes.astype(str)) == ["float32", "category", "category"]
    assert data.X.kind.tolist() == FRAME.kind.tolist()
    assert data.X.shop.astype(int).tolist() == FRAME.shop.tolist()
    np.testing.assert_array_equal(data.take(data.qid < 3).X, data.X.iloc[:24])


def test_columns_of_csv_are_named(tmp_path):
    holed = FRAME.assign(kind=FRAME.kind.where(FRAME.price < 1), shop=FRAME.shop.where(FRAME.price > -1))
    path = write(tmp_path / "t.csv", holed)
    with pytest.raises(ValueError, match="column 'kind' holds"):
        load_table(path, labels=LABELS)
    data = load_table(path, labels=LABELS, categorical_features=["kind", "shop"])
    assert data.X.kind.astype(object).fillna("none").tolist() == holed.kind.fillna("none").tolist()
    np.testing.assert_array_equal(data.X.shop.astype(float), holed.shop)
    with pytest.raises(ValueError, match=r"categorical_features: .* no feature 'kinds'. Did you mean 'kind'"):
        load_table(path, labels=LABELS, categorical_features=["kinds"])


@pytest.mark.parametrize("source", ["table", "data"])
def test_stores_keep_the_values(source, tmp_path):
    shuffled = FRAME.astype(NAMED).sample(frac=1, random_state=0)
    table = shuffled if source == "table" else load_table(shuffled, labels=LABELS)
    options = {"labels": LABELS} if source == "table" else {}
    store = convert(table, tmp_path / "t.store", **options)
    assert set(store.categories["kind"]) == set(KINDS)
    assert set(store.categories["shop"]) == {3, 70, 12345}
    loaded = open_store(store.path).load()
    by_query = shuffled.assign(first=shuffled.groupby("qid").cumcount())
    by_query["order"] = by_query.qid.map({q: j for j, q in enumerate(pd.unique(by_query.qid))})
    by_query = by_query.sort_values(["order", "first"])
    assert loaded.X.kind.tolist() == by_query.kind.tolist()
    assert loaded.X.shop.tolist() == by_query.shop.tolist()
    description = (store.path / "store.json").read_text()
    (store.path / "store.json").write_text(description.replace('"north"', '"south"'))
    with pytest.raises(StoreError, match="checksum"):
        open_store(store.path)


def test_stores_without_categories_are_of_the_first_format(tmp_path):
    store = convert(FRAME.drop(columns="kind"), tmp_path / "t.store", labels=LABELS)
    assert store.categories == {}
    assert '"format": 1' in (store.path / "store.json").read_text()


def test_commands_take_categories(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "t.parquet")
    write(tmp_path / "t.csv", FRAME)
    other = FRAME.astype({"kind": pd.CategoricalDtype([*KINDS[::-1], "new"]), "shop": "category"})
    write(tmp_path / "other.parquet", other)

    def run(line):
        done = CliRunner().invoke(main, line.split(), prog_name="hyperrank")
        assert done.exit_code == 0, done.output
        return done

    options = "--labels relevance,clicks --seed 0 --set max_epochs=1 --device cpu --reference none"
    run(f"fit t.parquet --out a.safetensors {options}")
    run(f"fit t.csv --categorical kind,shop --out b.safetensors {options}")
    run("convert t.parquet t.store --labels relevance,clicks")
    run(f"fit t.store --out c.safetensors {options}")
    rankers = [hyperrank.load(f"{name}.safetensors") for name in "abc"]
    assert all(ranker.categories_.values == rankers[0].categories_.values for ranker in rankers)
    scores = []
    pairs = ("a t.csv", "a other.parquet", "a t.store", "b t.parquet", "c t.csv")
    for model, data in map(str.split, pairs):
        run(f"predict {model}.safetensors {data} --out scores.npy --force")
        scores.append(np.load("scores.npy"))
    for found in scores[1:]:
        np.testing.assert_array_equal(found, scores[0])
    assert len(np.unique(scores[0])) > N / 2
    run("front a.safetensors t.csv")


def test_letor_text_has_categories_where_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    codes = RNG.integers(5, size=N)
    lines = (
        f"{code % 2} qid:{query} 1:{value} 2:{code}\n"
        for code, query, value in zip(codes, FRAME.qid, FRAME.price, strict=True)
    )
    (tmp_path / "t.txt").write_text("".join(lines))
    line = "fit t.txt --categorical 2 --out a.safetensors --set max_epochs=1 --device cpu --reference none"
    done = CliRunner().invoke(main, line.split(), prog_name="hyperrank")
    assert done.exit_code == 0, done.output
    ranker = hyperrank.load("a.safetensors")
    assert {1: set(ranker.categories_.values[1])} == {1: set(codes.tolist())}
    done = CliRunner().invoke(main, ["predict", "a.safetensors", "t.txt"], prog_name="hyperrank")
    assert done.exit_code == 0, done.output


def test_ranking_data_is_fitted_as_it_is():
    data = load_table(FRAME.astype(NAMED), labels=LABELS)
    ranker = hyperrank.MixedScoresRanker(random_state=0, n_jobs=1).fit(data.X, data.Y, qid=data.qid)
    assert ranker.score(data.X, data.Y, qid=data.qid, weights=[1, 0]) > 0.9
    assert isinstance(data.split((0.5, 0.5), random_state=0)[0], RankingData)
