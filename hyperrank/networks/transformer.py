"""Listwise transformer: documents of a query as tokens, the trade-off as prompt vectors before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from hyperrank._environment import Dropout, NewTensors, forked
from hyperrank.networks.feature_transforms import CategoryEmbedding


class HyperPrompt(nn.Module):
    r"""Small MLP that maps weights on the simplex to prompt vectors.

    .. math:: p_i(w) = b_i + (U \, silu(V (m w - 1) + v))_i, \qquad i = 1 \dots k

    U starts at zero: at first all trade-offs see the same prompt b, and the transformer behind it, of which
    nothing is changed, is steered by what training makes of U. Each row of a batch may have its own weights.

    Parameters
    ----------
    n_objectives : int
        Number of objectives m.
    n_tokens : int
        Number of prompt vectors k.
    hidden_size : int
        Width d of the transformer's embeddings.
    width : int, default 64
        Hidden units of the MLP.
    embeddings : Tensor of shape (k, d), optional
        What the prompt starts from, such as embeddings of real tokens; small random vectors by default.

    Raises
    ------
    ValueError
        If `embeddings` have another shape.

    References
    ----------
    Ren et al.: HyperDPO, arXiv 2410.08316, section on Hyper Prompt Tuning; prompt tuning itself: Lester et
    al., EMNLP 2021.

    Examples
    --------
    >>> import torch
    >>> prompt = HyperPrompt(n_objectives=2, n_tokens=4, hidden_size=8)
    >>> prompt(torch.tensor([[0.3, 0.7], [1.0, 0.0], [0.0, 1.0]])).shape
    torch.Size([3, 4, 8])
    """

    def __init__(
        self,
        n_objectives: int,
        n_tokens: int,
        hidden_size: int,
        *,
        width: int = 64,
        embeddings: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.n_objectives, self.n_tokens, self.hidden_size = n_objectives, n_tokens, hidden_size
        if embeddings is None:
            embeddings = 0.02 * torch.randn(n_tokens, hidden_size)
        if tuple(embeddings.shape) != (n_tokens, hidden_size):
            raise ValueError(
                f"embeddings must have shape (n_tokens, hidden_size) = ({n_tokens}, {hidden_size}); "
                f"got {tuple(embeddings.shape)}."
            )
        self.base = nn.Parameter(embeddings.detach().clone().float())
        self.inner = nn.Linear(n_objectives, width)
        self.outer = nn.Linear(width, n_tokens * hidden_size)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, weights: Tensor) -> Tensor:
        """Prompt vectors for weights.

        Parameters
        ----------
        weights : Tensor of shape (..., m)
            Weights on the simplex.

        Returns
        -------
        Tensor of shape (..., k, d)
            k prompt vectors for each.

        Raises
        ------
        ValueError
            If the weights are for another number of objectives.
        """
        if weights.shape[-1] != self.n_objectives:
            raise ValueError(
                f"weights must have {self.n_objectives} columns, one per objective; "
                f"got shape {tuple(weights.shape)}."
            )
        # Centred and scaled so that corners are as far from 0 for two objectives as for eight.
        centred = self.n_objectives * weights.to(self.base.dtype) - 1.0
        shift = self.outer(nn.functional.silu(self.inner(centred)))
        return self.base + shift.unflatten(-1, (self.n_tokens, self.hidden_size))


@dataclass(frozen=True)
class PackedSequences:
    """How sequences lie in a packed tensor: those of equal length next to each other, as (count, length)."""

    groups: tuple[tuple[int, int], ...]

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attention of each token over those of its own sequence; tensors of shape (tokens, heads, width).

        Sequences of one length are a batch without padding: memory grows with the longest, not its square.
        """
        parts, start = [], 0
        for count, length in self.groups:
            stop = start + count * length
            pieces = (
                tensor[start:stop].unflatten(0, (count, length)).transpose(1, 2)
                for tensor in (queries, keys, values)
            )
            attended = nn.functional.scaled_dot_product_attention(*pieces)
            parts.append(attended.transpose(1, 2).flatten(0, 1))
            start = stop
        return torch.cat(parts)


