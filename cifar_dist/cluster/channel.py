"""A slot in the cluster's own key-value store: progress goes to the driver, orders come back."""

import json
from dataclasses import dataclass
from typing import Any

from ray.experimental import internal_kv

_NAMESPACE = b"cifar-dist"


@dataclass(frozen=True)
class Channel:
    """Cells named after one attempt; small, always overwritten, never a queue."""

    name: str

    def publish(self, progress: dict[str, Any]) -> None:
        """Leave the newest progress for the driver."""
        self._put("progress", json.dumps(progress).encode())

    def progress(self) -> dict[str, Any] | None:
        """Give the newest progress, if there is any."""
        data = self._get("progress")
        return json.loads(data) if data else None

    def request_stop(self) -> None:
        """Ask the workers to commit and end."""
        self._put("stop", b"1")

    def stop_requested(self) -> bool:
        """Tell whether the driver asked to stop."""
        return self._get("stop") is not None

    def order(self, order: dict[str, Any]) -> None:
        """Leave the newest order for the workers."""
        self._put("order", json.dumps(order).encode())

    def ordered(self) -> dict[str, Any] | None:
        """Give the newest order, if there is any."""
        data = self._get("order")
        return json.loads(data) if data else None

    def close(self) -> None:
        """Empty the cells of this channel and of those named below it."""
        internal_kv._internal_kv_del(self._key(""), del_by_prefix=True, namespace=_NAMESPACE)

    def _key(self, cell: str) -> bytes:
        return f"{self.name}/{cell}".encode()

    def _put(self, cell: str, value: bytes) -> None:
        internal_kv._internal_kv_put(self._key(cell), value, overwrite=True, namespace=_NAMESPACE)

    def _get(self, cell: str) -> bytes | None:
        data: bytes | None = internal_kv._internal_kv_get(self._key(cell), namespace=_NAMESPACE)
        return data
