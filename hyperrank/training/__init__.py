"""Training of networks on query lists: loop, optimiser steps, checkpoints, several processes."""

from hyperrank._progress import TrainingProgress, with_progress
from hyperrank.training.checkpoint import Checkpoint
from hyperrank.training.data import Batch, FeaturesOf, ListTensors, Margin, ShardedLists, document_batches
from hyperrank.training.distributed import OtherProcessError, SingleProcess, alone, process_group
from hyperrank.training.loop import TrainingResult, train, with_generator
from hyperrank.training.options import (
    AdamW,
    CheckpointFile,
    EarlyStopping,
    StoppingRule,
    TradeOffs,
    resolve_stopping,
)
from hyperrank.training.step import TrainingSettings
from hyperrank.training.temperature import ReferenceLogits, log_position

__all__ = [
    "AdamW",
    "Batch",
    "Checkpoint",
    "CheckpointFile",
    "EarlyStopping",
    "FeaturesOf",
    "ListTensors",
    "Margin",
    "OtherProcessError",
    "ReferenceLogits",
    "ShardedLists",
    "SingleProcess",
    "StoppingRule",
    "TradeOffs",
    "TrainingProgress",
    "TrainingResult",
    "TrainingSettings",
    "alone",
    "document_batches",
    "log_position",
    "process_group",
    "resolve_stopping",
    "train",
    "with_generator",
    "with_progress",
]
