"""The wheel works alone: outside a checkout, without a writable home, and as nobody special."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterator, Sequence
from email import message_from_bytes
from pathlib import Path

import pytest

from cifar_dist.config import load_job
from tests.commands import TINY, Finished

ROOT = Path(__file__).parents[1]
MAX_BYTES = 15_000_000
# Without root's powers: as nobody where nobody may run this Python, else as a root without any.
POWERLESS = (
    ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
    ["setpriv", "--bounding-set=-all", "--inh-caps=-all"],
)
SCRIPT = """
from importlib.metadata import distribution
(entry,) = distribution("cifar-dist").entry_points
entry.load()()
"""


class Installed:
    """The wheel in an environment of its own, and a home and a folder that cannot be written."""

    def __init__(self, folder: Path, wheel: Path) -> None:
        self.folder, self.home, self.store = folder, folder / "home", folder / "store"
        venv.create(folder / "venv", with_pip=False)
        self.python = str(folder / "venv" / "bin" / "python")
        (packages,) = (folder / "venv").glob("lib/python*/site-packages")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
        # The dependencies, and nothing that an editable installation says there.
        (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
        self.home.mkdir(mode=0o555)
        self.store.mkdir()
        self.store.chmod(0o777)
        self.prefix = next(filter(self._runs, POWERLESS)) if os.geteuid() == 0 else []

    def program(self, *arguments: str) -> Finished:
        """Call the console script."""
        return self._call([*self.prefix, self.python, "-c", SCRIPT, *arguments])

    def _runs(self, prefix: Sequence[str]) -> bool:
        return self._call([*prefix, self.python, "-c", ""]).code == 0

    def _call(self, command: Sequence[str]) -> Finished:
        names = ("PATH", "LANG", "LD_LIBRARY_PATH")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        environment = {**kept, "HOME": str(self.home), "TMPDIR": str(self.store)}
        ended = subprocess.run(
            command, cwd=self.home, env=environment, capture_output=True, text=True, timeout=120
        )
        return Finished(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def built() -> Iterator[dict[str, Path]]:
    """Build sdist and wheel, as `make dist` does, without a network."""
    with tempfile.TemporaryDirectory() as name:
        command = [sys.executable, "-m", "hatchling", "build", "-d", name]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        yield {path.suffix: path for path in Path(name).iterdir()}


@pytest.fixture(scope="module")
def installed(built: dict[str, Path]) -> Iterator[Installed]:
    """Install the wheel where anyone may look."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Installed(Path(name), built[".whl"])


def test_the_wheel_carries_all_that_it_needs_and_is_small(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built[".whl"]) as archive:
        names = set(archive.namelist())
    carried = {
        "dataset/sample.tar.xz",
        "py.typed",
        *(f"tune_spaces/{path.name}" for path in (ROOT / "tune_spaces").iterdir()),
        *(
            path.relative_to(ROOT / "cifar_dist").as_posix()
            for kind in ("recipes/*", "weights/*", "report/templates/**/*.*", "config/*.json")
            for path in (ROOT / "cifar_dist").glob(kind)
        ),
        *(
            path.relative_to(ROOT).as_posix()
            for path in (ROOT / "helm").rglob("*")
            if path.is_file()
        ),
    }
    assert {f"cifar_dist/{name}" for name in carried} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"cifar_dist"}
    assert built[".whl"].stat().st_size < MAX_BYTES


def test_the_sdist_builds_the_same_wheel(built: dict[str, Path], tmp_path: Path) -> None:
    with tarfile.open(built[".gz"]) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (again,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(again) as one, zipfile.ZipFile(built[".whl"]) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())


def test_the_wheel_says_what_it_is(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built[".whl"]) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        facts = message_from_bytes(archive.read(name))
    assert facts["Name"] == "cifar-dist"
    assert facts["License-Expression"] == "MIT"
    lines = [line for line in facts.get_all("Requires-Dist", []) if "extra ==" not in line]
    needed = [line.partition(">")[0] for line in lines]
    assert needed == sorted(needed)


def test_shipped_spaces_recipes_and_models_are_found_outside_a_checkout(
    installed: Installed,
) -> None:
    ended = installed.program("tune", "quickstart", "--dry-run", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["name"] == "quickstart"
    ended = installed.program("models", "list", "--json")
    assert (ended.code, ended.err) == (0, "")
    listed = {model["name"] for model in json.loads(ended.out)["models"]}
    recipes = (ROOT / "cifar_dist" / "recipes").iterdir()
    assert {load_job(path).recipe.model.name for path in recipes} <= listed


def test_it_trains_with_a_home_and_a_folder_that_cannot_be_written(installed: Installed) -> None:
    arguments = [*TINY.split(), "--epochs", "1", "--store", str(installed.store), "--json"]
    ended = installed.program("train", *arguments)
    assert ended.code == 0, ended.err
    assert not [line for line in ended.err.splitlines() if not line.startswith(("run ", "epoch "))]
    document = json.loads(ended.out)
    assert document["state"] == "finished"
    assert document["provenance"]["code_revision"] is None
    assert list(installed.home.iterdir()) == []
