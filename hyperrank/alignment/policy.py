"""Policy: a frozen language model, a conditioning and adapters; without these two it is the reference."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from hyperrank._checks import import_extra
from hyperrank.alignment.base_model import BaseModel, frozen_copy
from hyperrank.alignment.conditioning import Conditioning, Surroundings, make_conditioning

#: Text of the initial prompt by default.
DEFAULT_PROMPT = "Answer what follows as well as you can. "
#: Logits that are held at a time: 128 MiB in float32.
CHUNK_LOGITS = 1 << 25


class Policy(nn.Module):
    r"""Log-probabilities :math:`\log \pi(y | x, w)` and those of the reference."""

    def __init__(
        self,
        base: BaseModel,
        objectives: tuple[str, ...],
        conditioning: str,
        initial: Tensor,
        width: int,
        adapters: Mapping[str, Any] | None,
    ) -> None:
        super().__init__()
        self.model: Any = base.model
        self.precision, self.objectives = base.precision, objectives
        self.peft: Any = None if adapters is None else _with_adapters(self.model, adapters)
        self.rank = 0 if adapters is None else int(adapters.get("r", 8))
        self._layers = adapted_layers(self.model)
        around = Surroundings(objectives, initial.shape[1], initial, width, len(self._layers), self.rank)
        self.conditioning: Conditioning = make_conditioning(conditioning, around).to(self.device)
        self._cores: Tensor | None = None
        for number, layer in enumerate(self._layers):
            layer.lora_A["default"].register_forward_hook(partial(self._apply_core, number))
        self.has_plain_head = _has_plain_head(self)
        self.eval()

    @property
    def device(self) -> torch.device:
        """Where tokens go."""
        weight: Tensor = self.embedding.weight
        return weight.device

    @property
    def embedding(self) -> Any:
        """From tokens to vectors."""
        return self.model.get_input_embeddings()

    @property
    def hf_device_map(self) -> Any:
        """Of the base model, for the Trainer; no attribute where there is none."""
        return self.model.hf_device_map

    @property
    def has_cores(self) -> bool:
        """Whether adapters depend on the weights, so that each trade-off is a model of its own."""
        return type(self.conditioning).cores is not Conditioning.cores

    def autocast(self) -> Any:
        """Half precision, if that is the policy's; else whatever the caller has set."""
        if self.precision != torch.bfloat16:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16, cache_enabled=False)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        response_mask: Tensor,
        row_weights: Tensor,
        prompt_mask: Tensor,
        reference: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Log-probability of each response under the policy and under the reference."""
        rows = (input_ids, attention_mask, response_mask, prompt_mask)
        with self.autocast():
            if reference is None:
                with torch.no_grad(), self.adapters_off():
                    initial = self.conditioning.reference_prompt()
                    vectors = None if initial is None else initial.expand(len(input_ids), -1, -1)
                    reference = self._log_probs(*rows, vectors)
            # Last, since layers that are computed again in the backward pass use the cores set here.
            self._cores = self.conditioning.cores(row_weights)
            log_probs = self._log_probs(*rows, self.conditioning.prompt(row_weights))
        return {"log_probs": log_probs, "reference": reference, "n_tokens": response_mask.sum(dim=1)}

    def generate(
        self, input_ids: Tensor, attention_mask: Tensor, prompt_mask: Tensor, weights: Tensor, **options: Any
    ) -> Tensor:
        """New tokens for prompts padded on the left, by the model's own generate."""
        with torch.no_grad(), self.autocast():
            self._cores = self.conditioning.cores(weights)
            embeds = self._embedded(input_ids, prompt_mask, self.conditioning.prompt(weights))
            tokens: Tensor = self.model.generate(
                inputs_embeds=embeds, attention_mask=attention_mask, use_cache=True, **options
            )
            return tokens

    @contextmanager
    def adapters_off(self) -> Iterator[None]:
        """The base model as it was given. peft's own switch counts parameters: 29 ms on SmolLM2, not 6."""
        for layer in self._layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in self._layers:
                layer.enable_adapters(True)

    def adapter_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters of the adapters, by name."""
        return {name: value for name, value in self.model.named_parameters() if "lora_" in name}

    def state_dict(self, *, prefix: str = "", **_: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """Tensors of conditioning and adapters: what checkpoints and files hold, without the base model."""
        conditioning, adapters = self.conditioning.state_dict(), self.adapter_parameters()
        return {f"{prefix}conditioning.{name}": value for name, value in conditioning.items()} | {
            f"{prefix}adapters.{name}": value.detach() for name, value in adapters.items()
        }

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Take over what `state_dict` gave."""
        current = self.state_dict()
        differing = {(name, tuple(value.shape)) for name, value in current.items()}
        differing ^= {(name, tuple(value.shape)) for name, value in state_dict.items()}
        if differing:
            some = sorted(differing)[:2]
            raise ValueError(f"the parameters are for another conditioning or other adapters: {some}.")
        with torch.no_grad():
            for name, value in current.items():
                value.copy_(torch.as_tensor(state_dict[name]))
        return torch.nn.modules.module._IncompatibleKeys([], [])

    def activation_checkpointing_enable(self, **options: Any) -> None:
        """Compute activations again in the backward pass; called by the Trainer."""
        renamed = hasattr(self.model, "activation_checkpointing_enable")
        name = "activation_checkpointing" if renamed else "gradient_checkpointing"
        # Without reentry, frozen inputs are no obstacle to the gradients of adapters.
        kwargs = {"use_reentrant": False, **(options.pop(f"{name}_kwargs", None) or {})}
        getattr(self.model, f"{name}_enable")(**{f"{name}_kwargs": kwargs}, **options)

    gradient_checkpointing_enable = activation_checkpointing_enable

    def at(self, weights: Tensor) -> Any:
        """A copy of the PEFT model whose adapters are those of weights of shape (m,)."""
        self._cores = None
        model, cores = frozen_copy(self.peft), self.conditioning.cores(weights[None].to(self.device))
        if cores is not None:
            for core, layer in zip(cores[:, 0], adapted_layers(model), strict=True):
                first = layer.lora_A["default"]
                first.weight = nn.Parameter(core @ first.weight, requires_grad=False)
        return model

    def merged(self, weights: Tensor) -> Any:
        """A copy of the base model with adapters added to its parameters, under weights of shape (m,)."""
        if self.peft is None:
            return frozen_copy(self.model)
        return self.at(weights).merge_and_unload(safe_merge=True)  # into parameters of its own

    def _embedded(self, ids: Tensor, prompt_mask: Tensor, vectors: Tensor | None) -> Tensor:
        embeds: Tensor = self.embedding(ids)
        if vectors is None:
            return embeds
        return embeds.masked_scatter(prompt_mask[:, :, None], vectors.to(embeds.dtype))

    def _log_probs(
        self, ids: Tensor, mask: Tensor, response: Tensor, prompt_mask: Tensor, vectors: Tensor | None
    ) -> Tensor:
        inputs = {"inputs_embeds": self._embedded(ids, prompt_mask, vectors), "attention_mask": mask}
        # The state before a token is what the token is predicted from.
        before, targets = response[:, 1:], ids[:, 1:][response[:, 1:]]
        if self.has_plain_head:
            states = self.model.base_model(**inputs, use_cache=False).last_hidden_state[:, :-1][before]
            each = _token_log_probs(states, self.model.get_output_embeddings(), targets)
        else:
            logits = self.model(**inputs, use_cache=False).logits[:, :-1][before]
            each = -_cross_entropy(logits, targets)
        # In float64: the sums over long responses are large, and their differences small.
        return torch.segment_reduce(each.double(), "sum", lengths=before.sum(dim=1), axis=0, initial=0)

    def _apply_core(self, number: int, layer: nn.Module, inputs: Any, output: Tensor) -> Tensor | None:
        if self._cores is None:
            return None
        core = self._cores[number].to(output)
        if output.ndim != 3 or len(output) != len(core):
            raise ValueError(
                "adapters that depend on the weights need layers that see (batch, tokens, width); "
                f"an adapted layer sees {tuple(output.shape)}. Leave such layers out of target_modules."
            )
        return torch.bmm(output, core.transpose(1, 2))


