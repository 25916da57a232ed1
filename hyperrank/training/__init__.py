"""Training of networks on query lists: loop, optimiser steps, checkpoints, several processes."""

from hyperrank.training.checkpoint import Checkpoint
from hyperrank.training.data import (
    FeaturesOf,
    ListTensors,
    Margin,
    ReferenceLogits,
    ShardedLists,
    document_batches,
)
from hyperrank.training.distributed import alone, process_group
from hyperrank.training.loop import TrainingResult, TrainingSettings, train, with_generator
from hyperrank.training.options import (
    AdamW,
    CheckpointFile,
    EarlyStopping,
    StoppingRule,
    TradeOffs,
    resolve_stopping,
)

__all__ = [
    "AdamW",
    "Checkpoint",
    "CheckpointFile",
    "EarlyStopping",
    "FeaturesOf",
    "ListTensors",
    "Margin",
    "ReferenceLogits",
    "ShardedLists",
    "StoppingRule",
    "TradeOffs",
    "TrainingResult",
    "TrainingSettings",
    "alone",
    "document_batches",
    "process_group",
    "resolve_stopping",
    "train",
    "with_generator",
]
