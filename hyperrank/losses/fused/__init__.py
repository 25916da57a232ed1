"""The weighted loss of all objectives with its gradient in one pass over the scores."""

from hyperrank.losses.fused.prepared import LabelRanks, ListNetTargets, Prepared, prepare
from hyperrank.losses.fused.weighted import weighted_loss

__all__ = ["LabelRanks", "ListNetTargets", "Prepared", "prepare", "weighted_loss"]
