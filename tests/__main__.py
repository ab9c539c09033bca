"""Run the tests in two halves side by side: those that compute, and those that mostly wait."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

WAITING = "cluster or soak"
APART = "full or chart or kubernetes"
"""What has commands of its own."""


def main() -> int:
    """Show the first half's output as it comes, then the other's; gives 0 if both passed."""
    with tempfile.TemporaryDirectory(prefix="cifar-dist-tests-") as folder:
        log = Path(folder, "waiting.log")
        with log.open("wb") as file:
            waiting = _start(f"({WAITING}) and not ({APART})", file)
            computing = _start(f"not ({WAITING} or {APART})")
            codes = [_ended(computing), _ended(waiting)]
        sys.stdout.write(log.read_text("utf-8", "replace"))
    return max(codes)


def _start(marked: str, output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", "-m", marked]
    return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT if output else None)


def _ended(half: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return abs(half.wait())
        except KeyboardInterrupt:
            continue  # both halves heard it and put away what they started


if __name__ == "__main__":
    sys.exit(main())
