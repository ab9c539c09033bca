"""The program with workers that fail and tell, in what they raise, every secret they know."""

import os
from typing import Any

from cifar_dist.cli import main
from cifar_dist.cluster import train


def _leak(*_: object) -> None:
    told = [value for name, value in os.environ.items() if name.startswith(("AWS_", "HTTPS_"))]
    raise ValueError(f"Authorization: {told}") from KeyError(os.environ["RAY_AUTH_TOKEN"])


def _leaking(config: dict[str, Any], work: Any = train._work) -> Any:
    train.train_session = _leak  # type: ignore[assignment]
    return work(config)


if __name__ == "__main__":
    from tests.leaking import _leaking as leaking  # by a name that workers know

    train._work = leaking
    main()
