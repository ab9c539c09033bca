"""ResNet-18 as for ImageNet, down to torchvision's names of weights, without its slow import."""

from collections import OrderedDict

from torch import Tensor, nn

from cifar_dist.models.zoo import CLASSES, MODELS


@MODELS.register
def resnet18_imagenet() -> nn.Module:
    """ResNet-18 of torchvision with its 7×7 stride-2 stem and ten classes."""
    model = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 64, 7, 2, padding=3, bias=False),
            bn1=nn.BatchNorm2d(64),
            relu=nn.ReLU(inplace=True),
            maxpool=nn.MaxPool2d(3, 2, padding=1),
            layer1=_stage(64, 64, 1),
            layer2=_stage(64, 128, 2),
            layer3=_stage(128, 256, 2),
            layer4=_stage(256, 512, 2),
            avgpool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            fc=nn.Linear(512, CLASSES),
        )
    )
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut (He et al., 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = nn.Sequential()
        if stride > 1:
            self.downsample.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False))
            self.downsample.append(nn.BatchNorm2d(outputs))

    def forward(self, images: Tensor) -> Tensor:
        """Add the two paths and activate the sum."""
        maps = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(images)))))
        activated: Tensor = self.relu(maps + self.downsample(images))
        return activated


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(BasicBlock(inputs, outputs, stride), BasicBlock(outputs, outputs, 1))
