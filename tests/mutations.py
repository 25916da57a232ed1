"""Deliberate faults, one at a time, and the quick test that catches each: ``python tests/mutations.py``.

Each fault is made in a temporary copy of the package. A fault that no test catches ends with exit status 1.
``python tests/mutations.py sign split`` tries those whose names contain one of the words.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("hyperrank", "tests", "pyproject.toml")


@dataclass(frozen=True)
class Fault:
    """A fault and the quick tests that should catch it.

    Attributes
    ----------
    name : str
    file : str
        Of the package.
    before, after : str
        What is replaced, which is there once, and by what.
    tests : tuple of str
        Files or folders of tests.
    """

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


FAULTS = (
    Fault(
        "gradient sign of fused ListNet",
        "losses/fused.py",
        "gradient.numpy()[rows] = block_gradient.T",
        "gradient.numpy()[rows] = -block_gradient.T",
        ("losses/test_fused.py",),
    ),
    Fault(
        "off-by-one in list offsets",
        "lists.py",
        "return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])",
        "return np.concatenate([[0], np.maximum(np.cumsum(sizes, dtype=np.int64) - 1, 0)])",
        ("test_lists.py",),
    ),
    Fault(
        "NaN labels count as 0 in ListNet",
        "losses/listnet.py",
        "unobserved = torch.isnan(objectives)",
        "unobserved = torch.isnan(objectives) & False",
        ("losses/test_loss_values.py", "losses/test_loss_properties.py"),
    ),
    Fault(
        "temperature applied twice",
        "rankers/dpo/base.py",
        "1.0 if temperature is None else check_number",
        "1.0 if temperature is None else temperature * check_number",
        ("rankers/test_hyperdpo.py",),
    ),
    Fault(
        "weights of a mapping by position",
        "simplex.py",
        "return [weights.get(name, 0.0) for name in names]",
        "return [*weights.values(), *[0.0] * (len(names) - len(weights))]",
        ("test_simplex.py",),
    ),
    Fault(
        "rows not restored to the caller's order",
        "lists.py",
        "restored[self.moved] = values",
        "restored[:] = values",
        ("test_lists.py",),
    ),
    Fault(
        "a query on both sides of a split",
        "model_selection/splitters.py",
        "yield np.flatnonzero(~in_test), np.flatnonzero(in_test)",
        "yield np.arange(len(in_test)), np.flatnonzero(in_test)",
        ("model_selection/test_splitters.py",),
    ),
    Fault(
        "tuning evaluates on its training queries",
        "rankers/dpo/tuning.py",
        "order[n_evaluated:][:MAX_TRAINING_LISTS]",
        "order[:MAX_TRAINING_LISTS]",
        ("rankers/test_tuning.py",),
    ),
    Fault(
        "early stopping keeps the last state",
        "training/checkpoint.py",
        "if score > self.best_score:",
        "if score == score:",
        ("training/test_train.py",),
    ),
    Fault(
        "sign of the hypervolume's reference point",
        "metrics/pareto.py",
        "above = values[(values > corner).all(axis=1)] - corner",
        "above = values[(values > corner).all(axis=1)] + corner",
        ("metrics/test_pareto.py",),
    ),
    Fault(
        "checksum of a model file not compared",
        "files/model_file.py",
        'if document.pop("sha256", None) != _checksum(document, tensors):',
        'if document.pop("sha256", None) is None:',
        ("served/test_served_bytes.py", "rankers/resuming/test_refused_checkpoints.py"),
    ),
    Fault(
        "limits relative to the front, not to the reference",
        "front/limits.py",
        "if front.reference is not None:",
        "if front.reference is not None and False:",
        ("test_choosing.py",),
    ),
    Fault(
        "boosters join a given reference at temperature 0",
        "reference/per_objective.py",
        "np.minimum(temperature * self.joined, self.most)[self.objectives]",
        "np.minimum(self.joined, self.most)[self.objectives]",
        ("rankers/test_reference_mapping.py",),
    ),
    Fault(
        "categories by their place in the frame, not by value",
        "_categories.py",
        "[codes_of.get(value, math.nan) for value in own]",
        "[float(place) for place, _ in enumerate(own)]",
        ("rankers/test_categorical.py",),
    ),
    Fault(
        "the temperature of a selection is not served",
        "front/selection.py",
        "return weights, carried if temperature is None else temperature",
        "return weights, temperature",
        ("rankers/test_profile.py",),
    ),
    Fault(
        "confidence in a limit as if one trade-off had been looked at",
        "front/bootstrap.py",
        "np.where(np.isnan(falls), np.inf, falls).max(axis=1)",
        "np.where(np.isnan(falls), np.inf, falls)[:, 0]",
        ("test_choosing.py",),
    ),
)


def copy_tree(folder: Path) -> None:
    """Copy the package and its tests."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)


def first_failure(folder: Path, tests: tuple[str, ...]) -> str | None:
    """The first test that fails in a copy, or None."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    command += ["-m", "not slow and not network", *(f"tests/{test}" for test in tests)]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    found = re.search(r"^(?:FAILED|ERROR) tests/(\S+)", done.stdout, re.MULTILINE)
    if done.returncode not in (0, 1) and found is None:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return found[1] if found else None


def main(words: list[str]) -> int:
    """Try the faults; gives the exit status."""
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    missed = 0
    print("| fault | file | caught by | seconds |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        copy_tree(folder)
        for fault in chosen:
            path = folder / "hyperrank" / fault.file
            original = path.read_text()
            if original.count(fault.before) != 1:
                raise SystemExit(
                    f"{fault.file} has no single line {fault.before!r}: bring FAULTS up to date."
                )
            path.write_text(original.replace(fault.before, fault.after))
            started = time.perf_counter()
            caught = first_failure(folder, fault.tests)
            path.write_text(original)
            missed += caught is None
            seconds = time.perf_counter() - started
            print(f"| {fault.name} | `{fault.file}` | {caught or '**none**'} | {seconds:.0f} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
