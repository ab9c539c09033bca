"""Commits and resumes where the disk is full; tells as JSON what came of it. Run by its test.

python -m tests.full_disk SMALL ROOMY     folders on a full disk and on another
"""

import json
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from cifar_dist.errors import CifarDistError
from cifar_dist.runs import Run
from cifar_dist.store import open_store
from tests.writers import commit, is_exact, save

_RUN = "runs/a-00000000"
_FILE_LIMIT_BYTES = 1 << 20


@contextmanager
def _limited() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_LIMIT_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _failure(work: Callable[[], object], *, limit: bool) -> tuple[int, str]:
    """Give the exit code and the sentence of what must fail."""
    try:
        with _limited() if limit else nullcontext():
            work()
    except CifarDistError as error:
        return error.exit_code, str(error)
    return 0, "it did not fail"


def _outcome(small: Path, roomy: Path) -> dict[str, object]:
    filling = Run(open_store(str(small / "store")), _RUN)
    lasting = Run(open_store(str(roomy / "store")), _RUN)
    commit(lasting.claim_attempt(), roomy / "staged", 2)
    attempt, large = filling.claim_attempt(), save(roomy / "large", 2)
    commit(attempt, roomy / "staged", 1)
    limit = not small.is_mount()
    found = {
        "saving": _failure(lambda: attempt.commit(large, step=2, epoch=2, metrics={}), limit=limit),
        "loading": _failure(lambda: lasting.latest_intact(small / "back"), limit=limit),
    }
    filling.latest_intact(roomy / "before")
    lasting.latest_intact(roomy / "after")
    intact = is_exact(roomy / "before", 1) and is_exact(roomy / "after", 2)
    files = [path for path in small.rglob("*") if path.is_file()]
    half = [str(path) for path in files if ".part" in str(path)]
    return {**found, "intact": intact, "half": half}


if __name__ == "__main__":
    json.dump(_outcome(Path(sys.argv[1]), Path(sys.argv[2])), sys.stdout)
