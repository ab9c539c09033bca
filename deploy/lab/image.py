"""Write a container image archive, the format of `docker save`, without a container engine."""

import argparse
import hashlib
import io
import json
import tarfile
import tempfile
from pathlib import Path

EPOCH = "1970-01-01T00:00:00Z"
SEARCHED = "/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("name", help="NAME:TAG")
    content = parser.add_mutually_exclusive_group(required=True)
    content.add_argument("--root", type=Path, help="directory that becomes /")
    content.add_argument("--file", metavar="SOURCE=/DESTINATION", help="the one program")
    parser.add_argument("--user", default="", help="UID:GID")
    parser.add_argument("--entrypoint", nargs="*")
    return parser.parse_args()


def write_layer(path: Path, root: Path | None, file: str | None) -> str:
    """Write the one layer. Gives its digest."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as layer:
        if root is not None:
            for entry in sorted(root.iterdir()):
                layer.add(entry, arcname=entry.name)
        if file is not None:
            _add_program(layer, *file.split("=", 1))
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _add_program(layer: tarfile.TarFile, source: str, destination: str) -> None:
    for name, mode in (("tmp", 0o1777), ("etc", 0o755)):
        folder = tarfile.TarInfo(name)
        folder.type, folder.mode = tarfile.DIRTYPE, mode
        layer.addfile(folder)
    program = layer.gettarinfo(source, arcname=destination.lstrip("/"))
    program.uid = program.gid = 0
    program.mode = 0o755
    with Path(source).open("rb") as content:
        layer.addfile(program, content)


def write_archive(chosen: argparse.Namespace) -> None:
    """Write layer, configuration and manifest, all or nothing."""
    with tempfile.NamedTemporaryFile(dir=chosen.out.resolve().parent) as layer:
        digest = write_layer(Path(layer.name), chosen.root, chosen.file)
        config = {
            "architecture": "amd64", "os": "linux", "created": EPOCH,
            "config": {"Env": [f"PATH={SEARCHED}"], "Entrypoint": chosen.entrypoint,
                       "User": chosen.user, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": EPOCH, "created_by": "image.py"}],
        }  # fmt: skip
        encoded = json.dumps(config, sort_keys=True).encode()
        named = f"{hashlib.sha256(encoded).hexdigest()}.json"
        manifest = [{"Config": named, "RepoTags": [chosen.name], "Layers": ["layer.tar"]}]
        part = chosen.out.with_name(f"{chosen.out.name}.part")
        with tarfile.open(part, "w") as archive:
            _add_bytes(archive, named, encoded)
            archive.add(layer.name, arcname="layer.tar")
            _add_bytes(archive, "manifest.json", json.dumps(manifest).encode())
        part.replace(chosen.out)


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


if __name__ == "__main__":
    write_archive(options())
