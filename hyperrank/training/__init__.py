"""One loop for every network: batches of whole lists, optimiser, evaluation, the best state kept."""

from hyperrank.training.checkpoint import Checkpoint
from hyperrank.training.data import Batch, FeaturesOf, ListTensors, Margin, document_batches
from hyperrank.training.distributed import OtherProcessError, ShareOfLists, alone, current, joined
from hyperrank.training.loop import TrainingProgress, TrainingResult, train
from hyperrank.training.step import TrainingSettings
from hyperrank.training.temperature import Anchor, log_position

__all__ = [
    "Anchor",
    "Batch",
    "Checkpoint",
    "FeaturesOf",
    "ListTensors",
    "Margin",
    "OtherProcessError",
    "ShareOfLists",
    "TrainingProgress",
    "TrainingResult",
    "TrainingSettings",
    "alone",
    "current",
    "document_batches",
    "joined",
    "log_position",
    "train",
]
