"""What runs and sweeps share: write-once documents, attempts and reports under one prefix."""

from pathlib import Path
from typing import Any, ClassVar

from cifar_dist.errors import RefusedError
from cifar_dist.runs.attempts import Attempt, claim_attempt
from cifar_dist.runs.manifest import NAME, Manifest, read_manifest, upload_folder
from cifar_dist.runs.seal import read_sealed, sealed
from cifar_dist.store import MissingError, Store

RESULT = "result.json"
_WRITERS = 8  # more than ever write one kind of folder at the same moment


class Dossier:
    """Everything that is known about one run or sweep, by its prefix in a store."""

    HEAD: ClassVar[str]
    """The document that makes it exist."""

    def __init__(self, store: Store, prefix: str) -> None:
        self.store = store
        self.prefix = prefix
        self._remembered: dict[str, dict[str, Any]] = {}

    def create(self, document: dict[str, Any]) -> None:
        """Write the head document. Raises RefusedError if there is another one."""
        self.store.write(self.key(self.HEAD), sealed(document))

    def ensure(self, document: dict[str, Any]) -> None:
        """Write the head document unless there is one, in a single request."""
        self.store.claim(self.key(self.HEAD), sealed(document))

    @property
    def exists(self) -> bool:
        """Whether the head document was written."""
        return self.recorded(self.HEAD) is not None

    @property
    def document(self) -> dict[str, Any]:
        """The head document. Raises MissingError, DamagedError."""
        return read_sealed(self.store, self.key(self.HEAD))

    @property
    def finished(self) -> dict[str, Any] | None:
        """The result document, which marks the end; None before."""
        return self.recorded(RESULT)

    @property
    def result(self) -> dict[str, Any] | None:
        """The newest result document there is."""
        return self.finished

    def finish(self, result: dict[str, Any]) -> dict[str, Any]:
        """Mark the end; gives the stored result, which is another's if that came first."""
        return self.record(RESULT, result)

    def claim_attempt(self, *, world_size: int = 1) -> Attempt:
        """Become the one who may add to it, from now until someone else claims it."""
        return claim_attempt(self.store, self.prefix, world_size)

    def record(self, name: str, value: dict[str, Any]) -> dict[str, Any]:
        """Keep a value under a name once and for all; gives the stored one, the first writer's."""
        self.store.claim(self.key(name), sealed(value))
        return read_sealed(self.store, self.key(name))

    def recorded(self, name: str) -> dict[str, Any] | None:
        """Give a kept value, or None. Raises DamagedError."""
        try:
            return read_sealed(self.store, self.key(name))
        except MissingError:
            return None

    def remembered(self, name: str) -> dict[str, Any] | None:
        """Give a kept value as `recorded` does; it never changes, so it is read but once."""
        if name not in self._remembered and (found := self.recorded(name)) is not None:
            self._remembered[name] = found
        return self._remembered.get(name)

    def write_report(self, folder: Path) -> str:
        """Store a folder as the newest report; gives its prefix."""
        return self.write_folder("report", folder)

    def report(self) -> Manifest | None:
        """Give the newest complete report."""
        return self.folder("report")

    def write_folder(self, kind: str, folder: Path) -> str:
        """Store a local folder as the newest of its kind; gives its prefix."""
        number = len(self.store.folders(self.key(kind))) + 1
        last = number + _WRITERS
        while True:
            target = self.key(f"{kind}/{number:06d}")
            try:
                Manifest(target, upload_folder(self.store, folder, target)).write(self.store)
            except RefusedError:  # taken since it was listed
                if number == last:
                    raise
                number += 1
            else:
                return target

    def folder(self, kind: str) -> Manifest | None:
        """Give the newest complete folder of a kind. Raises DamagedError."""
        for name in reversed(self.store.folders(self.key(kind))):
            try:
                return read_manifest(self.store, self.key(f"{kind}/{name}/{NAME}"))
            except MissingError:
                continue
        return None

    def key(self, name: str) -> str:
        """Give the full key of a name under this prefix."""
        return f"{self.prefix}/{name}"
