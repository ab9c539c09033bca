"""A full disk is one sentence, costs no earlier checkpoint and leaves nothing half-written."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def in_a_small_disk(small: Path, command: list[str]) -> list[str]:
    """Give the command that runs another with 8 MB mounted at a folder."""
    script = 'mount -t tmpfs -o size=8m none "$0" && exec "$@"'
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(small), *command]


def can_mount(folder: Path) -> bool:
    """Tell whether this machine lets us."""
    if not shutil.which("unshare"):
        return False
    command = in_a_small_disk(folder, ["true"])
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture(params=["disk", "limit"])
def outcome(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Try it on a disk of 8 MB, and with a limit on the size of a file, which always works."""
    small, roomy = tmp_path / "small", tmp_path / "roomy"
    small.mkdir()
    command = [sys.executable, "-m", "tests.full_disk", str(small), str(roomy)]
    if request.param == "disk":
        if not can_mount(small):
            pytest.skip("mounting is not allowed here")
        command = in_a_small_disk(small, command)
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found | {"word": "No space left" if request.param == "disk" else "File too large"}


def test_a_full_disk_costs_no_checkpoint_and_keeps_no_half_files(outcome: dict[str, Any]) -> None:
    for failure in ("saving", "loading"):
        code, message = outcome[failure]
        assert code == 4, message
        assert outcome["word"] in message and "\n" not in message
    assert outcome["intact"]
    assert outcome["half"] == []
