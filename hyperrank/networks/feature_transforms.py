"""Feature transforms and embeddings of categories as torch modules, saved and exported with their network."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperrank._environment import Dropout
from hyperrank.memmap import FeatureRows, MappedRows

#: The named transforms.
TRANSFORMS = ("quantile", "standard", "log", "none")

#: Rows that quantiles, means and deviations are estimated from; more would hardly change them.
MAX_FIT_ROWS = 200_000

#: Entries that are looked at at a time for missing values.
ENTRIES_AT_ONCE = 1 << 20
#: Entries that are searched for among the knots at a time: what that takes stays in the processor's cache.
SEARCHED_AT_ONCE = 1 << 18
#: Entries below which one search is faster than its steps are called.
FEW = 1 << 12
#: Where the linear transforms end: values that training never came near would overflow the network's sums.
LIMIT = 1e6


class FeatureTransform(nn.Module):
    """Features of any scale, with missing values, to features a network likes.

    A feature that has missing values (NaN) in training gets a second column that says whether it is missing;
    the missing value itself becomes 0, which is the centre of every transform but ``"none"``.

    - ``"quantile"``: the normal quantile of the value's mid-rank, by linear interpolation between knots,
      then standardised. Blind to the feature's scale, outliers and any monotone change of it.
    - ``"standard"``: zero mean and unit variance, cut at a million deviations.
    - ``"log"``: the same of sign(x) log(1 + |x|).
    - ``"none"``: the value itself, cut at a million.

    `tables` are ``knots`` and ``values`` of shape (d, n_knots), or ``mean`` and ``scale`` of shape (d,).
    """

    missing_columns: Tensor
    categorical: Tensor
    numeric: Tensor
    knots: Tensor
    values: Tensor
    search: Tensor
    first: Tensor
    heights: Tensor
    slopes: Tensor
    scales: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(
        self, kind: str, has_missing: Tensor, tables: dict[str, Tensor], categorical: Sequence[int] = ()
    ) -> None:
        super().__init__()
        if kind not in TRANSFORMS:
            raise ValueError(f"transform must be one of {TRANSFORMS}; got {kind!r}.")
        self.kind = kind
        self.register_buffer("missing_columns", has_missing.nonzero()[:, 0])
        self.n_in = len(has_missing) + len(categorical)
        codes = torch.tensor(list(categorical), dtype=torch.int64)
        is_numeric = torch.ones(self.n_in, dtype=torch.bool)
        is_numeric[codes] = False
        self.register_buffer("categorical", codes)
        self.register_buffer("numeric", is_numeric.nonzero()[:, 0])
        self.table_names = tuple(tables)
        for name, table in tables.items():
            self.register_buffer(name, table)
        if kind == "quantile":
            for name, table in _searched(tables["knots"], tables["values"]).items():
                self.register_buffer(name, table)

    @property
    def has_missing(self) -> Tensor:
        """Features that were missing somewhere in training, shape (d,), bool; categorical ones left out."""
        flags = torch.zeros(len(self.numeric), dtype=torch.bool, device=self.missing_columns.device)
        flags[self.missing_columns] = True
        return flags

    @property
    def tables(self) -> dict[str, Tensor]:
        """The fitted tables, as they were given."""
        return {name: getattr(self, name) for name in self.table_names}

    @property
    def n_out(self) -> int:
        """Number of columns that come out."""
        return self.n_in + len(self.missing_columns)

    @property
    def n_categorical(self) -> int:
        """How many columns that come out, the last ones, are codes of categories."""
        return len(self.categorical)

    def split(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features that are not categorical, and codes of those that are."""
        if not self.n_categorical:
            return features, features[:, :0]
        codes = features[:, self.categorical] + 1
        return features[:, self.numeric], codes.masked_fill(torch.isnan(codes), 0.0)

    def forward(self, features: Tensor) -> Tensor:
        """Transformed features of shape (n, n_out) for features of shape (n, d)."""
        features, codes = self.split(features)
        missing = torch.isnan(features)
        if self.kind == "quantile":
            out = self._interpolated(features)
        elif self.kind == "log":
            out = ((self._signed_log(features) - self.mean) / self.scale).clamp(-LIMIT, LIMIT)
        elif self.kind == "standard":
            out = ((features - self.mean) / self.scale).clamp(-LIMIT, LIMIT)
        else:
            out = features.clamp(-LIMIT, LIMIT)
        # On a GPU to ask would mean to wait, and an exported graph cannot ask.
        if features.device.type != "cpu" or torch.compiler.is_compiling() or missing.any():
            out = out.masked_fill(missing, 0.0)
        if len(self.missing_columns) == 0 and not self.n_categorical:
            return out
        return torch.cat([out, missing[:, self.missing_columns].to(out.dtype), codes], dim=1)

    def _signed_log(self, features: Tensor) -> Tensor:
        """sign(x) log(1 + abs(x))."""
        return torch.sign(features) * torch.log1p(features.abs())

    def _interpolated(self, features: Tensor) -> Tensor:
        """Piecewise-linear function of each feature, constant beyond its first and last knot."""
        n, d = features.shape
        at_once = max(1, SEARCHED_AT_ONCE // max(1, d))
        if n <= at_once or features.device.type != "cpu":
            return self._columns(features).T
        out = features.new_empty(d, n)
        for first in range(0, n, at_once):
            out[:, first : first + at_once] = self._columns(features[first : first + at_once])
        return out.T

    def _columns(self, features: Tensor) -> Tensor:
        """The same with a row for each feature."""
        columns = features.T.contiguous().clamp(self.knots[:, :1], self.knots[:, -1:])  # NaN stays NaN
        at = last_knots(self.search, columns, self.first)
        knot, y0, slope = (
            table.index_select(0, at).view_as(columns) for table in (self.search, self.heights, self.slopes)
        )
        # Apart, not as one operation: that would round otherwise at the end of a vector.
        return columns.mul_(self.scales).sub_(knot.mul_(self.scales)).mul_(slope).add_(y0)


def fit_transform_module(
    features: FeatureRows,
    kind: str,
    *,
    n_knots: int = 256,
    rng: np.random.Generator,
    categorical: Collection[int] = (),
) -> FeatureTransform:
    """Fit a `FeatureTransform` to features (n, d) float32; `rng` picks the rows of more than 200,000.

    Examples
    --------
    >>> import numpy as np, torch
    >>> x = np.array([[1.0], [10.0], [1000.0], [np.nan]], dtype=np.float32)
    >>> fit_transform_module(x, "quantile", rng=np.random.default_rng(0))(torch.from_numpy(x)).T
    tensor([[-1.2247,  0.0000,  1.2247,  0.0000],
            [ 0.0000,  0.0000,  0.0000,  1.0000]])
    """
    has_missing = np.delete(_has_missing(features), [*categorical])
    if len(features) > MAX_FIT_ROWS:
        features = features[np.sort(rng.choice(len(features), MAX_FIT_ROWS, replace=False))]
    rows = features[:] if isinstance(features, MappedRows) else features
    if categorical:
        rows = np.delete(rows, [*categorical], axis=1)
        kind = kind if rows.shape[1] else "none"
    tables: dict[str, Tensor] = {}
    if kind == "quantile":
        tables = _quantile_tables(rows, n_knots)
    elif kind in ("standard", "log"):
        tables = _moments(rows, logarithm=kind == "log")
    return FeatureTransform(kind, torch.from_numpy(has_missing), tables, sorted(categorical))


def _has_missing(features: FeatureRows) -> NDArray[np.bool_]:
    """Which features are missing somewhere, looked for part by part: they may be more than memory holds."""
    missing = np.zeros(features.shape[1], dtype=bool)
    n_rows = max(1, ENTRIES_AT_ONCE // max(1, features.shape[1]))
    for start in range(0, len(features), n_rows):
        missing |= np.isnan(features[start : start + n_rows]).any(axis=0)
    return missing


def _quantile_tables(features: NDArray[np.float32], n_knots: int) -> dict[str, Tensor]:
    """Knots and their normal scores for every feature, padded to a common length by repeating the last."""
    columns = [_quantile_column(column, n_knots) for column in features.T]
    longest = max((len(knots) for knots, _ in columns), default=1)
    knots = np.stack([np.pad(k, (0, longest - len(k)), mode="edge") for k, _ in columns])
    values = np.stack([np.pad(v, (0, longest - len(v)), mode="edge") for _, v in columns])
    return {"knots": torch.from_numpy(knots), "values": torch.from_numpy(values)}


def _quantile_column(
    column: NDArray[np.float32], n_knots: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Knots of one feature, and the standardised normal quantile of each knot's mid-rank."""
    known = np.sort(column[~np.isnan(column)])
    if len(known) == 0:
        return np.zeros(1, dtype=np.float32), np.zeros(1, dtype=np.float32)
    knots = np.unique(known)
    if len(knots) > n_knots:
        levels = np.linspace(0, len(known) - 1, n_knots).round().astype(np.int64)
        knots = np.unique(known[levels])
    middle = (np.searchsorted(known, knots, "left") + np.searchsorted(known, knots, "right")) / 2
    scores = torch.special.ndtri(torch.from_numpy(middle / len(known))).numpy()
    spread = np.interp(known, knots, scores)
    deviation = spread.std()
    scores = (scores - spread.mean()) / deviation if deviation > 1e-12 else np.zeros_like(scores)
    return knots, scores.astype(np.float32)


def _moments(features: NDArray[np.float32], *, logarithm: bool) -> dict[str, Tensor]:
    """Mean and deviation of every feature in float64; a constant or empty feature gets deviation 1."""
    wide = features.astype(np.float64)
    if logarithm:
        wide = np.sign(wide) * np.log1p(np.abs(wide))
    counts = (~np.isnan(wide)).sum(axis=0).clip(min=1)
    mean = np.nansum(wide, axis=0) / counts
    deviation = np.sqrt(np.nansum((wide - mean) ** 2, axis=0) / counts)
    constant = ~(deviation > np.maximum(1e-12 * np.abs(mean), np.finfo(np.float32).tiny))
    deviation[constant] = 1.0
    return {
        "mean": torch.from_numpy(mean.astype(np.float32)),
        "scale": torch.from_numpy(deviation.astype(np.float32)),
    }


def last_knots(search: Tensor, columns: Tensor, first: Tensor) -> Tensor:
    """Places (d * n,) in a flat table of the last knots not above values (d, n); any place for NaN.

    `search` holds the knots of one feature after the other, filled up with infinity to a power of two each.
    On a processor by halves, all values at a time and without branches: `torch.searchsorted` guesses each
    branch wrong half of the time, and took four times as long.
    """
    if columns.device.type != "cpu" or columns.numel() < FEW:
        table = search.view(len(first), -1)
        return torch.searchsorted(table, columns, right=True, out_int32=True).add_(first - 1).view(-1)
    at = first.expand_as(columns).contiguous().view(-1)
    values, passed = columns.view(-1), torch.empty_like(at)
    step = len(search) // len(first) // 2
    while step:
        torch.le(search[step:].index_select(0, at), values, out=passed)
        at.add_(passed, alpha=step)
        step //= 2
    return at


def _searched(knots: Tensor, values: Tensor) -> dict[str, Tensor]:
    """What the interpolation looks up, a power of two of places for each feature, in flat tables."""
    scales, slopes = _slopes(knots, values)
    n = knots.shape[1]
    width = 1 << (n - 1).bit_length()

    def flat(table: Tensor, beyond: float = 0.0) -> Tensor:
        return torch.nn.functional.pad(table, (0, width - n), value=beyond).reshape(-1)

    first = torch.arange(0, width * len(knots), width, device=knots.device, dtype=torch.int32)[:, None]
    return {
        "search": flat(knots, torch.inf),
        "first": first,
        "heights": flat(values),
        "slopes": flat(slopes),
        "scales": scales,
    }


def _slopes(knots: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """A power of two for each feature, and the slope from each scaled knot to the next, 0 from the last.

    Scaled knots lie between -1 and 1, so that no difference of two overflows, however large they are.
    """
    exponent = torch.frexp(knots.abs().amax(dim=1, keepdim=True)).exponent.clamp(-125, 126)
    scale = torch.ldexp(torch.ones_like(knots[:, :1]), -exponent)
    span, rise = (knots * scale).double().diff(dim=1), values.double().diff(dim=1)
    slopes = torch.where(span > 0, rise / torch.where(span > 0, span, 1.0), 0.0)
    largest = torch.finfo(knots.dtype).max
    return scale, torch.nn.functional.pad(slopes.clamp(max=largest).to(knots.dtype), (0, 1))


#: Widths of embeddings: so many times the fourth root of the number of categories, up to the most.
EMBEDDING_WIDTH, MAX_EMBEDDING_WIDTH = 2.0, 16
#: Share of the categories that training takes for unknown ones, so that these are learnt.
UNKNOWN_SHARE = 0.1


class CategoryEmbedding(nn.Module):
    """Codes of categories in the last columns, replaced by vectors that are learnt.

    The first vector of each feature stands for missing and unknown categories. All start at zero, so that
    a category of which little is learnt stays near the others. `sizes` are numbers of categories.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.tables = nn.ParameterList(
            torch.zeros(size + 1, min(MAX_EMBEDDING_WIDTH, math.ceil(EMBEDDING_WIDTH * max(size, 1) ** 0.25)))
            for size in sizes
        )
        self.n_out = sum(table.shape[1] for table in self.tables)
        self.dropout = Dropout(UNKNOWN_SHARE)

    def forward(self, features: Tensor) -> Tensor:
        """Features of shape (n, d) for plain ones and codes, one column each; codes begin at 1."""
        n_plain = features.shape[1] - len(self.tables)
        codes = features[:, n_plain:]
        if self.training:
            codes = codes * (self.dropout(torch.ones_like(codes)) > 0)
        vectors = [table[row_of(codes[:, j], table)] for j, table in enumerate(self.tables)]
        return torch.cat([features[:, :n_plain], *vectors], dim=1)


def row_of(codes: Tensor, table: Tensor) -> Tensor:
    """The row of each code in a table; that of unknown ones where it has no such row."""
    return torch.where((codes > 0) & (codes < len(table)), codes, torch.zeros_like(codes)).long()
