"""A small net of plain, pointwise and depthwise-separable convolutions."""

from torch import Tensor, nn

from cifar_dist.models.zoo import CLASSES, MODELS, Dropout


@MODELS.register
def dsc_net(*, dropout: Dropout = None) -> nn.Module:
    """Depthwise-separable net with dropout 0.05 after nearly every activation."""
    return DepthwiseSeparableNet(0.05 if dropout is None else dropout)


class DepthwiseSeparableNet(nn.Module):
    """Strides and unpadded convolutions shrink the image to one position; nothing is pooled."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_unit(3, 16, 3, 1),
            nn.Dropout(rate),
            *_unit(16, 32, 3, 2),
            nn.Dropout(rate),
            *_unit(32, 64, 3, 1),
            nn.Dropout(rate),
            *_unit(64, 64, 1, 1),
            nn.Dropout(rate),
            *_unit(64, 64, 1, 1),
            *_unit(64, 96, 3, 2),
            nn.Dropout(rate),
            SeparableBlock(96, 128, 1, rate),
            SeparableBlock(128, 128, 1, rate),
            SeparableBlock(128, 128, 2, rate),
            *_unit(128, 128, 1, 1),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Conv2d(128, CLASSES, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Give logits [N, 10]."""
        logits: Tensor = self.head(self.pool(self.features(images))).flatten(1)
        return logits


class SeparableBlock(nn.Module):
    """An unpadded 3×3 convolution of each channel by itself, then a 1×1 across channels."""

    def __init__(self, inputs: int, outputs: int, stride: int, rate: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, stride, groups=inputs, bias=False),
            *_unit(inputs, outputs, 1, 1),
            nn.Dropout(rate),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map [N, inputs, H, W] to [N, outputs, (H - 3) // stride + 1, …]."""
        maps: Tensor = self.layers(images)
        return maps


def _unit(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )
