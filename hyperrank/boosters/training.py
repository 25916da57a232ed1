"""Training of LightGBM rankers on query lists: any labels, any list length, cross-fitted by query."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hyperrank._checks import _as_tuple, check_n_jobs, check_number
from hyperrank._progress import ProgressBar
from hyperrank.boosters.scoring import requested_threads
from hyperrank.lists import QueryLists

if TYPE_CHECKING:
    import lightgbm

#: LightGBM refuses queries of more rows than this (its issue 5053).
MAX_LIST = 10_000
#: The largest label that LightGBM's default gains 2^z - 1, of which it has 31, know.
MAX_GRADE = 30
#: Grades above 0 that other labels are brought to.
N_GRADES = 4

#: Rows that bins are made of at most: LightGBM's own 200,000 take three times the memory of their features.
BIN_PARAMS: Mapping[str, Any] = {"bin_construct_sample_cnt": 50_000}
#: Entries of X beyond which the memory of training is given back to the system.
LARGE_ENTRIES = 1 << 22
#: Below this many rows bagging is left out: its share could be no row at all.
MIN_BAGGED = 100
#: Boosters of up to this many entries of X are trained one per thread. LightGBM's own threads wait for each
#: other at every split: on two cores that others use too they were measured 4 to 10 times slower than one.
ONE_THREAD_ENTRIES = 50_000_000

#: ``(name, train) -> result``: trains, or returns the result of before.
Cached = Callable[[str, Callable[[], Any]], Any]

#: Native parameters of LightGBM, and ``num_boost_round``; strong on small samples of web search data.
BOOSTER_PARAMS: Mapping[str, Any] = {
    "objective": "lambdarank",
    "num_boost_round": 200,
    "learning_rate": 0.05,
    "num_leaves": 7,
    "min_data_in_leaf": 20,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.5,
    "lambda_l2": 1.0,
    "lambdarank_truncation_level": 100,
}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: Parameters about columns, files, evaluation, prediction and machines, which a ranker here cannot mean.
NOT_TAKEN = _words(
    "task config data valid input_model output_model output_result saved_feature_importance_type save_binary "
    "snapshot_freq convert_model convert_model_language two_round header label_column weight_column "
    "group_column ignore_column categorical_feature forcedsplits_filename forcedbins_filename "
    "parser_config_file machines machine_list_filename num_machines local_listen_port time_out "
    "early_stopping_round early_stopping_min_delta eval_at first_metric_only metric_freq multi_error_top_k "
    "is_provide_training_metric auc_mu_weights start_iteration_predict num_iteration_predict predict_contrib "
    "predict_raw_score predict_leaf_index predict_disable_shape_check pred_early_stop pred_early_stop_freq "
    "pred_early_stop_margin pre_partition precise_float_parser top_k pos_bagging_fraction "
    "neg_bagging_fraction"
)
#: The largest whole number that LightGBM's parameters hold.
MAX_INT = 2**31 - 1
#: Ranges of numbers, as `check_number` takes them: LightGBM itself would write to stderr before it raises.
RANGES: Mapping[str, Mapping[str, Any]] = {
    name: bounds
    for bounds, names in (
        (
            {"at_least": 1, "whole": True},
            "num_boost_round min_data_in_bin bin_construct_sample_cnt max_cat_threshold max_cat_to_onehot "
            "min_data_per_group lambdarank_truncation_level num_grad_quant_bins",
        ),
        (
            {"whole": True},
            "max_depth bagging_freq seed verbosity max_drop data_random_seed objective_seed "
            "bagging_seed feature_fraction_seed drop_seed extra_seed gpu_platform_id gpu_device_id",
        ),
        ({"at_least": 2, "at_most": 131_072, "whole": True}, "num_leaves"),
        ({"at_most": 4096, "whole": True}, "num_threads"),
        ({"at_least": 2, "whole": True}, "max_bin"),
        ({"at_least": 1, "at_most": 1, "whole": True}, "num_class num_gpu"),
        ({"at_least": 0, "whole": True}, "min_data_in_leaf"),
        (
            {"at_least": 0},
            "min_sum_hessian_in_leaf min_gain_to_split lambda_l1 lambda_l2 linear_lambda path_smooth cat_l2 "
            "cat_smooth cegb_tradeoff cegb_penalty_split lambdarank_position_bias_regularization "
            "monotone_penalty",
        ),
        ({"above": 0}, "learning_rate sigmoid scale_pos_weight alpha fair_c poisson_max_delta_step"),
        (
            {"above": 0, "at_most": 1},
            "bagging_fraction feature_fraction feature_fraction_bynode refit_decay_rate",
        ),
        ({"at_least": 0, "at_most": 1}, "drop_rate skip_drop top_rate other_rate"),
        ({"at_least": 1, "below": 2}, "tweedie_variance_power"),
        ({}, "max_delta_step histogram_pool_size"),
    )
    for name in _words(names)
}
#: Values of parameters that name something; a booster here gives one score.
CHOICES: Mapping[str, Sequence[str]] = {
    "objective": _words(
        "lambdarank rank_xendcg xendcg xe_ndcg xe_ndcg_mart xendcg_mart regression regression_l2 l2 "
        "mean_squared_error mse l2_root rmse root_mean_squared_error regression_l1 l1 mean_absolute_error "
        "mae huber fair poisson quantile mape mean_absolute_percentage_error tweedie binary cross_entropy "
        "xentropy cross_entropy_lambda xentlambda"
    ),
    "boosting": ("gbdt", "gbrt", "dart", "rf", "random_forest"),
    "data_sample_strategy": ("bagging", "goss"),
    "tree_learner": ("serial",),
    "device_type": ("cpu", "gpu", "cuda"),
}
#: Names of the absolute error, and all objectives whose leaves are refitted after each tree.
ABSOLUTE_ERROR = _words("regression_l1 l1 mean_absolute_error mae")
REFITTED = (*ABSOLUTE_ERROR, "quantile", "mape", "mean_absolute_percentage_error")
#: Objectives of labels from 0 to 1.
SHARES = _words("cross_entropy xentropy cross_entropy_lambda xentlambda")
#: Parameters that are on or off.
SWITCHES = _words(
    "boost_from_average deterministic extra_trees lambdarank_norm linear_tree use_missing zero_as_missing "
    "is_unbalance force_row_wise force_col_wise bagging_by_query use_quantized_grad enable_bundle "
    "feature_pre_filter gpu_use_dp is_enable_sparse quant_train_renew_leaf reg_sqrt stochastic_rounding "
    "uniform_drop xgboost_dart_mode"
)
#: Parameters of one number for each feature, and the range of these.
BY_FEATURE: Mapping[str, Mapping[str, Any]] = {
    "monotone_constraints": {"at_least": -1, "at_most": 1, "whole": True},
    "feature_contri": {"at_least": 0},
    "max_bin_by_feature": {"at_least": 2, "at_most": MAX_INT, "whole": True},
    "cegb_penalty_feature_lazy": {"at_least": 0},
    "cegb_penalty_feature_coupled": {"at_least": 0},
}


@cache
def _main_names() -> dict[str, str]:
    """Main name of LightGBM's parameters by each of their names; rounds go by the name that `train` uses."""
    from lightgbm.basic import _ConfigAliases

    aliases_of = _ConfigAliases._get_all_param_aliases()
    names = {alias: main for main, aliases in aliases_of.items() for alias in aliases}
    return {name: "num_boost_round" if main == "num_iterations" else main for name, main in names.items()}


