"""Every augmentation equals, in distribution, what a library known for it does to one image."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from cifar_dist.augment.steps import MEAN_COLOR
from tests.pictures import augmented, distances, pictures

Reference = Callable[[Tensor], Tensor]


def through_albumentations(name: str, *arguments: Any, **options: Any) -> Reference:
    import albumentations

    transform = getattr(albumentations, name)(*arguments, **options)
    transform.set_random_seed(1)

    def apply(image: Tensor) -> Tensor:
        changed = transform(image=image.permute(1, 2, 0).contiguous().numpy())["image"]
        return torch.from_numpy(changed).permute(2, 0, 1)

    return apply


def affine(**options: Any) -> Reference:
    return through_albumentations("Affine", **({"border_mode": 4} | options))


def through_torchvision(
    name: str, *arguments: Any, share: float = 1, floating: bool = True, **options: Any
) -> Reference:
    from torchvision.transforms import v2

    inner = getattr(v2, name)(*arguments, **options)
    transform = inner if share == 1 else v2.RandomApply([inner], share)
    if not floating:
        return lambda image: transform(image)
    # On fp32, where it does not cut levels off instead of rounding them.
    return lambda image: (transform(image / 255) * 255).round().to(torch.uint8)


def random_erasing() -> Reference:
    return through_torchvision("RandomErasing", value=MEAN_COLOR, floating=False)


def automatic(name: str) -> Reference:
    from torchvision.transforms import InterpolationMode

    return through_torchvision(name, interpolation=InterpolationMode.BILINEAR, floating=False)


MEAN = {"fill": MEAN_COLOR}
CASES: dict[str, tuple[dict[str, Any], Callable[[], Reference]]] = {
    "horizontal_flip": ({}, lambda: through_torchvision("RandomHorizontalFlip")),
    "pad_crop": (
        {},
        lambda: through_torchvision("RandomCrop", 32, padding=4, padding_mode="reflect"),
    ),
    "translate": ({}, lambda: affine(translate_percent=(-0.125, 0.125), p=1)),
    "rotate": ({}, lambda: affine(rotate=(-15, 15), p=0.5)),
    "shift_scale_rotate": (
        {"p": 1.0, "degrees": 45.0, "scale": 0.4, "shift": 0.2, "fill": "constant"},
        lambda: affine(
            rotate=(-45, 45), scale=(0.6, 1.4), translate_percent=(-0.2, 0.2), border_mode=0, p=1
        ),
    ),
    "coarse_dropout": (
        {},
        lambda: through_albumentations("CoarseDropout", (1, 4), (4, 8), (4, 8), **MEAN, p=0.5),
    ),
    "random_erasing": ({"fill": "mean"}, random_erasing),
    "brightness": ({}, lambda: through_torchvision("ColorJitter", brightness=0.2)),
    "contrast": ({}, lambda: through_torchvision("ColorJitter", contrast=0.2)),
    "saturation": ({}, lambda: through_torchvision("ColorJitter", saturation=0.2)),
    "hue": ({}, lambda: through_torchvision("ColorJitter", hue=0.05)),
    "grayscale": ({}, lambda: through_torchvision("RandomGrayscale")),
    "gaussian_noise": (
        {},
        lambda: through_torchvision("GaussianNoise", sigma=10 / 255, share=0.5),
    ),
    "gaussian_blur": ({}, lambda: through_torchvision("GaussianBlur", 3, share=0.5)),
    "rand_augment": ({}, lambda: automatic("RandAugment")),
    "trivial_augment": ({}, lambda: automatic("TrivialAugmentWide")),
}
# Levels by which rounding and cutting off may differ.
SLACK = {"rand_augment": 0.5, "trivial_augment": 0.5}


@functools.cache
def referenced(name: str) -> Tensor:
    """Augment every picture on its own by the library."""
    torch.manual_seed(0)
    apply = CASES[name][1]()
    return torch.stack([apply(image) for image in pictures()])


def apart(name: str, **options: Any) -> float:
    """Give the largest difference of any statistic from the library's, in standard errors."""
    ours = augmented(pictures(), {"name": name, **options})
    return max(distances(ours, referenced(name), SLACK.get(name, 0.1)).values())


@pytest.mark.parametrize("name", CASES)
def test_pictures_look_alike_whichever_way_they_were_augmented(name: str) -> None:
    assert apart(name, **CASES[name][0]) < 4


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("horizontal_flip", {"p": 0.4}),
        ("rotate", {"degrees": 11.0}),
        ("coarse_dropout", {"holes": [1, 3]}),
        ("brightness", {"strength": 0.17}),
        ("gaussian_noise", {"std": 9.0}),
        ("rand_augment", {"magnitude": 7}),
    ],
)
def test_the_comparison_notices_an_option_that_is_a_little_off(
    name: str, options: dict[str, Any]
) -> None:
    assert apart(name, **options) > 4
