"""LeNet-5 on color images."""

from collections import OrderedDict

from torch import nn

from cifar_dist.models.zoo import CLASSES, MODELS, Dropout


@MODELS.register
def lenet5(*, dropout: Dropout = None) -> nn.Module:
    """LeNet-5 with ReLU, max-pooling and, after its hidden linear layers, dropout 0.2."""
    rate = 0.2 if dropout is None else dropout
    features = nn.Sequential(
        nn.Conv2d(3, 6, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    classifier = nn.Sequential(
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120),
        nn.ReLU(),
        nn.Dropout(rate),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Dropout(rate),
        nn.Linear(84, CLASSES),
    )
    return nn.Sequential(OrderedDict(features=features, classifier=classifier))
