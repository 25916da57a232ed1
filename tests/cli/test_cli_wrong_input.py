"""Each mistake is one line on stderr, with what was given and how to get on; nothing is left behind."""

import re

import pandas as pd
import pytest
from cli_files import FEATURES, LABELS

FIT = "fit {0} --out out/m --labels relevance,clicks"
PREDICT = "predict model.safetensors {0}"


@pytest.fixture
def wrong(files, tmp_path, monkeypatch):
    """Files with one thing wrong each, beside good ones; commands run there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    for name in ("train.csv", "test.csv", "train.txt", "model.safetensors", "train.store"):
        (tmp_path / name).symlink_to(files / name)
    table = files.test
    tables = {
        "no_qid": table.drop(columns="qid"),
        "no_feature": table.drop(columns="feature_3"),
        "other_name": table.rename(columns={"feature_3": "feature_3b"}),
        "text": table.assign(feature_2=["low"] + [1.0] * (len(table) - 1)),
        "negative": table.assign(clicks=-1),
        "infinite": table.assign(feature_1=float("inf")),
        "labels_alone": table[["qid", *LABELS]],
        "no_id": table.assign(qid=[None, *table["qid"][1:]]),
    }
    for name, wrong_table in tables.items():
        wrong_table.to_csv(f"{name}.csv", index=False)
        if name in ("text", "negative", "no_id", "infinite"):
            wrong_table.astype({"feature_2": str} if name == "text" else {}).to_parquet(f"{name}.parquet")
    table.to_csv("index.csv")
    table.to_csv("no_header.csv", index=False, header=False)
    table.head(0).to_csv("no_rows.csv", index=False)
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "doubled.csv").write_text("qid,a,a,relevance\n1,2,3,1\n")
    (tmp_path / "other_qid.csv").write_text("Query_ID,a,relevance,clicks\n1,2,1,1\n")
    (tmp_path / "ragged.csv").write_text("qid,a,relevance\n1,2,1\n1,2,1,9\n")
    (tmp_path / "short.csv").write_text("qid,a,relevance\n1,2,1\n1,2\n2,3,1\n")
    (tmp_path / "long.csv").write_text("qid,a,relevance\n1,2,1,9\n1,2,1,9\n")
    (tmp_path / "cut.parquet").write_bytes((files / "test.parquet").read_bytes()[:500])
    (tmp_path / "cut.safetensors").write_bytes(files.model.read_bytes()[:500])
    (tmp_path / "bad.txt").write_text("1 qid:1 1:0.5\n1 qid:1 one:0.5\n")
    (tmp_path / "bad.json").write_text('{"relevance": 0.7}')
    (tmp_path / "folder").mkdir()
    return files


MISTAKES = {
    "no such data": (FIT.format("nothing.csv"), "nothing.csv: No such file or directory"),
    "no such text": (FIT.format("nothing.txt"), "No such file or directory"),
    "no such parquet": (FIT.format("nothing.parquet"), "nothing.parquet: No such file or directory"),
    "no such model": ("predict nothing.safetensors test.csv", "nothing.safetensors: No such file"),
    "no labels named": (
        "fit train.csv --out out/m",
        "train.csv is a table: name its label columns by --labels",
    ),
    "unknown label": (
        "fit train.csv --out out/m --labels relevance,click",
        "train.csv has no column 'click'. Did you mean 'clicks'. Its columns are 'qid', 'feature_1'",
    ),
    "no query ids": (FIT.format("no_qid.csv"), "no column 'qid' of query ids; name it by --qid. Its columns"),
    "query ids of another name": (
        FIT.format("other_qid.csv"),
        "name it by --qid. Did you mean 'Query_ID'. Its columns are 'Query_ID', 'a'",
    ),
    "no validation data": (
        FIT.format("nothing.csv") + " --validation missing.csv",
        "missing.csv: No such file or directory",
    ),
    "no id in a row": (FIT.format("no_id.csv"), "no_id.csv: column 'qid' has no query id at row 0"),
    "no id in parquet": (FIT.format("no_id.parquet"), "no_id.parquet: column 'qid' has no query id at row 0"),
    "text as feature": (
        FIT.format("text.csv"),
        "text.csv: column 'feature_2' holds 'low' at row 0, not numbers: name it in "
        "--categorical feature_2 if it is categories, leave it out by --drop",
    ),
    "text in parquet": (FIT.format("text.parquet"), "text.parquet: column 'feature_2' holds (large_)?string"),
    "negative label": (FIT.format("negative.csv"), "column 'clicks' holds -1 at row 0; expected labels"),
    "negative in parquet": (FIT.format("negative.parquet"), "negative.parquet: column 'clicks' holds -1"),
    "infinite feature": (FIT.format("infinite.csv"), "'feature_1' holds inf at row 0; expected finite"),
    "label as feature": (
        FIT.format("train.csv") + " --features feature_1,clicks",
        "'clicks' cannot be a feature as well",
    ),
    "nothing left": (FIT.format("labels_alone.csv"), "labels_alone.csv: no column is left for features"),
    "unknown feature": (FIT.format("train.csv") + " --drop feature_33", "has no column 'feature_33'. Did"),
    "empty file": (FIT.format("empty.csv"), "empty.csv is empty; expected a first line with the names"),
    "no rows": (FIT.format("no_rows.csv"), "no_rows.csv holds no row"),
    "no header": (
        FIT.format("no_header.csv"),
        "no_header.csv has no header: its first line .* holds numbers",
    ),
    "an index": (FIT.format("index.csv"), "column 1 has no name.*index=False"),
    "doubled column": (FIT.format("doubled.csv"), "doubled.csv has several columns of the name 'a'"),
    "lines too long": (
        "fit long.csv --labels relevance --out out/m",
        "long.csv: lines have more values than the header",
    ),
    "short lines": (
        "fit short.csv --labels relevance --out out/m",
        "short.csv: line 3 has 2 values, but the header has 3 names",
    ),
    "ragged lines": ("fit ragged.csv --labels relevance --out out/m", "ragged.csv: .*line 3"),
    "cut parquet": (
        FIT.format("cut.parquet"),
        "cut.parquet: not such a file as its name says, or damaged",
    ),
    "bad text": ("fit bad.txt --out out/m", "bad.txt, line 2"),
    "two labels of text": (
        FIT.format("train.txt"),
        "--labels names that one, --label-features picks further",
    ),
    "label feature of a table": (
        FIT.format("train.csv") + " --label-features 3",
        "train.csv is a table: name its label columns by --labels",
    ),
    "label features of one name": (
        "fit train.txt --label-features a=1,a=2 --out out/m",
        "objectives must differ; got relevance, a, a",
    ),
    "one label feature twice": (
        "fit train.txt --label-features a=1,b=1 --out out/m",
        "objectives must differ; got relevance, a, b",
    ),
    "negative label feature": (
        "fit train.txt --label-features a=1 --out out/m",
        "labels must not be negative, as some of a=1 are",
    ),
    "unknown label feature": (
        "fit train.txt --label-features 9 --out out/m",
        "has no feature '9'. Its features are",
    ),
    "features of text": ("fit train.txt --features feature_1 --out out/m", "--features is for tables"),
    "unknown grade": (FIT.format("train.csv") + " --grade dwell", "--grade names 'dwell', but train.csv has"),
    "not a store": ("fit folder --out out/m", "folder has no store.json: not a store"),
    "unknown objective of a store": (
        "fit train.store --labels dwell --out out/m",
        r"unknown objectives \['dwell'\]; there are",
    ),
    "unknown setting": (
        FIT.format("train.csv") + " --set max_epoch=5",
        "the ranker has no parameter 'max_epoch'; did you mean 'max_epochs'",
    ),
    "setting of an object": (
        FIT.format("train.csv") + " --set hidden=[8]",
        "the ranker has no parameter 'hidden'; did you mean 'network__hidden'",
    ),
    "setting that no object has": (
        FIT.format("train.csv") + " --set network__depth=2",
        "MLP has no parameter 'depth'",
    ),
    "setting given twice": (
        FIT.format("train.csv") + " --seed 1 --set random_state=2",
        "random_state is given",
    ),
    "objectives set": (FIT.format("train.csv") + " --set objectives=a", "name the objectives by --labels"),
    "wrong setting": (FIT.format("train.csv") + " --set network__dropout=3", "dropout"),
    "unknown reference": (
        FIT.format("train.csv") + " --reference booster_pair",
        "'booster_pair' is neither booster_pairs, .*Did you mean 'booster_pairs'",
    ),
    "no LightGBM file": (
        FIT.format("train.csv") + " --reference train.txt",
        "train.txt is not a LightGBM model",
    ),
    "no folder for the model": (
        "fit train.csv --labels relevance --out nowhere/m",
        "nowhere: There is no such folder",
    ),
    "model is a folder": ("fit train.csv --labels relevance --out folder", "folder: This is a folder"),
    "a feature is missing": (
        PREDICT.format("no_feature.csv"),
        "no_feature.csv has no column 'feature_3'. Did you mean 'feature_[0-9]'",
    ),
    "a feature is misnamed": (PREDICT.format("other_name.csv"), "Did you mean 'feature_3b'"),
    "damaged model": ("predict cut.safetensors test.csv", "cut.safetensors"),
    "text for a model": ("predict train.csv test.csv", "train.csv"),
    "scores for nothing": (PREDICT.format("test.csv") + " --ref-scores clicks", "only reference='scores'"),
    "scores of a store": (PREDICT.format("train.store") + " --ref-scores clicks", "store is not a table"),
    "weights off the simplex": (
        PREDICT.format("test.csv") + " --weights relevance=0.7,clicks=0.7",
        "--weights relevance=0.7,clicks=0.7: weights must sum to 1",
    ),
    "weights of nothing": (PREDICT.format("test.csv") + " --weights dwell=1", "unknown objectives"),
    "weights without names": (PREDICT.format("test.csv") + " --weights 0.7", "expected name=weight pairs"),
    "no such trade-off": (PREDICT.format("test.csv") + " --weights no.json", "no.json: No such file"),
    "no trade-off": (
        PREDICT.format("test.csv") + " --weights bad.json",
        "weights must sum to 1",
    ),
    "negative temperature": (PREDICT.format("test.csv") + " --temperature -1", "temperature"),
    "unknown output": (PREDICT.format("test.csv") + " --out out/s.xlsx", "must end in .csv, .parquet, .npy"),
    "array of ranks": (PREDICT.format("test.csv") + " --top 2 --out out/s.npy", "must end in .csv, .parquet"),
    "front without labels": (
        "front model.safetensors train.txt",
        "the objectives of the model are relevance",
    ),
    "limit of nothing": ("select model.safetensors test.csv --at-least dwell=1", "unknown objectives"),
    "limit given twice": (
        "select model.safetensors test.csv --at-least clicks=1 --at-least clicks=0.5",
        "--at-least names clicks more than once",
    ),
    "unknown metric": ("front model.safetensors test.csv --metric gain", "gain"),
    "size of a table": ("convert train.csv out/s --labels relevance --n-features 3", "is not LETOR text"),
    "describe nothing": ("describe nothing", "nothing: No such file"),
    "describe a folder": ("describe folder", "folder has no store.json"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(hr, wrong, mistake, tmp_path):
    line, expected = MISTAKES[mistake]
    result = hr(f"{line} --quiet", code=1)
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert re.search(expected, result.stderr), result.stderr
    assert result.stdout == ""
    assert list((tmp_path / "out").iterdir()) == []


USAGE = {
    "no command": "nothing",
    "no output": "fit train.csv --labels relevance",
    "unknown option": "describe m --verbose",
    "no pair": "select m test.csv --at-least relevance",
    "no number": "select m test.csv --at-least relevance=high",
    "two aims": "select model.safetensors test.csv --knee --maximize clicks",
    "many at the top": "predict model.safetensors test.csv --top 2 --weights clicks=1 --weights relevance=1",
    "none at the top": "predict model.safetensors test.csv --top 0",
    "empty name": "fit train.csv --out m --labels relevance,,clicks",
    "doubled name": "fit train.csv --out m --labels relevance,relevance",
    "no setting": "fit train.csv --out m --set max_epochs",
}


@pytest.mark.parametrize("mistake", USAGE)
def test_usage_is_another_exit_code(hr, files, mistake):
    result = hr(USAGE[mistake], code=2)
    assert "Usage: hyperrank" in result.stderr
    assert "Error: " in result.stderr


@pytest.mark.parametrize("ids", [["007", "7", "7"], ["NA", "null", "7"]], ids=["zeros", "nothing"])
def test_ids_that_look_like_something_else_are_ids(hr, files, tmp_path, ids):
    rows = pd.DataFrame([[0.5] * 6] * 3, columns=FEATURES).assign(qid=ids)
    rows.to_csv(tmp_path / "t.csv", index=False)
    result = hr(f"predict model.safetensors {tmp_path / 't.csv'}")
    assert [line.split(",")[0] for line in result.stdout.splitlines()] == ["qid", *ids]


def test_unexpected_errors_say_what_to_do(hr, files, monkeypatch):
    def fails(*_):
        raise KeyError("deep inside")

    monkeypatch.setattr("hyperrank.rankers.load", fails)
    result = hr("predict model.safetensors test.csv", code=1)
    assert result.stderr == "Error: unexpected KeyError: 'deep inside' (--debug shows where)\n"


def test_parquet_without_pyarrow_says_how_to_get_it(hr, files, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    result = hr("predict model.safetensors test.parquet", code=1)
    assert result.stderr == "Error: Parquet and Arrow need pyarrow: pip install 'hyperrank[arrow]'.\n"
