"""Whether the images are at hand, or which command brings them."""

from cifar_dist.config import S3
from cifar_dist.doctor.check import Checks, Finding, Setup, ok
from cifar_dist.errors import DataError
from cifar_dist.problems import shown

_PATIENCE_SECONDS = 5.0

CHECKS = Checks(DataError)


@CHECKS.add(seconds=30)
def data(setup: Setup) -> Finding:
    """Find the source; what is prepared is verified to its last byte. Raises DataError."""
    from cifar_dist.dataset import cache, find, prepare

    source = find(setup.data, s3=S3(deadline_seconds=_PATIENCE_SECONDS))
    entry = cache.entry(source, cache.root(None))
    if not entry.is_dir():
        return ok(f"{shown(setup.data)} is there; its first use prepares it in {entry.parent}")
    facts = prepare(setup.data, s3=S3(deadline_seconds=_PATIENCE_SECONDS)).facts()
    counts = f"{facts.train_images:,} training and {facts.test_images:,} test images"
    return ok(f"{shown(setup.data)}: {counts}, verified in {entry}")
