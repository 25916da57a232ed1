"""Results of finished runs, by data set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.fronts.checking import TOLERANCE
from benchmarks.fronts.methods import REFERENCE, front_order
from benchmarks.fronts.resampling import Values
from benchmarks.fronts.store import Store, StoreError

__all__ = ["DataSet", "read_results"]

#: What may differ between runs only by accident.
SHOULD_AGREE = ("commit", "hyperrank version", "machine", "parameters")


@dataclass(frozen=True, eq=False)
class DataSet:
    """Finished runs on one data set.

    Attributes
    ----------
    title : str
        Its name and objectives.
    names : list of str
        The objectives.
    main : str or None
        The reference's objective, where it is not one of them.
    records : dict of str to list of dict
        Records of each front, in the order of tables, by fold and seed.
    folders : dict of str to Path
        Where the runs of each key are.
    failures : list of dict
        Records of runs that failed and have not been finished since.
    """

    title: str
    names: list[str]
    main: str | None
    records: dict[str, list[dict[str, Any]]]
    folders: dict[str, Path]
    failures: list[dict[str, Any]]

    @property
    def all_records(self) -> list[dict[str, Any]]:
        """Records of all fronts."""
        return [record for records in self.records.values() for record in records]

    def column(self, front: str, name: str) -> NDArray[np.float64]:
        """One number of each run of a front."""
        return np.array([record[name] for record in self.records[front]], dtype=np.float64)

    def mean_points(self, front: str) -> NDArray[np.float64]:
        """Values at each trade-off, mean over folds and seeds, shape (k, m)."""
        return np.asarray(np.mean([record["points"] for record in self.records[front]], axis=0))

    def places(self, fronts: Iterable[str]) -> list[tuple[int, int]]:
        """Folds and seeds that all these fronts have."""
        shared = [{(r["fold"], r["seed"]) for r in self.records[front]} for front in fronts]
        return sorted(set.intersection(*shared))

    def values(self, front: str, places: Sequence[tuple[int, int]]) -> Values:
        """Values by query: a list over folds of arrays of shape (seeds, k, q, m)."""
        at = {(record["fold"], record["seed"]): record for record in self.records[front]}
        folds: dict[int, list[NDArray[np.float32]]] = {}
        for fold, seed in places:
            key = at[fold, seed]["key"]
            path = Store(self.folders[key]).values_path(key, front)
            folds.setdefault(fold, []).append(Store.load(path)["values"])
        return [np.stack(seeds).astype(np.float64) for seeds in folds.values()]

    def warnings(self) -> list[str]:
        """What a reader must know before believing the tables."""
        messages = [
            f"FAILED: {f['method']}, fold {f['fold'] + 1}, seed {f['seed']}: {f['error']}"
            for f in self.failures
        ]
        for record in self.all_records:
            difference = record["ir_measures"]["largest_difference"]
            if not difference < TOLERANCE:
                messages.append(
                    f"WRONG VALUES: {record['front']}, fold {record['fold'] + 1}, seed {record['seed']} "
                    f"differs from ir-measures by {difference:.2g}."
                )
        for name, found in self._provenance().items():
            if len(found) > 1:
                messages.append(f"Runs differ in {name}: {'; '.join(sorted(found))}.")
        expected = {(r["fold"], r["seed"]) for f, rs in self.records.items() if f != REFERENCE for r in rs}
        for front, records in self.records.items():
            if front != REFERENCE and len(records) < len(expected):
                messages.append(
                    f"{front} has {len(records)} of {len(expected)} runs: its means are over those; tests "
                    "pair what both have."
                )
        said = sorted({f"{r['method']}: {text}" for r in self.all_records for text in r["warnings"]})
        return messages + [f"Warned in a run of {text}" for text in said]

    def _provenance(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {name: set() for name in SHOULD_AGREE}
        params: dict[str, set[str]] = {}
        for record in self.all_records:
            found["commit"].add(record["commit"])
            found["hyperrank version"].add(record["versions"].get("hyperrank", "unknown"))
            machine = record["machine"]
            found["machine"].add(f"{machine['cpu']}, {machine['cores']} cores")
            params.setdefault(record["method"], set()).add(f"{record['method']} {record['options']}")
        found["parameters"] = next((given for given in params.values() if len(given) > 1), set())
        return found


def read_results(folders: Sequence[str | Path]) -> list[DataSet]:
    """Read all finished runs of some folders.

    Parameters
    ----------
    folders : sequence of path
        Each a `Store`.

    Returns
    -------
    list of DataSet
        In the order in which the data sets first appear. Where a run was made twice, by another version say,
        the later one counts.

    Raises
    ------
    StoreError
        If a folder holds no finished run.
    """
    latest: dict[str, dict[tuple[str, int, int], dict[str, Any]]] = {}
    homes: dict[str, Path] = {}
    for folder in map(Path, folders):
        store = Store(folder)
        for record in store.records():
            place = (record["front"], record["fold"], record["seed"])
            if record["status"] == "ok" and not store.values_path(record["key"], record["front"]).is_file():
                raise StoreError(
                    f"{folder} lacks the values of {record['key']}.{record['front']}: run again."
                )
            known = latest.setdefault(_title(record), {})
            if record["status"] == "failed" and known.get(place, {}).get("status") == "ok":
                continue
            known[place] = record
            homes[record["key"]] = folder
    sets = [_data_set(title, list(found.values()), homes) for title, found in latest.items()]
    if not any(data.records for data in sets):
        raise StoreError(f"No run in {', '.join(map(str, folders))} is finished.")
    return [data for data in sets if data.records]


def _title(record: Mapping[str, Any]) -> str:
    folds = record["folds"]
    split = "own folds" if folds == "own" else f"{folds} folds"
    return f"{record['data']}: {', '.join(record['objectives'])} ({split})"


def _data_set(title: str, found: list[dict[str, Any]], homes: Mapping[str, Path]) -> DataSet:
    finished = [record for record in found if record["status"] == "ok"]
    records: dict[str, list[dict[str, Any]]] = {}
    for front in front_order():
        of_front = [record for record in finished if record["front"] == front]
        if of_front:
            records[front] = sorted(of_front, key=lambda record: (record["fold"], record["seed"]))
    return DataSet(
        title=title,
        names=list(found[0]["objectives"]),
        main=finished[0]["main"] if finished else None,
        records=records,
        folders={record["key"]: homes[record["key"]] for record in finished},
        failures=[record for record in found if record["status"] == "failed"],
    )
