"""The lowest versions that pyproject.toml allows, as constraints for pip: run it to print them."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
#: Extras whose floors are left out: development tools, baselines, and what needs a newer torch than the rest.
LEFT_OUT = ("dev", "bench", "onnx", "docs", "gpu")
#: Exceptions: old scikit-learn reads column names of frames in old versions only.
KEPT = ("polars",)
FLOOR = re.compile(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?>=([0-9.]+)")


def floors() -> dict[str, str]:
    """Version by name of each requirement that has a floor."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    wanted = list(project["dependencies"])
    for extra, requirements in project["optional-dependencies"].items():
        wanted += [one for one in requirements if extra not in LEFT_OUT or one.startswith(KEPT)]
    found = (FLOOR.match(requirement) for requirement in wanted)
    return {match[1]: match[2] for match in found if match}


if __name__ == "__main__":
    sys.stdout.writelines(f"{name}=={version}\n" for name, version in floors().items())
