"""Reading LETOR text of MSLR's size: rows per second and memory beside scikit-learn's reader and others.

Run ``python -m benchmarks.readers``; the files are the MSLR sample over and over, under query ids of their
own, in a temporary folder (3 GB at 1.2 million rows). ``--rows 100000`` takes minutes. With ``--out``,
finished readings are stored in ``readers.jsonl`` there and not repeated.
"""

from __future__ import annotations

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.machine import commit, finished_records, provenance
from benchmarks.readers_methods import METHODS
from hyperrank.datasets import convert, fetch_mslr_sample

__all__ = ["main", "report", "run", "write_files"]

OURS, THEIRS = "hyperrank.load_letor", "scikit-learn"
#: How many times as fast as scikit-learn's reader ours is to be.
TARGET = 4.0
#: The sample's label and the five columns that it has beside the features: 136 columns in all.
OBJECTIVES = ("relevance", "quality", "quality2", "query_clicks", "url_clicks", "dwell")
#: Documents of the small files that readers are started with.
SMALL = 500
#: Seconds after which a reading is given up: many times what the slowest takes of 1.2 million rows.
PATIENCE = 7200.0
NOTES = """\
Each reading is a process of its own, after a small file that does not count; readers take turns. Seconds are
medians (lowest to highest) on the clock, CPU seconds those of all threads; on busy cores one thread gets less
of the clock. Times: median seconds of scikit-learn over those of the reader. Memory is the most over what the
process held before. Files are in the system's cache."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _read(arguments)
    records = None
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        records = options.out / "readers.jsonl"
    found, failed = run(options.methods, options.rows, options.repetitions, records, options.folder)
    command = f"python -m benchmarks.readers --rows {options.rows} --repetitions {options.repetitions}"
    text = report(found, failed, options.rows, command)
    print(text)
    if options.out is not None:
        (options.out / "readers.md").write_text(text)
    return 0


def run(
    methods: Sequence[str], rows: int, repetitions: int, records: Path | None, folder: Path | None = None
) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    """Measure the readings that the file `records` lacks.

    Returns
    -------
    found : dict
        Readings of each method, those from before among them.
    failed : dict
        Methods that gave none, and why. They are tried again the next time.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    failed: dict[str, str] = {}
    for record in finished_records(records):
        if record["data_rows"] == rows and record["method"] in methods:
            found.setdefault(record["method"], []).append(record)
    if all(len(found.get(name, [])) >= repetitions for name in methods):
        return found, failed
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        kinds = {METHODS[name].file for name in methods}
        small = write_files(SMALL, Path(temporary, "small"), kinds)
        files = write_files(rows, Path(temporary, "full"), kinds)
        for repetition in range(repetitions):
            for name in methods:
                if name in failed or len(found.get(name, [])) > repetition:
                    continue
                kind = METHODS[name].file
                result = _measured_apart(name, small.get(kind), files.get(kind))
                if isinstance(result, str):
                    failed[name] = result
                    continue
                made = {"n_bytes": files["text"].stat().st_size, "commit": commit()}
                record = {"method": name, "data_rows": rows, **result, **made}
                found.setdefault(name, []).append(record)
                if records is not None:
                    with records.open("a") as file:
                        file.write(json.dumps(record) + "\n")
    return found, failed


def write_files(n_rows: int, folder: Path, kinds: set[str]) -> dict[str, Path]:
    """Write the sample over and over as LETOR text, and the same as gzip and as Parquet where wanted."""
    sample = fetch_mslr_sample(objectives=OBJECTIVES, labels="raw")
    lines = [
        f"{label:g} qid:%d " + " ".join(f"{j}:{_shortest(v)}" for j, v in enumerate(row, 1)) + "\n"
        for label, row in zip(sample.y.tolist(), np.column_stack([sample.X, sample.Y[:, 1:]]), strict=True)
    ]
    folder.mkdir()
    files = {"text": folder / "rows.txt"}
    with files["text"].open("w") as file:
        for row in range(n_rows):
            copy, at = divmod(row, len(lines))
            file.write(lines[at] % (sample.qid[at] + 100_000 * copy))
    if "gzip" in kinds:
        files["gzip"] = folder / "rows.txt.gz"
        with files["text"].open("rb") as plain, gzip.open(files["gzip"], "wb", compresslevel=1) as packed:
            shutil.copyfileobj(plain, packed, 1 << 20)
    if "parquet" in kinds:
        made = _write_parquet(files["text"], folder)
        if made is not None:
            files["parquet"] = made
    return files


