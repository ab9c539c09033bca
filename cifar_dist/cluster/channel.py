"""A slot in the cluster's own key-value store: progress goes to the driver, orders come back."""

import json
import time
from typing import Any

from ray.exceptions import RpcError
from ray.experimental import internal_kv

_NAMESPACE = b"cifar-dist"
_ANSWER_SECONDS = 1.0
_PAUSE_SECONDS = 5.0


class Channel:
    """Cells named after one attempt; small, always overwritten, never a queue.

    While the cluster's head is away nothing is written and nothing is new: it may come back, and
    neither may anybody's work fail nor wait long for that.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._away_since: float | None = None
        self._next_try = 0.0

    @property
    def silent_seconds(self) -> float:
        """How long the head has not answered; 0 if it did when it was asked last."""
        return 0.0 if self._away_since is None else time.monotonic() - self._away_since

    def publish(self, progress: dict[str, Any]) -> bool:
        """Leave the newest progress for the driver; tells whether it was written."""
        return self._put("progress", progress)

    def progress(self) -> dict[str, Any] | None:
        """Give the newest progress, if there is any."""
        found: dict[str, Any] | None = self._get("progress")
        return found

    def request_stop(self) -> None:
        """Ask the workers to commit and end."""
        self._put("stop", True)

    def stop_requested(self) -> bool:
        """Tell whether the driver asked to stop."""
        return self._get("stop") is not None

    def order(self, order: dict[str, Any]) -> bool:
        """Leave the newest order for the workers; tells whether it was written."""
        return self._put("order", order)

    def ordered(self) -> dict[str, Any] | None:
        """Give the newest order, if there is any."""
        found: dict[str, Any] | None = self._get("order")
        return found

    def warn(self, source: str, warnings: list[dict[str, Any]]) -> None:
        """Leave the newest warnings of one process for the driver."""
        self._put(f"warnings/{source}", warnings)

    def warnings(self) -> dict[str, list[dict[str, Any]]]:
        """Give the newest warnings of every process, by its name."""
        return {source: self._get(f"warnings/{source}") or [] for source in self._in("warnings")}

    def tell(self, source: str, told: list[Any]) -> None:
        """Leave what one process counted for the driver."""
        self._put(f"counts/{source}", told)

    def told(self) -> list[list[Any]]:
        """Give what every process counted, as it told last."""
        return [self._get(f"counts/{source}") or [] for source in self._in("counts")]

    def close(self) -> None:
        """Empty the cells of this channel and of those named below it."""
        self._ask("internal_kv_del", self._key(""), True)

    def _key(self, cell: str) -> bytes:
        return f"{self.name}/{cell}".encode()

    def _in(self, cells: str) -> list[str]:
        found: list[bytes] = self._ask("internal_kv_keys", self._key(f"{cells}/")) or []
        return [cell.decode().rpartition("/")[2] for cell in found]

    def _put(self, cell: str, value: Any) -> bool:
        data = json.dumps(value).encode()
        return self._ask("internal_kv_put", self._key(cell), data, True) is not None

    def _get(self, cell: str) -> Any:
        data: bytes | None = self._ask("internal_kv_get", self._key(cell))
        return json.loads(data) if data else None

    def _ask(self, call: str, *arguments: Any) -> Any:
        # Ray's own functions for this wait until the head is back or Ray ends the process.
        client = internal_kv.internal_kv_get_gcs_client()
        if client is None or time.monotonic() < self._next_try:
            return None
        try:
            answer = getattr(client, call)(*arguments, _NAMESPACE, timeout=_ANSWER_SECONDS)
        except RpcError:
            now = time.monotonic()
            self._away_since = now if self._away_since is None else self._away_since
            self._next_try = now + _PAUSE_SECONDS
            return None
        self._away_since = None
        return answer
