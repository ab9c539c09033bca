"""Known weights evaluated again: on either split, on other images, in several views."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cifar_dist.errors import ConfigError, DataError
from cifar_dist.problems import shown

if TYPE_CHECKING:
    from torch import nn

    from cifar_dist.api.origin import Origin
    from cifar_dist.api.views import Views
    from cifar_dist.config import S3
    from cifar_dist.data import Dataset, Images
    from cifar_dist.documents import EvaluateDocument, Evaluation, Split

_ENDPOINT = "AWS_ENDPOINT_URL"


@dataclass(frozen=True)
class Asked:
    """What to evaluate weights on."""

    split: "Split | None" = None
    """By itself validation, or the test split of other images than the weights' own."""
    data: str | None = None
    """Other images than those that the weights were trained on."""
    views: "Views" = "none"


class Evaluator:
    """Weights with the images to evaluate them on. Raises CifarDistError."""

    def __init__(self, name: str, store: str, asked: Asked) -> None:
        from cifar_dist.api.origin import origin

        self._name, self._asked = name, asked
        self._origin = origin(name, store)
        self._recipe = self._origin.parsed
        self._dataset = opened(self._origin, asked.data)
        self._is_own = self._dataset.sha256 == self._origin.data.sha256
        self.split: Split = asked.split or ("validation" if self._is_own else "test")
        self._images = self._chosen()

    @property
    def reads_test_again(self) -> bool:
        """Whether it reads the test split that the weights' own result was read from."""
        return self._is_own and self.split == "test" and self._origin.has_read_test

    def __call__(self) -> "EvaluateDocument":
        """Evaluate, on a GPU if there is one."""
        from cifar_dist.device import device_name
        from cifar_dist.documents import EvaluateDocument
        from cifar_dist.outcome import provenance

        model = self._origin.placed()
        found = self._evaluation(model)
        precision = {"name": "fp32", "reason": "evaluation is always in fp32"}
        return EvaluateDocument(
            **dict(found),
            weights=self._name,
            model=self._recipe.model.name,
            accuracy=found.score.accuracy,
            loss=found.score.loss,
            data=self._dataset.facts(),
            trained_on=self._origin.data.sha256,
            seed=self._recipe.seed,
            provenance=provenance(device_name(next(model.parameters()).device), 1, precision),
        )

    def _evaluation(self, model: "nn.Module") -> "Evaluation":
        from cifar_dist.api.views import Averaged
        from cifar_dist.loop import predict
        from cifar_dist.report.evaluation import evaluated
        from cifar_dist.world import World

        validation, views, classes = None, self._asked.views, self._dataset.classes
        predictions = predict(model, self._images, self.split, World())
        if self.split == "validation":
            validation = predictions
        elif self._is_own and self._dataset.validation is not None:
            validation = predict(model, self._dataset.validation, "validation", World())
        found = evaluated(predictions, classes, validation)
        if views == "none":
            return found
        seen = predict(Averaged(model, views), self._images, self.split, World())
        return found.model_copy(update={"augmented": {views: evaluated(seen, classes).score}})

    def _chosen(self) -> "Images":
        if self.split == "test":
            return self._dataset.test
        if not self._is_own:
            raise ConfigError(
                f"--split validation belongs to the images that {shown(self._name)} was trained "
                f"on; leave it out to evaluate the test images of {shown(self._dataset.source)}"
            )
        return validation(self._dataset, shown(self._name), "evaluate it with --split test")


def validation(dataset: "Dataset", name: str, instead: str) -> "Images":
    """Give the validation split. Raises ConfigError that says what to do instead."""
    if dataset.validation is None:
        raise ConfigError(
            f"{name} was trained on all its training images, so there is no validation split; "
            f"{instead}"
        )
    return dataset.validation


def opened(origin: "Origin", source: str | None = None) -> "Dataset":
    """Open the images that weights were trained on, or others. Raises DataError."""
    from cifar_dist.dataset import prepare

    recipe = origin.parsed
    try:
        prepared = prepare(source or recipe.data, s3=_reached(origin))
    except DataError as error:
        if source is not None:
            raise
        raise DataError(
            f"the images of {origin.name}: {error}; or name others with --data"
        ) from error
    is_own = prepared.arrays.sha256 == origin.data.sha256
    fraction = recipe.validation_fraction if is_own else 0.0  # nothing of others is held out
    dataset = prepared.dataset(validation_fraction=fraction, seed=recipe.seed)
    if source is None and not is_own:
        raise DataError(
            f"the images of {recipe.data} changed since {origin.name} was trained; bring them "
            "back, or name the images to evaluate with --data"
        )
    if list(dataset.classes) != origin.data.classes:
        names = zip(dataset.classes, origin.data.classes, strict=False)
        there, here = next(pair for pair in names if pair[0] != pair[1])
        raise DataError(
            f"{shown(dataset.source)} has the class {shown(there)} where {origin.name} knows "
            f"{shown(here)}; name images with its classes, in their order"
        )
    return dataset


def _reached(origin: "Origin") -> "S3":
    """Give how weights' images are reached in S3; what is not taken any more is left to AWS_*."""
    from pydantic import ValidationError

    from cifar_dist.config import S3
    from cifar_dist.config.endpoints import endpoint_fault

    stored = dict(origin.s3)
    endpoint = stored.get("endpoint")
    if isinstance(endpoint, str) and endpoint_fault(endpoint) and os.environ.get(_ENDPOINT):
        stored["endpoint"] = None
    try:
        return S3.model_validate(stored)
    except ValidationError as error:
        raise ConfigError(
            f"the S3 settings stored with {origin.name} are not taken any more; set {_ENDPOINT} to "
            "the server's address"
        ) from error
