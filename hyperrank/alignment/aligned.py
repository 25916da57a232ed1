"""What an aligned language model does: rewards, accuracy, text, and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from hyperrank.alignment.base_models import BaseModel
from hyperrank.alignment.generation import Decoding, generate_texts
from hyperrank.alignment.inputs import Prompt, check_texts, read_weights
from hyperrank.alignment.policy import Policy
from hyperrank.alignment.reference import reference_log_probs
from hyperrank.alignment.rewards import policy_log_probs, preference_accuracy
from hyperrank.alignment.saving import load_aligner, save_aligner
from hyperrank.alignment.seeding import drawn_seed, seeded
from hyperrank.alignment.tokens import Encoder
from hyperrank.weights import PerRow

__all__ = ["AlignedModel"]

#: What may stand as weights.
Weights = ArrayLike | Mapping[str, float] | PerRow | None


class AlignedModel(BaseEstimator):
    """An estimator whose fit leaves a policy; see `hyperrank.alignment.HyperPromptAligner`."""

    beta: float
    batch_tokens: int
    cache_dir: str | Path | None
    objectives_: tuple[str, ...]
    history_: list[dict[str, Any]]
    collapsed_: bool
    seed_: int
    policy_: Policy
    base_: BaseModel
    encoder_: Encoder

    def score(
        self, prompts: Sequence[Prompt], responses: Sequence[Sequence[str]], *, weights: Weights = None
    ) -> list[NDArray[np.float64]]:
        """Implicit rewards of responses, the policy's log-ratio to the reference times beta.

        Parameters
        ----------
        prompts : sequence of str, or of conversations
            What is answered.
        responses : sequence of sequences of str
            One or more for each prompt.
        weights : array-like of shape (m,) or (k, m), mapping or PerRow, optional
            One or k trade-offs, by name, or with `hyperrank.PerRow` one for each prompt; equal by default.

        Returns
        -------
        list of ndarray of shape (n_responses,) or (n_responses, k)
            One for each prompt. Rewards compare responses to one prompt under one trade-off.
        """
        check_is_fitted(self, "policy_")
        check_texts(prompts, responses)
        mixes, single = read_weights(weights, self.objectives_, len(prompts))
        tokens = self.encoder_.encode(prompts, responses)
        options: dict[str, Any] = {"pad": self.encoder_.pad, "batch_tokens": self.batch_tokens}
        policy = policy_log_probs(self.policy_, tokens, mixes, **options)
        reference = reference_log_probs(
            self.policy_, tokens, settings=self.base_.identity, cache_dir=self.cache_dir, **options
        )
        rewards = self.beta * (policy - reference[:, None])
        per_list = np.split(rewards[:, 0] if single else rewards, tokens.offsets[1:-1])
        return list(per_list)

    def accuracy(
        self,
        prompts: Sequence[Prompt],
        responses: Sequence[Sequence[str]],
        labels: Sequence[ArrayLike],
        *,
        weights: Weights = None,
    ) -> NDArray[np.float64]:
        """Of pairs of responses with different labels the share that `score` orders alike, by objective.

        Parameters
        ----------
        prompts, responses, weights
            As for `score`.
        labels : sequence of array-like of shape (n_responses, m)
            More is better; NaN where unobserved.

        Returns
        -------
        ndarray of shape (m,) or (k, m)
            NaN for objectives without a preference.
        """
        rewards = self.score(prompts, responses, weights=weights)
        if rewards[0].ndim == 1:
            return preference_accuracy(labels, rewards)
        n_mixes = rewards[0].shape[1]
        return np.stack([preference_accuracy(labels, [r[:, k] for r in rewards]) for k in range(n_mixes)])

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        weights: Weights = None,
        max_new_tokens: int = 128,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_p: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> list[Any]:
        """Text for each prompt.

        Parameters
        ----------
        prompts : sequence of str, or of conversations
            What is to be answered.
        weights : array-like of shape (m,) or (k, m), mapping or PerRow, optional
            As for `score`.
        max_new_tokens : int, default 128
            Tokens at most; prompts are cut from the left to leave room for them.
        do_sample : bool, default False
            Whether tokens are drawn; else the likeliest is taken.
        temperature, top_p : float, default 1.0
            Of drawing.
        random_state : int, RandomState or None
            Makes drawing repeatable, for the same prompts in the same order.

        Returns
        -------
        list of str, or of lists of k str
        """
        check_is_fitted(self, "policy_")
        check_texts(prompts)
        decoding = Decoding(max_new_tokens, do_sample, temperature, top_p)
        decoding.check()
        room = self.encoder_.limit - max_new_tokens
        if room < 1:
            raise ValueError(
                f"max_new_tokens={max_new_tokens} leave no room for a prompt; "
                f"wanted at most {self.encoder_.limit - 1}."
            )
        mixes, single = read_weights(weights, self.objectives_, len(prompts))
        k = mixes.shape[1]
        ids = [tokens for p in prompts for tokens in [self.encoder_.prompt(p, room)] * k]
        with seeded(self.policy_.model.device, drawn_seed(random_state)):
            texts = generate_texts(
                self.policy_,
                self.encoder_,
                ids,
                mixes.reshape(-1, mixes.shape[2]),
                decoding,
                self.batch_tokens,
            )
        return texts if single else [texts[n * k : (n + 1) * k] for n in range(len(prompts))]

    def save(self, path: str | Path) -> Path:
        """Write prompt, adapters, options and history to one safetensors file, without the base model.

        The base model is named, with its fingerprint. Nothing is pickled, and a file is written whole or not
        at all. The history holds sampled texts.

        Parameters
        ----------
        path : path
            Of the file, which is replaced if it exists.

        Returns
        -------
        Path
            Of the file.
        """
        return save_aligner(self, path)

    @classmethod
    def load(
        cls, path: str | Path, *, model: Any = None, tokenizer: Any = None, device: str = "auto"
    ) -> Self:
        """Read what `save` wrote, around its base model.

        Parameters
        ----------
        path : path
            Of the file.
        model : str, path or PreTrainedModel, optional
            The base model; by default transformers loads it by the name in the file. Pass it where the file
            is a stranger's.
        tokenizer : str, path or PreTrainedTokenizerBase, optional
            By default that of the model's name.
        device : str, default "auto"
            A GPU where there is one, or what torch calls it.

        Returns
        -------
        HyperPromptAligner
            Fitted.

        Raises
        ------
        ModelFileError
            If the file is damaged or no aligner, or the model or tokenizer is another one.
        """
        return load_aligner(cls, path, model, tokenizer, device)
