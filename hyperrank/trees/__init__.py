"""Grown trees as plain tables: read from LightGBM's text without LightGBM, scored several times faster."""

from hyperrank.trees.ensemble import MAX_LEAVES, TreeEnsemble
from hyperrank.trees.text import BoosterText, BoosterTextError, Tree, read_booster_text

__all__ = ["MAX_LEAVES", "BoosterText", "BoosterTextError", "Tree", "TreeEnsemble", "read_booster_text"]
