"""The weighted loss of all objectives with its gradient in one pass over the scores."""

from hyperrank.losses.fused.objective import weighted_loss
from hyperrank.losses.fused.prepared import LabelRanks, ListNetTargets, Prepared, prepare

__all__ = ["LabelRanks", "ListNetTargets", "Prepared", "prepare", "weighted_loss"]
