"""Every peer that is here trains; one that is not costs a line and no more."""

from functools import partial

import numpy as np
import pytest
import torch

from benchmarks import machine, peers, peers_data
from benchmarks.peers_data import Documents, mslr_like, mslr_like_sizes, padded
from benchmarks.peers_timing import MissingPeerError, Spread, interleaved, unless_missing
from benchmarks.peers_training import MAKERS, Setup

pytestmark = pytest.mark.slow

PEERS = ("allRank", "pytorchltr", "LightGBM", "XGBoost")


@pytest.fixture(autouse=True)
def as_many_threads_as_before():
    before = torch.get_num_threads()
    with torch.random.fork_rng():
        yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def one_call_each(monkeypatch):
    monkeypatch.setattr("benchmarks.peers_timing.LEAST_SECONDS", 0.0)


@pytest.fixture
def without_peers(monkeypatch):
    """Importing anything of a peer's fails, in a message of several lines."""

    def import_no_peer(name):
        raise ImportError(f"No module\nnamed {name!r}")

    monkeypatch.setattr(peers_data, "import_module", import_no_peer)


def test_sizes_are_those_of_mslr():
    sizes = mslr_like_sizes(200_000, np.random.default_rng(0))
    assert sizes.sum() == 200_000
    assert (sizes.min(), sizes.max()) == (1, 900)
    assert sizes.mean() == pytest.approx(120, rel=0.05)


@pytest.mark.parametrize("n", [100, 101, 9_000])
def test_sizes_sum_up(n):
    sizes = mslr_like_sizes(n, np.random.default_rng(1))
    assert sizes.sum() == n
    assert sizes.min() >= 1


def test_documents_have_grades_and_distinct_scores():
    data = mslr_like(3_000, 4)
    assert np.unique(data.scores).size == 3_000
    assert np.bincount(data.labels) / 3_000 == pytest.approx(peers_data.GRADE_SHARES, abs=0.01)
    assert len(data.first(2).X) == data.sizes[:2].sum()


def test_padded_slates_hold_the_rows():
    slates = padded(np.arange(5.0), np.array([2, 3]), -1.0)
    assert slates.tolist() == [[0, 1, -1], [2, 3, 4]]


def test_baselines_take_turns():
    called = []
    times = interleaved({name: partial(called.append, name) for name in "ab"}, 2)  # after a call of each
    assert called == ["a", "b", "a", "b", "b", "a"]
    assert all(len(spread.seconds) == 2 for spread in times.values())


def test_spread():
    assert str(Spread((3.0, 1.0, 2.0))) == "2 (1 to 3)"


@pytest.mark.usefixtures("without_peers")
def test_missing_peers_are_a_line_each():
    setup = Setup(mslr_like(200, 3), 4)
    lines = []
    baselines = unless_missing([partial(make, setup) for make in MAKERS], lines.append)
    assert {baseline.name for baseline in baselines} == {"hyperrank, training loop", "hyperrank, fit"}
    assert all(line.startswith("skipped: ") and "\n" not in line for line in lines)
    for name in PEERS:
        assert any(f"skipped: {name} cannot be imported" in line for line in lines)


@pytest.mark.usefixtures("without_peers")
def test_a_peer_that_is_missing_names_the_requirements():
    with pytest.raises(MissingPeerError, match=r"No module named 'allrank'.*peers-requirements\.txt"):
        peers_data.peer("allrank", "allRank")


@pytest.mark.usefixtures("without_peers")
def test_the_table_has_every_baseline_and_says_what_is_missing(tmp_path, capsys):
    out = tmp_path / "made"
    arguments = ["--documents", "300", "--features", "3", "--batch-lists", "2", "--repetitions", "1"]
    assert peers.main([*arguments, "--out", str(out)]) == 0
    text = (out / "peers.md").read_text()
    printed = capsys.readouterr()
    assert text in printed.out
    assert "`python -m benchmarks.peers --documents 300" in text
    assert text.count("| hyperrank, ") == 4
    assert "skipped: allRank cannot be imported" in text
    assert "skipped: allRank cannot be imported" in printed.err
    assert str(tmp_path) not in text


@pytest.mark.filterwarnings("ignore")
def test_whatever_is_here_trains():
    setup = Setup(mslr_like(400, 5), 4)
    for baseline in unless_missing([partial(make, setup) for make in MAKERS]):
        assert baseline.documents > 0
        baseline.run()


def test_the_networks_are_of_one_size():
    pytest.importorskip("allrank")
    from hyperrank.networks import ConditionedScorer

    ours = ConditionedScorer(5, 1, hidden=(128, 128), conditioning="none")
    unused = sum(p.numel() for p in ours.embedding.parameters())
    models = peers_data.peer("allrank.models.model", "allRank")
    layers = {"sizes": [128, 128], "input_norm": False, "activation": "SiLU", "dropout": 0.0}
    theirs = models.make_model(layers, None, {"d_output": 1, "output_activation": None}, 5)
    assert sum(p.numel() for p in ours.parameters()) - unused == sum(p.numel() for p in theirs.parameters())


def test_batches_of_padded_slates_hold_all_documents():
    from benchmarks.peers_training import _slates

    data = mslr_like(1_000, 2)
    batches = list(_slates(data, 3, fill=-1.0))
    labels = np.concatenate([labels[labels >= 0].numpy() for _, labels, _ in batches])
    assert labels.tolist() == data.labels.tolist()
    assert sum(int(sizes.sum()) for *_, sizes in batches) == 1_000


def test_machine_tells_what_it_may():
    assert machine.versions()["hyperrank"]
    assert machine.machine()["cores"] >= 1
    assert machine.commit()
    before = machine.peak_memory_bytes()
    if before == 0:
        pytest.skip("the system does not say")
    machine.reset_peak_memory()
    held = np.ones(20_000_000)
    assert machine.peak_memory_bytes() - machine.current_memory_bytes() >= -1_000_000
    assert machine.peak_memory_bytes() >= held.nbytes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--documents", "5"], "--documents must be at least 100; got 5"),
        (["--batch-lists", "0"], "--batch-lists must be at least 1; got 0"),
        (["--features", "many"], "invalid int value: 'many'"),
    ],
)
def test_wrong_arguments_give_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as exit_info:
        peers.main(arguments)
    assert exit_info.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("python -m benchmarks.peers: error: ")
    assert message in last


def test_documents_know_their_lists():
    data = Documents(np.zeros((3, 1)), np.zeros(3), np.zeros(3), np.array([1, 2]))
    assert data.qid.tolist() == [0, 1, 1]
    assert data.starts.tolist() == [1]
