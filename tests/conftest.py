"""Fixtures that every test file may ask for."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cifar_dist.config import Job
from cifar_dist.data import Dataset
from cifar_dist.dataset import open_dataset
from tests.broken_storage import broken_run, hasty, proxy
from tests.checkpoints import place, run
from tests.clusters import ray_address
from tests.commands import folder, one_cpu, program
from tests.fake_cluster import cluster
from tests.s3_report import pytest_runtest_logreport, pytest_terminal_summary
from tests.s3_servers import (
    _radosgw,
    _versitygw,
    given,
    moto,
    plain,
    radosgw,
    real,
    server,
    versitygw,
)
from tests.soak_figures import figures
from tests.soak_jobs import straight
from tests.soak_storage import storage
from tests.stores import s3_environment, simulated_s3, store
from tests.tiny import make_job
from tests.writers import writers

__all__ = [
    "_radosgw",
    "_versitygw",
    "broken_run",
    "cluster",
    "figures",
    "folder",
    "given",
    "hasty",
    "moto",
    "one_cpu",
    "place",
    "plain",
    "program",
    "proxy",
    "pytest_runtest_logreport",
    "pytest_terminal_summary",
    "radosgw",
    "ray_address",
    "real",
    "run",
    "s3_environment",
    "server",
    "simulated_s3",
    "storage",
    "store",
    "straight",
    "versitygw",
    "writers",
]


@pytest.fixture(scope="session", autouse=True)
def dataset_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Prepare images into a folder of these tests, never into the user's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CIFAR_DIST_CACHE", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    # Tiny tensors gain nothing from threads, and on a busy machine each step waits for them. What
    # trains or evaluates in this process takes all of its CPUs, and gives none back.
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def tiny_job(tmp_path: Path) -> Job:
    """Give a job of two epochs that takes a moment, with a store of its own."""
    return make_job(store=str(tmp_path / "store"))


@pytest.fixture(scope="session")
def tiny_data(dataset_cache: Path) -> Dataset:
    """Open the synthetic images: 1,800 to train, 200 to validate, 500 to test."""
    return open_dataset("synthetic", validation_fraction=0.1, seed=0)
