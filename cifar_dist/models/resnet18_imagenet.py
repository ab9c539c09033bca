"""ResNet-18 as torchvision builds it for ImageNet."""

from torch import nn

from cifar_dist.models.zoo import CLASSES, MODELS


@MODELS.register
def resnet18_imagenet() -> nn.Module:
    """ResNet-18 of torchvision with its 7×7 stride-2 stem and ten classes."""
    from torchvision.models import resnet18  # takes seconds to import

    model: nn.Module = resnet18(weights=None, num_classes=CLASSES)
    return model
