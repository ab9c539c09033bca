"""Augmentations of uint8 batches; every draw belongs to an image of an epoch, never to a batch."""

from cifar_dist.augment import automatic, color, crops, geometry, holes, library, mixing, noise
from cifar_dist.augment.policy import Policy
from cifar_dist.augment.steps import AUGMENTATIONS

__all__ = [
    "AUGMENTATIONS",
    "Policy",
    "automatic",
    "color",
    "crops",
    "geometry",
    "holes",
    "library",
    "mixing",
    "noise",
]
