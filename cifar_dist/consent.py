"""What is refused for safety unless the caller consents: on the command line, never in a job."""

import logging
import os

from cifar_dist.errors import RefusedError

FLAG = "--allow-insecure"
VARIABLE = "CIFAR_DIST_ALLOW_INSECURE"

log = logging.getLogger(__name__)


def given() -> bool:
    """Tell whether the caller takes such risks."""
    return os.environ.get(VARIABLE) == "1"


def require(danger: str, remedy: str) -> None:
    """Raise RefusedError with the remedy unless the caller consents; then the danger is logged."""
    if not given():
        raise RefusedError(f"{danger}; {remedy}, or take the risk with {FLAG} ({VARIABLE}=1)")
    log.warning("%s: allowed by %s", danger, FLAG)