class AttentionBlock(nn.Module):
    """One layer of a transformer on packed sequences: attention, then two linear layers, each added.

    Vaswani et al., NeurIPS 2017; layers normalised before, not after: Xiong et al., ICML 2020.
    """

    def __init__(self, width: int, n_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.LayerNorm(width)
        self.to_attention = nn.Linear(width, 3 * width)
        self.from_attention = nn.Linear(width, width)
        self.norm_inner = nn.LayerNorm(width)
        self.inner = nn.Linear(width, 2 * width)
        self.outer = nn.Linear(2 * width, width)
        self.dropout = Dropout(dropout)

    def forward(self, tokens: Tensor, sequences: PackedSequences) -> Tensor:
        """Tokens of shape (tokens, width) after the layer."""
        heads = self.to_attention(self.norm(tokens)).unflatten(-1, (3, self.n_heads, -1))
        attended = sequences.attend(*heads.unbind(dim=1)).flatten(1)
        tokens = tokens + self.dropout(self.from_attention(attended))
        inner = nn.functional.silu(self.inner(self.norm_inner(tokens)))
        return tokens + self.dropout(self.outer(inner))


#: Width of one head, about.
HEAD_WIDTH = 32


class ListTransformer(nn.Module):
    """Transformer that maps the documents of a list and weights to a score per document and trade-off.

    Documents have no positions: the scores of a list in another order are the same scores in that order.
    Vectors that depend on the weights, hyper prompts, stand before the documents of each list; nothing else
    in the transformer knows the weights. All of it is computed once per trade-off.

    Parameters
    ----------
    n_features : int
        Number of features d.
    n_objectives : int
        Number of objectives m.
    hidden : sequence of int, default (128, 128)
        Widths of the layers, all the same.
    dropout : float, default 0
        Share dropped in training of what each half of a layer adds.
    n_prompts : int, default 4
        Prompt vectors.
    alone : bool, default False
        Whether each document is a list of its own, and sees the prompts alone.
    frozen : bool, default False
        Whether nothing but the prompts is to be trained.
    categories : sequence of int, default ()
        Number of categories of each categorical feature, whose codes stand behind the `n_features` others.

    Raises
    ------
    ValueError
        If the widths differ.

    References
    ----------
    Pobrotyn et al.: Context-aware learning to rank with self-attention, arXiv 2005.10084; Pang et al.:
    SetRank, SIGIR 2020; hyper prompts: arXiv 2410.08316.

    Examples
    --------
    >>> import torch
    >>> network = ListTransformer(n_features=5, n_objectives=2, hidden=(8, 8))
    >>> index = torch.tensor([0, 0, 1])  # two lists, of two documents and of one
    >>> network(torch.zeros(3, 5), torch.tensor([[1.0, 0.0], [0.0, 1.0]]), index).shape
    torch.Size([3, 2])
    """

    #: Parameters that shift all scores of a list alike, so that no listwise loss depends on them.
    constants = ("head.bias", "norm.bias")

    def __init__(
        self,
        n_features: int,
        n_objectives: int,
        *,
        hidden: Sequence[int] = (128, 128),
        dropout: float = 0.0,
        n_prompts: int = 4,
        alone: bool = False,
        frozen: bool = False,
        categories: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if len(set(hidden)) != 1:
            raise ValueError(
                f"hidden must be one width for all layers of a transformer; got {tuple(hidden)}."
            )
        #: The arguments that make the same network again, before its parameters.
        self.options = {
            "n_features": n_features,
            "n_objectives": n_objectives,
            "hidden": list(hidden),
            "dropout": dropout,
            "n_prompts": n_prompts,
            "alone": alone,
            "frozen": frozen,
            "categories": list(categories),
        }
        self.hidden, self.n_prompts, self.alone = tuple(hidden), n_prompts, alone
        width = hidden[0]
        self.categories = CategoryEmbedding(categories)
        self.embed = nn.Linear(n_features + self.categories.n_out, width)
        self.prompt = HyperPrompt(n_objectives, n_prompts, width)
        self.blocks = nn.ModuleList(AttentionBlock(width, n_heads(width), dropout) for _ in hidden)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 1)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(not frozen or name.startswith("prompt."))

    def forward(self, features: Tensor, weights: Tensor, index: Tensor | None = None) -> Tensor:
        """Scores of all rows under k weights, shape (n, k).

        Parameters
        ----------
        features : Tensor of shape (n, d)
            Transformed features, codes of categories last; lists one after the other.
        weights : Tensor of shape (k, m) or (q, k, m)
            Weights for all rows, or for each list.
        index : Tensor of shape (n,), int64, optional
            The list of each row, ascending from 0; all rows are one list by default.

        Returns
        -------
        Tensor of shape (n, k)
            The scores.

        Raises
        ------
        ValueError
            If each list has its own weights, but `index` is not given.
        """
        if index is None:
            if weights.ndim == 3:
                raise ValueError(f"weights of shape {tuple(weights.shape)} need index, the list of each row.")
            index = torch.zeros(len(features), dtype=torch.int64, device=features.device)
        if weights.ndim == 3 and self.alone:
            weights = weights.index_select(0, index)
        sizes = torch.ones_like(index) if self.alone else torch.bincount(index)
        if weights.ndim == 2:
            weights = weights.expand(len(sizes), -1, -1)
        if not len(features):
            return features.new_zeros(0, weights.shape[1])
        if len(self.categories.tables):
            features = self.categories(features)
        return self._scores(self.embed(features), self.prompt(weights), sizes)

    def _scores(self, documents: Tensor, prompts: Tensor, sizes: Tensor) -> Tensor:
        """Scores of embedded documents, shape (n, k), for prompts of shape (q, k, p, width)."""
        k = prompts.shape[1]
        order = torch.argsort(sizes, stable=True)
        starts = (sizes.cumsum(0) - sizes)[order]
        lengths, counts = torch.unique_consecutive(sizes[order], return_counts=True)
        tokens, rows, groups, first = [], [], [], 0
        for size, count in zip(lengths.tolist(), counts.tolist(), strict=True):
            if size:
                of_group = slice(first, first + count)
                at = starts[of_group, None] + torch.arange(size, device=starts.device)
                repeated = documents[at][:, None].expand(-1, k, -1, -1)
                tokens.append(torch.cat([prompts[order[of_group]], repeated], dim=2).flatten(0, 2))
                rows.append(at.flatten())
                groups.append((count * k, self.n_prompts + size))
            first += count
        scored = self._token_scores(torch.cat(tokens), PackedSequences(tuple(groups)))
        out = torch.cat([self._document_scores(part, k) for part in scored])
        return out[torch.argsort(torch.cat(rows))]

    def _token_scores(self, tokens: Tensor, sequences: PackedSequences) -> list[Tensor]:
        """Scores of the tokens of each group, shape (sequences, length)."""
        for block in self.blocks:
            tokens = block(tokens, sequences)
        scores = self.head(self.norm(tokens))[:, 0]
        parts = scores.split([count * length for count, length in sequences.groups])
        return [part.unflatten(0, group) for part, group in zip(parts, sequences.groups, strict=True)]

    def _document_scores(self, scores: Tensor, k: int) -> Tensor:
        """Of token scores, shape (lists * k, length), those of the documents, shape (documents, k)."""
        return scores[:, self.n_prompts :].unflatten(0, (-1, k)).transpose(1, 2).flatten(0, 1)

    @torch.no_grad()
    def with_prompts(
        self, n_objectives: int, n_prompts: int, dropout: float, generator: torch.Generator | None = None
    ) -> ListTransformer:
        """A copy under new prompts, which are all that is to be trained of it.

        Parameters
        ----------
        n_objectives : int
            Objectives that the prompts are made of.
        n_prompts : int
            How many there are.
        dropout : float
            Share of hidden units dropped in training.
        generator : torch.Generator, optional
            Whose next draws the prompts start from, which it will draw again; torch's own by default.

        Returns
        -------
        ListTransformer
            With the transformer of this one, frozen.
        """
        new = self._like(
            generator, n_objectives=n_objectives, n_prompts=n_prompts, dropout=dropout, frozen=True
        )
        if n_prompts == self.n_prompts:
            # The mean trade-off of what was trained is where the new one starts.
            even = torch.full((self.prompt.n_objectives,), 1 / self.prompt.n_objectives)
            new.prompt.base.copy_(self.prompt(even.to(self.prompt.base)))
        return new

    @torch.no_grad()
    def fold(self, weights: Tensor) -> ListTransformer:
        """The transformer that this one is under weights of shape (m,), its prompts constant.

        Parameters
        ----------
        weights : Tensor of shape (m,)
            The trade-off.

        Returns
        -------
        ListTransformer
            For one objective, on the same device.
        """
        network = self._like(None, n_objectives=1)
        network.prompt.base.copy_(self.prompt(weights.to(self.prompt.base)))
        for parameter in (*network.prompt.inner.parameters(), *network.prompt.outer.parameters()):
            parameter.zero_()
        return network.eval()

    def _like(self, generator: torch.Generator | None, **options: float) -> ListTransformer:
        """A copy of other options, with new prompts, and all else the same."""
        make = partial(ListTransformer, **{**self.options, **options})  # type: ignore[arg-type]
        with NewTensors(forked(generator)):
            new = make().to(self.head.weight.device)
        shared = {name: p for name, p in self.state_dict().items() if not name.startswith("prompt.")}
        new.load_state_dict(shared, strict=False)
        return new


def n_heads(width: int) -> int:
    """Heads for a width: as many as divide it evenly into parts of at least 32, or one."""
    most = max(1, width // HEAD_WIDTH)
    return next(heads for heads in range(most, 0, -1) if width % heads == 0)
