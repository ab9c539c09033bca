"""Rows of one optimizer step: what share of it the input is."""

import torch

from cifar_dist.config import Recipe
from cifar_dist.data import Images
from tests.bench.input import CROP_AND_FLIP
from tests.bench.input import ours as input_stream
from tests.bench.ours import CPU, arithmetic, recipe, training, training_images
from tests.bench.rounds import Row, Setting, Side, rate

_AT_ONCE = 8  # batches between two looks at the clock


def input_share(
    setting: Setting, asked: Recipe, images: Images, device: torch.device
) -> tuple[Side, Side]:
    """Give the milliseconds of the input of a step, and of the whole step."""
    how = arithmetic(asked, images, setting, device)
    whole = training(asked, images, how)
    resident = Images(whole.learner.pixels, whole.learner.labels)
    batch, components = asked.batch_size, [each.model_dump() for each in asked.augmentation]
    stream = input_stream(
        resident, components, setting.seed, batch=batch, memory_format=how.memory_format
    )

    def prepared() -> int:
        pixels = [next(stream)[0, 0, 0, 0] for _ in range(_AT_ONCE)]
        pixels[-1].item()  # waits for a device
        return _AT_ONCE

    return (
        lambda: 1000 / rate(prepared, setting.seconds),
        lambda: 1000 * batch / whole.images_per_second(setting.seconds),
    )


def _lenet5(setting: Setting) -> tuple[Side, Side]:
    asked = recipe(setting, {"name": "lenet5"}, augmentation=CROP_AND_FLIP)
    return input_share(setting, asked, training_images(setting), CPU)


ROWS = (
    Row(
        name="input_share",
        what="input of a LeNet-5 step (crop, flip, normalize; batches of 128) ÷ the whole step",
        unit="ms",
        goal="<= 0.08",
        sides=_lenet5,
        higher_is_better=False,
    ),
)
