"""The lab's image tools: archives name their own bytes, a top layer comes without those below."""

import hashlib
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.chart.renders import ROOT

LAB = ROOT / "deploy" / "lab"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def unpacked(archive: Path) -> dict[str, bytes]:
    """Give the files of an archive by their names without folders."""
    folder = archive.with_suffix("")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def called(script: str, *arguments: object) -> int:
    command = [sys.executable, str(LAB / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=60).returncode


def test_an_image_of_one_program_is_an_archive_that_names_its_own_bytes(tmp_path: Path) -> None:
    program, archive = tmp_path / "program", tmp_path / "image.tar"
    program.write_bytes(b"\x7fELF")
    words = ["--file", f"{program}=/program", "--user", "65532:65532", "--entrypoint", "/program"]
    assert called("image.py", archive, "localhost/program:lab", *words) == 0
    files = unpacked(archive)
    (manifest,) = json.loads(files["manifest.json"])
    config = json.loads(files[manifest["Config"]])
    assert manifest["Config"] == f"{sha256(files[manifest['Config']])}.json"
    assert manifest["RepoTags"] == ["localhost/program:lab"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{sha256(files['layer.tar'])}"]
    assert (config["config"]["User"], config["config"]["Entrypoint"]) == (
        "65532:65532",
        ["/program"],
    )


@pytest.fixture
def docker(tmp_path: Path) -> list[Path]:
    """What docker and the node keep of an image whose lower layer is `below`."""
    (tmp_path / "upper" / "opt").mkdir(parents=True)
    (tmp_path / "upper" / "opt" / "code.py").write_text("new = 1\n")
    (tmp_path / "blobs" / "sha256").mkdir(parents=True)
    (tmp_path / "blobs" / "sha256" / sha256(b"below")).write_bytes(b"below")
    layers = [f"sha256:{sha256(b'below')}", f"sha256:{sha256(b'top')}"]
    config = {"os": "linux", "config": {"User": "1000:1000"}, "rootfs": {"diff_ids": layers}}
    (tmp_path / "config").write_text(json.dumps(config))
    return [tmp_path / name for name in ("config", "upper", "blobs", "top.tar")]


def test_a_top_layer_comes_with_the_image_that_it_makes(docker: list[Path]) -> None:
    assert called("top_layer.py", "localhost/a:dev", *docker) == 0
    files = unpacked(docker[-1])
    (entry,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(files[entry["digest"].removeprefix("sha256:")])
    config = json.loads(files[manifest["config"]["digest"].removeprefix("sha256:")])
    below, top = (layer["digest"] for layer in manifest["layers"])
    assert entry["annotations"] == {"io.containerd.image.name": "localhost/a:dev"}
    assert config["rootfs"]["diff_ids"] == [below, top]
    assert below == f"sha256:{sha256(b'below')}" and sha256(b"below") not in files
    assert top == f"sha256:{sha256(files[top.removeprefix('sha256:')])}"
    assert config["config"] == {"User": "1000:1000"}


def test_a_node_without_the_lower_layers_is_not_given_a_top(docker: list[Path]) -> None:
    next((docker[2] / "sha256").iterdir()).unlink()
    assert called("top_layer.py", "localhost/a:dev", *docker) == 3
    assert not docker[-1].exists()
