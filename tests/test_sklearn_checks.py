"""The benchmark of estimator checks counts what scikit-learn says, and says what is missing."""

from benchmarks import sklearn_checks
from benchmarks.sklearn_checks import CANDIDATES, Candidate


def test_checks_of_ours_and_of_a_baseline(capsys):
    ours, baseline = CANDIDATES[0], CANDIDATES[2]
    absent = Candidate("Nobody", "no_such_library", lambda library: library.Nobody())
    sklearn_checks.main(["-v"], [ours, baseline, absent])
    printed = capsys.readouterr().out
    assert "HyperDPORanker failed: none." in printed
    assert "LGBMRanker failed: check_" in printed
    assert "Nobody not installed" in printed


def test_counts_are_of_all_checks():
    outcome = sklearn_checks.run(CANDIDATES[2])
    assert outcome is not None
    assert outcome.name == "LGBMRanker"
    assert len(outcome.passed) + len(outcome.failed) + len(outcome.skipped) > 40
    assert len(outcome.failed) > len(outcome.passed)
