"""A damaged newest checkpoint is named and skipped, never fatal and never used."""

import json
import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.errors import DamagedError
from cifar_dist.runs import Run
from cifar_dist.runs.seal import sealed
from cifar_dist.store import Content, Store
from tests.commands import TINY, Program
from tests.faults import bent
from tests.soak import long_only, rounds
from tests.writers import commit, content, is_exact

pytestmark = pytest.mark.soak
NAME = "runs/a-00000000"
MANIFEST = "MANIFEST.json"
STORES = pytest.mark.parametrize(
    "store", ["file", pytest.param("moto", marks=long_only)], indirect=True
)
CHANCE = random.Random(8)


def kept(share: float) -> Callable[[bytes], bytes]:
    return lambda data: data[: int(share * len(data))]


def forged(**changes: Any) -> Callable[[bytes], bytes]:
    """Give what makes another manifest of one, with a seal that fits."""

    def forge(data: bytes) -> bytes:
        document = json.loads(data)
        del document["seal"]
        return sealed({**document, **changes})

    return forge


OUTSIDE = {"../state.pt": Content(3, 64 * "0")._asdict()}
DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "one bit": lambda data: bent(data, CHANCE),
    "0 %": kept(0),
    "10 %": kept(0.1),
    "50 %": kept(0.5),
    "99.9 %": kept(0.999),
    "one byte more": lambda data: data + b"\n",
    "deleted": lambda data: None,
}
MANIFEST_DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    **{name: DAMAGE[name] for name in ("one bit", "0 %", "10 %", "50 %")},
    "99 %": kept(0.99),  # the last byte ends the line and means nothing
    "no JSON": lambda data: b"<html>",
    "a list": lambda data: b"[]",
    "out of its folder": forged(files=OUTSIDE),
    "of another folder": forged(folder=f"{NAME}/attempts/000001/step-000000000001"),
    "of another program": forged(schema="other/manifest/1"),
}
CASES = [(name, damage) for name in content(1) for damage in DAMAGE] + [
    (MANIFEST, damage) for damage in MANIFEST_DAMAGE
]


def put(store: Store, key: str, data: bytes | None) -> None:
    """Replace an object, which no writer ever does."""
    store.delete([key])
    if data is not None:
        store.write(key, data)


@STORES
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_each_damage_to_the_newest_leaves_the_one_before(
    store: Store, tmp_path: Path, name: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage = (MANIFEST_DAMAGE if name == MANIFEST else DAMAGE)[kind]
    run = Run(store, NAME)
    attempt = run.claim_attempt()
    older, newer = (commit(attempt, tmp_path, step) for step in (1, 3))
    key = f"{newer.folder}/{name}"
    intact = store.read(key, 1 << 20)
    for number in range(rounds(3, 100) if kind == "one bit" else 1):
        put(store, key, damage(intact))
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert run.latest_intact(tmp_path / f"back-{number}") == older
        assert is_exact(tmp_path / f"back-{number}", 1)
        assert newer.key in caplog.text and key in caplog.text


@STORES
@pytest.mark.parametrize("kind", DAMAGE)
def test_a_run_without_an_intact_checkpoint_is_refused(
    store: Store, tmp_path: Path, kind: str
) -> None:
    run = Run(store, NAME)
    attempt = run.claim_attempt()
    for manifest in [commit(attempt, tmp_path, step) for step in (1, 3)]:
        key = f"{manifest.folder}/state.pt"
        put(store, key, DAMAGE[kind](store.read(key, 1 << 20)))
    with pytest.raises(DamagedError, match=r"none of the 2 checkpoints") as caught:
        run.latest_intact(tmp_path / "back")
    assert caught.value.exit_code == 5
    assert not (tmp_path / "back").exists()


def damage_newest(manifests: list[Path]) -> Path:
    """Flip a bit of the state in the checkpoint that would be resumed."""
    state = max(manifests).with_name("state.pt")
    state.write_bytes(bent(state.read_bytes(), CHANCE))
    return state


def test_the_program_resumes_from_the_one_before_and_says_so(
    program: Program, folder: Path
) -> None:
    line = f"train {TINY} --epochs 3 --name mine --store s".split()
    assert program(*line).code == 0
    (result,) = folder.glob("s/runs/*/result.json")
    result.unlink()
    state = damage_newest(list(folder.glob("s/runs/*/attempts/*/*/MANIFEST.json")))
    resumed = program("resume", result.parent.name, "--store", "s")
    assert resumed.code == 0
    assert "skipped checkpoint" in resumed.err and state.parent.name in resumed.err
    result.unlink()
    for manifest in folder.glob("s/runs/*/attempts/*/*/MANIFEST.json"):
        damage_newest([manifest])
    refused = program("resume", result.parent.name, "--store", "s")
    assert refused.code == 5
    assert "intact" in refused.err and "--fresh" in refused.err
