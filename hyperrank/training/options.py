"""Options of training as objects: optimiser, trade-offs, checkpoint file."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hyperrank._checks import check_number
from hyperrank._params import Params
from hyperrank.files import storable
from hyperrank.training.temperature import TemperatureRange, check_range


@storable
@dataclass
class AdamW(Params):
    """AdamW on batches of whole queries, and the running average of the parameters.

    Parameters
    ----------
    learning_rate : float or "auto", default "auto"
        At the peak, after a warm-up and before a cosine decay: by default 8e-3, of a transformer 2e-3.
    weight_decay : float, default 1e-2
    average_decay : float, default 0.99
        Decay per step of the running average of parameters that is kept; 0 keeps the last ones.
    batch_docs : int or "auto", default "auto"
        Documents per batch; queries stay whole.

    References
    ----------
    Loshchilov, Hutter: Decoupled Weight Decay Regularization, ICLR 2019.

    Examples
    --------
    >>> from hyperrank import HyperDPORanker
    >>> HyperDPORanker(optimizer=AdamW(learning_rate=1e-3)).set_params(optimizer__weight_decay=0).optimizer
    AdamW(learning_rate=0.001, weight_decay=0, average_decay=0.99, batch_docs='auto')
    """

    learning_rate: float | str = "auto"
    weight_decay: float = 1e-2
    average_decay: float = 0.99
    batch_docs: int | str = "auto"

    def resolve(self, n_rows: int, learning_rate: float) -> AdamW:
        """Options checked, and those that are "auto" chosen.

        Parameters
        ----------
        n_rows : int
            Training rows.
        learning_rate : float
            That of the network where it is "auto".

        Returns
        -------
        AdamW

        Raises
        ------
        ValueError
            If an option is out of range.
        """
        rate, batch_docs = self.learning_rate, self.batch_docs
        if rate == "auto":
            rate = learning_rate
        if batch_docs == "auto":
            batch_docs = 1024 if n_rows < 200_000 else 8192
        return AdamW(
            learning_rate=check_number("learning_rate", rate, above=0, or_auto=True),
            weight_decay=check_number("weight_decay", self.weight_decay, at_least=0),
            average_decay=check_number("average_decay", self.average_decay, at_least=0, below=1),
            batch_docs=int(check_number("batch_docs", batch_docs, at_least=1, whole=True, or_auto=True)),
        )


@storable
@dataclass
class TradeOffs(Params):
    r"""Trade-offs that a conditioned network is trained at.

    Parameters
    ----------
    alpha : float, default 1.0
        Concentration of the Dirichlet distribution of the weights: 1 is uniform, less looks more at the
        corners.
    n_draws : int, default 2
        Weights drawn per query and step; they share the unconditioned part of the network.
    temperature_range : (float, float), optional
        Temperatures about 1 that the network is trained at and told of, for ``loss="listnet"`` over a
        reference: it then learns most of what the reference leaves open at each. Others are refused at
        predict, but 0. By default it knows none, and every temperature is a factor. The reference is fitted
        four more times for it, without some of the queries; one fitted elsewhere should not have seen them.

    Examples
    --------
    >>> from hyperrank import HyperDPORanker
    >>> ranker = HyperDPORanker(trade_offs=TradeOffs(temperature_range=(0.5, 2.0)))
    """

    alpha: float = 1.0
    n_draws: int = 2
    temperature_range: TemperatureRange | None = None

    def resolve(self) -> TradeOffs:
        """Options checked.

        Returns
        -------
        TradeOffs

        Raises
        ------
        ValueError
            If one is out of range.
        """
        return TradeOffs(
            alpha=check_number("alpha", self.alpha, above=0),
            n_draws=int(check_number("n_draws", self.n_draws, at_least=1, whole=True)),
            temperature_range=check_range(self.temperature_range),
        )


@storable
@dataclass
class CheckpointFile(Params):
    """File in which an unfinished fit is stored.

    Parameters
    ----------
    path : path
    every : float, default 60.0
        Seconds between checkpoints in training; each phase before it ends with one.
    keep : bool, default False
        Whether the file stays when the fit is complete, for who deletes it once the ranker is saved.

    Examples
    --------
    >>> from hyperrank import HyperDPORanker
    >>> ranker = HyperDPORanker(checkpoint=CheckpointFile("fit.checkpoint", every=600))
    """

    path: str | os.PathLike[str]
    every: float = 60.0
    keep: bool = False
