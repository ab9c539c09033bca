"""Class activation maps: where in an image a model saw its class; kept as arrays."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cifar_dist.containers import read_arrays
from cifar_dist.errors import DamagedError

Method = Literal["cam", "grad_cam"]
_SIDES = 2


@dataclass(frozen=True)
class ActivationMaps:
    """Maps float32 [n, height, width], 0…1, each with 1 as its largest value unless it is all 0."""

    maps: NDArray[np.float32]
    indices: NDArray[np.int64]
    """Which images of their split they belong to [n]."""
    targets: NDArray[np.int64]
    """The class each map is of [n]: the predicted one, unless it was asked for another."""
    layer: str
    method: Method

    def save(self, path: Path) -> None:
        """Write an .npz."""
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                allow_pickle=False,
                maps=self.maps,
                indices=self.indices,
                targets=self.targets,
                layer=np.array(self.layer),
                method=np.array(self.method),
            )

    @classmethod
    def load(cls, path: Path) -> "ActivationMaps":
        """Read what `save` wrote; the file must have been verified. Raises DamagedError."""
        try:
            arrays = read_arrays(path)
            found = cls(
                maps=arrays["maps"],
                indices=arrays["indices"],
                targets=arrays["targets"],
                layer=str(arrays["layer"]),
                method="cam" if str(arrays["method"]) == "cam" else "grad_cam",
            )
        except (OSError, ValueError, KeyError) as error:
            raise DamagedError(
                f"{path} holds no activation maps: {error}; evaluate again"
            ) from error
        count, *sides = found.maps.shape or (0,)
        if (
            found.indices.shape != (count,)
            or found.targets.shape != (count,)
            or len(sides) != _SIDES
        ):
            raise DamagedError(f"{path} holds maps that do not fit each other; evaluate again")
        return found
