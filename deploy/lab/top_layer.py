"""Pack only an image's top layer, for a node that has all layers below it already.

`top_layer.py NAME CONFIG UPPER BLOBS OUT`: the image's configuration and its top layer's folder as
docker keeps them, the node's blobs, the OCI archive to write. Ends with 3 where the node lacks one.
"""

import hashlib
import io
import json
import stat
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_OCI = "application/vnd.oci.image"
_LAYER = f"{_OCI}.layer.v1.tar"
_LACKING = 3


def main(name: str, config: Path, upper: Path, blobs: Path, out: Path) -> None:
    """Write the archive."""
    image = json.loads(config.read_text("utf-8"))
    below = image["rootfs"]["diff_ids"][:-1]
    kept = {digest: blobs / digest.replace(":", "/") for digest in below}
    if not all(path.is_file() for path in kept.values()):
        raise SystemExit(_LACKING)
    top = _layer(upper)
    image["rootfs"]["diff_ids"] = [*below, _digest(top)]
    configured = json.dumps(image).encode()
    layers = [_about(_LAYER, digest, path.stat().st_size) for digest, path in kept.items()]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _about(f"{_OCI}.config.v1+json", _digest(configured), len(configured)),
            "layers": [*layers, _about(_LAYER, _digest(top), len(top))],
        }
    ).encode()
    entry = _about(f"{_OCI}.manifest.v1+json", _digest(manifest), len(manifest))
    entry["annotations"] = {"io.containerd.image.name": name}
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": index}
    files |= {_place(blob): blob for blob in (manifest, configured, top)}
    with tarfile.open(out, "w") as archive:
        _add(archive, files.items())


def _layer(upper: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as layer:
        for path in sorted(upper.rglob("*")):
            inside = path.relative_to(upper)
            if stat.S_ISCHR(path.lstat().st_mode):  # how overlayfs says: removed here
                _add(layer, [(str(inside.with_name(f".wh.{inside.name}")), b"")])
            else:
                layer.add(path, arcname=str(inside), recursive=False)
    return packed.getvalue()


def _add(archive: tarfile.TarFile, files: Iterable[tuple[str, bytes]]) -> None:
    for name, content in files:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _place(content: bytes) -> str:
    return f"blobs/{_digest(content).replace(':', '/')}"


def _about(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": kind, "digest": digest, "size": size}


if __name__ == "__main__":
    main(sys.argv[1], *map(Path, sys.argv[2:]))
