"""What a power cut must not undo: waiting until the disk has it."""

import os
from pathlib import Path


def flush(path: Path) -> None:
    """Wait until the disk has a file's bytes, or a folder's names; a rename needs its folder's."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
