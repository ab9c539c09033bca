"""Choose the packaged sample from all of CIFAR-10: `make_sample.py ARCHIVE_OR_FOLDER [OUTPUT]`."""

import io
import lzma
import random
import sys
import tarfile
from collections import defaultdict
from pathlib import Path

from cifar_dist import seeds
from cifar_dist.dataset.files import read_folder, read_tar
from cifar_dist.dataset.sources import SAMPLE

PER_CLASS = {"train": 1000, "test": 200}
MAX_BYTES = 5_000_000


def choose(paths: list[str]) -> list[str]:
    """Choose the same paths of every class on every machine: seed 0, one stream per class."""
    classes = defaultdict(list)
    for path in sorted(paths):
        split, name, _ = path.split("/")
        classes[split, name].append(path)
    chosen = []
    for (split, name), members in classes.items():
        stream = random.Random(seeds.derive(0, "sample", split, name))
        chosen += stream.sample(members, PER_CLASS[split])
    return sorted(chosen)


def pack(images: dict[str, bytes]) -> bytes:
    """Pack image files into a tar.xz without dates and owners, so that its bytes repeat."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in images.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return lzma.compress(packed.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def main(source: Path, output: Path = SAMPLE) -> None:
    """Write the sample and say what is in it."""
    images = read_folder(source) if source.is_dir() else read_tar(source)
    chosen = {path: images[path] for path in choose(list(images))}
    packed = pack(chosen)
    sys.stdout.write(f"{output}: {len(chosen)} images, {len(packed)} bytes\n")
    if len(packed) > MAX_BYTES:
        raise SystemExit(f"more than {MAX_BYTES} bytes; choose fewer images")
    output.write_bytes(packed)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
