"""Aligner: one language model for all trade-offs, trained once by preference optimization."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from hyperrank._checks import check_number, import_extra
from hyperrank.alignment.base_model import BaseModel, isolated, load_base_model
from hyperrank.alignment.config import PASSING, AlignerParams, check_params, draw_seed
from hyperrank.alignment.export import export_peft, export_transformers
from hyperrank.alignment.files import AlignerFile, read_aligner_file
from hyperrank.alignment.inference import Decoder, log_ratios
from hyperrank.alignment.losses import PreferenceLoss, objective_scale, preference_loss
from hyperrank.alignment.policy import Policy, initial_prompt
from hyperrank.alignment.preferences import (
    Preferences,
    Prompt,
    Weights,
    check_differences,
    named_weights,
    one_weight,
    pair_counts,
    read_weights,
)
from hyperrank.alignment.readers import check_texts, read_lists
from hyperrank.alignment.tokens import Encoder, ListCollator, ListDataset, evaluation_data, length_limit
from hyperrank.files import ModelFileError

if TYPE_CHECKING:
    from transformers import TrainerCallback


class HyperPromptAligner(AlignerParams, BaseEstimator):
    r"""A causal language model aligned once for all trade-offs, which are an argument of `generate`.

    Trained by preference optimization (DPO, Plackett-Luce) on lists of responses with several labels, over
    weights w drawn from the whole simplex:

    .. math:: \min_\theta \; \mathbb{E}_{w \sim Dir(\alpha)} \sum_j w_j \, L_j(r) / c_j, \qquad
              r = \beta \, (\log \pi_\theta(y | x, w) - \log \pi_{ref}(y | x))

    The reference is the policy at step 0: the base model, under the initial prompt if there are prompt
    vectors. Training runs on `transformers.Trainer`.

    Parameters
    ----------
    model : str, path or PreTrainedModel
        A name, or a causal language model, perhaps quantized or spread over devices, which is not changed.
    tokenizer : str, path or PreTrainedTokenizerBase, optional
        By default that of the model's name.
    objectives : sequence of str, optional
        By default those of the data, else objective_0, objective_1, ... The same names may come in another
        order; others rename those of the data in place.
    conditioning : {"hyper_prompt", "lora", "mixture", "text"} or registered name, default "hyper_prompt"
        How weights reach the model: prompt vectors (HyperDPO), LoRA with a core that depends on w, LoRA whose
        rank is shared out among the objectives and mixed by w, or a line of text (a baseline). All but the
        first need `adapters`.
    n_tokens : int, default 16
        Prompt vectors.
    prompt_text : str, optional
        What prompt vectors start as: its tokens, repeated as needed.
    prompt_width : int, default 64
        Hidden units of the network from weights to prompt vectors or cores.
    adapters : mapping, optional
        Options of LoRA as peft names them: ``r``, ``lora_alpha``, ``target_modules`` (a list of names, by
        default all linear layers), ``use_rslora``. By default only the prompt is trained.
    loss : str or ListLoss, default "plackett_luce"
        A name or an object of `hyperrank.losses`, such as ``PlackettLuce(top_k=10)``; ``"sigmoid"`` (DPO's
        name for Plackett-Luce where lists are pairs) or ``"ipo"``; or a function of one's own.
    length_normalized : bool, default False
        Whether log-ratios are means over a response's tokens rather than sums.
    sft_weight : float, default 0.0
        Weight of the negative log-likelihood per token of each objective's best responses.
    beta : float, default 0.1
        How closely the policy is held to the reference.
    alpha : float, default 1.0
        Concentration of the Dirichlet distribution of weights in training.
    weights : array-like of shape (m,) or mapping, optional
        Train for this trade-off alone: DPO on the weighted loss. Drawn anew for each list by default.
    normalize_objectives : bool, default True
        Whether each loss is divided by its value under the reference, so that equal weights pull equally.
    max_epochs : int, default 1
        Passes over the data.
    max_steps : int, optional
        Optimizer steps, in place of `max_epochs`.
    batch_size : int, default 16
        Prompts, each with all its responses, per process and pass.
    batch_tokens : int, default 8192
        Padded tokens per pass of `score` and `generate`.
    prompt_learning_rate, hypernetwork_learning_rate : float, default 1e-2 and 2e-3
        For the prompt's constant part and for what the weights make of it, in units of the root mean square
        of the model's embeddings; the latter, as it is, also for other conditionings.
    adapter_learning_rate : float, optional
        For adapters; 1e-4 by default, or the learning rate of a `TrainingArguments`.
    max_length : int, optional
        Of prompt vectors, prompt, which is cut from the left, and response; the model's limit by default.
    max_response_length : int, optional
        Half of what is left by default. Longer responses are cut, with a warning.
    precision : {"auto", "float32", "bfloat16"}, default "auto"
        Of policy, reference and generation alike; bfloat16 on GPUs that support it by default.
    max_log_ratio : float or None, default 2.0
        Nats per token between policy and reference at which training stops with a warning: text falls apart.
    training_args : mapping or transformers.TrainingArguments, optional
        A mapping is laid over the defaults, such as ``{"gradient_accumulation_steps": 4, "save_steps": 50}``;
        a whole `TrainingArguments` replaces them, and `max_epochs`, `max_steps`, `batch_size` and
        `checkpoint_dir` too. What cannot work here, such as label smoothing, is refused.
    checkpoint_dir : path, optional
        Where checkpoints are kept, every 100 steps. The same fit resumes from the last one, and with a larger
        `max_steps` or `max_epochs` extends the run. One folder per run.
    device : {"auto", "cpu", "cuda"}, default "auto"
        A GPU where there is one; for several: ``accelerate launch``.
    random_state : int, RandomState or None, default None
        Makes fit repeatable. The caller's generators are not touched.
    verbose : int, default 0
        1 shows the Trainer's progress bar and logs.

    Attributes
    ----------
    objectives_ : tuple of str
    history_ : list of dict
        The Trainer's log: ``step``, ``loss``, ``log_ratio`` (mean absolute log-ratio to the reference, nats
        per token), and by objective ``NAME/accuracy`` and ``NAME/margin`` of rewards; those of an evaluation
        begin with ``eval_`` and end with the trade-off, such as ``eval_NAME/accuracy_at_center``.
    collapsed_ : bool
        Whether training was stopped by `max_log_ratio`.
    policy_, base_, encoder_
        The trained module, the base model and the tokenizer.

    References
    ----------
    Ren, Xiao, Shavlovsky, Ying, Rahmanian: HyperDPO, arXiv 2410.08316.
    Rafailov et al.: Direct Preference Optimization, arXiv 2305.18290.

    Examples
    --------
    >>> from hyperrank.alignment import HyperPromptAligner, tiny_model
    >>> model, tokenizer = tiny_model()  # random, of two layers, for trying things out
    >>> prompts = ["Say a.", "Say b."]
    >>> responses = [["aaaa", "b"], ["aa", "bbb"]]
    >>> labels = [[[4, -4], [0, -1]], [[2, -2], [0, -3]]]  # letters a, and brevity
    >>> aligner = HyperPromptAligner(model, tokenizer, n_tokens=4, max_steps=2, random_state=0)
    >>> rewards = aligner.fit(prompts, responses, labels).score(prompts, responses, weights=[0.5, 0.5])
    >>> [of_prompt.shape for of_prompt in rewards]
    [(2,), (2,)]
    >>> len(aligner.generate(prompts, weights=[[1, 0], [0, 1]], max_new_tokens=4)[0])
    2
    """

    objectives_: tuple[str, ...]
    history_: list[dict[str, Any]]
    collapsed_: bool
    policy_: Policy
    base_: BaseModel
    encoder_: Encoder

    def fit(
        self,
        prompts: Any,
        responses: Sequence[Sequence[str]] | None = None,
        labels: Sequence[ArrayLike] | None = None,
        *,
        eval_data: Any = None,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> Self:
        """Train the conditioning, and the adapters if there are any.

        Parameters
        ----------
        prompts : sequence of str or of conversations; or Preferences, dataset, frame or stream
            Prompts, with `responses` and `labels`; or everything in one, as `to_preferences` reads it.
            Conversations, lists of messages with ``role`` and ``content``, go through the chat template.
        responses : sequence of sequences of str
            Two or more for each prompt.
        labels : sequence of array-like of shape (n_responses, m)
            More is better; NaN where unobserved.
        eval_data : Preferences, dataset or frame, or a mapping of names to them, optional
            Evaluated at the corners and the center of the simplex, after each pass or as `training_args` say.
        callbacks : sequence of transformers.TrainerCallback
            Such as `transformers.EarlyStoppingCallback`.

        Returns
        -------
        HyperPromptAligner

        Raises
        ------
        ImportError
            Without the extra: ``pip install "hyperrank[llm]"``.
        ValueError
            If data or options are not as described, before any model is loaded; or the model is unfit.
        ModelFileError
            If `checkpoint_dir` belongs to another run.
        FloatingPointError
            If gradients stay NaN or infinite.
        """
        params = self.get_params(deep=False)
        check_params(params)
        data = read_lists(prompts, responses, labels, self.objectives)
        if isinstance(data, Preferences):
            check_differences(data)
        names = data.names
        if "center" in names:
            raise ValueError("no objective can be named 'center', which is that of equal weights.")
        weights = None if self.weights is None else one_weight(self.weights, names)
        evaluation = evaluation_data(eval_data, names)
        list_loss = preference_loss(self.loss)
        # Processes of one run draw alike.
        together = self.random_state is None and int(os.environ.get("WORLD_SIZE", "1")) > 1
        seed = 0 if together else draw_seed(self.random_state)
        import_extra("transformers", "llm")
        # Imported here, since its class derives from transformers' own.
        from hyperrank.alignment.trainer import check_training_args, train_policy

        check_training_args(self.training_args)
        with isolated(seed, grad=True):
            scale = objective_scale(list_loss, data.labels, self.normalize_objectives)
            base = load_base_model(self.model, self.tokenizer, self.device, self.precision)
            policy, encoder = self._build(base, names)
            text = policy.conditioning.text
            collator = ListCollator(encoder, text, alpha=self.alpha, weights=weights, seed=seed)
            loss = PreferenceLoss(list_loss, scale, self.beta, self.length_normalized, self.sft_weight)
            lists = ListDataset(data) if isinstance(data, Preferences) else data
            identity = {
                "params": {name: value for name, value in params.items() if name not in PASSING},
                "models": (base.fingerprint, base.tokenizer_fingerprint, str(base.precision)),
                "data": lists.content(),
            }
            more = (evaluation, list(callbacks), identity)
            self.history_, self.collapsed_ = train_policy(policy, collator, loss, self, lists, *more)
        self.objectives_, self.base_, self.policy_, self.encoder_ = names, base, policy, encoder
        if self.collapsed_:
            warnings.warn(
                f"training was stopped at step {self.history_[-1]['step']}: policy and reference differ by "
                f"more than max_log_ratio={self.max_log_ratio:g} nats per token. Lower the learning rates, "
                "or raise beta.",
                UserWarning,
                stacklevel=2,
            )
        return self

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
        ratios, counts, single = self._log_ratios(prompts, responses, weights)
        if self.length_normalized:
            ratios = [ratio / n[:, None] for ratio, n in zip(ratios, counts, strict=True)]
        return [self.beta * (ratio[:, 0] if single else ratio) for ratio in ratios]

    def log_ratio(
        self, prompts: Sequence[Prompt], responses: Sequence[Sequence[str]], *, weights: Weights = None
    ) -> NDArray[np.float64]:
        """Mean absolute log-ratio of policy to reference over responses, in nats per token.

        Parameters
        ----------
        prompts, responses, weights
            As for `score`.

        Returns
        -------
        ndarray of shape () or (k,)
        """
        ratios, counts, single = self._log_ratios(prompts, responses, weights)
        mean = (np.abs(np.concatenate(ratios)) / np.concatenate(counts)[:, None]).mean(axis=0)
        return np.asarray(mean[0] if single else mean)

    def accuracy(
        self,
        prompts: Any,
        responses: Sequence[Sequence[str]] | None = None,
        labels: Sequence[ArrayLike] | None = None,
        *,
        weights: Weights = None,
    ) -> NDArray[np.float64]:
        """Of pairs of responses with different labels the share that `score` orders alike, by objective.

        Parameters
        ----------
        prompts, responses, labels
            As for `fit`.
        weights
            As for `score`.

        Returns
        -------
        ndarray of shape (m,) or (k, m)
            Equal rewards count half; NaN for objectives without a preference.
        """
        check_is_fitted(self, "policy_")
        data = read_lists(prompts, responses, labels, self.objectives_, least=1)
        if not isinstance(data, Preferences):
            raise ValueError("accuracy takes data with a length; got a stream.")
        rewards = self.score(data.prompts, data.responses, weights=weights)
        pairs = zip(data.labels, rewards, strict=True)
        counts = np.sum([pair_counts(z, r.reshape(len(r), -1)) for z, r in pairs], axis=0)
        with np.errstate(invalid="ignore"):
            shares: NDArray[np.float64] = counts[0] / counts[1]
        return shares[0] if rewards[0].ndim == 1 else shares

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        weights: Weights = None,
        max_new_tokens: int = 128,
        do_sample: bool | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        n_samples: int = 1,
        stop: str | Sequence[str] | None = None,
        random_state: int | np.random.RandomState | None = None,
        **options: Any,
    ) -> list[Any]:
        """Text for each prompt.

        Parameters
        ----------
        prompts, weights
            As for `score`.
        max_new_tokens : int, default 128
            Tokens at most; prompts are cut from the left to leave room for them.
        do_sample, temperature, top_p : optional
            By default as the model's ``generation_config`` says, as are its end-of-text tokens.
        n_samples : int, default 1
            Texts for each prompt and trade-off; more than one are drawn.
        stop : str or sequence of str, optional
            Texts that end a response, and are not part of it.
        random_state : int, RandomState or None
            Makes drawing repeatable, for the same prompts in the same order.
        **options
            Others of transformers' generate, such as ``repetition_penalty``.

        Returns
        -------
        list of str, of lists of k str, or of either of lists of n_samples str
        """
        check_is_fitted(self, "policy_")
        check_texts(prompts)
        check_number("n_samples", n_samples, at_least=1, whole=True)
        if n_samples > 1 and do_sample is None:
            do_sample = True
        if n_samples > 1 and not do_sample:
            raise ValueError(f"without do_sample n_samples={n_samples} texts would be the same one.")
        options = {"do_sample": do_sample, "temperature": temperature, "top_p": top_p, **options}
        decoder = Decoder(self.policy_, self.encoder_, self.batch_tokens, max_new_tokens, stop, options)
        points, single = read_weights(weights, self.objectives_, len(prompts))
        each = np.repeat(points, n_samples, axis=1)
        repeated = [prompt for prompt in prompts for _ in range(each.shape[1])]
        flat = decoder.texts(repeated, np.concatenate(each), draw_seed(random_state))
        texts = np.array(flat, dtype=object).reshape(*points.shape[:2], n_samples)
        texts = texts[:, :, 0] if n_samples == 1 else texts
        made: list[Any] = (texts[:, 0] if single else texts).tolist()
        return made

    def stream(
        self,
        prompt: Prompt,
        *,
        weights: Weights = None,
        max_new_tokens: int = 128,
        stop: str | Sequence[str] | None = None,
        random_state: int | np.random.RandomState | None = None,
        **options: Any,
    ) -> Iterator[str]:
        """Text for one prompt, piece by piece as it is made.

        Parameters
        ----------
        prompt : str or conversation
            What is to be answered.
        weights : array-like of shape (m,) or mapping, optional
            One trade-off; equal weights by default.
        max_new_tokens, stop, random_state, **options
            As for `generate`. A stop text is the last thing that is given.

        Returns
        -------
        iterator of str
        """
        check_is_fitted(self, "policy_")
        check_texts([prompt])
        decoder = Decoder(self.policy_, self.encoder_, self.batch_tokens, max_new_tokens, stop, options)
        points, single = read_weights(weights, self.objectives_, 1)
        if not single:
            raise ValueError("stream takes one trade-off; for several: generate.")
        return decoder.stream(prompt, points[0, 0], draw_seed(random_state))

    def save(self, path: str | Path) -> Path:
        """Write what was trained, options and history to one safetensors file, without the base model.

        The base model is named, with its fingerprint. `training_args` are not stored.

        Parameters
        ----------
        path : path
            Of the file, which is replaced as a whole if it exists.

        Returns
        -------
        Path
            Of the file.
        """
        check_is_fitted(self, "policy_")
        base, trained = self.base_, self.policy_.state_dict()
        arrays = {name: value.cpu().numpy().copy() for name, value in trained.items()}
        fitted = (self.objectives_, self.history_, self.collapsed_, arrays)
        identity = (base.name, base.fingerprint, base.tokenizer_fingerprint)
        file = AlignerFile(self.get_params(deep=False), *fitted, identity)
        return file.write(path, type(self).__name__, base)

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        model: Any = None,
        tokenizer: Any = None,
        load_named_model: bool = False,
        device: str = "auto",
    ) -> Self:
        """Read what `save` wrote, around its base model.

        Parameters
        ----------
        path : path
            Of the file.
        model, tokenizer, device
            As for the aligner.
        load_named_model : bool, default False
            Whether transformers may look up the model that the file names, where `model` is not given: for
            files that you trust. Code from a hub is never run.

        Returns
        -------
        HyperPromptAligner
            Fitted.

        Raises
        ------
        ModelFileError
            If the file is damaged or not an aligner, the model or tokenizer is another one, or no model is
            given.
        """
        try:
            file = read_aligner_file(path, cls.__name__, cls._get_param_names())
            aligner = cls(**file.params, device=device)
            check_params(aligner.get_params(deep=False))
            name = file.base_model[0]
            if model is None and not load_named_model:
                raise ModelFileError(
                    f"{path} names the base model {name[:200]!r}. Give it as model=..., or let "
                    "transformers look the name up with load_named_model=True if you trust the file."
                )
            aligner.set_params(model=name if model is None else model, tokenizer=tokenizer)
            with isolated(0, grad=False):
                base = load_base_model(aligner.model, tokenizer, device, aligner.precision)
                file.check_base(base)
                aligner.policy_, aligner.encoder_ = aligner._build(base, file.objectives)
                aligner.policy_.load_state_dict(file.trained)
        except (ModelFileError, ImportError, OSError):
            raise
        except Exception as error:  # whatever damaged or forged content runs into
            raise ModelFileError(f"{path} cannot be loaded: {str(error).rstrip('.')}.") from error
        aligner.base_, aligner.objectives_ = base, file.objectives
        aligner.history_, aligner.collapsed_ = file.history, file.collapsed
        return aligner

    def export_peft(self, folder: str | Path, *, weights: Mapping[str, ArrayLike] | None = None) -> Path:
        """Write the adapters as a PEFT folder, and the prompt vectors at some trade-offs.

        Parameters
        ----------
        folder : path
            Gets ``adapter_config.json`` and ``adapter_model.safetensors`` for `peft.PeftModel`, if there are
            adapters; ``prompts.safetensors``, (n_tokens, d) by trade-off; ``trade_offs.json``. Where adapters
            depend on the weights, each trade-off is a PEFT folder of its own name within it: servers of many
            LoRAs, such as vLLM, then serve the trade-offs side by side.
        weights : mapping of str to weights, optional
            Trade-offs by name; each objective alone and all equally by default.

        Returns
        -------
        Path
            Of the folder.
        """
        check_is_fitted(self, "policy_")
        return export_peft(folder, self.policy_, named_weights(weights, self.objectives_))

    def export_transformers(
        self, folder: str | Path, *, weights: Mapping[str, ArrayLike] | None = None
    ) -> dict[str, str]:
        """Write a plain model and tokenizer that `AutoModelForCausalLM` loads alone.

        Adapters are merged. Each trade-off is a few new tokens whose embeddings are its prompt vectors: they
        stand before a prompt. The chat template takes a variable ``trade_off`` and puts them there.

        Parameters
        ----------
        folder : path
            Made if it does not exist.
        weights : mapping of str to weights, optional
            As for `export_peft`. One for ``conditioning="lora"`` or ``"mixture"``, whose trade-offs are
            models of their own.

        Returns
        -------
        dict of str to str
            By trade-off what is to stand before a prompt.
        """
        check_is_fitted(self, "policy_")
        points = named_weights(weights, self.objectives_)
        return export_transformers(folder, self.policy_, self.encoder_, points)

    def _build(self, base: BaseModel, names: tuple[str, ...]) -> tuple[Policy, Encoder]:
        """A policy that nothing has been trained of, and the encoder for it."""
        initial = initial_prompt(base.tokenizer, base.model, self.n_tokens, self.prompt_text)
        policy = Policy(base, names, self.conditioning, initial, self.prompt_width, self.adapters)
        n_vectors = policy.conditioning.n_vectors
        limit = length_limit(base.model.config, base.tokenizer, self.max_length, n_vectors)
        return policy, Encoder(base.tokenizer, limit, self.max_response_length, n_vectors)

    def _log_ratios(
        self, prompts: Sequence[Prompt], responses: Sequence[Sequence[str]], weights: Weights
    ) -> tuple[list[NDArray[np.float64]], list[NDArray[np.int64]], bool]:
        check_is_fitted(self, "policy_")
        check_texts(prompts, responses)
        points, single = read_weights(weights, self.objectives_, len(prompts))
        budget = self.batch_tokens
        return *log_ratios(self.policy_, self.encoder_, prompts, responses, points, budget), single
