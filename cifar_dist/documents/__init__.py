"""The documents that machines read: versioned, closed, numbers with their unit in their name."""

from cifar_dist.documents.document import Document, Split
from cifar_dist.documents.listings import (
    ArtifactRow,
    ArtifactsDocument,
    DataDocument,
    FieldRow,
    LayerRow,
    ModelDocument,
    ModelsDocument,
    SplitStatistics,
)
from cifar_dist.documents.results import (
    ClassScore,
    DataFacts,
    EpochRecord,
    Evaluation,
    Provenance,
    Rung,
    Score,
    SweepCost,
    TrainDocument,
    TrialRow,
    TrialState,
    TuneDocument,
    best_epoch,
)

DOCUMENTS: dict[str, type[Document]] = {
    "train": TrainDocument,
    "tune": TuneDocument,
    "models": ModelsDocument,
    "data": DataDocument,
    "artifacts": ArtifactsDocument,
}

__all__ = [
    "DOCUMENTS",
    "ArtifactRow",
    "ArtifactsDocument",
    "ClassScore",
    "DataDocument",
    "DataFacts",
    "Document",
    "EpochRecord",
    "Evaluation",
    "FieldRow",
    "LayerRow",
    "ModelDocument",
    "ModelsDocument",
    "Provenance",
    "Rung",
    "Score",
    "Split",
    "SplitStatistics",
    "SweepCost",
    "TrainDocument",
    "TrialRow",
    "TrialState",
    "TuneDocument",
    "best_epoch",
]
