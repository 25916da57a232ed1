"""From checked data to a trained policy."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperrank.alignment.activations import fewer_activations
from hyperrank.alignment.base_models import BaseModel
from hyperrank.alignment.checkpoints import RunState, find_checkpoint, write_checkpoint
from hyperrank.alignment.embeddings import starting_vectors
from hyperrank.alignment.generation import Decoding, generate_texts
from hyperrank.alignment.inputs import Prompt
from hyperrank.alignment.loop import Callback, run
from hyperrank.alignment.options import list_loss, objective_scale
from hyperrank.alignment.policy import Policy
from hyperrank.alignment.reference import reference_log_probs
from hyperrank.alignment.seeding import drawn_seed, seeded
from hyperrank.alignment.settings import AlignmentSettings
from hyperrank.alignment.steps import AlignmentData, Steps
from hyperrank.alignment.tokens import Encoder, TokenLists, length_limit
from hyperrank.networks import HyperPrompt

__all__ = ["fit_policy", "new_encoder", "new_policy"]

#: Places of chance of a run; `hyperrank.alignment.steps` has the others.
INIT, SAMPLES = 0, 4
#: Parameters that do not change what comes out of a fit.
PASSING = frozenset(
    {"model", "tokenizer", "objectives", "cache_dir", "checkpoint_dir", "checkpoint_every", "random_state"}
    | {"device", "verbose", "sample_prompts", "sample_tokens"}
)


def new_encoder(aligner: Any, base: BaseModel) -> Encoder:
    """The tokenizer with the lengths that model and options allow."""
    limit = length_limit(base.model.model.config, base.tokenizer, aligner.max_length, aligner.n_tokens)
    return Encoder(base.tokenizer, limit, aligner.max_response_length)


def new_policy(aligner: Any, base: BaseModel, n_objectives: int, seed: int) -> Policy:
    """A policy that nothing has been trained of: all weights see the same prompt."""
    with seeded(base.model.device, seed, INIT):
        vectors = starting_vectors(
            base.tokenizer, base.model.embedding, aligner.n_tokens, aligner.prompt_text
        )
        size = base.model.hidden_size
        prompt = HyperPrompt(
            n_objectives, aligner.n_tokens, size, width=aligner.prompt_width, embeddings=vectors.cpu()
        )
        return Policy(base.model, prompt, aligner.adapters)


def fit_policy(
    aligner: Any,
    base: BaseModel,
    prompts: Sequence[Prompt],
    responses: Sequence[Sequence[str]],
    labels: NDArray[np.float64],
    names: Sequence[str],
    settings: AlignmentSettings,
    callback: Callback | None,
) -> tuple[Policy, Encoder, RunState]:
    """Train a policy, or go on from the checkpoint of the same run.

    Returns
    -------
    policy : Policy
    encoder : Encoder
    state : RunState
        With the history.
    """
    encoder = new_encoder(aligner, base)
    tokens = encoder.encode(prompts, responses)
    scale = objective_scale(aligner, labels, tokens.offsets)
    state, save = _state(aligner, base, tokens, labels)
    policy = new_policy(aligner, base, len(names), state.seed)
    reference = reference_log_probs(
        policy,
        tokens,
        pad=encoder.pad,
        batch_tokens=aligner.batch_tokens,
        settings=base.identity,
        cache_dir=aligner.cache_dir,
        verbose=aligner.verbose,
    )
    data = AlignmentData(tokens, labels, reference, scale, encoder.pad)
    steps = Steps(policy, data, list_loss(aligner), settings, state.seed)
    sample = None
    if aligner.sample_tokens:
        texts = prompts[:1] if aligner.sample_prompts is None else aligner.sample_prompts
        sample = partial(_samples, aligner, policy, encoder, list(texts), names, state.seed)
    with fewer_activations(policy.model.model, aligner.activation_checkpointing):
        state = run(steps, state, sample=sample, save=save, callback=callback, verbose=aligner.verbose)
    return policy, encoder, state


def _state(
    aligner: Any, base: BaseModel, tokens: TokenLists, labels: NDArray[np.float64]
) -> tuple[RunState, Callable[[RunState], object] | None]:
    """Where the run stands, and what writes its checkpoints."""
    if aligner.checkpoint_dir is None:
        return RunState(drawn_seed(aligner.random_state)), None
    params = {k: v for k, v in aligner.get_params(deep=False).items() if k not in PASSING}
    # A seed that is drawn is kept in the checkpoint, one that is given is part of what the run is.
    params["random_state"] = aligner.random_state if isinstance(aligner.random_state, int) else None
    described = {
        **params,
        **base.identity,
        "tokenizer": base.tokenizer_fingerprint,
        "tokens": tokens.digest(),
    }
    digest = hashlib.sha256(json.dumps(described, sort_keys=True, default=str).encode())
    digest.update(np.nan_to_num(labels, nan=-np.inf).tobytes() + repr(labels.shape).encode())
    key = digest.hexdigest()
    found = find_checkpoint(aligner.checkpoint_dir, key)
    state = RunState(drawn_seed(aligner.random_state)) if found is None else found
    return state, partial(write_checkpoint, aligner.checkpoint_dir, key)


def _samples(
    aligner: Any,
    policy: Policy,
    encoder: Encoder,
    prompts: Sequence[Prompt],
    names: Sequence[str],
    seed: int,
    step: int,
) -> dict[str, list[str]]:
    """A text for each prompt with all weight on each objective in turn."""
    room = max(1, encoder.limit - aligner.sample_tokens)
    ids = [encoder.prompt(prompt, room) for prompt in prompts]
    mixes = np.repeat(np.eye(len(names)), len(ids), axis=0)
    decoding = Decoding(max_new_tokens=min(aligner.sample_tokens, encoder.limit - 1), do_sample=True)
    was_training = policy.model.model.training
    policy.model.model.eval()
    with seeded(policy.model.device, seed, SAMPLES, step):
        texts = generate_texts(policy, encoder, ids * len(names), mixes, decoding, aligner.batch_tokens)
    policy.model.model.train(was_training)
    return {name: texts[j * len(ids) : (j + 1) * len(ids)] for j, name in enumerate(names)}
