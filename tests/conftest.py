"""Fixtures that every test file may ask for."""

from tests.stores import s3_environment, simulated_s3, store

__all__ = ["s3_environment", "simulated_s3", "store"]
