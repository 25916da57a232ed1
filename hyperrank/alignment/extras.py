"""What the extra `llm` brings, asked for when it is first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["required"]


def required(module: str) -> Any:
    """A module of the extra `llm`.

    Raises
    ------
    ImportError
        If it is not installed; the message names the extra.

    Examples
    --------
    >>> required("transformers").__name__
    'transformers'
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f'{error}: pip install "hyperrank[llm]" brings what alignment needs.') from error
