"""Rows as a pandas DataFrame, for notebooks."""

from collections.abc import Sequence
from typing import Any

from cifar_dist.errors import ConfigError


def frame(rows: Sequence[dict[str, Any]]) -> Any:
    """Give rows as a DataFrame. Raises ConfigError without pandas, which Ray Tune brings."""
    try:
        import pandas
    except ImportError as error:
        raise ConfigError("to_frame needs pandas, which is not installed; install it") from error
    return pandas.DataFrame(rows)
