"""ResNet-18 for 32×32 images whose head gives a map of each class before pooling."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F

from cifar_dist.models.zoo import CLASSES, MODELS, Dropout


@MODELS.register
def resnet18_cam(*, dropout: Dropout = None) -> nn.Module:
    """ResNet-18 with a 3×3 stem, class maps as head, and dropout 0.05 in stem and blocks."""
    rate = 0.05 if dropout is None else dropout
    stages = nn.Sequential(
        _stage(64, 64, 1, rate),
        _stage(64, 128, 2, rate),
        _stage(128, 256, 2, rate),
        _stage(256, 512, 2, rate),
    )
    return nn.Sequential(
        OrderedDict(
            stem=_activated(3, 64, 1, rate),
            stages=stages,
            head=nn.Conv2d(512, CLASSES, 1),
            pool=nn.AvgPool2d(4),
            flatten=nn.Flatten(),
        )
    )


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut, with dropout between them."""

    def __init__(self, inputs: int, outputs: int, stride: int, rate: float) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_activated(inputs, outputs, stride, rate),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.downsample = nn.Sequential()
        if stride > 1:
            self.downsample.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.downsample.append(nn.BatchNorm2d(outputs))

    def forward(self, images: Tensor) -> Tensor:
        """Add the two paths; the activation after the sum is no layer of its own."""
        return F.relu(self.residual(images) + self.downsample(images))


def _stage(inputs: int, outputs: int, stride: int, rate: float) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(inputs, outputs, stride, rate), BasicBlock(outputs, outputs, 1, rate)
    )


def _activated(inputs: int, outputs: int, stride: int, rate: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Dropout(rate),
    )
