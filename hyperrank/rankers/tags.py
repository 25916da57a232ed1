"""What scikit-learn is to know of rankers."""

from __future__ import annotations

from typing import Any

__all__ = ["RankerMixin"]


class RankerMixin:
    """Tags of a ranker: neither classifier nor regressor, labels needed, several objectives allowed."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.estimator_type = "ranker"
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = True
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        return tags