def check_booster_params(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Parameters of LightGBM's under their main names; a ValueError for one that it does not know.

    Given under another name beside a default under the main one, LightGBM would ignore a parameter.
    """
    names = _main_names()
    if params is not None and not isinstance(params, Mapping):
        raise ValueError(f"booster_params must be a mapping of LightGBM's parameters; got {params!r}.")
    for name in params or {}:
        if name not in names:
            near = get_close_matches(str(name), names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "its documentation lists them."
            raise ValueError(f"booster_params has {name!r}, which is not a parameter of LightGBM: {hint}")
    checked: dict[str, Any] = {}
    for name, value in (params or {}).items():
        main = names[name]
        if main in checked:
            raise ValueError(f"booster_params has {name!r}, which is {main!r} under another name: give one.")
        if main in NOT_TAKEN:
            hint = " For categories: categorical_features=." * (main == "categorical_feature")
            raise ValueError(
                f"booster_params has {name!r}, but columns, files, evaluation, prediction and machines are "
                f"not LightGBM's to choose here: leave it out.{hint}"
            )
        what = f"booster_params[{name!r}]"
        if main in RANGES:
            bounds = RANGES[main]
            check_number(what, value, **({"at_most": MAX_INT, **bounds} if "whole" in bounds else bounds))
        elif main in CHOICES and value not in CHOICES[main]:
            raise ValueError(f"{what} must be one of {', '.join(CHOICES[main])}; got {value!r}.")
        elif main in SWITCHES and str(value).lower() not in ("true", "false", "+", "-"):
            raise ValueError(f"{what} must be True or False; got {value!r}.")
        elif main == "label_gain" or main in BY_FEATURE:
            for number in _as_tuple(value):
                check_number(what, number, **BY_FEATURE.get(main, {}))
        checked[main] = value
    _refuse_together(checked)
    return checked


def _refuse_together(params: Mapping[str, Any]) -> None:
    """Refuse parameters that LightGBM does not take together."""
    is_on = {name: str(params.get(name)).lower() in ("true", "+") for name in SWITCHES}
    objective, is_goss = params.get("objective"), params.get("data_sample_strategy") == "goss"
    clashes = {
        "force_row_wise and force_col_wise": is_on["force_row_wise"] and is_on["force_col_wise"],
        "linear_tree and zero_as_missing": is_on["linear_tree"] and is_on["zero_as_missing"],
        f"linear_tree and objective={objective!r}": is_on["linear_tree"] and objective in ABSOLUTE_ERROR,
        f"monotone_constraints and objective={objective!r}": objective in REFITTED
        and any(_as_tuple(params.get("monotone_constraints", 0))),
        "data_sample_strategy='goss' and bagging_freq": is_goss and params.get("bagging_freq", 0) > 0,
        "top_rate and other_rate with a sum above 1": is_goss
        and params.get("top_rate", 0.2) + params.get("other_rate", 0.1) > 1,
    }
    for what, clash in clashes.items():
        if clash:
            raise ValueError(f"booster_params has {what}, which LightGBM does not take together: drop one.")


def is_search(booster_params: Any) -> bool:
    """Whether parameters are to be searched; a ValueError if they are not parameters of LightGBM's either."""
    if booster_params is None or isinstance(booster_params, Mapping):
        check_booster_params(booster_params)
        return False
    if isinstance(booster_params, str) and booster_params == "search":
        return True
    raise ValueError(
        f"booster_params must be None, a mapping of LightGBM parameters, or 'search'; got {booster_params!r}."
    )


def booster_grades(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Labels (n,) as the small whole numbers that LightGBM takes.

    Whole numbers up to 30 stay as they are. Anything else (fractions, counts, seconds) becomes a grade:
    0 stays 0, and labels above it get 1 to 4 by their quartile among those.
    """
    if len(labels) == 0 or (labels.max() <= MAX_GRADE and (labels == np.floor(labels)).all()):
        return labels.astype(np.int32)
    grades = np.zeros(len(labels), dtype=np.int32)
    above = labels > 0
    ordered = np.sort(labels[above])
    below = np.searchsorted(ordered, labels[above], side="left")
    grades[above] = 1 + np.minimum(N_GRADES * below // len(ordered), N_GRADES - 1)
    return grades


def fit_booster(
    X: NDArray[np.float32],
    labels: NDArray[Any],
    lists: QueryLists,
    *,
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    list_weight: NDArray[Any] | None = None,
    on_round: Callable[[], None] | None = None,
    categorical: Iterable[int] = (),
    binned: lightgbm.Dataset | None = None,
) -> lightgbm.Booster:
    """Fit one LightGBM ranker to one objective, its labels (n,) NaN where unobserved.

    Rows without a label are left out. Lists of more than 10,000 rows, which LightGBM refuses, are split at
    random into lists of at most that many. `params` go on top of `BOOSTER_PARAMS`; `list_weight` (n_lists,)
    says how much each list counts; `on_round` is called after each round; `categorical` are feature numbers;
    `binned` has the rows with a label as LightGBM holds them, if they were brought to that before.
    """
    import lightgbm

    settings, rounds = _settings(X, params, seed)
    rows, sizes, row_list = _booster_rows(labels, lists, np.random.default_rng(seed))
    if len(rows) == 0:
        raise ValueError("no row has a label for this objective: every entry is NaN.")
    if settings.get("data_sample_strategy") == "goss" or len(rows) < MIN_BAGGED:
        settings.update(bagging_freq=0)
    grades = booster_grades(labels[rows])
    gains = _as_tuple(settings.get("label_gain", range(MAX_GRADE + 1)))
    if grades.max() >= len(gains):
        raise ValueError(
            f"booster_params['label_gain'] has {len(gains)} gains; expected one for each label from 0 to "
            f"{grades.max()}."
        )
    if settings["objective"] in SHARES and grades.max() > 1:
        raise ValueError(
            f"booster_params['objective']={settings['objective']!r} takes labels from 0 to 1; got "
            f"{grades.max()}."
        )
    callbacks: list[Callable[[Any], None]] = [] if on_round is None else [lambda _: on_round()]
    with _naming_params():
        if binned is None:
            data = _in_bins(X, rows, settings, categorical)
        else:
            data = binned.subset([])
            # `subset` would make a list of objects of them.
            data.used_indices = np.arange(len(rows), dtype=np.int32)  # type: ignore[assignment]
            data.construct()
        data.set_label(grades)
        data.set_group(sizes)
        if list_weight is not None:
            data.set_weight(list_weight[row_list])
        return lightgbm.train(settings, data, num_boost_round=rounds, callbacks=callbacks)


def _settings(
    X: NDArray[np.float32], params: Mapping[str, Any] | None, seed: int
) -> tuple[dict[str, Any], int]:
    """LightGBM's parameters for these features, and the rounds."""
    settings = {**BOOSTER_PARAMS, **check_booster_params(params)}
    for name in BY_FEATURE:
        if name in settings and len(_as_tuple(settings[name])) != X.shape[1]:
            raise ValueError(
                f"booster_params[{name!r}] has {len(_as_tuple(settings[name]))} numbers; expected one for "
                f"each of {X.shape[1]} features, those within the query among them (query_standardize)."
            )
    rounds = int(settings.pop("num_boost_round"))
    settings = {"verbosity": -1, "deterministic": True, "seed": seed, **BIN_PARAMS, **settings}
    settings.setdefault("force_row_wise", not settings.get("force_col_wise"))
    if X.size <= ONE_THREAD_ENTRIES:
        settings.setdefault("num_threads", 1)
    elif requested_threads() is not None:
        settings.setdefault("num_threads", requested_threads())
    return settings, rounds


def _in_bins(
    X: NDArray[np.float32], rows: NDArray[np.int64], settings: dict[str, Any], categorical: Iterable[int]
) -> lightgbm.Dataset:
    """Some rows as LightGBM will hold them, without labels."""
    import lightgbm

    # A copy of all rows would be X again.
    own = X if isinstance(X, np.ndarray) and np.array_equal(rows, np.arange(len(X))) else X[rows]
    return lightgbm.Dataset(own, params=settings, categorical_feature=list(categorical), free_raw_data=True)


@contextmanager
def _naming_params() -> Iterator[None]:
    """Errors of LightGBM's that name the argument."""
    from lightgbm.basic import LightGBMError

    try:
        yield
    except LightGBMError as error:
        raise ValueError(f"LightGBM cannot train by these booster_params: {str(error).strip()}") from error


def fit_boosters(
    X: NDArray[np.float32],
    Y: NDArray[Any],
    lists: QueryLists,
    *,
    objectives: Sequence[int],
    params: Mapping[str, Any] | None = None,
    seed: int = 0,
    list_weight: NDArray[Any] | None = None,
    categorical: Iterable[int] = (),
    n_jobs: int | None = None,
    cached: Cached | None = None,
    verbose: int = 0,
    desc: str = "boosters",
) -> list[lightgbm.Booster]:
    """Fit one booster per objective, a column of `Y`, several at once; options as for `fit_booster`.

    The result does not depend on `n_jobs`. `cached` is ``(name, train) -> booster``: it trains, or returns
    what a checkpoint has. A progress bar over all rounds is named `desc`.
    """
    settings, rounds = _settings(X, params, seed)
    bar = ProgressBar(len(objectives) * rounds, verbose=verbose, desc=desc)
    binned, known = None, ~np.isnan(Y[:, objectives])
    if len(objectives) > 1 and known.any() and (known == known[:, :1]).all():
        # Bringing features into bins takes as long as dozens of rounds: once for all objectives.
        rows = _booster_rows(Y[:, objectives[0]], lists, np.random.default_rng(seed))[0]
        with _naming_params():
            binned = _in_bins(X, rows, settings, categorical).construct()
        del rows
    fit = partial(
        fit_booster,
        X,
        lists=lists,
        params=params,
        seed=seed,
        list_weight=list_weight,
        on_round=bar.advance,
        categorical=categorical,
        binned=binned,
    )
    tasks = [partial(fit, Y[:, j]) for j in objectives]
    if cached is not None and X.size > ONE_THREAD_ENTRIES:
        tasks = [partial(cached, f"booster {j}", task) for j, task in zip(objectives, tasks, strict=True)]
    with bar:
        boosters = in_threads(tasks, n_jobs, X)
    if X.size > LARGE_ENTRIES:
        del tasks, fit, binned  # and the bins with them
        # Of glibc alone, which keeps what LightGBM has freed; Windows has no library of no name.
        with suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).malloc_trim(0)
    return boosters


def in_threads(tasks: list[Any], n_jobs: int | None, X: NDArray[np.float32]) -> list[Any]:
    """Run tasks in threads, which LightGBM leaves free; one at a time where each takes all cores itself."""
    from joblib import Parallel, delayed

    at_once = check_n_jobs(n_jobs) or -1
    if X.size > ONE_THREAD_ENTRIES:
        at_once = 1
    # Of this process whatever backend the caller has set: on Dask's, fits within a search's would wait for
    # workers that wait for them.
    return list(Parallel(n_jobs=at_once, require="sharedmem")(delayed(task)() for task in tasks))


def _booster_rows(
    labels: NDArray[Any], lists: QueryLists, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows with a label, the sizes of the lists they make, and the list each row came from."""
    rows = np.flatnonzero(~np.isnan(labels))
    index = lists.index[rows]
    parts = QueryLists.from_sizes(np.bincount(index, minlength=lists.n_lists)).split(MAX_LIST, rng)
    # Each piece of a long list is a fair sample of it.
    return parts.group(rows), parts.sizes[parts.sizes > 0], parts.group(index)
