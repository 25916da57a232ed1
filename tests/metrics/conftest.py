"""Lists to compare metrics on."""

import re

import numpy as np
import pytest
from metric_oracles import Lists, ragged


@pytest.fixture(scope="session")
def mq2008(shared_data):
    """MQ2008's first fold, scored by a feature with many ties (25) and by one with few (46 and 40)."""
    rows = []
    for line in (shared_data / "mq2008" / "S1.txt").read_text().splitlines():
        features = dict(re.findall(r"(\d+):(\S+)", line))
        rows.append([float(line[0]), int(line.split("qid:")[1].split()[0]), *map(float, features.values())])
    table = np.array(rows)
    # trec_eval reads scores as 32-bit floats, so the comparison is fair on such only.
    scores = table[:, [1 + 25, 1 + 40]].astype(np.float32).astype(float)
    return Lists(scores, table[:, 0], table[:, 1].astype(int))


@pytest.fixture(params=["mq2008 tied", "mq2008", "ragged tied", "ragged"])
def lists(request):
    """Real and generated lists, each with and without many ties."""
    tied = "tied" in request.param
    if "ragged" in request.param:
        return ragged(3, tied=tied)
    real = request.getfixturevalue("mq2008")
    return Lists(real.scores[:, 0 if tied else 1], real.labels, real.qid)
