"""The policy: a frozen language model, a hyper prompt, and adapters; without these two, the reference."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hyperrank.alignment.batches import TokenBatch
from hyperrank.alignment.extras import required
from hyperrank.alignment.frozen import without_dropout
from hyperrank.alignment.language_model import LanguageModel
from hyperrank.networks import HyperPrompt

__all__ = ["Policy"]


class Policy(nn.Module):
    r"""Log-probabilities :math:`\log \pi(y | x, w)` of a language model that weights steer.

    Parameters
    ----------
    model : LanguageModel
    prompt : HyperPrompt
        Of the model's width.
    adapters : mapping, optional
        Arguments of `peft.LoraConfig` for LoRA adapters; none by default.

    Raises
    ------
    ValueError
        If peft refuses the adapters.
    """

    def __init__(
        self, model: LanguageModel, prompt: HyperPrompt, adapters: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.model, self.prompt = model, prompt.to(model.device)
        self.has_adapters = adapters is not None
        if adapters is not None:
            peft = required("peft")
            try:
                config = peft.LoraConfig(**{"target_modules": "all-linear", **adapters})
                with warnings.catch_warnings():
                    # peft sees by itself which way round GPT-2's layers are, and warns that it did.
                    warnings.filterwarnings(
                        "ignore", message="fan_in_fan_out is set to", category=UserWarning
                    )
                    peft.inject_adapter_in_model(config, model.model)
            except (TypeError, ValueError) as error:
                raise ValueError(f"adapters={dict(adapters)!r} are refused by peft: {error}") from error
            self._adopt()
        self.eval()

    def log_probs(self, batch: TokenBatch, weights: Tensor) -> Tensor:
        """Log-probability of each response under weights of its own.

        Parameters
        ----------
        batch : TokenBatch of B rows
        weights : Tensor of shape (B, m)

        Returns
        -------
        Tensor of shape (B,), float32
        """
        return self.model.log_probs(batch, self.prompt(weights))

    def reference_log_probs(self, batch: TokenBatch) -> Tensor:
        """The same without prompt and adapters, shape (B,)."""
        with self.adapters_off():
            return self.model.log_probs(batch)

    @contextmanager
    def adapters_off(self) -> Iterator[None]:
        """The model as it was given to us."""
        layers = self._adapter_layers()
        for layer in layers:
            layer.enable_adapters(False)
        try:
            yield
        finally:
            for layer in layers:
                layer.enable_adapters(True)

    def adapter_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters of the adapters."""
        if self.has_adapters:
            for name, value in self.model.model.named_parameters():
                if "lora_" in name:
                    yield name, value

    def trained(self) -> dict[str, Tensor]:
        """All that training changes, by name: what is saved, and what a checkpoint holds."""
        found: dict[str, Tensor] = {f"prompt.{name}": value for name, value in self.prompt.named_parameters()}
        return found | {f"adapters.{name}": value for name, value in self.adapter_parameters()}

    def load_trained(self, values: Mapping[str, Tensor]) -> None:
        """Take over what `trained` gave.

        Raises
        ------
        ValueError
            If names or shapes are others.
        """
        own = self.trained()
        shapes = {name: tuple(value.shape) for name, value in own.items()}
        given = {name: tuple(value.shape) for name, value in values.items()}
        if shapes != given:
            wrong = sorted(set(shapes.items()) ^ set(given.items()))[:2]
            raise ValueError(f"the parameters are for another prompt or other adapters: {wrong}.")
        with torch.no_grad():
            for name, value in own.items():
                value.copy_(torch.as_tensor(values[name]))

    def _adopt(self) -> None:
        """See that adapters are all that peft added, and hold them in float32, without dropout."""
        strange = [n for n, p in self.model.model.named_parameters() if p.requires_grad and "lora_" not in n]
        if strange:
            raise ValueError(
                f"adapters train {strange[:2]}, which the reference shares: "
                "leave bias and modules_to_save out of them."
            )
        for _, value in self.adapter_parameters():
            value.data = value.data.float()
        without_dropout(self.model.model)

    def _adapter_layers(self) -> list[Any]:
        if not self.has_adapters:
            return []
        kind = required("peft.tuners.tuners_utils").BaseTunerLayer
        return [module for module in self.model.model.modules() if isinstance(module, kind)]
