"""Parameters of the ranker from options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Any

__all__ = ["ranker_params", "reference_of"]


def ranker_params(named: Mapping[str, Any], settings: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Parameters of `HyperDPORanker` from named options and ``--set``.

    Parameters
    ----------
    named : mapping
        Parameters that have options of their own; None where not given.
    settings : sequence of (str, object)
        What ``--set`` was given.

    Raises
    ------
    ValueError
        If a parameter is unknown or given twice.
    """
    from hyperrank.rankers import HyperDPORanker

    known = list(signature(HyperDPORanker).parameters)
    params = {name: value for name, value in named.items() if value is not None}
    for name, value in settings:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"was {near[0]!r} meant?" if near else f"there are {', '.join(known)}."
            raise ValueError(f"--set: the ranker has no parameter {name!r}; {hint}")
        if name == "objectives":
            raise ValueError("--set objectives: name the objectives by --labels.")
        if name in params:
            raise ValueError(f"{name} is given twice.")
        params[name] = value
    if "reference" in params:
        params["reference"] = reference_of(params["reference"])
    return params


def reference_of(given: Any) -> Any:
    """A reference as the ranker takes it: one of its names, None, or a LightGBM model from its file.

    Raises
    ------
    ValueError
        If it is neither a name nor a file that LightGBM reads.
    """
    from hyperrank.reference import REFERENCES

    if given is None or given == "none":
        return None
    if given in REFERENCES:
        return given
    path = Path(str(given))
    if not path.is_file():
        near = get_close_matches(str(given), [*REFERENCES, "none"], n=1)
        hint = f" Was {near[0]!r} meant?" if near else ""
        raise ValueError(
            f"the reference {str(given)!r} is neither {', '.join(REFERENCES)}, none, nor a file with a "
            f"LightGBM model.{hint}"
        )
    import lightgbm

    try:
        return lightgbm.Booster(model_file=path)
    except lightgbm.basic.LightGBMError as error:
        raise ValueError(f"{path} holds no LightGBM model in text form: {error}") from error
