"""Fitted aligners as files: what was trained, and the name and fingerprint of what was not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from hyperrank._version import __version__
from hyperrank.alignment.base_models import base_model
from hyperrank.alignment.checkpoints import arrays
from hyperrank.alignment.fitting import new_encoder, new_policy
from hyperrank.alignment.options import check_options
from hyperrank.files import ModelFileError, read_model_file, write_model_file

__all__ = ["load_aligner", "save_aligner"]

A = TypeVar("A")
#: Parameters that are of a machine or a session.
LEFT_OUT = ("model", "tokenizer", "cache_dir", "checkpoint_dir", "device", "random_state", "verbose")


def save_aligner(aligner: Any, path: str | Path) -> Path:
    """Write a fitted aligner; see `HyperPromptAligner.save`."""
    check_is_fitted(aligner, "policy_")
    params = {k: v for k, v in aligner.get_params(deep=False).items() if k not in LEFT_OUT}
    base = aligner.base_
    head = {
        "class": type(aligner).__name__,
        "objectives": list(aligner.objectives_),
        "base_model": {
            "name": base.name,
            "fingerprint": base.fingerprint,
            "tokenizer": base.tokenizer_fingerprint,
        },
        "versions": {"hyperrank": __version__, "torch": torch.__version__},
    }
    fitted = {"history": aligner.history_, "collapsed": aligner.collapsed_, "seed": aligner.seed_}
    content = {"params": params, "fitted": fitted, "trained": arrays(aligner.policy_.trained())}
    return write_model_file(path, content, head=head)


def load_aligner(cls: type[A], path: str | Path, model: Any, tokenizer: Any, device: str) -> A:
    """Read an aligner around its base model; see `HyperPromptAligner.load`."""
    head, content = read_model_file(path)
    if head.get("class") != cls.__name__:
        raise ModelFileError(f"{path} holds a {str(head.get('class'))[:40]}; wanted a {cls.__name__}.")
    try:
        named = head["base_model"]
        name, fingerprint, words = (str(named[key]) for key in ("name", "fingerprint", "tokenizer"))
        aligner: Any = cls(**content["params"])
        check_options(aligner)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"{path} holds no whole {cls.__name__}: {error}") from error
    aligner.set_params(model=name if model is None else model, tokenizer=tokenizer, device=device)
    base = base_model(aligner.model, aligner.tokenizer, device, aligner.precision)
    _refuse_other(path, name, fingerprint, base.name, base.fingerprint, "model")
    _refuse_other(path, name, words, base.name, base.tokenizer_fingerprint, "tokenizer")
    try:
        aligner.objectives_ = tuple(str(objective) for objective in head["objectives"])
        fitted = content["fitted"]
        aligner.history_, aligner.collapsed_ = list(fitted["history"]), bool(fitted["collapsed"])
        aligner.seed_ = int(fitted["seed"])
        trained = {key: torch.from_numpy(np.asarray(value)) for key, value in content["trained"].items()}
        policy = new_policy(aligner, base, len(aligner.objectives_), aligner.seed_)
        policy.load_trained(trained)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"{path} holds no whole {cls.__name__}: {error}") from error
    aligner.base_, aligner.policy_, aligner.encoder_ = base, policy, new_encoder(aligner, base)
    result: A = aligner
    return result


def _refuse_other(
    path: str | os.PathLike[str], name: str, saved: str, given: str, found: str, what: str
) -> None:
    if saved != found:
        raise ModelFileError(
            f"{path} was trained on the {what} {name!r} with fingerprint {saved[:12]}; {given!r} has "
            f"{found[:12]}. Prompt and adapters mean nothing to another: pass the one that it was trained on."
        )
