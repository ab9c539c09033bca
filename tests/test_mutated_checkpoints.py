"""Mutated checkpoints: none is ever taken with other content than was committed."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.checkpoint import HISTORY, STATE, WEIGHTS
from cifar_dist.errors import DamagedError
from cifar_dist.runs import Manifest, Run
from cifar_dist.runs.manifest import NAME
from cifar_dist.runs.seal import sealed
from cifar_dist.store import open_store
from tests.soak import rounds
from tests.tiny import make_learner, take_steps

FILES = (WEIGHTS, STATE, HISTORY)
ROUNDS, PARTS = rounds(200, 1000), 4


class Committed:
    """Two checkpoints of one run, and what they hold."""

    def __init__(self, folder: Path) -> None:
        self.run = Run(open_store(str(folder / "store")), "runs/a-00000000")
        learner, attempt = make_learner(optimizer={"name": "adam"}), self.run.claim_attempt()
        self.manifests: dict[int, Manifest] = {}
        self.contents: dict[int, dict[str, bytes]] = {}
        for step in (1, 2):
            take_steps(learner, 1)
            saved = folder / f"saved-{step}"
            saved.mkdir()
            learner.snapshot().write(saved)
            made = attempt.commit(saved, step=step, epoch=0, metrics={"loss": 1.0})
            self.manifests[step], self.contents[step] = made, self.held(saved)
        self.newest = folder / "store" / self.manifests[2].folder
        self.intact = self.held(self.newest)

    def held(self, folder: Path) -> dict[str, bytes]:
        """Give a folder's files."""
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    def put(self, files: dict[str, bytes]) -> None:
        """Let the newest checkpoint have just these files."""
        for name in self.intact.keys() - files.keys():
            (self.newest / name).unlink(missing_ok=True)
        for name, data in files.items():
            (self.newest / name).write_bytes(data)


Mutation = Callable[[dict[str, bytes], Committed, random.Random], None]


def bent(data: bytes, draw: random.Random) -> bytes:
    """Flip one bit to eight."""
    changed = bytearray(data or b"\0")
    for _ in range(draw.choice((1, 1, 2, 8))):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def flipped(files: dict[str, bytes], _: Committed, draw: random.Random) -> None:
    name = draw.choice([*FILES, NAME])
    files[name] = bent(files[name], draw)


def cut(files: dict[str, bytes], _: Committed, draw: random.Random) -> None:
    name = draw.choice([*FILES, NAME])
    length = draw.choice((0, 1, len(files[name]) - 1, draw.randrange(len(files[name]) + 1)))
    files[name] = files[name][:length]


def lengthened(files: dict[str, bytes], _: Committed, draw: random.Random) -> None:
    name = draw.choice(FILES)
    more = draw.choice((b"\0", b"\n", files[name], draw.randbytes(512)))
    files[name] = draw.choice((files[name] + more, more + files[name]))


def spliced(files: dict[str, bytes], committed: Committed, draw: random.Random) -> None:
    name, other = draw.choice(FILES), draw.choice([files, committed.contents[1]])
    source, target = other[draw.choice(FILES)], files[name]
    start, length = draw.randrange(len(target) + 1), draw.choice((1, 16, 512, 70_000))
    piece = source[(at := draw.randrange(len(source) + 1)) : at + length]
    files[name] = target[:start] + piece + target[start + draw.choice((0, len(piece))) :]


def blanked(files: dict[str, bytes], _: Committed, draw: random.Random) -> None:
    name, length = draw.choice(FILES), draw.choice((1, 512, 4096, 1 << 20))
    start = draw.randrange(len(files[name]) + 1)
    blank = bytes(min(length, len(files[name]) - start))
    files[name] = files[name][:start] + blank + files[name][start + length :]


def swapped(files: dict[str, bytes], committed: Committed, draw: random.Random) -> None:
    first, second = draw.sample(FILES, 2)
    if draw.random() < 0.5:
        files[first], files[second] = files[second], files[first]
    else:
        files[first] = committed.contents[1][first]


def removed(files: dict[str, bytes], _: Committed, draw: random.Random) -> None:
    del files[draw.choice([*FILES, NAME])]


def edited(files: dict[str, bytes], committed: Committed, draw: random.Random) -> None:
    """Change what the manifest says; its seal fits where the change must be seen all the same."""
    document = json.loads(files[NAME])
    seal, name = document.pop("seal"), draw.choice(FILES)
    place, older = document["files"][name], committed.manifests[1]
    changes: list[tuple[dict[str, Any], str, Any]] = [
        (place, "sha256", draw.randbytes(32).hex()),
        (place, "sha256", older.files[FILES[FILES.index(name) - 1]].sha256),
        (place, "bytes", place["bytes"] + draw.choice((-1, 1, 2**63, -(2**63)))),
        (place, "bytes", draw.choice((None, "1", 1.5, [], True))),
        (document, "folder", draw.choice((older.folder, "", "../x", None))),
        (document, "step", draw.choice((0, 3, -1, 2.5, None, "2"))),
        (document, "attempt", draw.choice((0, 2, None))),
        (document, "schema", "cifar-dist/manifest/0"),
        (document, "files", draw.choice(({}, [], None, {"../x": place}, {NAME: place}))),
        (document, "more", 1),
    ]
    holder, key, value = draw.choice(changes)
    has_new_seal = value != {}  # a checkpoint of no files is one that nobody loads
    holder[key] = value
    plain = json.dumps({**document, "seal": seal}).encode()
    files[NAME] = sealed(document) if has_new_seal else plain


MUTATIONS: list[Mutation] = [
    flipped, flipped, cut, lengthened, spliced, blanked, swapped, removed, edited, edited,
]  # fmt: skip


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Committed]:
    made = Committed(tmp_path_factory.mktemp("mutated"))
    yield made
    made.put(made.intact)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(PARTS))
def test_a_mutated_checkpoint_is_never_taken_with_other_content(
    part: int, committed: Committed, tmp_path: Path
) -> None:
    draw, skipped = random.Random(part), 0
    for number in range(ROUNDS // PARTS):
        files = dict(committed.intact)
        mutation = draw.choice(MUTATIONS)
        mutation(files, committed, draw)
        committed.put(files)
        found = committed.run.latest_intact(target := tmp_path / str(number))
        assert found is not None
        assert committed.held(target) == committed.contents[found.step], mutation.__name__
        assert asdict(found) == asdict(committed.manifests[found.step]), mutation.__name__
        skipped += found.step == 1
    assert skipped >= 0.8 * (ROUNDS // PARTS)  # the others changed nothing that is read


@pytest.mark.soak
def test_a_mutated_file_whose_hash_fits_is_read_or_refused_and_nothing_else(tmp_path: Path) -> None:
    learner, draw = make_learner(optimizer={"name": "adam"}), random.Random(0)
    take_steps(learner, 1)
    learner.snapshot().write(tmp_path)
    intact, refused = {name: (tmp_path / name).read_bytes() for name in FILES}, 0
    for _ in range(rounds(60, 1000)):
        name = draw.choice(FILES)
        data = intact[name]
        # In what is parsed, not in the numbers.
        at = draw.randrange(min(len(data), 2000)) if draw.random() < 0.7 else len(data) - 300
        place = slice(max(0, at), max(0, at) + 200)
        changed = data[: place.start] + bent(data[place], draw) + data[place.stop :]
        (tmp_path / name).write_bytes(draw.choice((changed, changed[:-7], data[: at + 1])))
        try:
            learner.load(tmp_path)
        except DamagedError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 700
        (tmp_path / name).write_bytes(data)
    assert refused > 20
