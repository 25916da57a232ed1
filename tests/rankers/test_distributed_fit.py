"""Fits in several processes are the fit of one."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from process_cases import CASES, outcome

SCRIPT = Path(__file__).with_name("process_cases.py")
#: A process that waits for one that does not come is stopped after this.
SECONDS = 300


def run_together(size: int, folder: Path, *names: str) -> list[dict[str, Any]]:
    """What each of several processes found."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(rank), str(size), str(folder), *names], env=environment
        )
        for rank in range(size)
    ]
    try:
        codes = [process.wait(timeout=SECONDS) for process in started]
    finally:
        for process in started:
            process.kill()
    assert codes == [0] * size
    return [json.loads((folder / f"found{rank}.json").read_text()) for rank in range(size)]


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> list[dict[str, Any]]:
    return run_together(2, tmp_path_factory.mktemp("together"))


SAME = (
    "validated",
    "one_validation_list",
    "boosters",
    "temperature_range",
    "transformer",
    "rating",
    "unconditioned",
    "one_list",
    "continued",
    "model_reference",
    "resumed",
    "taken_up_by_others",
    "kept_at_ctrl_c",
    "by_the_command",
    "baseline",
)


@pytest.mark.parametrize("name", SAME)
def test_two_processes_give_the_result_of_one(found, name):
    wanted = outcome(CASES[name])
    for process in found:
        given = process[name]
        assert "error" not in given, given
        assert given.keys() == wanted.keys()
        for key, value in wanted.items():
            np.testing.assert_allclose(given[key], value, rtol=1e-4, atol=1e-4, err_msg=key)


@pytest.mark.parametrize("name", [*SAME, "by_chance", "little_memory", "interrupted"])
def test_all_processes_hold_the_same_ranker_to_the_bit(found, name):
    first, second = ({k: v for k, v in p[name].items() if k not in ("warnings", "seen")} for p in found)
    assert "error" not in first, first
    assert first == second


def test_early_stopping_stopped(found):
    assert 2 < len(found[0]["validated"]["losses"]) < 8


def test_steps_become_smaller_in_all_where_memory_does_not_reach_in_one(found):
    first, second = (process["little_memory"] for process in found)
    assert len(first["warnings"]) == 1
    assert "out of memory at" in first["warnings"][0]
    assert second["warnings"] == []
    assert first["losses"][-1] < first["losses"][0]


def test_ctrl_c_ends_all_at_the_same_step(found):
    first, second = (process["interrupted"] for process in found)
    assert len(first["losses"]) == 2
    assert "interrupted after 2 whole epochs: the ranker is fitted" in first["warnings"][0]
    assert second["warnings"] == []


def test_the_first_process_alone_is_told_of_epochs(found):
    assert [process["interrupted"]["seen"] for process in found] == [2, 0]


def test_what_fails_in_the_first_fails_in_all(found):
    first, second = (process["failing_callback"]["error"] for process in found)
    assert first == "ZeroDivisionError: division by zero"
    assert second == "OtherProcessError: process 0 of 2 failed: ZeroDivisionError: division by zero"


def test_what_fails_in_another_fails_in_all(found):
    first, second = (process["failing_alone"]["error"] for process in found)
    assert first == "OtherProcessError: process 1 of 2 failed: ZeroDivisionError: division by zero"
    assert second == "ZeroDivisionError: division by zero"


def test_other_rows_in_each_process_are_refused(found):
    for process in found:
        error = process["other_rows"]["error"]
        assert error.startswith("ValueError: X and y and qid differ between the 2 processes: X is (")
        assert "Call fit with the same data and options in each" in error


OTHERS = {
    "fits_before": "the network to continue from",
    "references": "reference",
    "loss": "loss",
    "validation": "X_val",
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_differs_between_processes_is_named(found, name):
    for process in found:
        error = process[f"other_{name}"]["error"]
        assert re.match(rf"ValueError: {OTHERS[name]}( and \w+)* differ between the 2 processes", error)


def test_an_error_of_all_is_raised_in_each(found):
    for process in found:
        assert process["wrong_option"]["error"].startswith("ValueError: loss must be")


def test_a_fit_may_be_that_of_one_process(found):
    wanted = outcome(CASES["by_itself"])
    assert found[0]["by_itself"] == wanted
    assert found[1]["by_itself"]["losses"] == []
