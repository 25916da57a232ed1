"""Log-probabilities under the reference are computed once, and only what belongs there is read."""

import logging

import pytest

from hyperrank.alignment import reference, tiny_model

pytestmark = pytest.mark.slow


@pytest.fixture
def computed(monkeypatch):
    """Counts blocks that are computed."""
    calls, true = [], reference._computed

    def watched(*args):
        calls.append(args[1].n_lists)
        return true(*args)

    monkeypatch.setattr(reference, "_computed", watched)
    return calls


def test_a_second_fit_reads_what_the_first_computed(short, few, tmp_path, computed):
    first = short(cache_dir=tmp_path / "new").fit(*few)
    second = short(cache_dir=tmp_path / "new", beta=0.2).fit(*few)
    assert computed == [24]
    assert first.history_[0]["log_ratio"] == second.history_[0]["log_ratio"]
    assert short(cache_dir=tmp_path / "new").fit(*few).history_ == short().fit(*few).history_


def test_other_models_texts_and_precisions_have_files_of_their_own(short, few, tmp_path, computed):
    prompts, responses, labels = few
    for options, data in [
        ({}, few),
        ({"model": tiny_model(random_state=2)[0]}, few),
        ({"precision": "bfloat16"}, few),
        ({}, (["other", *prompts[1:]], responses, labels)),
    ]:
        short(cache_dir=tmp_path, **options).fit(*data)
    assert len(computed) == 4
    assert len(list(tmp_path.iterdir())) == 4


def test_blocks_are_shared_by_longer_data(short, few, tmp_path, computed, monkeypatch):
    monkeypatch.setattr(reference, "BLOCK_LISTS", 10)
    short(cache_dir=tmp_path).fit(*few)
    assert computed == [10, 10, 4]
    longer = tuple([*part, part[0]] for part in few)
    aligner = short(cache_dir=tmp_path).fit(*longer)
    assert computed == [10, 10, 4, 5]
    monkeypatch.setattr(reference, "BLOCK_LISTS", 1024)
    assert aligner.history_[0]["loss"] == pytest.approx(short().fit(*longer).history_[0]["loss"], abs=1e-5)


def test_broken_and_foreign_files_are_computed_anew(short, few, tmp_path, computed, caplog):
    clean = short(cache_dir=tmp_path).fit(*few).history_
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    short(cache_dir=tmp_path / "other").fit(few[0][:5], few[1][:5], few[2][:5])
    (foreign,) = (tmp_path / "other").iterdir()
    for wrong, said in [
        (content[:-9], "truncated"),
        (content[:-1] + bytes([content[-1] ^ 1]), "checksum"),
        (foreign.read_bytes(), "something else"),
        (b"", "not a hyperrank model"),
    ]:
        path.write_bytes(wrong)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "hyperrank"):
            assert short(cache_dir=tmp_path).fit(*few).history_ == clean
        assert "is computed anew" in caplog.text
        assert said in caplog.text
        assert path.read_bytes() == content
    assert len(computed) == 6
