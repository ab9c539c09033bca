"""A small net that sees far by dilation and shrinks by strides."""

from torch import Tensor, nn

from cifar_dist.models.zoo import CLASSES, MODELS, Dropout


@MODELS.register
def dilated_dsc(*, dropout: Dropout = None) -> nn.Module:
    """Four blocks that open with a separable and widen with a dilated convolution; dropout 0.05."""
    return DilatedNet(0.05 if dropout is None else dropout)


class DilatedNet(nn.Module):
    """Strides in place of max-pooling; average pooling and a 1×1 convolution as head."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _block(3, 32, 2, rate),
            _block(32, 40, 2, rate),
            _block(40, 44, 2, rate),
            _block(44, 48, 1, rate),
        )
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(48), nn.Conv2d(48, CLASSES, 1, bias=False)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Give logits [N, 10]."""
        logits: Tensor = self.head(self.features(images)).flatten(1)
        return logits


def _block(inputs: int, outputs: int, stride: int, rate: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        *_unit(nn.Conv2d(inputs, outputs, 1, bias=False), rate),
        *_unit(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), rate),
        *_unit(nn.Conv2d(outputs, outputs, 3, padding=2, dilation=2, bias=False), rate),
        *_unit(nn.Conv2d(outputs, outputs, 3, stride, padding=1, bias=False), rate),
    )


def _unit(convolution: nn.Conv2d, rate: float) -> nn.Sequential:
    norm = nn.BatchNorm2d(convolution.out_channels)
    return nn.Sequential(convolution, nn.ReLU(), norm, nn.Dropout(rate))
