"""A cluster's head that keeps cells, and may be away, without a cluster."""

from typing import Any

import pytest

from cifar_dist.cluster import channel

from ray.exceptions import RpcError  # isort: skip - after what prepares it


class Head:
    """Keeps cells as a cluster's head does, unless it is away."""

    def __init__(self) -> None:
        self.cells: dict[bytes, bytes] = {}
        self.is_away = False
        self.calls = 0

    def _answer(self, answer: Any) -> Any:
        self.calls += 1
        if self.is_away:
            raise RpcError("Timed out while waiting for GCS to become available.")
        return answer

    def internal_kv_put(self, key: bytes, value: bytes, *more: Any, timeout: float) -> int:
        """Write a cell."""
        answer: int = self._answer(1)
        self.cells[key] = value
        return answer

    def internal_kv_get(self, key: bytes, *more: Any, timeout: float) -> bytes | None:
        """Read a cell."""
        answer: bytes | None = self._answer(self.cells.get(key))
        return answer

    def internal_kv_keys(self, prefix: bytes, *more: Any, timeout: float) -> list[bytes]:
        """List cells."""
        answer: list[bytes] = self._answer(
            [key for key in list(self.cells) if key.startswith(prefix)]
        )
        return answer

    def internal_kv_del(self, key: bytes, *more: Any, timeout: float) -> int:
        """Remove cells."""
        self.cells = {cell: data for cell, data in self.cells.items() if not cell.startswith(key)}
        return len(self.cells)


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Head:
    """Let every channel find this head."""
    made = Head()
    monkeypatch.setattr(channel.internal_kv, "internal_kv_get_gcs_client", lambda: made)
    return made
