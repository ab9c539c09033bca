"""Train, tune and keep CIFAR-10 classifiers; importing this loads neither torch nor ray."""

from typing import TYPE_CHECKING, Any

from cifar_dist.errors import CifarDistError

if TYPE_CHECKING:
    from cifar_dist.api import figures, load_model, train, tune

__version__ = "0.1.0"

__all__ = ["CifarDistError", "figures", "load_model", "train", "tune"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cifar_dist import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
