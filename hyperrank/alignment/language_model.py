"""A frozen causal language model behind one interface: embeddings in, log-probabilities of responses out."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from hyperrank.alignment.batches import TokenBatch
from hyperrank.alignment.token_loss import cross_entropy, token_log_probs
from hyperrank.losses._segments import segment_sum

__all__ = ["LanguageModel"]

#: Nats by which log-probabilities of one sequence may differ between ways to compute them, by precision.
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-2, torch.bfloat16: 1.0}
#: Tokens that the scale of embeddings is measured by.
SCALE_TOKENS = 4096


class LanguageModel(nn.Module):
    """A causal language model of transformers that takes prompt vectors before its tokens.

    Parameters
    ----------
    model : PreTrainedModel
        Frozen; see `hyperrank.alignment.frozen.frozen_copy`.
    precision : torch.dtype
        Of matrix products: ``torch.bfloat16`` by autocast; any other is the model's own.

    Attributes
    ----------
    has_plain_head : bool
        Whether logits are the output layer of the last hidden state and nothing else. Then they are made in
        chunks; else those of all response tokens of a batch are held at once.

    Raises
    ------
    ValueError
        If it takes no embeddings or no mask, or a sequence has another probability where it is filled up.
    """

    def __init__(self, model: Any, precision: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.model, self.precision = model, precision
        self.accepts = frozenset(inspect.signature(model.forward).parameters)
        if not {"inputs_embeds", "attention_mask"} <= self.accepts:
            raise ValueError(
                f"{type(model).__name__} takes no inputs_embeds with an attention_mask, "
                "through which prompt vectors reach a model."
            )
        self.has_plain_head = False
        with torch.no_grad():
            self._probe()

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.embedding.weight.device

    @property
    def embedding(self) -> nn.Embedding:
        """From tokens to vectors."""
        layer: nn.Embedding = self.model.get_input_embeddings()
        return layer

    @property
    def embedding_scale(self) -> float:
        """Root mean square of embeddings, over tokens from the whole vocabulary."""
        size = self.embedding.weight.shape[0]
        ids = torch.arange(0, size, max(1, size // SCALE_TOKENS), device=self.device)
        with torch.no_grad():
            return float(self.embedding(ids).float().square().mean().sqrt())

    @property
    def hidden_size(self) -> int:
        """Width of the embeddings."""
        return self.embedding.weight.shape[1]

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """The precision that policy, reference and generation are all computed in."""
        mixed = self.precision == torch.bfloat16
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=mixed):
            yield

    def embedded(self, batch: TokenBatch, vectors: Tensor | None) -> dict[str, Tensor]:
        """What the model is called with: prompt vectors right before each row's first token.

        Parameters
        ----------
        batch : TokenBatch
        vectors : Tensor of shape (B, k, d), optional
            Prompt vectors; none for the reference.
        """
        embeds = self.embedding(batch.ids)
        length, n_tokens = batch.ids.shape[1], batch.n_tokens
        start = length - n_tokens
        if vectors is not None:
            k = vectors.shape[1]
            room = embeds.new_zeros(len(embeds), k, embeds.shape[2])
            # The rows are k longer, so the vectors begin where the tokens began.
            columns = start[:, None] + torch.arange(k, device=embeds.device)
            places = columns[:, :, None].expand(-1, -1, embeds.shape[2])
            embeds = torch.cat([room, embeds], dim=1).scatter(1, places, vectors.to(embeds.dtype))
            length += k
        mask = (torch.arange(length, device=embeds.device) >= start[:, None]).long()
        inputs = {"inputs_embeds": embeds, "attention_mask": mask}
        if "position_ids" in self.accepts:
            inputs["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)
        return inputs

    def log_probs(self, batch: TokenBatch, vectors: Tensor | None = None) -> Tensor:
        """Log-probability of each response given its prompt, shape (B,), float32 or wider."""
        with self.autocast():
            inputs = self.embedded(batch, vectors)
            each = self._chunked(inputs, batch) if self.has_plain_head else self._whole(inputs, batch)
        offsets = torch.nn.functional.pad(batch.n_response.cumsum(0), (1, 0))
        return segment_sum(each, offsets)

    def _chunked(self, inputs: dict[str, Tensor], batch: TokenBatch) -> Tensor:
        """Log-probabilities of response tokens from hidden states, flat."""
        states = self.model.base_model(**inputs, use_cache=False).last_hidden_state
        states = states[:, -batch.longest_response - 1 : -1][batch.in_response]
        head = self.model.get_output_embeddings()
        return token_log_probs(states, head, _targets(batch), head.weight.shape[0])

    def _whole(self, inputs: dict[str, Tensor], batch: TokenBatch) -> Tensor:
        """The same from the model's own logits, of as few positions as it lets us ask for."""
        n_kept = batch.longest_response + 1
        keep = {"logits_to_keep": n_kept} if "logits_to_keep" in self.accepts else {}
        logits = self.model(**inputs, use_cache=False, **keep).logits[:, -n_kept:-1]
        return -cross_entropy(logits[batch.in_response], _targets(batch))

    def _probe(self) -> None:
        """Find out how logits are made, and whether filling up changes what a sequence is worth."""
        ids = torch.arange(1, 7, device=self.device) % self.embedding.weight.shape[0]
        both = torch.stack([ids, torch.cat([ids[:2] * 0, ids[:4]])])
        sizes = torch.tensor([6, 4], device=self.device)
        response = torch.tensor([3, 2], device=self.device)
        together = TokenBatch(both, sizes, response, 3)
        alone = TokenBatch(both[1:, 2:], sizes[1:], response[1:], 2)
        expected = self.log_probs(together)
        tolerance = TOLERANCE[torch.bfloat16 if self.precision == torch.bfloat16 else expected.dtype]
        difference = float((self.log_probs(alone)[0] - expected[1]).abs())
        if not difference <= tolerance:
            raise ValueError(
                f"{type(self.model).__name__} gives a sequence another log-probability (by {difference:.2g}) "
                "where it is filled up on the left: it does not heed attention_mask and position_ids, "
                "and cannot be trained in batches."
            )
        self.has_plain_head = self._head_is_plain(together)

    def _head_is_plain(self, batch: TokenBatch) -> bool:
        """Whether logits are the output layer of what the base model gives, and nothing else."""
        head = self.model.get_output_embeddings()
        seen: dict[str, Tensor] = {}
        if not isinstance(head, nn.Linear):
            return False
        hook = head.register_forward_hook(lambda *call: seen.update(given=call[1][0], made=call[2]))
        try:
            with self.autocast():
                inputs = self.embedded(batch, None)
                logits = self.model(**inputs, use_cache=False).logits
                states = self.model.base_model(**inputs, use_cache=False).last_hidden_state
        except (TypeError, AttributeError):  # a base model that is called or answers in a way of its own
            return False
        finally:
            hook.remove()
        if "made" not in seen or states.shape != seen["given"].shape:
            return False
        # Two calls may round differently; what is done to logits afterwards shows in the very same ones.
        same_states = (states - seen["given"]).abs().max() <= 1e-2 * states.abs().max()
        return bool(same_states) and torch.equal(seen["made"].to(logits), logits)


def _targets(batch: TokenBatch) -> Tensor:
    return batch.ids[:, -batch.longest_response :][batch.in_response]
