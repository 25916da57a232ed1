"""The command as a process: exit codes, Ctrl-C, pipes, start-up."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

COMMAND = [sys.executable, "-m", "hyperrank"]


def typed(*words: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=120, **options)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_results_go_to_stdout(files):
    done = typed("describe", "train.store")
    assert (done.returncode, done.stderr) == (0, "")
    assert "objectives     relevance, clicks\n" in done.stdout


def test_an_error_is_a_line_and_with_debug_a_traceback(files):
    done = typed("convert", "nothing.txt", "nothing.store")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: nothing.txt: No such file or directory\n"
    done = typed("convert", "nothing.txt", "nothing.store", "--debug")
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.endswith("\nError: nothing.txt: No such file or directory\n")


@pytest.mark.parametrize(
    ("line", "heavy"),
    [
        ("fit --help", ("torch", "sklearn", "lightgbm", "pandas", "numpy", "pyarrow")),
        ("convert nothing.txt a.store", ("torch", "sklearn", "lightgbm")),
    ],
)
def test_start_up_is_light(line, heavy):
    """What takes seconds to import is imported where it is needed."""
    script = (
        "import sys\nfrom hyperrank.cli import main\n"
        f"try:\n    main({line.split()})\n"
        f"finally:\n    print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version():
    import hyperrank

    assert typed("--version").stdout == f"hyperrank, version {hyperrank.__version__}\n"


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_ends_with_130_and_leaves_nothing(files, tmp_path):
    pipe = tmp_path / "endless.txt"
    os.mkfifo(pipe)  # a file that takes forever to read
    line = [*COMMAND, "convert", str(pipe), str(tmp_path / "s")]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with pipe.open("w"):  # waits for the command to open it
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (130, "", "Interrupted.\n")
    assert [path.name for path in tmp_path.iterdir()] == ["endless.txt"]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_in_training(files, tmp_path):
    settings = ["--max-epochs", "100000", "--reference", "none", "--labels", "relevance,clicks"]
    line = [*COMMAND, "fit", "train.csv", "--out", str(tmp_path / "m"), *settings]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("train.csv: ")
    assert process.stderr.readline() == "reading [00:00]\n"  # all is imported, and training begins
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")
    assert re.fullmatch(r"(training: .*\n)?Interrupted\.\n", stderr)
    assert list(tmp_path.iterdir()) == []


INTERRUPTED_IN_TEXT = """
from hyperrank.cli._command import command

@command("wait")
def wait(console):
    exec("raise KeyboardInterrupt")

wait()
"""


def test_ctrl_c_while_text_is_executed_has_the_same_exit_code(tmp_path):
    (tmp_path / "waiting.py").write_text(INTERRUPTED_IN_TEXT)
    line = [sys.executable, "-m", "waiting"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Interrupted.\n")


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_a_reader_that_leaves_is_no_error(files):
    line = [*COMMAND, "describe", "train.store"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 1
