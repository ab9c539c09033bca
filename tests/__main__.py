"""Run the tests in three parts side by side: what computes, what waits for Ray, what endures."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

APART = "full or chart or kubernetes"
"""What has commands of its own."""
SHOWN = "not (cluster or soak)"
MEANWHILE = ("cluster and not (soak or example)", "soak or example")


def main() -> int:
    """Show the first part's output as it comes, then the others'; gives 0 if all passed."""
    with tempfile.TemporaryDirectory(prefix="cifar-dist-tests-") as folder:
        logs = [Path(folder, f"{number}.log") for number in range(len(MEANWHILE))]
        waiting = [_written(marks, log) for marks, log in zip(MEANWHILE, logs, strict=True)]
        codes = [_ended(part) for part in (_started(SHOWN), *waiting)]
        for log in logs:
            sys.stdout.write(log.read_text("utf-8", "replace"))
    return max(codes)


def _written(marks: str, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return _started(marks, file)


def _started(marks: str, output: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pytest", "-m", f"({marks}) and not ({APART})"]
    return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT if output else None)


def _ended(part: subprocess.Popen[bytes]) -> int:
    while True:
        try:
            return abs(part.wait())
        except KeyboardInterrupt:
            continue  # all parts heard it and put away what they started


if __name__ == "__main__":
    sys.exit(main())
