"""Planted secrets: an environment that holds them, and a search for them in all that is written."""

import os
import secrets
from pathlib import Path
from urllib.parse import quote

from tests.soak_processes import descendants


class Canaries:
    """Secrets that are nowhere else, by what they are, and the places where each was seen."""

    def __init__(self) -> None:
        # Of what a key may hold, an address writes / and + in its own way.
        self.values = {
            "AWS secret": f"canary/{secrets.token_hex(12)}+",
            "session token": f"canary//{secrets.token_hex(12)}+==",
            "Ray token": secrets.token_hex(16),
            "password in a URL": secrets.token_hex(16),
            "HF token": f"hf_{secrets.token_hex(16)}",
            "MLflow password": f"canary {secrets.token_hex(12)}",
        }
        self.seen: dict[str, set[str]] = {}

    @property
    def address(self) -> str:
        """An address that holds one of them, of nobody."""
        return f"http://bob:{self.values['password in a URL']}@127.0.0.1:1"

    @property
    def environment(self) -> dict[str, str]:
        """The variables in which a user holds them."""
        return {
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": self.values["AWS secret"],
            "AWS_SESSION_TOKEN": self.values["session token"],
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.values["Ray token"],
            "HTTPS_PROXY": self.address,
            "NO_PROXY": "127.0.0.1,localhost",
            "HF_TOKEN": self.values["HF token"],
            "MLFLOW_TRACKING_PASSWORD": self.values["MLflow password"],
        }

    def search(self, place: str, content: bytes) -> None:
        """Note which of them stand in a text, as they are or as an address writes them."""
        for name, value in self.values.items():
            if any(form.encode() in content for form in (value, quote(value), quote(value, ""))):
                self.seen.setdefault(name, set()).add(place)

    def search_files(self, folder: Path) -> int:
        """Search each file below a folder; gives how many there are."""
        # Unlike `rglob`, it goes on where a folder has just gone.
        paths = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
        return sum(self._found(path) for path in paths if path.is_file())

    def search_processes(self, pid: int) -> int:
        """Search the command lines of a process and of all below it."""
        return sum(self._found(Path(f"/proc/{each}/cmdline")) for each in [pid, *descendants(pid)])

    def _found(self, path: Path) -> bool:
        try:
            self.search(str(path), path.read_bytes())
        except OSError:
            return False  # it has just gone
        return True
