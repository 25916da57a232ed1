"""Matrices in mapped files: which they are, rows read when asked for, and their memory given back."""

from hyperrank.mapped.pages import forget_pages, is_mapped
from hyperrank.mapped.rows import FeatureRows, MappedRows, stays_mapped, with_columns

__all__ = ["FeatureRows", "MappedRows", "forget_pages", "is_mapped", "stays_mapped", "with_columns"]
