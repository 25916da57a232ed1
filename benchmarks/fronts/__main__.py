"""``python -m benchmarks.fronts``."""

from __future__ import annotations

import sys

from benchmarks.fronts.cli import main

if __name__ == "__main__":
    sys.exit(main())
