"""Base of option objects: parameters that clone, searches and set_params reach."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar, Self


class Params:
    """Base of dataclasses that hold options of a ranker, such as those of its loss.

    A ranker that is given one lets scikit-learn reach its fields, as in ``ranker.set_params(loss__top_k=5)``.
    The constructor only stores, as scikit-learn asks: who takes the object checks it.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Cooling(Params):
    ...     rate: float = 0.5
    >>> Cooling().set_params(rate=0.1)
    Cooling(rate=0.1)
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]  # what makes a class a dataclass to type checkers

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name.

        Parameters
        ----------
        deep : bool, default True
            Whether to add, as ``name__parameter``, the parameters of parameters that have some.

        Returns
        -------
        dict
        """
        params = {field.name: getattr(self, field.name) for field in fields(self)}
        if deep:
            for name, value in list(params.items()):
                if isinstance(value, Params):
                    params |= {f"{name}__{key}": inner for key, inner in value.get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        Parameters
        ----------
        **params
            New values; ``name__parameter`` sets a parameter of a parameter.

        Returns
        -------
        Params
            Itself.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        known = [field.name for field in fields(self)]
        for name, value in params.items():
            own, _, inner = name.partition("__")
            if own not in known or (inner and not isinstance(getattr(self, own), Params)):
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; it has {known}.")
            if inner:
                getattr(self, own).set_params(**{inner: value})
            else:
                setattr(self, own, value)
        return self
