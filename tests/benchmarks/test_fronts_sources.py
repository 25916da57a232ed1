"""The data of benchmarks.fronts: folds, objectives, and what leaves the features."""

import pickle

import numpy as np
import pytest

from benchmarks.fronts.letor_sources import (
    LetorFile,
    LetorFolds,
    Mq2008,
    MslrFolder,
    letor_source,
    read_columns,
)
from benchmarks.fronts.settings import SETTINGS
from benchmarks.fronts.sources import MslrSample, SourceError, Synthetic, SyntheticShort
from hyperrank.datasets import load_letor


def check_folds(source):
    """No query on both sides, every query tested once; gives the test queries by fold."""
    tested = []
    for number in range(source.n_folds):
        fold = source.fold(number)
        assert not set(fold.train.qid) & set(fold.test.qid)
        assert fold.train.names == fold.test.names == source.objectives
        assert fold.train.X.shape[1] == fold.test.X.shape[1] == len(fold.train.feature_names)
        tested.append(set(fold.test.qid.tolist()))
    assert sum(map(len, tested)) == len(set.union(*tested))
    return tested


def test_mslr_sample(shared_data, monkeypatch):
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    source = MslrSample()
    assert source.objectives == ("relevance", "quality", "dwell")
    assert sum(map(len, check_folds(source))) == 86
    five = MslrSample(["relevance", "quality", "quality2", "url_clicks", "dwell"])
    assert five.fold(0).train.X.shape[1] == 131


def test_mq2008_in_letors_folds(shared_data, monkeypatch):
    """Fold 1 of LETOR trains on S1 to S3, validates on S4, tests on S5, and so on."""
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    source = Mq2008()
    source.check()
    tested = check_folds(source)
    queries = [
        set(load_letor(shared_data / "mq2008" / f"S{number}.txt").qid.tolist()) for number in (5, 1, 2, 3, 4)
    ]
    assert tested == queries
    fold = source.fold(0)
    assert set(fold.train.qid) == set.union(*queries[1:])
    assert source.objectives == ("relevance", "pagerank", "short_urls")
    assert not {"feature_41", "feature_45"} & set(fold.train.feature_names)
    assert fold.train.X.shape[1] == 44
    assert set(np.unique(fold.train.Y[:, 1:])) == {0, 1, 2, 3, 4}


def test_mq2008_has_no_other_column_that_orders_like_its_labels(shared_data, monkeypatch):
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    data = Mq2008().fold(0).test
    for labels in data.Y[:, 1:].T:
        concordance = [abs(concordant(values, labels, data.qid)) for values in data.X.T]
        assert max(concordance) < 0.85


def concordant(values, labels, qid):
    """Kendall's correlation over the pairs of a query whose labels differ."""
    total = pairs = 0.0
    for query in np.unique(qid):
        v, z = values[qid == query], labels[qid == query]
        differs = np.sign(z[:, None] - z)
        total += (np.sign(v[:, None] - v) * differs).sum()
        pairs += np.abs(differs).sum()
    return total / pairs


def test_short_urls_are_good(shared_data, monkeypatch):
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    data = load_letor(shared_data / "mq2008" / "S5.txt", n_features=46)
    fold = Mq2008().fold(0)
    query = fold.test.qid == fold.test.qid[0]
    length, grade = data.X[query, 44], fold.test.Y[query, 2]
    assert grade[length == length.max()].max() == 0
    assert (np.diff(grade[np.argsort(length)]) <= 0).all()


def test_own_mslr_folder(tmp_path, write_letor):
    home = tmp_path / "MSLR"
    for fold in (1, 2):
        for at, part in enumerate(("train", "vali", "test")):
            write_letor(
                home / f"Fold{fold}" / f"{part}.txt", [100 * fold + 10 * at + i for i in range(3)], 136
            )
    source = MslrFolder(home, n_folds=2)
    source.check()
    check_folds(source)
    fold = source.fold(1)
    assert set(fold.train.qid.tolist()) == {200, 201, 202, 210, 211, 212}
    assert set(fold.test.qid.tolist()) == {220, 221, 222}
    assert source.main == "relevance"
    assert fold.main_train.names == ("relevance",)
    assert fold.train.names == ("quality", "quality2", "query_clicks", "url_clicks", "dwell")
    assert fold.train.X.shape[1] == 131
    few = MslrFolder(home, ["dwell", "quality"], n_folds=1).fold(0).train
    assert (few.names, few.X.shape[1]) == (("dwell", "quality"), 131)
    with pytest.raises(SourceError, match="2 folds; got --folds 3"):
        MslrFolder(home, n_folds=3).check()
    with pytest.raises(SourceError, match="holds no Fold1"):
        MslrFolder(tmp_path).check()
    (home / "Fold2" / "vali.txt").unlink()
    with pytest.raises(SourceError, match=r"There is no .*vali\.txt"):
        source.check()