def _shortest(value: np.float32) -> str:
    """The shortest text that is read as the same number."""
    return str(int(value)) if value == int(value) else str(value)


def _write_parquet(text: Path, folder: Path) -> Path | None:
    """The rows as Parquet; None without pyarrow."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        return None
    store = convert(text, folder / "rows.store")
    path, qid, step = folder / "rows.parquet", store.qid, 50_000
    writer = None
    for start in range(0, len(store), step):
        rows = slice(start, start + step)
        columns = dict(zip(store.feature_names, store.X[rows].T, strict=True))
        table = pa.table({"qid": qid[rows], "relevance": store.y[rows], **columns})
        writer = writer or parquet.ParquetWriter(path, table.schema)
        writer.write_table(table)
        store.release()
    if writer is not None:
        writer.close()
    shutil.rmtree(store.path)
    return path


def _measured_apart(name: str, small: Path | None, path: Path | None) -> dict[str, float] | str:
    """What one reading took, or why there was none."""
    if small is None or path is None:
        return "pyarrow is not installed"
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "benchmarks.readers_methods",
        name,
        str(small),
        str(path),
    ]
    home = Path(__file__).resolve().parents[1]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=home, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"took longer than {PATIENCE:.0f} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["failed"])[-1]
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def report(found: dict[str, list[dict[str, Any]]], failed: dict[str, str], rows: int, command: str) -> str:
    """The table as Markdown, with what made it and what it says of the target."""
    seconds = {name: median(r["seconds"] for r in results) for name, results in found.items()}
    readings = [record for results in found.values() for record in results]
    size = f", {readings[0]['n_bytes'] / 1e9:.2f} GB" if readings else ""
    commits = sorted({str(record["commit"]) for record in readings})
    lines = [
        "# Reading LETOR text",
        "",
        provenance(command),
        f"- Readings measured at: {', '.join(commits) or 'none'}",
        f"- Data: {rows:,} documents, the MSLR sample over and over, 136 features{size}",
        "",
        "| | rows per second | seconds | CPU seconds | times scikit-learn | memory, MiB | |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in (name for name in METHODS if name in found):
        results = found[name]
        clock = [r["seconds"] for r in results]
        times = f"{seconds[THEIRS] / seconds[name]:.2f}" if THEIRS in seconds else "-"
        lines.append(
            f"| {name} | {results[0]['rows'] / seconds[name]:,.0f} "
            f"| {seconds[name]:.2f} ({min(clock):.2f} to {max(clock):.2f}) "
            f"| {median(r['cpu'] for r in results):.2f} | {times} "
            f"| {max(r['memory'] for r in results) / 2**20:,.0f} | {METHODS[name].note} |"
        )
    none = {name: reason for name, reason in failed.items() if name not in found}
    lines += [f"| {name} | - | - | - | - | - | {reason} |" for name, reason in none.items()]
    if {OURS, THEIRS} <= set(seconds):
        ratio = seconds[THEIRS] / seconds[OURS]
        verdict = "met" if ratio >= TARGET else "missed"
        lines += [
            "",
            f"{ratio:.2f} times as fast as scikit-learn's reader (target: {TARGET:g} times): {verdict}.",
        ]
    return "\n".join([*lines, "", NOTES, ""])


def _read(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readers", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_200_000, help="documents to read")
    parser.add_argument("--repetitions", type=int, default=3, help="readings by each reader")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--folder", type=Path, default=None, help="where the temporary files go")
    parser.add_argument(
        "--out", type=Path, default=None, help="folder of readers.md and .jsonl; printed alone by default"
    )
    options = parser.parse_args(arguments)
    if options.rows < 1 or options.repetitions < 1:
        parser.error("--rows and --repetitions must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
