"""Networks by name, with their options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from hyperrank._checks import Params, _as_tuple, check_number
from hyperrank.files import storable
from hyperrank.networks.conditioning import Conditioning, get_conditioning
from hyperrank.networks.scorer import ConditionedScorer
from hyperrank.networks.transformer import ListTransformer


@storable
@dataclass
class MLP(Params):
    """Multi-layer perceptron that scores each document alone.

    Parameters
    ----------
    hidden : sequence of int or "auto", default "auto"
        Widths of the hidden layers; all but the last are shared by all weights. By default (128, 128), and
        below 100 queries (128, 256).
    conditioning : {"film", "concat", "hypernetwork", "none"} or class, default "film"
        How the weights reach the last hidden layer: a name, one of `register_conditioning`, or a subclass of
        `ConditionedLinear`.
    dropout : float or "auto", default "auto"
        Share of hidden units dropped in training: 0.5 by default.
    n_members : int or "auto", default "auto"
        Members of a packed ensemble, which share all hidden layers but the last and split its units evenly:
        each is trained to score by itself, and their mean is the score, which overfits less on few queries.
        By default 4 where `hidden` is "auto" too and queries are fewer than 100; 1 otherwise.

    Examples
    --------
    >>> MLP(hidden=(64, 32)).resolve()
    MLP(hidden=(64, 32), conditioning='film', dropout=0.5, n_members=1)
    >>> MLP().resolve(n_queries=50)
    MLP(hidden=(128, 256), conditioning='film', dropout=0.5, n_members=4)
    """

    #: What "auto" stands for; benchmarks/results/ledger.md says what was compared.
    auto_dropout: ClassVar[float] = 0.5
    auto_learning_rate: ClassVar[float] = 8e-3
    few_queries: ClassVar[int] = 100  # fewer are too few to tune on, and get a packed ensemble

    hidden: Sequence[int] | str = "auto"
    conditioning: str | Conditioning = "film"
    dropout: float | str = "auto"
    n_members: int | str = "auto"

    def resolve(self, n_queries: int | None = None) -> MLP:
        """Options checked, and those that are "auto" chosen.

        Parameters
        ----------
        n_queries : int, optional
            Queries to train on; many by default.

        Returns
        -------
        MLP

        Raises
        ------
        ValueError
            If an option is unknown or out of range.
        """
        get_conditioning(self.conditioning)
        is_packed = n_queries is not None and n_queries < self.few_queries
        hidden: Sequence[int] | str = self.hidden
        n_members: int | str = self.n_members
        if n_members == "auto":
            n_members = 4 if is_packed and hidden == "auto" else 1
        if isinstance(hidden, str) and hidden == "auto":
            hidden = (128, 256) if is_packed else (128, 128)
        widths = check_hidden(hidden)
        members = int(check_number("n_members", n_members, at_least=1, whole=True, or_auto=True))
        if widths[-1] % members:
            raise ValueError(
                f"n_members must divide the last hidden layer, of {widths[-1]} units; got {members}. Choose "
                f"hidden so that it does, such as {members * max(1, widths[-1] // members)} units."
            )
        return replace(self, hidden=widths, dropout=check_dropout(self), n_members=members)

    def build(
        self, n_features: int, n_objectives: int, *, n_more: int = 0, categories: Sequence[int] = ()
    ) -> ConditionedScorer:
        """The network, with parameters drawn from torch's generator.

        Parameters
        ----------
        n_features, n_objectives : int
        n_more : int, default 0
            Numbers that condition the network in addition to the weights, such as a temperature.
        categories : sequence of int, default ()
            Number of categories of each categorical feature, which `n_features` does not count.

        Returns
        -------
        ConditionedScorer
        """
        resolved = self.resolve()
        return ConditionedScorer(
            n_features, n_objectives, **resolved.get_params(), n_more=n_more, categories=categories
        )


@storable
@dataclass
class Transformer(Params):
    """Transformer over the documents of a list, with the weights as prompt vectors.

    It is computed once per trade-off, and its cost grows with the square of a list's length.

    Parameters
    ----------
    hidden : sequence of int, default (128, 128)
        Widths of the layers, all the same.
    n_prompts : int, default 4
        Prompt vectors.
    dropout : float or "auto", default "auto"
        Share of hidden units dropped in training: 0.3 by default.
    pretrained : fitted ranker, optional
        One with a transformer, whose features and transformer are kept as they are: prompts alone are
        trained, and `hidden` is that of the ranker.

    Examples
    --------
    >>> Transformer(n_prompts=2).resolve()
    Transformer(hidden=(128, 128), n_prompts=2, dropout=0.3, pretrained=None)
    """

    auto_dropout: ClassVar[float] = 0.3
    auto_learning_rate: ClassVar[float] = 2e-3

    hidden: Sequence[int] = (128, 128)
    n_prompts: int = 4
    dropout: float | str = "auto"
    pretrained: Any = None

    def resolve(self) -> Transformer:
        """Options checked, and those that are "auto" chosen.

        Returns
        -------
        Transformer

        Raises
        ------
        ValueError
            If an option is out of range.
        """
        hidden = check_hidden(self.hidden)
        if len(set(hidden)) != 1:
            raise ValueError(f"hidden must be one width for all layers of a transformer; got {hidden}.")
        n_prompts = int(check_number("n_prompts", self.n_prompts, at_least=1, whole=True))
        return replace(self, hidden=hidden, n_prompts=n_prompts, dropout=check_dropout(self))

    def build(
        self, n_features: int, n_objectives: int, *, alone: bool = False, categories: Sequence[int] = ()
    ) -> ListTransformer:
        """The network, with parameters drawn from torch's generator.

        Parameters
        ----------
        n_features, n_objectives : int
        alone : bool, default False
            Whether each document is a list of its own.
        categories : sequence of int, default ()
            Number of categories of each categorical feature, which `n_features` does not count.

        Returns
        -------
        ListTransformer
        """
        options = self.resolve().get_params(deep=False)
        del options["pretrained"]
        return ListTransformer(n_features, n_objectives, **options, alone=alone, categories=categories)


_NETWORKS = {"mlp": MLP, "transformer": Transformer}


def get_network(network: str | MLP | Transformer) -> MLP | Transformer:
    """Get a network by name, with its default options, or return a given one.

    Parameters
    ----------
    network : {"mlp", "transformer"}, MLP or Transformer

    Returns
    -------
    MLP or Transformer

    Raises
    ------
    ValueError
        If there is none of the name.

    Examples
    --------
    >>> get_network("mlp")
    MLP(hidden='auto', conditioning='film', dropout='auto', n_members='auto')
    """
    if isinstance(network, MLP | Transformer):
        return network
    if not isinstance(network, str) or network not in _NETWORKS:
        raise ValueError(
            f"network must be one of {tuple(_NETWORKS)}, or an object such as MLP(hidden=(64, 64)) or "
            f"Transformer(pretrained=ranker); got {network!r}."
        )
    return _NETWORKS[network]()


def check_hidden(hidden: Sequence[int] | str) -> tuple[int, ...]:
    """Widths of layers, each a whole number of at least 1."""
    widths = tuple(int(check_number("hidden", width, at_least=1, whole=True)) for width in _as_tuple(hidden))
    if not widths:
        raise ValueError("hidden must name at least one layer, such as (128, 128).")
    return widths


def check_dropout(network: MLP | Transformer) -> float:
    """The share of hidden units dropped: a number within [0, 1), or that of the network where "auto"."""
    if network.dropout == "auto":
        return network.auto_dropout
    return check_number("dropout", network.dropout, at_least=0, below=1, or_auto=True)
