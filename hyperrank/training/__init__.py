"""One loop for every network: batches of whole lists, optimiser, evaluation, the best state kept."""

from hyperrank.training.anchor import Anchor, log_position
from hyperrank.training.checkpoints import Checkpoint
from hyperrank.training.data import Batch, FeaturesOf, ListTensors, Margin, document_batches
from hyperrank.training.loop import TrainingResult, train
from hyperrank.training.processes import OtherProcessError, alone, current, joined
from hyperrank.training.progress import TrainingProgress
from hyperrank.training.settings import TrainingSettings
from hyperrank.training.shards import ShareOfLists

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
