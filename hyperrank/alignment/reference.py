"""Log-probabilities under the reference, computed once and kept in files named after their content."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hyperrank.alignment.batches import pad_left, rows_of, token_batches
from hyperrank.alignment.policy import Policy
from hyperrank.alignment.progress import StepBar
from hyperrank.alignment.tokens import TokenLists
from hyperrank.files import ModelFileError, read_model_file, write_model_file

__all__ = ["reference_log_probs"]

#: Lists per file: what an interruption can cost, and what longer data do not share with shorter ones.
BLOCK_LISTS = 1024
#: What the head of a cache file says it is.
CACHE_CLASS = "reference log-probabilities"


def reference_log_probs(
    policy: Policy,
    tokens: TokenLists,
    *,
    pad: int,
    batch_tokens: int,
    settings: Mapping[str, Any],
    cache_dir: str | Path | None = None,
    verbose: int = 0,
) -> NDArray[np.float64]:
    """Log-probability of each response with prompt and adapters off.

    Parameters
    ----------
    policy : Policy
    tokens : TokenLists
    pad : int
        The token that fills up rows.
    batch_tokens : int
        Padded tokens per pass.
    settings : mapping
        All that the values depend on beside the tokens: the model's fingerprint, precision, device.
    cache_dir : path, optional
        Where files are read and written; made if it is not there. A file that is damaged, or holds something
        else, is computed anew with a word in the log.
    verbose : int
        1 shows a progress bar.

    Returns
    -------
    ndarray of shape (n,), float64
    """
    found = []
    with StepBar(tokens.n_lists, "reference", verbose) as bar:
        for first in range(0, tokens.n_lists, BLOCK_LISTS):
            block = tokens.take(np.arange(first, min(first + BLOCK_LISTS, tokens.n_lists)))
            key = _key(block, {**settings, "batch_tokens": batch_tokens})
            path = None if cache_dir is None else Path(cache_dir) / f"reference-{key[:24]}.safetensors"
            values = None if path is None else _read(path, key, len(block.responses))
            if values is None:
                values = _computed(policy, block, pad, batch_tokens, bar)
                if path is not None:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    head = {"class": CACHE_CLASS, "key": key}
                    write_model_file(path, {"log_probs": values}, head=head)
            else:
                bar.update(block.n_lists)
            found.append(values)
    return np.concatenate(found)


def _computed(
    policy: Policy, block: TokenLists, pad: int, batch_tokens: int, bar: StepBar
) -> NDArray[np.float64]:
    values = np.empty(len(block.responses))
    for lists in token_batches(block.lengths, block.offsets, batch_tokens):
        rows = rows_of(lists, block.offsets)
        batch = pad_left(block, rows, pad).to(policy.model.device)
        with torch.inference_mode():
            values[rows] = policy.reference_log_probs(batch).double().cpu().numpy()
        bar.update(len(lists))
    return values


def _key(block: TokenLists, settings: Mapping[str, Any]) -> str:
    """SHA-256 of all that the values of a block depend on."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(block.digest().encode())
    return digest.hexdigest()


def _read(path: Path, key: str, n_rows: int) -> NDArray[np.float64] | None:
    """The values in a file; None where there is none, or not the right one."""
    if not path.exists():
        return None
    log = logging.getLogger("hyperrank")
    try:
        head, content = read_model_file(path)
    except (ModelFileError, OSError) as error:
        log.warning("%s is computed anew: %s", path.name, error)
        return None
    values = content.get("log_probs")
    right = head.get("class") == CACHE_CLASS and head.get("key") == key
    if not right or not isinstance(values, np.ndarray) or values.shape != (n_rows,):
        log.warning("%s is computed anew: it holds something else than its name says.", path.name)
        return None
    return values.astype(np.float64)
