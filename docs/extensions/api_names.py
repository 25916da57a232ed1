"""Names on the API pages: those in ``__all__`` of each public package, each described once."""

import importlib
import inspect
from types import ModuleType

#: Packages with a page, in the order of the contents; of a name in several, the first describes it.
PACKAGES = (
    "hyperrank",
    "hyperrank.front",
    "hyperrank.datasets",
    "hyperrank.metrics",
    "hyperrank.model_selection",
    "hyperrank.simplex",
    "hyperrank.losses",
    "hyperrank.networks",
    "hyperrank.reference",
    "hyperrank.rankers",
    "hyperrank.export",
    "hyperrank.alignment",
)

#: Headings on the page of the package, and what stands below each.
GROUPS = {
    "hyperrank": {
        "The ranker": ("HyperDPORanker", "load", "SpecializedRanker", "ModelFileError"),
        "Options of training": ("AdamW", "EarlyStopping", "TradeOffs", "CheckpointFile", "Callback"),
        "Fronts and trade-offs": ("ParetoFront", "PerQuery", "PerRow", "Explanation", "Comparison"),
        "Plots": ("ParetoFrontDisplay", "TrainingDisplay", "ExplanationDisplay"),
        "Baselines": (
            "MixedScoresRanker",
            "LightGBMScalarizationRanker",
            "LinearScalarizationRanker",
            "SoupRanker",
            "MODPORanker",
        ),
        "Query lists, splits and scorers": (
            "QueryLists",
            "QueryKFold",
            "QueryShuffleSplit",
            "make_ranking_scorer",
            "make_hypervolume_scorer",
        ),
    },
    "hyperrank.datasets": {
        "Reading": ("load_table", "load_letor", "RankingData", "quantile_grades"),
        "Stores on disk": ("convert", "open_store", "Store", "StoreError"),
        "Real data": ("fetch_mslr_sample", "fetch_movielens_100k", "FetchError"),
        "Generated data": ("make_multilabel_ranking", "make_user_item_ranking"),
    },
    "hyperrank.metrics": {
        "Metrics": ("ndcg", "err", "average_precision", "mrr", "precision"),
        "Names and conventions": ("parse_metric", "register_metric", "Metric", "Convention", "CONVENTIONS"),
        "Fronts": ("hypervolume", "non_dominated"),
        "Reports by ir-measures": ("ir_measures_report", "MeasureReport"),
    },
    "hyperrank.losses": {
        "Losses with options, for rankers": (
            "ListNet",
            "PlackettLuce",
            "PairwiseLogistic",
            "LambdaLoss",
            "ApproxNDCG",
        ),
        "The same as functions": (
            "listnet",
            "plackett_luce",
            "pairwise_logistic",
            "lambda_loss",
            "approx_ndcg",
        ),
        "Losses of your own": ("register_loss", "get_loss", "Loss", "ListLoss", "takes_gains"),
        "Objective of HyperDPO": (
            "weighted_loss",
            "prepare",
            "target_distribution",
            "temperature_loss",
            "dpo_reward",
            "margin_reward",
        ),
    },
}


def grouped_names(package: str) -> list[tuple[str, list[str]]]:
    """Names described on the page of a package, by heading; the heading is empty if it has no groups."""
    described = [name.rpartition(".")[2] for name, here in public_names(package) if here]
    groups = GROUPS.get(package, {"": described})
    listed = sorted(name for names in groups.values() for name in names)
    if listed != sorted(described):
        raise ValueError(f"GROUPS has {listed} for {package}, whose names are {sorted(described)}.")
    return [(heading, list(names)) for heading, names in groups.items()]


def public_names(package: str) -> list[tuple[str, bool]]:
    """Public names of a package, those of modules aside.

    Parameters
    ----------
    package : str
        A module with ``__all__``.

    Returns
    -------
    list of (str, bool)
        The full name under which each is described, and whether that is here.
    """
    module = importlib.import_module(package)
    names = [name for name in module.__all__ if not name.startswith("_")]
    found = {name: getattr(module, name) for name in names}
    return [_home(package, name, value) for name, value in found.items() if not isinstance(value, ModuleType)]


def _home(package: str, name: str, value: object) -> tuple[str, bool]:
    for other in PACKAGES[: PACKAGES.index(package)]:
        module = importlib.import_module(other)
        if name in module.__all__ and getattr(module, name) is value:
            return f"{other}.{name}", False
    return f"{package}.{name}", True


def shown_members(fullname: str) -> list[str]:
    """Methods and properties of a class that are defined here, not by scikit-learn or torch."""
    package, _, name = fullname.rpartition(".")
    kind = getattr(importlib.import_module(package), name)
    if not isinstance(kind, type):
        return []
    return [member for member in sorted(dir(kind)) if not member.startswith("_") and _is_ours(kind, member)]


def _is_ours(kind: type, member: str) -> bool:
    """Whether a member is defined here, rather than by scikit-learn or torch."""
    value = inspect.getattr_static(kind, member)
    value = getattr(value, "fget", None) or getattr(value, "func", None) or getattr(value, "__func__", value)
    return inspect.isfunction(value) and value.__module__.startswith("hyperrank")
