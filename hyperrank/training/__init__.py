"""One loop for every network: batches of whole lists, optimiser, evaluation, the best state kept."""

from hyperrank.training.anchor import Anchor, log_position
from hyperrank.training.checkpoints import Checkpoint
from hyperrank.training.data import Batch, FeaturesOf, ListTensors, Margin, document_batches
from hyperrank.training.loop import TrainingResult, train
from hyperrank.training.progress import TrainingProgress
from hyperrank.training.settings import TrainingSettings

__all__ = [
    "Anchor",
    "Batch",
    "Checkpoint",
    "FeaturesOf",
    "ListTensors",
    "Margin",
    "TrainingProgress",
    "TrainingResult",
    "TrainingSettings",
    "document_batches",
    "log_position",
    "train",
]
