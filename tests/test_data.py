"""Splits, orders, shards, normalization and statistics."""

import numpy as np
import pytest
import torch
from torch import Tensor

from cifar_dist.data import (
    MEAN,
    STD,
    Dataset,
    Images,
    normalize,
    permutation,
    shard,
    split,
    split_sha256,
    statistics,
)
from cifar_dist.dataset.arrays import CLASSES
from cifar_dist.errors import DataError


def labels(per_class: int) -> Tensor:
    return torch.arange(10).repeat_interleave(per_class)


def pictures(n: int) -> Images:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (n, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return Images(pixels, torch.arange(n) % 10)


def test_a_split_takes_exactly_its_share_of_every_class() -> None:
    train, validation = split(labels(1000), 0.1, seed=0)
    assert torch.bincount(labels(1000)[validation]).tolist() == [100] * 10
    assert torch.bincount(labels(1000)[train]).tolist() == [900] * 10


def test_a_split_is_sorted_and_loses_no_image() -> None:
    train, validation = split(labels(100), 0.25, seed=3)
    assert torch.equal(train, train.sort().values)
    assert torch.equal(validation, validation.sort().values)
    assert torch.equal(torch.cat((train, validation)).sort().values, torch.arange(1000))


def test_a_split_follows_its_seed_alone() -> None:
    hashes = [split_sha256(split(labels(100), 0.1, seed)[1]) for seed in (1, 1, 2)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_fraction_zero_trains_on_everything() -> None:
    train, validation = split(labels(10), 0.0, seed=0)
    assert (len(train), len(validation)) == (100, 0)


@pytest.mark.parametrize("fraction", [0.01, 1.0])
def test_a_split_that_empties_one_side_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match=r"validation_fraction=.*on both sides"):
        split(labels(10), fraction, seed=0)


def test_every_epoch_visits_every_image_in_another_order() -> None:
    first, second = (permutation(500, 0, epoch) for epoch in (0, 1))
    assert torch.equal(first.sort().values, torch.arange(500))
    assert not torch.equal(first, second)
    assert torch.equal(first, permutation(500, 0, 0))


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_shards_share_a_batch_without_padding(world: int) -> None:
    batch = permutation(7, 0, 0)
    shards = [shard(batch, rank, world) for rank in range(world)]
    assert torch.equal(torch.cat(shards).sort().values, torch.arange(7))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_normalized_pixels_are_their_distance_from_the_mean_in_deviations(
    layout: torch.memory_format,
) -> None:
    pixels = pictures(4).pixels
    mean, std = (torch.tensor(value, dtype=torch.float64).view(3, 1, 1) for value in (MEAN, STD))
    result = normalize(pixels, layout)
    torch.testing.assert_close(result.double(), (pixels / 255.0 - mean) / std, atol=1e-5, rtol=0)
    assert result.is_contiguous(memory_format=layout)


def test_no_image_can_be_normalized() -> None:
    assert normalize(pictures(4).pixels[:0]).shape == (0, 3, 32, 32)


def test_statistics_are_those_of_all_pixels_in_float64() -> None:
    images = pictures(5000)
    found = statistics(images, "train", CLASSES)
    scaled = images.pixels.numpy().astype(np.float64) / 255
    np.testing.assert_allclose(found.mean, scaled.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found.variance, scaled.var((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found.std, scaled.std((0, 2, 3)), rtol=1e-12)
    assert (found.min, found.max) == ([0.0] * 3, [1.0] * 3)
    assert found.shape == [5000, 3, 32, 32]
    assert found.class_counts == dict.fromkeys(CLASSES, 500)


def test_facts_count_what_the_dataset_holds() -> None:
    dataset = Dataset("s", "0" * 64, CLASSES, pictures(30), None, pictures(20), "1" * 64)
    facts = dataset.facts()
    assert (facts.train_images, facts.validation_images, facts.test_images) == (30, 0, 20)
    assert facts.classes == list(CLASSES)
