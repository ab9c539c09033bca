"""Two convolutions and two linear layers, plain and regularized."""

from collections import OrderedDict

from torch import nn

from cifar_dist.models.zoo import CLASSES, MODELS, Dropout


@MODELS.register
def simple_cnn() -> nn.Module:
    """Two convolutions and two linear layers; over-fits after a few epochs."""
    features = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    classifier = nn.Sequential(
        nn.Flatten(), nn.Linear(64 * 8 * 8, 128), nn.ReLU(), nn.Linear(128, CLASSES)
    )
    return nn.Sequential(OrderedDict(features=features, classifier=classifier))


@MODELS.register
def regularized_cnn(*, dropout: Dropout = None) -> nn.Module:
    """simple_cnn with batch norm and, before its last layer, dropout 0.5."""
    rate = 0.5 if dropout is None else dropout
    features = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    classifier = nn.Sequential(
        nn.Flatten(),
        nn.Linear(64 * 8 * 8, 128),
        nn.ReLU(),
        nn.Dropout(rate),
        nn.Linear(128, CLASSES),
    )
    return nn.Sequential(OrderedDict(features=features, classifier=classifier))
