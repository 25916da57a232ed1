"""Checkpoints that say something else, with a right checksum: refused by the one error, or harmless."""

import random
import re
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest
from small_fits import TINY, KilledError, fit

from hyperrank import CheckpointFile, HyperDPORanker, TradeOffs
from hyperrank.files import ModelFileError, read_model_file, write_model_file

OPTIONS = {
    **TINY,
    "reference": "lightgbm",
    "trade_offs": TradeOffs(temperature_range=(0.5, 2.0)),
    "early_stopping": True,
    "max_epochs": 3,
}


@pytest.fixture(scope="module")
def stored(many, tmp_path_factory):
    """Head and content of a checkpoint with all phases, in the midst of training."""
    path = tmp_path_factory.mktemp("forged") / "fit"
    with pytest.MonkeyPatch.context() as patch:
        from hyperrank.training.checkpoint import TrainingState

        end_epoch = TrainingState.end_epoch

        def ended(self):
            end_epoch(self)
            if self.epoch == 3:
                raise KilledError

        patch.setattr(TrainingState, "end_epoch", ended)
        with pytest.raises(KilledError):
            fit(HyperDPORanker(**OPTIONS, checkpoint=CheckpointFile(path, every=0)), many)
    head, content = read_model_file(path)
    return {name: head[name] for name in ("class", "hyperrank")}, content


def leaves(value, path=()):
    """Where everything is, containers and what they hold; of long lists the first entries."""
    yield path
    if is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value[:2]):
            yield from leaves(item, (*path, number))


def at(value, path):
    for key in path:
        value = getattr(value, key) if is_dataclass(value) else value[key]
    return value


def replaced(value, path, new):
    """A copy with one part replaced."""
    if not path:
        return new
    if is_dataclass(value):
        return replace(value, **{path[0]: replaced(getattr(value, path[0]), path[1:], new)})
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def forgeries(value):
    """What may stand in the place of a value."""
    yield from (None, "x", -1, 10**9, float("1e300"), [], {}, True)
    if isinstance(value, np.ndarray):
        yield value[:-1] if value.ndim else value[None]
        yield np.full(value.shape, np.nan) if value.dtype.kind == "f" else value.astype(np.float64)
        yield value.reshape(-1)[:0]
    if isinstance(value, list):
        yield value[:-1]
        yield [*value, *value[:1]]


def check(data, path, stored, where, new):
    head, content = stored
    content = replaced(content, where, new)
    try:
        write_model_file(path, content, head=head)
    except (ModelFileError, TypeError, ValueError, AttributeError):  # it cannot be forged like this
        return
    ranker = HyperDPORanker(**OPTIONS, checkpoint=path)
    try:
        fit(ranker, data, resume=True)
    except ModelFileError as error:
        assert re.search(re.escape(str(path)), str(error))  # noqa: PT017
        return
    finally:
        path.unlink(missing_ok=True)
    assert np.isfinite(ranker.predict(data.X, qid=data.qid)).all(), where


def cases(stored):
    content = stored[1]
    return [(where, new) for where in leaves(content) if where for new in forgeries(at(content, where))]


def test_some_forgeries(many, stored, tmp_path):
    some = random.Random(0).sample(cases(stored), 30)
    for where, new in some:
        check(many, tmp_path / "fit", stored, where, new)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_all_forgeries(many, stored, tmp_path):
    for where, new in cases(stored):
        check(many, tmp_path / "fit", stored, where, new)
