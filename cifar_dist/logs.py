"""One log format, on stderr, set up once in a process."""

import logging
import sys

ROOT = "cifar_dist"


def configure(level: int = logging.INFO) -> None:
    """Send this package's records to stderr; a second call only changes the level."""
    logger = logging.getLogger(ROOT)
    logger.setLevel(level)
    if logger.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logger.addHandler(handler)
    logger.propagate = False
    # Without a home to write to it warns in every run, and does well with a temporary folder.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
