"""The batched pipeline is the library's in distribution, but for speed."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.pictures import augmented, changed, distances, pictures

BOTH = ["albumentations", "classic"]


@pytest.fixture(scope="module")
def noise() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (800, 3, 32, 32), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(
    "options",
    [{}, {"p": 1.0}, {"p": 0.8, "shift": 0.2, "scale": 0.4, "rotate": 60.0, "hole": 8}],
    ids=["defaults", "always", "strong"],
)
def test_both_pipelines_make_pictures_look_alike(options: dict[str, Any]) -> None:
    theirs, ours = (augmented(pictures(), {"name": name, **options}) for name in BOTH)
    found = distances(ours, theirs, 0.1)
    assert max(found.values()) < 4, found


@pytest.mark.parametrize("name", BOTH)
def test_each_step_is_decided_on_its_own(name: str, noise: Tensor) -> None:
    share = changed(noise, augmented(noise, {"name": name})).float().mean()
    assert share == pytest.approx(1 - 0.5**3, abs=0.05)


@pytest.mark.parametrize("name", BOTH)
def test_the_hole_comes_last_and_whole(name: str, noise: Tensor) -> None:
    result = augmented(noise, {"name": name, "p": 1.0, "hole": 10})
    color = torch.tensor((125, 123, 114), dtype=torch.uint8).view(3, 1, 1)
    assert int((result == color).all(1).flatten(1).sum(1).min()) >= 100


def test_both_have_the_same_options_and_defaults() -> None:
    from cifar_dist.augment import AUGMENTATIONS

    theirs, ours = (AUGMENTATIONS.resolved({"name": name}) for name in BOTH)
    assert {**theirs, "name": ""} == {**ours, "name": ""}
