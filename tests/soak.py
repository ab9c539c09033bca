"""How long tests of endurance run: short rounds in every test run, long ones by `make soak`."""

import os

import pytest

LONG = os.environ.get("CIFAR_DIST_SOAK") == "1"

long_only = pytest.mark.skipif(not LONG, reason="takes minutes: run it by `make soak`")


def rounds(short: int, long: int) -> int:
    """Give how often a test tries its luck."""
    return long if LONG else short
