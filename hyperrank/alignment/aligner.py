"""One language model for all trade-offs: a prompt made of the weights, trained once."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from hyperrank.alignment.aligned import AlignedModel
from hyperrank.alignment.base_models import base_model
from hyperrank.alignment.fitting import fit_policy
from hyperrank.alignment.inputs import Prompt, check_texts, read_labels
from hyperrank.alignment.loop import Callback
from hyperrank.alignment.options import check_options, objective_names, refuse_no_gains, resolved

__all__ = ["HyperPromptAligner"]


class HyperPromptAligner(AlignedModel):
    r"""A causal language model aligned once for all trade-offs, which take effect when it is asked.

    Weights w go through a small network to k prompt vectors before the text. The language model is frozen,
    or carries LoRA adapters. All of it is trained by Plackett-Luce preference optimisation (DPO) on lists of
    responses with several labels, over weights drawn from the whole simplex:

    .. math:: \min_\theta \; \mathbb{E}_{w \sim Dir(\alpha)} \sum_j w_j \, L_j(r) / c_j, \qquad
              r = \beta \, (\log \pi_\theta(y | x, w) - \log \pi_{ref}(y | x))

    The reference is the same model with prompt and adapters off: there is no second one in memory.

    Parameters
    ----------
    model : str, path or PreTrainedModel
        What transformers loads as a causal language model, or one. The one passed is not changed.
    tokenizer : str, path or PreTrainedTokenizerBase, optional
        By default that of the model's name.
    objectives : sequence of str, optional
        Names of the objectives; objective_0, objective_1, ... by default.
    n_tokens : int, default 16
        Prompt vectors k.
    prompt_text : str, optional
        The prompt starts as the embeddings of this text's tokens, repeated as needed.
    prompt_width : int, default 64
        Hidden units of the network from weights to prompt.
    adapters : mapping, optional
        Arguments of `peft.LoraConfig`, such as ``{"r": 8, "lora_alpha": 16}``, for LoRA adapters in all
        linear layers, shared by all trade-offs. None by default: the prompt alone is trained.
    loss : {"plackett_luce", "listnet", "lambda_loss", "approx_ndcg", "pairwise_logistic"}
        The loss of rewards within a list; see `hyperrank.losses`. For pairs, ``"plackett_luce"``, the
        default, is DPO's own.
    gain, top_k, ties
        Options of the losses, as of `hyperrank.HyperDPORanker`.
    beta : float, default 0.1
        How closely the policy is held to the reference.
    alpha : float, default 1.0
        Concentration of the Dirichlet distribution of weights in training.
    weights : array-like of shape (m,) or mapping, optional
        Train for this trade-off alone: plain DPO on the weighted loss. Drawn anew for each list by default.
    normalize_objectives : bool, default True
        Whether each loss is divided by its value under the reference, so that equal weights pull equally.
    max_epochs : int, default 1
        Passes over the data.
    max_steps : int, optional
        Optimiser steps, in place of `max_epochs`.
    batch_size : int, default 16
        Prompts, each with all its responses, per optimiser step.
    batch_tokens : int, default 8192
        Tokens, filled up, per pass through the model. A step is made in as many passes as this asks for,
        prompts of like length together, and their gradients are summed. One prompt's responses stay together.
    prompt_learning_rate, hypernetwork_learning_rate : float
        Of AdamW for the prompt's constant part and for what the weights make of it, in units of the root
        mean square of the model's embeddings.
    adapter_learning_rate : float, default 1e-4
        Of AdamW for the adapters.
    weight_decay : float, default 0.0
        Of AdamW.
    max_norm : float, default 1.0
        Gradients longer than this are shortened to it.
    max_length : int, optional
        Tokens of prompt vectors, prompt and response together; what the model holds by default. Prompts are
        cut from the left to fit.
    max_response_length : int, optional
        Tokens of a response; half of what is left by default. Longer ones are cut, with a warning.
    precision : {"auto", "float32", "bfloat16"}, default "auto"
        Of policy, reference and generation alike; bfloat16 on GPUs that know it by default.
    activation_checkpointing : bool, default False
        Whether activations are computed again in the backward pass: less memory, a third more time.
    max_log_ratio : float or None, default 2.0
        Training stops when policy and reference differ by more than this, in nats per token in the mean of
        ten steps: the text is then falling apart. The last state before is kept.
    log_every : int, default 20
        Steps between sampled texts, and between states to go back to.
    sample_prompts : sequence of prompts, optional
        Prompts that are sampled for; the first one of fit by default.
    sample_tokens : int, default 32
        Length of sampled texts; 0 samples none.
    cache_dir : path, optional
        Where log-probabilities under the reference are kept for later fits; nowhere by default.
    checkpoint_dir : path, optional
        Where the run is kept as it goes; fit with the same data and options goes on from there, to the same
        result as without the interruption. Give each run a folder of its own.
    checkpoint_every : int, default 100
        Steps between checkpoints.
    device : str, default "auto"
        A GPU where there is one, or what torch calls it.
    random_state : int, RandomState or None, default None
        Makes fit repeatable, to the bit on one CPU. The global generators are not touched.
    verbose : int, default 0
        1 shows progress bars.

    Attributes
    ----------
    objectives_ : tuple of str
        Names of the objectives.
    history_ : list of dict
        By step: ``step``, ``epoch``, ``loss``, ``log_ratio`` (mean over responses of the absolute log-ratio
        to the reference, nats per token), and every `log_every` steps ``samples``, texts by objective.
    collapsed_ : bool
        Whether training was stopped by `max_log_ratio`.
    policy_ : hyperrank.alignment.policy.Policy
        Model, prompt and adapters.
    base_ : hyperrank.alignment.base_models.BaseModel
        The model beneath, with its name and fingerprint.

    Notes
    -----
    `score` gives the implicit rewards of responses, as reward models do; it is not the single figure that
    scikit-learn's searches expect of a method of that name. That is `accuracy`.

    References
    ----------
    Ren, Xiao, Shavlovsky, Ying, Rahmanian: HyperDPO, arXiv 2410.08316.
    Rafailov et al.: Direct Preference Optimization, arXiv 2305.18290.
    Lester, Al-Rfou, Constant: The Power of Scale for Parameter-Efficient Prompt Tuning, EMNLP 2021.

    Examples
    --------
    >>> from hyperrank.alignment import HyperPromptAligner, tiny_model
    >>> model, tokenizer = tiny_model()  # random, of two layers, for trying things out
    >>> prompts = ["Say a.", "Say b."]
    >>> responses = [["aaaa", "b"], ["aa", "bbb"]]
    >>> labels = [[[4, -4], [0, -1]], [[2, -2], [0, -3]]]  # letters a, and brevity
    >>> aligner = HyperPromptAligner(model, tokenizer, n_tokens=4, max_steps=2, random_state=0)
    >>> aligner = aligner.fit(prompts, responses, labels)
    >>> rewards = aligner.score(prompts, responses, weights=[0.5, 0.5])
    >>> [of_prompt.shape for of_prompt in rewards]
    [(2,), (2,)]
    >>> len(aligner.generate(prompts, weights=[[1, 0], [0, 1]], max_new_tokens=4)[0])
    2
    """

    def __init__(
        self,
        model: Any = None,
        tokenizer: Any = None,
        *,
        objectives: Sequence[str] | None = None,
        n_tokens: int = 16,
        prompt_text: str | None = None,
        prompt_width: int = 64,
        adapters: Mapping[str, Any] | None = None,
        loss: str = "plackett_luce",
        gain: str = "exp2",
        top_k: int | None = None,
        ties: str = "random",
        beta: float = 0.1,
        alpha: float = 1.0,
        weights: ArrayLike | Mapping[str, float] | None = None,
        normalize_objectives: bool = True,
        max_epochs: int = 1,
        max_steps: int | None = None,
        batch_size: int = 16,
        batch_tokens: int = 8192,
        prompt_learning_rate: float = 1e-2,
        hypernetwork_learning_rate: float = 1e-2,
        adapter_learning_rate: float = 1e-4,
        weight_decay: float = 0.0,
        max_norm: float = 1.0,
        max_length: int | None = None,
        max_response_length: int | None = None,
        precision: str = "auto",
        activation_checkpointing: bool = False,
        max_log_ratio: float | None = 2.0,
        log_every: int = 20,
        sample_prompts: Sequence[Prompt] | None = None,
        sample_tokens: int = 32,
        cache_dir: str | Path | None = None,
        checkpoint_dir: str | Path | None = None,
        checkpoint_every: int = 100,
        device: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.objectives = objectives
        self.n_tokens = n_tokens
        self.prompt_text = prompt_text
        self.prompt_width = prompt_width
        self.adapters = adapters
        self.loss = loss
        self.gain = gain
        self.top_k = top_k
        self.ties = ties
        self.beta = beta
        self.alpha = alpha
        self.weights = weights
        self.normalize_objectives = normalize_objectives
        self.max_epochs = max_epochs
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self.prompt_learning_rate = prompt_learning_rate
        self.hypernetwork_learning_rate = hypernetwork_learning_rate
        self.adapter_learning_rate = adapter_learning_rate
        self.weight_decay = weight_decay
        self.max_norm = max_norm
        self.max_length = max_length
        self.max_response_length = max_response_length
        self.precision = precision
        self.activation_checkpointing = activation_checkpointing
        self.max_log_ratio = max_log_ratio
        self.log_every = log_every
        self.sample_prompts = sample_prompts
        self.sample_tokens = sample_tokens
        self.cache_dir = cache_dir
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_every = checkpoint_every
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        prompts: Sequence[Prompt],
        responses: Sequence[Sequence[str]],
        labels: Sequence[ArrayLike],
        *,
        callback: Callback | None = None,
    ) -> Self:
        """Train the prompt, and the adapters if there are any.

        Parameters
        ----------
        prompts : sequence of str, or of conversations
            A conversation, a list of messages with ``role`` and ``content``, goes through the tokenizer's
            chat template.
        responses : sequence of sequences of str
            Two or more for each prompt.
        labels : sequence of array-like of shape (n_responses, m)
            More is better; NaN where unobserved.
        callback : callable, optional
            Called after each step with its entry of the history; True ends the run there.

        Returns
        -------
        HyperPromptAligner

        Raises
        ------
        ImportError
            Without the extra: ``pip install "hyperrank[llm]"``.
        ValueError
            If data or options are not what is wanted, before any model is loaded; or the model is unfit.
        FloatingPointError
            If gradients stay NaN or infinite.
        """
        check_options(self)
        check_texts(prompts, responses, least=2)
        flat = read_labels(labels, responses)
        names = objective_names(self.objectives, flat.shape[1])
        settings = resolved(self, names)
        refuse_no_gains(self.loss, flat)
        if self.sample_prompts is not None:
            check_texts(self.sample_prompts)
        base = base_model(self.model, self.tokenizer, self.device, self.precision)
        policy, encoder, state = fit_policy(self, base, prompts, responses, flat, names, settings, callback)
        self.objectives_, self.base_, self.policy_, self.encoder_ = names, base, policy, encoder
        self.history_, self.collapsed_, self.seed_ = state.history, state.collapsed, state.seed
        if self.collapsed_:
            warnings.warn(
                f"training was stopped at step {state.step}: policy and reference differ by more than "
                f"max_log_ratio={self.max_log_ratio:g} nats per token. The last state before is kept; "
                "lower the learning rates, or raise beta.",
                UserWarning,
                stacklevel=2,
            )
        return self