def adapted_layers(model: Any) -> list[Any]:
    """Layers with adapters."""
    return [layer for layer in model.modules() if getattr(layer, "lora_A", None)]


def initial_prompt(tokenizer: Any, model: Any, n_tokens: int, text: str | None) -> Tensor:
    """Embeddings of a text's first tokens, the text repeated until there are enough, shape (n_tokens, d)."""
    ids = tokenizer(DEFAULT_PROMPT if text is None else text, add_special_tokens=False).input_ids
    if not ids:
        raise ValueError(f"prompt_text={text!r} has no tokens; give a text of some words.")
    embedding = model.get_input_embeddings()
    ids = (ids * (n_tokens // len(ids) + 1))[:n_tokens]
    # By a call: some models scale what the table holds.
    with torch.no_grad():
        vectors: Tensor = embedding(torch.tensor(ids, device=embedding.weight.device)).float()
    return vectors


def _with_adapters(model: Any, adapters: Mapping[str, Any]) -> Any:
    """The PEFT model that LoRA layers make of a model, in place, in float32 and without dropout."""
    peft = import_extra("peft", "llm")
    try:
        config = peft.LoraConfig(**{"target_modules": "all-linear", "task_type": "CAUSAL_LM", **adapters})
        with warnings.catch_warnings():
            # peft finds out by itself which way round GPT-2's layers are, and asks by a deprecated name.
            warnings.filterwarnings("ignore", message="fan_in_fan_out is set to|.is_gradient_checkpointing")
            return peft.get_peft_model(model, config)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ValueError(f"adapters={dict(adapters)!r} are refused by peft: {error}") from error


def _token_log_probs(states: Tensor, head: Callable[[Tensor], Tensor], targets: Tensor) -> Tensor:
    """Log-probability of each target, its logits made in chunks and again in the backward pass."""

    def chunk(some: Tensor, targets: Tensor) -> Tensor:
        return -_cross_entropy(head(some), targets)

    vocabulary: int = head.weight.shape[0]  # type: ignore[attr-defined]
    size = max(1, CHUNK_LOGITS // vocabulary)
    if len(states) <= size:
        return chunk(states, targets)
    pieces = zip(states.split(size), targets.split(size), strict=True)
    return torch.cat([checkpoint(chunk, *piece, use_reentrant=False) for piece in pieces])


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    with torch.autocast(logits.device.type, enabled=False):
        wide = logits if logits.dtype == torch.float64 else logits.float()
        return nn.functional.cross_entropy(wide, targets, reduction="none")


@torch.no_grad()
def _has_plain_head(policy: Policy) -> bool:
    """Whether logits are the output layer of the last hidden state, and nothing else (no capping)."""
    model, head = policy.model, policy.model.get_output_embeddings()
    if not isinstance(head, nn.Linear):
        return False
    calls: list[tuple[Tensor, Tensor]] = []
    hook = head.register_forward_hook(lambda _, inputs, output: calls.append((inputs[0], output)))
    try:
        with policy.autocast():
            ids = torch.arange(1, 7, device=policy.device)[None] % policy.embedding.weight.shape[0]
            logits = model(input_ids=ids, use_cache=False).logits
            states = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
    except (TypeError, AttributeError):  # a base model that is called or answers in a way of its own
        return False
    finally:
        hook.remove()
    if not calls or states.shape != calls[0][0].shape:
        return False
    # Two calls may round differently; what is done to logits after the head shows in the very same ones.
    same_states = (states - calls[0][0]).abs().max() <= 1e-2 * states.abs().max()
    return bool(same_states) and torch.equal(calls[0][1].to(logits), logits)