def test_letor_file(tmp_path, write_letor):
    write_letor(tmp_path / "data.txt", range(8), 5)
    source = letor_source(tmp_path / "data.txt", ["label", "-2", "5"], 4)
    assert isinstance(source, LetorFile)
    source.check()
    assert [len(queries) for queries in check_folds(source)] == [2, 2, 2, 2]
    fold = source.fold(0)
    assert fold.train.feature_names == ("feature_1", "feature_3", "feature_4")
    raw = load_letor(tmp_path / "data.txt")
    query = fold.test.qid[0]
    grades, values = fold.test.Y[fold.test.qid == query, 1], raw.X[raw.qid == query, 1]
    assert grades[values.argmin()] == grades.max() > 0
    assert pickle.loads(pickle.dumps(source)).label == "letor data.txt"


def test_letor_folder(tmp_path, write_letor):
    for number in range(1, 6):
        write_letor(tmp_path / f"S{number}.txt", [10 * number, 10 * number + 1], 4)
    source = letor_source(tmp_path, ["label", "3"])
    assert isinstance(source, LetorFolds)
    source.check()
    assert check_folds(source) == [{10 * n, 10 * n + 1} for n in (5, 1, 2, 3, 4)]


def test_synthetic_is_fixed():
    source = Synthetic()
    assert len(source.data.X) == pytest.approx(20_000, rel=0.1)
    assert np.array_equal(source.fold(3).test.X, Synthetic().fold(3).test.X)
    check_folds(source)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: MslrSample(["relevance", "clicks"]), "no objective 'clicks'; it has relevance, quality"),
        (lambda _: MslrSample(["relevance"]), "two or more objectives"),
        (lambda _: read_columns(["label", "page"]), "'page' is no objective of LETOR text"),
        (lambda _: read_columns(["label", "4", "-4"]), "two or more columns, each once"),
        (lambda at: letor_source(at / "none", ["label", "1"]), "There is no file or folder"),
        (lambda at: letor_source(at, ["label", "1"]), "neither S1.txt"),
        (
            lambda at: letor_source(at / "data.txt", ["label", "9"], 2).check(),
            "no feature 9: the data have 4",
        ),
        (lambda at: letor_source(at / "data.txt", ["label", "1"], 9).check(), "9 folds need as many queries"),
        (lambda at: Mq2008(home=at).check(), "HYPERRANK_DATA to name a folder that holds mq2008/S1.txt"),
    ],
)
def test_wrong_data_is_told_in_one_line(tmp_path, write_letor, make, message):
    write_letor(tmp_path / "data.txt", range(3), 4)
    with pytest.raises(SourceError, match=message) as caught:
        make(tmp_path)
    assert "\n" not in str(caught.value)


def test_repetitions_deal_anew(few):
    """The second repetition tests each query once too, in other folds."""
    tested = [set(few.fold(number).test.qid.tolist()) for number in range(4)]
    assert tested[0] | tested[1] == tested[2] | tested[3]
    assert tested[2] not in tested[:2]


def test_a_main_objective_is_the_references_alone(shared_data, monkeypatch):
    monkeypatch.setenv("HYPERRANK_DATA", str(shared_data))
    fold = MslrSample(main="relevance").fold(0)
    assert (fold.train.names, fold.main_train.names) == (("quality", "dwell"), ("relevance",))


def test_generated_settings_have_another_draw_for_validation():
    setting = SETTINGS["items"]
    suite, validation = setting.make(), setting.make(**setting.another_draw)
    assert suite.identity() != validation.identity()
    assert not np.array_equal(suite.load().X, validation.load().X)
    assert suite.load().names == ("affinity", "item_property")


def test_short_lists_are_the_same_generator():
    short = SyntheticShort().load()
    sizes = np.unique(short.qid, return_counts=True)[1]
    assert len(sizes) == 256
    assert sizes.min() >= 5
    assert sizes.max() <= 50
